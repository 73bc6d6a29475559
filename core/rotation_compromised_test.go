package core_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/stretchr/testify/require"
)

// Whoever has the key can make tokens until the last guard has forgotten it.
func TestTokensOfACompromisedKeyEnd(t *testing.T) {
	for name, find := range map[string]func(a, b *app){
		"when the other replica reads the keys again": func(_, b *app) { b.after(refreshed) },
		"when the other replica sees a new one's kid": func(a, b *app) { require.NoError(t, b.verify(a.minted())) },
		"when the other replica comes upon a made-up one": func(_, b *app) {
			require.ErrorIs(t, b.verify(b.madeUp()), core.ErrInvalidToken)
		},
	} {
		t.Run(name, func(t *testing.T) {
			spy := newSpyStore()
			all := replicas(t, spy, 2, onDemand)
			a, b := all[0], all[1]
			session := a.signIn("alice")
			stolen := []string{a.minted(), session.AccessToken}
			a.rotate(core.RotateOptions{}) // one that was about to sign is withdrawn as well
			coming := a.published()[1]
			for _, raw := range stolen {
				for _, app := range all { // which remember it
					require.NoError(t, app.verify(raw))
				}
			}
			a.rotate(core.RotateOptions{Compromised: true})
			for _, raw := range stolen {
				require.ErrorIs(t, a.verify(raw), core.ErrInvalidToken, "at the next request")
				require.NoError(t, b.verify(raw), "it has not heard of it")
			}
			find(a, b)
			for _, raw := range stolen {
				require.ErrorIs(t, b.verify(raw), core.ErrInvalidToken)
			}
			require.Equal(t, a.signer(), b.signer())
			require.Len(t, a.published(), 1)
			require.NotContains(t, a.published(), coming)
			require.Equal(t, a.published(), b.published())

			next := b.tokens(b.refresh(session.RefreshToken))
			require.NoError(t, a.verify(next.AccessToken), "sessions go on")
		})
	}
}

// madeUp is a token as the application's own, of a key that nobody knows.
func (a *app) madeUp() string {
	_, payload := jwtParts(a.t, a.minted())
	f := newForger(a.t, "ES256")
	return f.token(a.t, f.header(`"typ":"at+jwt"`), payload)
}

// Anybody can make up a kid. That costs the store one question in ten seconds.
func TestAnUnknownKidAsksTheStoreOnceInTenSeconds(t *testing.T) {
	spy := newSpyStore()
	all := replicas(t, spy, 2, onDemand)
	a, b := all[0], all[1]
	made := func() int {
		calls := spy.during(func() {
			for range 10 {
				require.ErrorIs(t, b.verify(b.madeUp()), core.ErrInvalidToken)
			}
		})
		return len(calls)
	}
	once := made()
	require.NotZero(t, once)
	require.Zero(t, made())
	a.rotate(core.RotateOptions{Compromised: true})
	next := a.minted()
	require.ErrorIs(t, b.verify(next), core.ErrInvalidToken, "strangers have used up the question")
	b.clock.Add(10 * time.Second)
	require.NoError(t, b.verify(next))
	require.Zero(t, made())
	b.clock.Add(10 * time.Second)
	require.Equal(t, once, made())
}

func TestRotationsAreEvents(t *testing.T) {
	spy := newSpyStore()
	all := replicas(t, spy, 2, onDemand)
	a, b := all[0], all[1]
	told := func(a *app) (told []string) {
		a.log.mu.Lock()
		defer a.log.mu.Unlock()
		for _, e := range a.log.events {
			if e.Key != "" {
				told = append(told, fmt.Sprint(e.Kind, " ", e.Key, " ", e.Reason))
			}
		}
		a.log.events = nil
		return told
	}
	first := a.signer()
	require.Equal(t, []string{"key_published " + first + " "}, told(a))
	require.Empty(t, told(b), "it has found the key")

	a.rotate(core.RotateOptions{})
	next := a.published()[1]
	require.Equal(t, []string{"key_published " + next + " "}, told(a))
	b.after(refreshed)
	require.Empty(t, told(b))
	a.after(day)
	b.reread()
	require.Equal(t, []string{"key_rotated " + next + " "}, told(a))
	require.Equal(t, []string{"key_rotated " + next + " "}, told(b))

	b.rotate(core.RotateOptions{Compromised: true})
	last := b.signer()
	require.Equal(t, []string{"key_published " + last + " ", "key_rotated " + last + " " + core.ReasonCompromised}, told(b))
	a.after(refreshed)
	require.Equal(t, []string{"key_rotated " + last + " " + core.ReasonCompromised}, told(a))

	// The next rotation is one of the usual kind, and its answer from the store is lost.
	spy.fail(func(_ context.Context, call string, done bool) error {
		if call == "put signing-key" && done {
			return errors.New("unplugged")
		}
		return nil
	})
	a.rotate(core.RotateOptions{})
	next = a.published()[1]
	require.Equal(t, []string{"key_published " + next + " "}, told(a))
	a.after(day)
	require.Equal(t, []string{"key_rotated " + next + " "}, told(a))
}

// An error must not look like a rotation.
func TestSigningKeysAreNotListedFromAStoreThatIsDown(t *testing.T) {
	spy := newSpyStore()
	a := replicas(t, spy, 1)[0]
	spy.failAt(1, func(context.Context, bool) error { return errors.New("unplugged") })
	_, err := a.auth.SigningKeys(t.Context())
	require.ErrorIs(t, err, core.ErrUnavailable)
}
