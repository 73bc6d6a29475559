package broker

import (
	"context"
	"errors"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/session"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

// Logout ends the session ofCookie ("": none), and those of these tokens: an access token of ours
// that is still valid, and a refresh token. A token that is none of ours keeps nobody
// from being signed out, and one that is not valid any more proves nothing. It gives the
// ID token of a session that has ended, for the provider to know whom to sign out.
func (b *Broker) Logout(ctx context.Context, client, accessToken, refreshToken, ofCookie string) (idToken string, err error) {
	ofToken, err := b.sessionOf(ctx, accessToken)
	if err != nil {
		return "", err
	}
	var ended session.State
	for _, id := range []string{ofCookie, ofToken} {
		last, err := b.signOut(ctx, id, session.End)
		if err != nil {
			return "", err
		}
		if last.Subject != "" {
			ended = last
		}
	}
	other, _, err := b.signOutBy(ctx, client, refreshToken)
	if err != nil {
		return "", err
	}
	if other.Subject != "" {
		ended = other
	}
	if ended.Subject == "" {
		b.Tell(ctx, Event{Kind: LoggedOut})
		return "", nil
	}
	who, err := b.recall(ended)
	return who.IDToken, err
}

// sessionOf gives the session of an access token, "" for none.
func (b *Broker) sessionOf(ctx context.Context, accessToken string) (string, error) {
	if accessToken == "" {
		return "", nil
	}
	c, err := verify.Read(accessToken, MaxToken, b.Now())
	if err == nil {
		err = b.own.AccessToken(ctx, c)
	}
	if err == nil {
		err = b.own.Audience.Admits(c.Claims, "") // what is for one resource alone is for no route of ours
	}
	switch {
	case errors.Is(err, fault.Unavailable):
		return "", err
	case err != nil:
		return "", nil
	}
	return c.Claims.Text("sid"), nil // none after a token exchange
}

// signOutBy ends the session of a refresh token, and reports whether it is one of ours. It
// gives the session as signOut does.
func (b *Broker) signOutBy(ctx context.Context, client, refreshToken string) (ended session.State, ours bool, err error) {
	h, generation, ours := b.parseRefreshToken(client, refreshToken)
	if !ours {
		return session.State{}, false, nil
	}
	ended, err = b.signOut(ctx, h.sessionID(), func(ctx context.Context, s session.Records) (session.State, error) {
		return session.Logout(ctx, s, generation, b.Now(), b.policy)
	})
	return ended, true, err
}

// signOut ends a session in one of the ways of internal/session, and gives it as it was:
// the zero State when nobody was signed out. Its refresh token goes back to the provider
// afterwards; the session is over even if that fails.
func (b *Broker) signOut(ctx context.Context, id string, end func(context.Context, session.Records) (session.State, error)) (session.State, error) {
	if id == "" {
		return session.State{}, nil
	}
	state, err := end(ctx, &storedSession{b: b, id: id})
	var replay *session.Ended
	switch {
	case errors.As(err, &replay):
		b.observeEnd(ctx, b.RequestID(ctx), id, replay)
	case errors.Is(err, session.ErrGone), errors.Is(err, session.ErrReplayed):
	case err != nil:
		return session.State{}, err
	default:
		b.GiveBack(ctx, state.RefreshToken)
		b.Tell(ctx, b.sessionEvent(LoggedOut, id, state))
		return state, nil
	}
	return session.State{}, nil
}
