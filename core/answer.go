package core

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
)

// tokenAnswer is what is used of a token response of the provider.
type tokenAnswer struct {
	AccessToken    string
	RefreshToken   string
	IDToken        string
	Scope          string // "": it names none
	asked          string // the scope that was asked for; "": unknown
	expires        time.Time
	refreshExpires time.Time // zero: unknown
}

// granted is the scope of a login. An answer without one grants what was asked for (RFC
// 6749 5.1), unless the access token says otherwise: anybody can ask for any scope, and
// not every provider that ignores those it does not know tells so in the answer.
func (t tokenAnswer) granted(access *claim.Set) string {
	if t.Scope == "" && access != nil && len(access.Scopes()) > 0 {
		return strings.Join(access.Scopes(), " ")
	}
	return cmp.Or(t.Scope, t.asked)
}

// readyForTokens makes sure that everything which the provider's answer will be
// checked and kept with is at hand, and gives the token endpoint. What a provider
// has handed out once can't be asked for again.
func (a *Auth) readyForTokens(ctx context.Context) (endpoint string, err error) {
	m, err := a.provider.metadata.Get(ctx)
	if err != nil {
		return "", err
	}
	if _, err := a.provider.keys.Get(ctx); err != nil {
		return "", err
	}
	if a.broker != nil {
		if _, err := a.broker.keys.Get(ctx); err != nil {
			return "", err
		}
	}
	return m.TokenEndpoint, nil
}

// askToken sends a request to the provider's token endpoint.
func (a *Auth) askToken(ctx context.Context, endpoint string, request any, sent ...string) (tokenAnswer, error) {
	body, err := a.provider.post(ctx, endpoint, request, sent...)
	if err != nil {
		return tokenAnswer{}, err
	}
	return parseTokenAnswer(body, a.now())
}

// callToken does both.
func (a *Auth) callToken(ctx context.Context, request any, sent ...string) (tokenAnswer, error) {
	endpoint, err := a.readyForTokens(ctx)
	if err != nil {
		return tokenAnswer{}, err
	}
	return a.askToken(ctx, endpoint, request, sent...)
}

// unknownExpiry is how long an access token counts as good when the provider
// doesn't say; clients refresh it early rather than late.
const unknownExpiry = 180 * time.Second

// parseTokenAnswer reads a token response (RFC 6749 5.1), in the forms in which
// providers have it.
func parseTokenAnswer(body []byte, now time.Time) (tokenAnswer, error) {
	nonsense := func(why string) error {
		return fault.Provider.New("The provider gave a token answer that can't be used.").From(errors.New(why))
	}
	fields, ok := parseForeign(body)
	kind := fields.text("token_type")
	switch {
	case !ok:
		return tokenAnswer{}, nonsense("it is not a JSON object")
	case fields.text("access_token") == "":
		return tokenAnswer{}, nonsense("it has no access_token")
	case kind != "" && !strings.EqualFold(kind, "Bearer"):
		return tokenAnswer{}, nonsense("its token_type is not Bearer: let the provider bind this client's tokens to no key (DPoP)")
	}
	answer := tokenAnswer{
		AccessToken: fields.text("access_token"), RefreshToken: fields.text("refresh_token"), IDToken: fields.text("id_token"),
		Scope:   strings.Join(fields.list("scope"), " "), // a list at Twitch
		expires: expiry(fields, now, ""), refreshExpires: expiry(fields, now, "refresh_", "refresh_token_", "x_refresh_token_"),
	}
	if answer.expires.IsZero() {
		answer.expires = now.Add(unknownExpiry)
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

// unknownRefreshExpiry is how long a refresh token counts as good when the
// provider doesn't say; clients take 0 for expired.
const unknownRefreshExpiry = 30 * 24 * time.Hour

// tokenBody is the answer of the token route and the callback. What there is not is
// left out; the expiry of a refresh token is always there, since clients of
// py-oidc-auth rely on it.
type tokenBody struct {
	AccessToken      string `json:"access_token"`
	TokenType        string `json:"token_type"`
	Expires          int64  `json:"expires"`
	ExpiresIn        int64  `json:"expires_in"`
	RefreshToken     string `json:"refresh_token,omitempty"`
	RefreshExpires   int64  `json:"refresh_expires"`
	RefreshExpiresIn int64  `json:"refresh_expires_in"`
	Scope            string `json:"scope,omitempty"`
	IDToken          string `json:"id_token,omitempty"`
	IssuedTokenType  string `json:"issued_token_type,omitempty"`
}

func (a *Auth) tokenBody(answer tokenAnswer) tokenBody {
	now := a.now()
	refreshExpires := answer.refreshExpires
	switch {
	case answer.RefreshToken == "":
		refreshExpires = answer.expires
	case refreshExpires.IsZero():
		refreshExpires = now.Add(unknownRefreshExpiry)
	}
	return tokenBody{
		AccessToken: answer.AccessToken, TokenType: "Bearer",
		Expires: answer.expires.Unix(), ExpiresIn: secondsUntil(answer.expires, now),
		RefreshToken:   answer.RefreshToken,
		RefreshExpires: refreshExpires.Unix(), RefreshExpiresIn: secondsUntil(refreshExpires, now),
		Scope: answer.granted(nil), IDToken: answer.IDToken,
	}
}

func secondsUntil(end, now time.Time) int64 {
	return max(0, end.Unix()-now.Unix())
}
