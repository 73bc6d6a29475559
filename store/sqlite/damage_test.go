package sqlite_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/sqlite"
)

// plain opens the file as another program does.
func plain(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestSymlinksLeadToTheFile(t *testing.T) {
	dir := t.TempDir()
	file, link, nowhere := filepath.Join(dir, "app.db"), filepath.Join(dir, "link.db"), filepath.Join(dir, "nowhere.db")
	put(t, opened(t, file), store.Record{Kind: "session", ID: "id"})
	if err := errors.Join(os.Symlink(file, link), os.Symlink(filepath.Join(dir, "absent.db"), nowhere)); err != nil {
		t.Fatal(err)
	}
	if _, err := opened(t, link).Get(t.Context(), "session", "id"); err != nil {
		t.Fatal(err)
	}
	// A file that SQLite makes may be read by everybody.
	wantAdvice(t, sqlite.New(nowhere).Open(t.Context()), nowhere)
	if _, err := os.Stat(filepath.Join(dir, "absent.db")); err == nil {
		t.Fatal("the file was made behind the link")
	}
}

// TestFileThatIsGoneTakesNothingMore has the file be removed or replaced by a backup
// while the store is open. What is written then would be lost.
func TestFileThatIsGoneTakesNothingMore(t *testing.T) {
	for name, change := range map[string]func(path, backup string) error{
		"removed":  func(path, _ string) error { return os.Remove(path) },
		"replaced": func(path, backup string) error { return os.Rename(backup, path) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path, backup := filepath.Join(dir, "app.db"), filepath.Join(dir, "backup.db")
			b := sqlite.New(backup)
			if err := errors.Join(b.Open(t.Context()), b.Close()); err != nil {
				t.Fatal(err)
			}
			s := opened(t, path)
			r := put(t, s, store.Record{Kind: "session", ID: "id"})
			if err := change(path, backup); err != nil {
				t.Fatal(err)
			}
			_, err := s.Put(t.Context(), r)
			wantAdvice(t, err, "the file was removed or replaced")
			_, err = s.Get(t.Context(), r.Kind, r.ID)
			wantAdvice(t, err, "the file was removed or replaced")
		})
	}
}

func TestDamagedFileIsSaidToBeDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	s := opened(t, path)
	put(t, s, store.Record{Kind: "session", ID: "id"})
	s.Close()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const pageSize = 4096
	copy(file[pageSize:], bytes.Repeat([]byte("damage"), len(file)))
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s = sqlite.New(path)
	if err = s.Open(t.Context()); err == nil {
		_, err = s.Get(t.Context(), "session", "id")
		s.Close()
	}
	wantAdvice(t, err, "it is damaged: restore a backup")
}

// TestCloseDuringCalls closes a store that is in use: calls end well or with an
// error, and what was answered is there.
func TestCloseDuringCalls(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	s := opened(t, path)
	var written sync.Map
	var all sync.WaitGroup
	begun := make(chan struct{}, 1000)
	for worker := range 8 {
		all.Go(func() {
			for i := 0; ; i++ {
				r := store.Record{Kind: "session", ID: fmt.Sprint(worker, "-", i)}
				if _, err := s.Put(t.Context(), r); errors.Is(err, store.ErrConflict) {
					t.Errorf("%s: %v", r.ID, err)
				} else if err != nil {
					return
				}
				written.Store(r.ID, true)
				select {
				case begun <- struct{}{}:
				default:
				}
			}
		})
	}
	for range 20 {
		<-begun
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	all.Wait()
	again := opened(t, path)
	for id := range written.Range {
		if _, err := again.Get(t.Context(), "session", id.(string)); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}
