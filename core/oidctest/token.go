package oidctest

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// token is the token endpoint. The handlers of op write each refusal to the
// default slog logger, which belongs to the program under test; so this uses the
// parts that they are made of.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		writeError(w, oidc.ErrInvalidRequest().WithDescription("the token endpoint takes POST only"))
		return
	}
	var answer *tokenAnswer
	var err error
	switch grantType := oidc.GrantType(r.PostFormValue("grant_type")); grantType {
	case oidc.GrantTypeCode:
		answer, err = p.exchangeCode(r)
	case oidc.GrantTypeRefreshToken:
		answer, err = p.refresh(r)
	case oidc.GrantTypeDeviceCode:
		answer, err = p.exchangeDeviceCode(r)
	case "":
		err = oidc.ErrInvalidRequest().WithDescription("grant_type is missing")
	default:
		err = oidc.ErrUnsupportedGrantType().WithDescription("the grant type %q is not offered", grantType)
	}
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func (p *Provider) exchangeCode(r *http.Request) (*tokenAnswer, error) {
	request, err := op.ParseAccessTokenRequest(r, p.op.Decoder())
	if err != nil {
		return nil, err
	}
	authRequest, _, err := op.ValidateAccessTokenRequest(r.Context(), request, p.op)
	if err != nil {
		return nil, err
	}
	si := authRequest.(*signIn)
	return p.issue(r.Context(), si.grant, si, request.Code, "")
}

func (p *Provider) refresh(r *http.Request) (*tokenAnswer, error) {
	request, err := op.ParseRefreshTokenRequest(r, p.op.Decoder())
	if err != nil {
		return nil, err
	}
	validated, _, err := op.ValidateRefreshTokenRequest(r.Context(), request, p.op)
	if err != nil {
		return nil, err
	}
	g := validated.(*accessRequest).grant
	return p.issue(r.Context(), g, &g, "", request.RefreshToken)
}

func (p *Provider) exchangeDeviceCode(r *http.Request) (*tokenAnswer, error) {
	if _, err := p.authenticate(r); err != nil {
		return nil, err
	}
	g, err := p.storage.poll(r.PostFormValue("device_code"))
	if err != nil {
		return nil, err
	}
	return p.issue(r.Context(), *g, g, "", "")
}

// authenticate checks the client of a request to the token endpoint or the like,
// by either of the two ways to send a secret.
func (p *Provider) authenticate(r *http.Request) (op.Client, error) {
	// op parses the form of a copy of the request, which leaves this one with
	// neither a form nor a body.
	if err := r.ParseForm(); err != nil {
		return nil, oidc.ErrInvalidRequest().WithDescription("the form cannot be read")
	}
	var request oidc.RefreshTokenRequest
	if err := op.ParseAuthenticatedTokenRequest(r, p.op.Decoder(), &request); err != nil {
		return nil, err
	}
	c, err := p.storage.GetClientByClientID(r.Context(), request.ClientID)
	if err != nil || c.AuthMethod() == oidc.AuthMethodNone {
		return c, err
	}
	return c, op.AuthorizeClientIDSecret(r.Context(), request.ClientID, request.ClientSecret, p.storage)
}

type tokenAnswer struct {
	AccessToken      string `json:"access_token"`
	TokenType        string `json:"token_type"`
	ExpiresIn        int64  `json:"expires_in"`
	RefreshToken     string `json:"refresh_token,omitempty"`
	RefreshExpiresIn int64  `json:"refresh_expires_in,omitempty"`
	IDToken          string `json:"id_token,omitempty"`
	Scope            string `json:"scope,omitempty"`
}

// issue makes the tokens of a grant: new ones if refresh is empty. identity is
// what the ID token is made of, which tells the nonce if there is one.
func (p *Provider) issue(ctx context.Context, g grant, identity op.IDTokenRequest, code, refresh string) (*tokenAnswer, error) {
	c := client{&p.options}
	access, newRefresh, validity, err := op.CreateAccessToken(ctx, p.storage.accessRequest(g), c.AccessTokenType(), p.op, c, refresh)
	if err != nil {
		return nil, err
	}
	answer := &tokenAnswer{
		AccessToken:      access,
		TokenType:        oidc.BearerToken,
		ExpiresIn:        wholeSeconds(validity),
		RefreshToken:     newRefresh,
		RefreshExpiresIn: wholeSeconds(time.Until(p.storage.refreshExpiry(newRefresh))),
		Scope:            strings.Join(g.scopes, " "),
	}
	if g.allows(oidc.ScopeOpenID) {
		answer.IDToken, err = op.CreateIDToken(ctx, p.Issuer, identity, c.IDTokenLifetime(), access, code, p.storage, c)
		if err != nil {
			return nil, err
		}
	}
	return answer, nil
}

func wholeSeconds(d time.Duration) int64 { return max(0, int64(d.Round(time.Second)/time.Second)) }

// writeError writes an error as RFC 6749, section 5.2, has it.
func writeError(w http.ResponseWriter, err error) {
	e := oidc.DefaultToServerError(err, err.Error())
	status := http.StatusBadRequest
	switch e.ErrorType {
	case oidc.InvalidClient:
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Basic realm="oidctest"`)
	case oidc.ServerError:
		status = http.StatusInternalServerError
	}
	writeJSON(w, status, e)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the reader has gone away: nobody to tell
}
