package broker

import (
	"context"
	"errors"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/session"
)

// providerAccess is the provider's access token, as a session keeps it for calls to other
// APIs. The zero value is of a session that an earlier version has kept.
type providerAccess struct {
	Token   string `json:"token,omitzero"`   // "": it was too large
	Expires int64  `json:"expires,omitzero"` // Unix seconds
}

// keepAccess is what a session keeps of an answer's access token. Hardly any server takes a
// header that is larger than what guards take.
func keepAccess(answer Tokens) providerAccess {
	kept := providerAccess{Token: answer.AccessToken, Expires: answer.Expires.Unix()}
	if len(kept.Token) > MaxToken {
		kept.Token = ""
	}
	return kept
}

// accessMargin is how long before its end an access token of the provider is refreshed, and
// how old it must be to be refreshed since an API refuses it: a new one would be refused
// like it.
const accessMargin = 30 * time.Second

// ProviderToken gives the provider's access token of a session, and refreshes it first when
// that is due, or when it is the one that an API has refused ("": none). Our refresh token
// stays as it is. It fails as Live does, and as a refresh does that the provider or the
// store had no answer for; a token that is still valid is given all the same.
func (b *Broker) ProviderToken(ctx context.Context, id, refused string) (string, error) {
	state, err := b.liveSession(ctx, id)
	if err != nil {
		return "", err
	}
	who, err := b.recall(state)
	if err != nil {
		return "", err
	}
	kept, now := who.Access, b.Now()
	valid := now.Before(time.Unix(kept.Expires, 0))
	isRefused := refused != "" && refused == kept.Token && now.Sub(state.Made()) >= accessMargin
	switch {
	case !isRefused && !kept.due(state.Made(), now), valid && state.RefreshToken == "":
		return kept.usable()
	case state.RefreshToken == "":
		return "", fault.InvalidToken.New("The provider's access token has expired, and the provider gave no refresh token. Sign in again.")
	case isRefused, !valid:
		return b.refreshAccess(ctx, id, state)
	}
	ctx, cancel := context.WithTimeout(ctx, maxRenewWait)
	defer cancel()
	raw, err := b.refreshAccess(ctx, id, state)
	if err != nil && !errors.Is(err, fault.InvalidToken) {
		return kept.usable()
	}
	return raw, err
}

// refreshAccess gives the provider's next access token of a session.
func (b *Broker) refreshAccess(ctx context.Context, id string, state session.State) (string, error) {
	renewed, err := b.renew(ctx, b.RequestID(ctx), id, state, true)
	b.Note(ctx, "refreshing the provider's access tokens for calls to other APIs", err)
	if errors.Is(err, fault.InvalidGrant) {
		return "", ErrSessionEnded
	}
	if err != nil {
		return "", err
	}
	who, err := b.recall(renewed)
	if err != nil {
		return "", err
	}
	return who.Access.usable()
}

// due tells whether a token is to be refreshed that was received at that time. One that
// lives for less than a minute is not refreshed at each call.
func (p providerAccess) due(received, now time.Time) bool {
	expires := time.Unix(p.Expires, 0)
	margin := min(accessMargin, expires.Sub(received)/2)
	return !now.Before(expires.Add(-margin))
}

// usable gives the token, if it was kept.
func (p providerAccess) usable() (string, error) {
	if p.Token == "" {
		return "", fault.Provider.New("The provider's access token is larger than the 16 KiB that a session keeps.")
	}
	return p.Token, nil
}
