package broker

import (
	"context"
	"errors"

	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/session"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

// Profile is what the session remembers; the provider would not take a token of
// ours. A token that has no session says itself what there is to say.
func (b *Broker) Profile(ctx context.Context, token *verify.Token) (claim.Profile, error) {
	id := token.Claims.Text("sid")
	if id == "" || token.By != b.own {
		return claim.ReadProfile(token.Claims.All(), nil), nil
	}
	s := storedSession{b: b, id: id}
	state, _, err := s.Load(ctx)
	if errors.Is(err, session.ErrGone) {
		return claim.Profile{}, ErrSessionEnded
	}
	if err != nil {
		return claim.Profile{}, err
	}
	known, err := b.recall(state)
	if err != nil {
		return claim.Profile{}, err
	}
	who := claim.Profile{Username: known.Username, FirstName: known.FirstName, LastName: known.LastName, Name: known.Name, Email: known.Email}
	if known.Email != "" {
		who.EmailVerified = &known.EmailVerified
	}
	return who, nil
}
