package core_test

import (
	"context"
	"sync"
	"testing"

	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
	"github.com/stretchr/testify/require"
)

// forgetfulStore loses the write of a session that was acknowledged last, as a database
// that replicates asynchronously may do when it fails over.
type forgetfulStore struct {
	store.Store
	mu    sync.Mutex
	armed bool // the next write will be lost
}

func (s *forgetfulStore) Put(ctx context.Context, r store.Record) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.armed || r.Kind != "session" {
		return s.Store.Put(ctx, r)
	}
	s.armed = false
	before, err := s.Store.Get(ctx, r.Kind, r.ID)
	if err != nil {
		return 0, err
	}
	if before.Version != r.Version {
		return 0, store.ErrConflict
	}
	return r.Version + 1, nil
}

func TestAStoreThatLosesTheLeaseInAFailoverCostsNoSession(t *testing.T) {
	records := &forgetfulStore{Store: memory.New()}
	a := newApp(t, newProvider(t, oidctest.Options{StrictRefresh: true}), stored(records))
	first := a.signIn("alice").RefreshToken

	records.mu.Lock()
	records.armed = true
	records.mu.Unlock()
	second := a.tokens(a.refresh(first)).RefreshToken
	require.False(t, records.armed, "a write was lost")

	third := a.tokens(a.refresh(second)).RefreshToken
	require.Empty(t, a.log.ends(), "the provider takes each refresh token once, and has another one now")

	requireError(t, a.refresh(first), 400, "invalid_grant")
	require.Equal(t, []string{"refresh_token_replayed"}, a.log.ends(), "a replay is found as ever")
	requireError(t, a.refresh(third), 400, "invalid_grant")
}
