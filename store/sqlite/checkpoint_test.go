package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/store"
)

// TestWhoReadsForLongStopsNobodyWhoWrites has a backup that takes its time.
func TestWhoReadsForLongStopsNobodyWhoWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	s := opened(t, path)
	put(t, s, store.Record{Kind: "session", ID: "first"})
	tx, err := plain(t, path).Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if err := tx.QueryRow("SELECT count(*) FROM records").Scan(new(int)); err != nil {
		t.Fatal(err)
	}
	for n := range 4000 { // 32 MB, so that the -wal file is long
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if _, err := s.Put(ctx, store.Record{Kind: "session", ID: fmt.Sprint(n), Data: make([]byte, 8<<10)}); err != nil {
			t.Fatalf("write %d: %v", n, err)
		}
		cancel()
	}
}

// TestWhatIsWrittenIsMovedIntoTheDatabase has the -wal file be used again and again,
// while the store is open and somebody writes all the time.
func TestWhatIsWrittenIsMovedIntoTheDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	s := opened(t, path)
	size := func(path string) int64 {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	const records, each = 3000, 8 << 10
	for n := range records {
		put(t, s, store.Record{Kind: "session", ID: fmt.Sprint(n), Data: make([]byte, each)})
	}
	for late := time.After(10 * time.Second); size(path) < records*each/2; {
		select {
		case <-late:
			t.Fatalf("after %d bytes the database has %d", records*each, size(path))
		default:
			put(t, s, store.Record{Kind: "more", ID: fmt.Sprint(time.Now().UnixNano())})
		}
	}
	if wal := size(path + "-wal"); wal > records*each {
		t.Errorf("after %d bytes the -wal file has %d", records*each, wal)
	}
}
