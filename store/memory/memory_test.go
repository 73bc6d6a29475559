package memory_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/internal/require"
	"github.com/oidcgate/oidcgate/store/memory"
	"github.com/oidcgate/oidcgate/store/storetest"
)

func TestNewIsAStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) func() store.Store {
		s := memory.New()
		return func() store.Store { return s }
	})
}

func TestURLGivesAnEmptyStore(t *testing.T) {
	for _, rawURL := range []string{"memory:", "MEMORY:", "memory://"} {
		s, err := store.Open(rawURL)
		if err != nil {
			t.Fatalf("%s: %v", rawURL, err)
		}
		if _, err := s.Get(t.Context(), "session", "id"); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("%s: Get gave the error %v, not ErrNotFound", rawURL, err)
		}
		if _, err := s.Put(t.Context(), store.Record{Kind: "session", ID: "id"}); err != nil {
			t.Fatalf("%s: %v", rawURL, err)
		}
	}
}

func TestURLMustNotGoOn(t *testing.T) {
	for _, rest := range []string{"hunter2", "/hunter2", "//hunter2", "///", "//user:hunter2@host", "?", "?hunter2", "#hunter2", "%2f"} {
		_, err := store.Open("memory:" + rest)
		if err == nil || !strings.Contains(err.Error(), "nothing may follow memory:") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("memory:%s gave the error %v", rest, err)
		}
	}
}

func TestStoresShareNothing(t *testing.T) {
	one, other := memory.New(), memory.New()
	_, err := one.Put(t.Context(), store.Record{Kind: "session", ID: "id"})
	require.NoError(t, err)
	_, err = other.Get(t.Context(), "session", "id")
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestAStoreKeepsItsRecordsWhenClosed(t *testing.T) {
	s := memory.New()
	_, err := s.Put(t.Context(), store.Record{Kind: "session", ID: "id"})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	require.NoError(t, s.Open(t.Context()))
	r, err := s.Get(t.Context(), "session", "id")
	require.NoError(t, err)
	require.Equal(t, int64(1), r.Version)
}

// A database keeps no more of a time than milliseconds, and neither may this.
func TestAStoreKeepsMilliseconds(t *testing.T) {
	s := memory.New()
	now := time.Now()
	_, err := s.Put(t.Context(), store.Record{Kind: "session", ID: "id", Expires: now})
	require.NoError(t, err)
	r, err := s.Get(t.Context(), "session", "id")
	require.NoError(t, err)
	require.Equal(t, now.Truncate(time.Millisecond), r.Expires)
}
