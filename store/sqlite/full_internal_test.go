package sqlite

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/store"
)

// TestFullDatabase has a database that may not grow any more: nothing that was
// written before is damaged.
func TestFullDatabase(t *testing.T) {
	s := New(filepath.Join(t.TempDir(), "app.db")).(*records)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.db.Load().write.ExecContext(t.Context(), "PRAGMA max_page_count = 100"); err != nil {
		t.Fatal(err)
	}
	n := 0
	var err error
	for err == nil {
		if _, err = s.Put(t.Context(), store.Record{Kind: "session", ID: fmt.Sprintf("%04d", n), Data: make([]byte, 4096)}); err == nil {
			n++
		}
	}
	if !strings.Contains(err.Error(), full) {
		t.Errorf("the error is %v", err)
	}
	found, err := s.Find(t.Context(), "session", "", "", 1000)
	if err != nil || len(found) != n || n == 0 {
		t.Fatalf("%d of %d records are there, error %v", len(found), n, err)
	}
	if err := s.Delete(t.Context(), "session", found[0].ID, 1); err != nil {
		t.Error(err)
	}
}
