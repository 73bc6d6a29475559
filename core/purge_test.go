package core_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
	"github.com/stretchr/testify/require"
)

// purgedStore tells of each call of Purge.
type purgedStore struct {
	store.Store
	calls chan purge
	fails func() error
}

type purge struct {
	now            time.Time
	limit, removed int
}

func newPurgedStore() *purgedStore {
	return &purgedStore{Store: memory.New(), calls: make(chan purge, 100), fails: func() error { return nil }}
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
		_, err := s.Put(t.Context(), store.Record{Kind: "session", ID: fmt.Sprintf("expired-%d", i), Expires: since})
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

func TestALoginHasExpiredRecordsPurged(t *testing.T) {
	spy := newPurgedStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
	spy.expired(t, 12, a.clock.Now())
	now := a.clock.Now()
	token := a.signIn("alice").RefreshToken
	for _, removed := range []int{5, 5, 2} {
		require.Equal(t, purge{now, 5, removed}, spy.next(t))
	}
	require.Equal(t, 1, spy.sessions(t), "the one that is valid")

	// It goes on by itself, and not with each login or refresh.
	a.tokens(a.refresh(token))
	a.signIn("alice")
	require.NoError(t, a.auth.Start(t.Context()))
	require.NoError(t, a.auth.Close())
	require.Empty(t, spy.calls)
}

func TestStartHasExpiredRecordsPurged(t *testing.T) {
	spy := newPurgedStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
	spy.expired(t, 1, a.clock.Now())
	require.NoError(t, a.auth.Start(t.Context()))
	require.Equal(t, 1, spy.next(t).removed)
}

// A store whose records nobody here can read is somebody else's.
func TestNothingIsPurgedWithWrongSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := newPurgedStore()
		start := func(secret string) (int, error) {
			auth, err := core.New(core.Config{
				Providers: []core.Provider{{Issuer: "http://127.0.0.1:1", ClientID: "shop"}}, PublicURL: "http://127.0.0.1:1/api", Logger: slog.New(slog.DiscardHandler),
				Secrets: []string{base64.StdEncoding.EncodeToString([]byte(secret))}, Broker: &core.Broker{Store: spy, Algorithm: "ES256"},
			})
			require.NoError(t, err)
			defer auth.Close()
			err = auth.Start(t.Context())
			synctest.Wait()
			return len(spy.calls), err
		}
		purged, _ := start("one secret that is 32 bytes long")
		require.Equal(t, 1, purged)
		purged, err := start("another secret of 32 bytes, wrong")
		require.ErrorContains(t, err, "Config.Secrets")
		require.Equal(t, 1, purged)
	})
}

func TestAnAuthThatIsNotUsedPurgesNothing(t *testing.T) {
	spy := newPurgedStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
	spy.expired(t, 1, a.clock.Now())
	require.NoError(t, a.auth.Close())
	require.Empty(t, spy.calls)
}

// Nobody who signs in has to wait for it, or to hear of it.
func TestALoginDoesNotHangOnThePurge(t *testing.T) {
	goOn := make(chan struct{})
	for name, fails := range map[string]func() error{
		"it fails":  func() error { return errors.New("unplugged") },
		"it panics": func() error { panic("a bug in the driver") },
		"it hangs":  func() error { <-goOn; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			spy := newPurgedStore()
			spy.fails = fails
			a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
			a.tokens(a.refresh(a.signIn("alice").RefreshToken))
			if name == "it hangs" {
				close(goOn)
			}
			spy.next(t)
		})
	}
}
