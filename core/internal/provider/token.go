package provider

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// Tokens is what is used of a token response of the provider.
type Tokens struct {
	AccessToken    string
	RefreshToken   string
	IDToken        string
	Scope          string // "": it names none
	Asked          string // the scope that was asked for; "": unknown
	Expires        time.Time
	RefreshExpires time.Time // zero: unknown
}

// Granted is the scope of a login. An answer without one grants what was asked for (RFC
// 6749 5.1), unless the access token says otherwise: anybody can ask for any scope, and
// not every provider that ignores those it does not know tells so in the answer.
func (t Tokens) Granted(access *claim.Set) string {
	if t.Scope == "" && access != nil && len(access.Scopes()) > 0 {
		return strings.Join(access.Scopes(), " ")
	}
	return cmp.Or(t.Scope, t.Asked)
}

// unknownExpiry is how long an access token counts as valid when the provider
// doesn't say; clients refresh it early rather than late.
const unknownExpiry = 180 * time.Second

// parseTokens reads a token response (RFC 6749 5.1), in the forms in which
// providers have it.
func parseTokens(body []byte, now time.Time) (Tokens, error) {
	nonsense := func(why string) error {
		return fault.Provider.New("The provider gave a token answer that can't be used.").From(errors.New(why))
	}
	fields, ok := parseForeign(body)
	kind := fields.text("token_type")
	switch {
	case !ok:
		return Tokens{}, nonsense("it is not a JSON object")
	case fields.text("access_token") == "":
		return Tokens{}, nonsense("it has no access_token")
	case kind != "" && !strings.EqualFold(kind, "Bearer"):
		return Tokens{}, nonsense("its token_type is not Bearer: let the provider bind this client's tokens to no key (DPoP)")
	}
	answer := Tokens{
		AccessToken: fields.text("access_token"), RefreshToken: fields.text("refresh_token"), IDToken: fields.text("id_token"),
		Scope:   strings.Join(fields.list("scope"), " "), // a list at Twitch
		Expires: expiry(fields, now, ""), RefreshExpires: expiry(fields, now, "refresh_", "refresh_token_", "x_refresh_token_"),
	}
	if answer.Expires.IsZero() {
		answer.Expires = now.Add(unknownExpiry)
	}
	return answer, nil
}

// expiry reads when a token ends, in any of the spellings that providers use, with one
// of the prefixes: seconds from now or a Unix time. 0 and nothing mean unknown, the
// zero time.
func expiry(fields foreign, now time.Time, prefixes ...string) time.Time {
	for _, prefix := range prefixes {
		if seconds := fields.seconds(prefix + "expires_in"); seconds > 0 {
			return time.Unix(min(now.Unix()+seconds, claim.Latest), 0)
		}
	}
	for _, prefix := range prefixes {
		for _, name := range []string{"expires", "exp", "expires_at", "expires_on"} {
			if seconds := fields.seconds(prefix + name); seconds > 0 {
				return time.Unix(seconds, 0)
			}
		}
	}
	return time.Time{}
}

// codeRequest is the access token request of RFC 6749 4.1.3 and RFC 7636 4.5.
// Unlike zitadel's type for it, it leaves the client's name to the client
// authentication: some providers refuse one beside an Authorization header.
type codeRequest struct {
	GrantType    oidc.GrantType `schema:"grant_type"`
	Code         string         `schema:"code"`
	RedirectURI  string         `schema:"redirect_uri"`
	CodeVerifier string         `schema:"code_verifier"`
}

// Redeem exchanges a code and its PKCE verifier for tokens (RFC 6749 4.1.3, RFC 7636 4.5).
func (p *Provider) Redeem(ctx context.Context, code, redirectURI, verifier string) (Tokens, error) {
	return p.askToken(ctx, codeRequest{
		GrantType: oidc.GrantTypeCode, Code: code, RedirectURI: redirectURI, CodeVerifier: verifier,
	}, code, verifier, redirectURI)
}

// Refresh asks for new tokens (RFC 6749 6), with these scopes or, for none, those that
// were granted.
func (p *Provider) Refresh(ctx context.Context, refreshToken string, scopes []string) (Tokens, error) {
	return p.askToken(ctx, rp.RefreshTokenRequest{
		GrantType: oidc.GrantTypeRefreshToken, RefreshToken: refreshToken, Scopes: scopes,
	}, refreshToken)
}

// askToken sends a request to the token endpoint.
func (p *Provider) askToken(ctx context.Context, request any, sent ...string) (Tokens, error) {
	m, err := p.metadata.Get(ctx)
	if err != nil {
		return Tokens{}, err
	}
	body, err := p.post(ctx, m.TokenEndpoint, request, sent...)
	if err != nil {
		return Tokens{}, err
	}
	return parseTokens(body, p.Now())
}

// revokeRequest is the revocation request of RFC 7009 2.1.
type revokeRequest struct {
	Token string `schema:"token"`
	Hint  string `schema:"token_type_hint"`
}

// Revoke gives a refresh token back to the provider, if it takes any back.
func (p *Provider) Revoke(ctx context.Context, refreshToken string) error {
	if refreshToken == "" {
		return nil
	}
	m, err := p.metadata.Get(ctx)
	if err == nil && m.RevocationEndpoint != "" {
		_, err = p.post(ctx, m.RevocationEndpoint, revokeRequest{refreshToken, "refresh_token"}, refreshToken)
	}
	return err
}
