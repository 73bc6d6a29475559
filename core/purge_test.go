package core_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// purgedStore tells of each call of Purge.
type purgedStore struct {
	core.Store
	calls chan purge
	fails func() error
}

type purge struct {
	now            time.Time
	limit, removed int
}

func newPurgedStore() *purgedStore {
	return &purgedStore{Store: core.NewMemoryStore(), calls: make(chan purge, 100), fails: func() error { return nil }}
}

func (s *purgedStore) Purge(ctx context.Context, now time.Time, limit int) (int, error) {
	removed := 0
	defer func() { s.calls <- purge{now, limit, removed} }()
	if err := s.fails(); err != nil {
		return 0, err
	}
	var err error
	removed, err = s.Store.Purge(ctx, now, limit)
	return removed, err
}

// next waits for the next call.
func (s *purgedStore) next(t *testing.T) purge {
	t.Helper()
	select {
	case call := <-s.calls:
		return call
	case <-time.After(10 * time.Second):
		require.FailNow(t, "nothing is purged")
		return purge{}
	}
}

// expired puts sessions into the store that are of no more use.
func (s *purgedStore) expired(t *testing.T, count int, since time.Time) {
	t.Helper()
	for i := range count {
		_, err := s.Put(t.Context(), core.Record{Kind: "session", ID: fmt.Sprintf("expired-%d", i), Expires: since})
		require.NoError(t, err)
	}
}

// sessions counts those that are in the store.
func (s *purgedStore) sessions(t *testing.T) int {
	t.Helper()
	found, err := s.Find(t.Context(), "session", "", "", 1000)
	require.NoError(t, err)
	return len(found)
}

func TestALoginHasExpiredRecordsPurgedOnceAMinute(t *testing.T) {
	store := newPurgedStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(store))
	store.expired(t, 250, a.clock.Now())
	first := a.clock.Now()
	token := a.signIn("alice").RefreshToken
	for _, removed := range []int{100, 100, 50} {
		require.Equal(t, purge{first, 100, removed}, store.next(t))
	}
	require.Equal(t, 1, store.sessions(t), "the one that is good")

	// Neither other logins of that minute nor refreshes do it again.
	a.clock.Add(time.Minute - time.Second)
	a.signIn("alice")
	token = a.tokens(a.refresh(token)).RefreshToken
	a.clock.Add(2 * time.Second)
	a.tokens(a.refresh(token))
	second := a.clock.Now()
	store.expired(t, 1, second)
	a.signIn("alice")
	require.Equal(t, purge{second, 100, 1}, store.next(t))
	require.NoError(t, a.auth.Close())
	require.Empty(t, store.calls)
}

// Nobody who signs in has to wait for it, or to hear of it.
func TestALoginDoesNotHangOnThePurge(t *testing.T) {
	for name, fails := range map[string]func() error{
		"it fails":  func() error { return errors.New("unplugged") },
		"it panics": func() error { panic("a bug in the driver") },
	} {
		t.Run(name, func(t *testing.T) {
			store := newPurgedStore()
			a := newApp(t, newProvider(t, oidctest.Options{}), stored(store))
			store.expired(t, 1, a.clock.Now())
			store.fails = fails
			a.signIn("alice")
			store.next(t)
			store.fails = func() error { return nil }
			a.clock.Add(time.Minute)
			a.signIn("alice")
			require.Equal(t, 1, store.next(t).removed, "the next one tries again")
		})
	}
	t.Run("it hangs", func(t *testing.T) {
		store := newPurgedStore()
		a := newApp(t, newProvider(t, oidctest.Options{}), stored(store))
		goOn := make(chan struct{})
		store.fails = func() error { <-goOn; return nil }
		a.tokens(a.refresh(a.signIn("alice").RefreshToken))
		close(goOn)
		store.next(t)
	})
}
