package core

import (
	"context"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/provider"
)

// readyForTokens makes sure that everything which the provider's answer will be
// checked and kept with is at hand. What a provider has handed out once can't be asked
// for again.
func (a *Auth) readyForTokens(ctx context.Context) error {
	if a.broker != nil {
		return a.broker.Ready(ctx)
	}
	return a.provider.Ready(ctx)
}

// unknownRefreshExpiry is how long a refresh token counts as valid when the
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

func (a *Auth) tokenBody(answer provider.Tokens) tokenBody {
	now := a.now()
	refreshExpires := answer.RefreshExpires
	switch {
	case answer.RefreshToken == "":
		refreshExpires = answer.Expires
	case refreshExpires.IsZero():
		refreshExpires = now.Add(unknownRefreshExpiry)
	}
	return tokenBody{
		AccessToken: answer.AccessToken, TokenType: "Bearer",
		Expires: answer.Expires.Unix(), ExpiresIn: secondsUntil(answer.Expires, now),
		RefreshToken:   answer.RefreshToken,
		RefreshExpires: refreshExpires.Unix(), RefreshExpiresIn: secondsUntil(refreshExpires, now),
		Scope: answer.Granted(nil), IDToken: answer.IDToken,
	}
}

func secondsUntil(end, now time.Time) int64 {
	return max(0, end.Unix()-now.Unix())
}
