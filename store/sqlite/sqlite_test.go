package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/sqlite"
	"github.com/oidcgate/oidcgate/store/storetest"
)

func TestFileIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() store.Store {
		path := filepath.Join(t.TempDir(), "records.db")
		return func() store.Store { return sqlite.New(path) }
	})
}

// TestMemoryIsAStore keeps the database open, which would be gone with Close.
func TestMemoryIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() store.Store {
		s := sqlite.New(":memory:")
		t.Cleanup(func() { s.Close() })
		return func() store.Store { return stays{s} }
	})
}

type stays struct{ store.Store }

func (stays) Close() error { return nil }
