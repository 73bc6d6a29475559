package core

import (
	"net/http"

	"github.com/oidcgate/oidcgate/core/internal/broker"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// exchangeGrant gives a token of ours for one of the provider's (RFC 8693).
func (a *Auth) exchangeGrant(_ http.ResponseWriter, r *http.Request, p tokenRequest) (tokenBody, broker.Party, error) {
	wanted, err := a.readExchange(p.params)
	if err != nil {
		return tokenBody{}, broker.Party{}, err
	}
	raw, err := p.ascii(maxToken, "subject_token")
	if err != nil {
		return tokenBody{}, broker.Party{}, err
	}
	if raw == "" {
		return tokenBody{}, broker.Party{}, ErrInvalidRequest.because("The parameter subject_token is missing.")
	}
	tokens, subject, err := a.broker.Exchange(r.Context(), raw, wanted)
	whose := broker.Party{Subject: subject}
	if err != nil {
		return tokenBody{}, whose, err
	}
	body := a.tokenBody(tokens)
	body.IssuedTokenType = string(oidc.AccessTokenType)
	return body, whose, nil
}

// readExchange reads what kind of token is wanted, and for what (RFC 8693 2.1).
func (a *Auth) readExchange(p params) (wanted broker.Narrowing, err error) {
	for _, name := range []string{"subject_token_type", "requested_token_type"} {
		kind, err := p.ascii(maxOther, name)
		if err != nil {
			return broker.Narrowing{}, err
		}
		if kind != "" && kind != string(oidc.AccessTokenType) && kind != string(oidc.JWTTokenType) {
			return broker.Narrowing{}, fault.InvalidRequest.New("The " + name + " must be " + string(oidc.AccessTokenType) + "; leave it out.")
		}
	}
	if p.has("actor_token") {
		return broker.Narrowing{}, fault.InvalidRequest.New("An actor_token is not supported.")
	}
	if wanted.Audiences, err = a.readAudiences(p, "audience", "resource"); err != nil {
		return broker.Narrowing{}, err
	}
	wanted.Scopes, err = readScopes(p)
	return wanted, err
}
