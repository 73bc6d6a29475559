package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/storetest"
	"github.com/oidcgate/oidcgate/store/sqlite"
)

func TestFileIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() core.Store {
		path := filepath.Join(t.TempDir(), "records.db")
		return func() core.Store { return sqlite.New(path) }
	})
}

// TestMemoryIsAStore keeps the database open, which would be gone with Close.
func TestMemoryIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() core.Store {
		s := sqlite.New(":memory:")
		t.Cleanup(func() { s.Close() })
		return func() core.Store { return stays{s} }
	})
}

type stays struct{ core.Store }

func (stays) Close() error { return nil }
