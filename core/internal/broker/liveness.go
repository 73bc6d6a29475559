package broker

import (
	"context"
	"errors"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/session"
)

// ErrSessionEnded is the error for a token or a cookie whose session has ended.
var ErrSessionEnded = fault.InvalidToken.New("The session has ended.")

// Live tells whether a session goes on. With Options.CheckSession, an answer of the store
// counts for that long, and all who ask meanwhile share it; without, each asks the store.
// It fails with fault.InvalidToken when the session has ended, and with fault.Unavailable
// when the store can't tell.
func (b *Broker) Live(ctx context.Context, id string) error {
	if b.CheckSession == 0 {
		return b.lookLive(ctx, id)
	}
	_, err := b.live.check(ctx, id)
	return err
}

// lookLive asks the store.
func (b *Broker) lookLive(ctx context.Context, id string) error {
	_, err := b.liveSession(ctx, id)
	return err
}

// liveSession gives a session that goes on. It fails as Live does.
func (b *Broker) liveSession(ctx context.Context, id string) (session.State, error) {
	state, _, err := (&storedSession{b: b, id: id}).Load(ctx)
	switch {
	case errors.Is(err, session.ErrGone):
		return session.State{}, ErrSessionEnded
	case err == nil && state.RefreshToken != "" && !b.Now().Before(state.End(b.policy)):
		return session.State{}, ErrSessionEnded
	}
	return state, err
}
