package core

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/provider"
	"github.com/oidcgate/oidcgate/core/internal/verify"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// exchangeGrant gives a token of ours for one of the provider's (RFC 8693). The
// new token has no more scopes, lives no longer, has no session, and can't be
// refreshed.
func (a *Auth) exchangeGrant(_ http.ResponseWriter, r *http.Request, p params) (tokenBody, string, error) {
	b := a.broker
	wanted, err := b.readExchange(p)
	if err != nil {
		return tokenBody{}, "", err
	}
	raw, err := p.ascii(maxToken, "subject_token")
	if err != nil {
		return tokenBody{}, "", err
	}
	if raw == "" {
		return tokenBody{}, "", fault.InvalidRequest.New("The parameter subject_token is missing.")
	}
	c, err := verify.Read(raw, maxToken, a.now())
	if err == nil {
		err = a.verifier.AccessToken(r.Context(), c)
	}
	if err != nil {
		return tokenBody{}, "", subjectTokenError(err)
	}
	subject := c.Claims
	if err := wanted.within(subject.Scopes()); err != nil {
		return tokenBody{}, subject.Subject, err
	}
	actor, err := actorOf(subject)
	if err != nil {
		return tokenBody{}, subject.Subject, err
	}
	keys, err := b.keys.Get(r.Context())
	if err != nil {
		return tokenBody{}, subject.Subject, err
	}
	who, err := b.identify(r.Context(), evidence{subject: subject.Subject, access: subject, granted: strings.Join(wanted.scopesOf(subject.Scopes()), " "), raw: raw}, func() error { return nil })
	if err != nil {
		return tokenBody{}, subject.Subject, err
	}
	expires := a.now().Add(b.TokenLifetime)
	if subject.Expires.Before(expires) {
		expires = subject.Expires.Time
	}
	minted, err := b.mint(keys, minting{who: who, issuer: b.config.provider().Issuer, subject: subject.Subject, wanted: wanted, actor: actor, expires: expires})
	if err != nil {
		return tokenBody{}, subject.Subject, err
	}
	body := a.tokenBody(provider.Tokens{AccessToken: minted, Scope: strings.Join(who.Scopes, " "), Expires: expires.Truncate(time.Second)})
	body.IssuedTokenType = string(oidc.AccessTokenType)
	return body, subject.Subject, nil
}

// actorOf tells who acts for the subject, as the token has it (RFC 8693 4.1): a new token must
// not hide that. It is nil for nobody.
func actorOf(c *claim.Set) (jsontext.Value, error) {
	var said struct {
		Actor jsontext.Value `json:"act"`
	}
	if err := json.Unmarshal(c.Payload, &said); err != nil {
		return nil, err
	}
	switch said.Actor.Kind() {
	case '{':
		return said.Actor, nil
	case 'n', 0:
		return nil, nil
	}
	return nil, fault.InvalidRequest.New("The claim act of the subject_token is not an object.")
}

// readExchange reads what kind of token is wanted, and for what (RFC 8693 2.1).
func (b *broker) readExchange(p params) (wanted narrowing, err error) {
	for _, name := range []string{"subject_token_type", "requested_token_type"} {
		kind, err := p.ascii(maxOther, name)
		if err != nil {
			return narrowing{}, err
		}
		if kind != "" && kind != string(oidc.AccessTokenType) && kind != string(oidc.JWTTokenType) {
			return narrowing{}, fault.InvalidRequest.New("The " + name + " must be " + string(oidc.AccessTokenType) + "; leave it out.")
		}
	}
	if p.has("actor_token") {
		return narrowing{}, fault.InvalidRequest.New("An actor_token is not supported.")
	}
	if wanted.audiences, err = b.readAudiences(p, "audience", "resource"); err != nil {
		return narrowing{}, err
	}
	wanted.scopes, err = readScopes(p)
	return wanted, err
}

// subjectTokenError is tokenError for a token that came as a parameter
// (RFC 8693 2.2.2).
func subjectTokenError(err error) error {
	err = tokenError(err)
	var e *Error
	if errors.Is(err, ErrInvalidToken) && errors.As(err, &e) {
		return fault.InvalidRequest.New("The subject_token is not good: " + strings.ToLower(e.Description[:1]) + e.Description[1:])
	}
	return err
}
