package core_test

import (
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/storetest"
	"github.com/stretchr/testify/require"
)

func TestMemoryStoreIsAStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) func() core.Store {
		store := core.NewMemoryStore()
		return func() core.Store { return store }
	})
}

func TestMemoryStoresShareNothing(t *testing.T) {
	one, other := core.NewMemoryStore(), core.NewMemoryStore()
	_, err := one.Put(t.Context(), core.Record{Kind: "session", ID: "id"})
	require.NoError(t, err)
	_, err = other.Get(t.Context(), "session", "id")
	require.ErrorIs(t, err, core.ErrNotFound)
}

func TestMemoryStoreKeepsItsRecordsWhenClosed(t *testing.T) {
	store := core.NewMemoryStore()
	_, err := store.Put(t.Context(), core.Record{Kind: "session", ID: "id"})
	require.NoError(t, err)
	require.NoError(t, store.Close())
	require.NoError(t, store.Close())
	require.NoError(t, store.Open(t.Context()))
	r, err := store.Get(t.Context(), "session", "id")
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Version)
}

// A database keeps no more of a time than milliseconds, and neither may this.
func TestMemoryStoreKeepsMilliseconds(t *testing.T) {
	store := core.NewMemoryStore()
	now := time.Now()
	_, err := store.Put(t.Context(), core.Record{Kind: "session", ID: "id", Expires: now})
	require.NoError(t, err)
	r, err := store.Get(t.Context(), "session", "id")
	require.NoError(t, err)
	require.Equal(t, now.Truncate(time.Millisecond), r.Expires)
}
