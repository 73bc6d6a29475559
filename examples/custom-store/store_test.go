package customstore_test

import (
	"path/filepath"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/storetest"
	customstore "github.com/oidcgate/oidcgate/examples/custom-store"
	"github.com/stretchr/testify/require"
)

// The store is for one process, so that one value is there for all.
func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() core.Store {
		store := &customstore.Store{Path: filepath.Join(t.TempDir(), "records.json")}
		return func() core.Store { return store }
	})
}

func TestRecordsOutliveTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.json")
	before, after := customstore.Store{Path: path}, customstore.Store{Path: path}
	_, err := before.Put(t.Context(), core.Record{Kind: "session", ID: "1", Data: []byte("sealed")})
	require.NoError(t, err)
	r, err := after.Get(t.Context(), "session", "1")
	require.NoError(t, err)
	require.Equal(t, "sealed", string(r.Data))
}
