package customstore_test

import (
	"path/filepath"
	"testing"

	customstore "github.com/oidcgate/oidcgate/examples/custom-store"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/storetest"
	"github.com/stretchr/testify/require"
)

// The store is for one process, so that one value is there for all.
func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() store.Store {
		records := &customstore.Store{Path: filepath.Join(t.TempDir(), "records.json")}
		return func() store.Store { return records }
	})
}

func TestRecordsOutliveTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.json")
	before, after := customstore.Store{Path: path}, customstore.Store{Path: path}
	_, err := before.Put(t.Context(), store.Record{Kind: "session", ID: "1", Data: []byte("sealed")})
	require.NoError(t, err)
	r, err := after.Get(t.Context(), "session", "1")
	require.NoError(t, err)
	require.Equal(t, "sealed", string(r.Data))
}
