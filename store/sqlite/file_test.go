package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/sqlite"
)

func opened(t testing.TB, path string) store.Store {
	t.Helper()
	s := sqlite.New(path)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t testing.TB, s store.Store, r store.Record) store.Record {
	t.Helper()
	version, err := s.Put(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	r.Version = version
	return r
}

func TestFilesAreTheUsersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "newer")
	s := opened(t, filepath.Join(dir, "app.db"))
	put(t, s, store.Record{Kind: "session", ID: "id"})
	for name, want := range map[string]os.FileMode{
		"app.db": 0o600, "app.db-wal": 0o600, "app.db-shm": 0o600, ".": 0o700 | os.ModeDir, "..": 0o700 | os.ModeDir,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has the mode %s, not %s", name, info.Mode(), want)
		}
	}
}

func TestOddPaths(t *testing.T) {
	for _, name := range []string{
		"with spaces .db", "what?.db", "what?mode=memory", "100%.db", "%41.db", "a#b.db", "a&b=c;d.db", "+.db", "ünï-日本.db",
		"file:x.db", ":memory:.db", "it's \"quoted\".db", "back\\slash.db", "[a]*.db", "-x.db", "new folder?/%20/#.db",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, name)
			r := put(t, opened(t, path), store.Record{Kind: "session", ID: "id"})
			if _, err := os.Stat(path); err != nil {
				t.Fatal(err)
			}
			t.Chdir(dir)
			absolute := url.URL{Scheme: "sqlite", Path: path}
			relative := "sqlite:" + url.PathEscape(name)
			for _, rawURL := range []string{absolute.String(), "sqlite://" + absolute.EscapedPath(), relative} {
				s, err := store.Open(rawURL)
				if err != nil {
					t.Fatalf("%s: %v", rawURL, err)
				}
				defer s.Close()
				if err := s.Open(t.Context()); err != nil {
					t.Fatalf("%s: %v", rawURL, err)
				}
				if got, err := s.Get(t.Context(), r.Kind, r.ID); err != nil || got.Version != 1 {
					t.Fatalf("%s is another file: %v", rawURL, err)
				}
			}
		})
	}
}

func TestURLsThatAreWrong(t *testing.T) {
	for rawURL, advice := range map[string]string{
		"sqlite:":                   "path of the file is missing",
		"sqlite:///":                "path of the file is missing",
		"sqlite://app.db":           "no host may be named",
		"sqlite://u:hunter2@h/a.db": "no host may be named",
		"sqlite:/a.db?mode=hunter2": "there are no options",
		"sqlite:a.db?":              "there are no options",
		"sqlite:/a.db#hunter2":      "there are no options",
		"sqlite:100%.db":            "%25",
		"sqlite:/100%.db":           "percent-encoded",
	} {
		_, err := store.Open(rawURL)
		wantAdvice(t, err, advice)
	}
}

func wantAdvice(t *testing.T, err error, advice string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), advice) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error is %v, without %q", err, advice)
		return
	}
	t.Log(err)
}

// wantMistake checks what a program is told that starts: waiting won't mend it.
func wantMistake(t *testing.T, err error, advice string) {
	t.Helper()
	wantAdvice(t, err, advice)
	if !errors.Is(err, store.ErrUnusable) {
		t.Errorf("a program that starts would wait for this to mend itself: %v", err)
	}
}

func TestMemoryIsOneDatabase(t *testing.T) {
	s, err := store.Open("sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Open(t.Context()), s.Open(t.Context())); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			if _, err := s.Put(t.Context(), store.Record{Kind: "session", ID: fmt.Sprint(i)}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if found, err := s.Find(t.Context(), "session", "", "", 100); err != nil || len(found) != 50 {
		t.Fatalf("%d records, error %v", len(found), err)
	}
	if found, err := opened(t, ":memory:").Find(t.Context(), "session", "", "", 100); err != nil || len(found) != 0 {
		t.Fatalf("another store has %d records, error %v", len(found), err)
	}
}

func TestCallsNeedOpen(t *testing.T) {
	_, err := sqlite.New(filepath.Join(t.TempDir(), "app.db")).Get(t.Context(), "session", "id")
	wantAdvice(t, err, "call Open first")
}

// TestOpenSaysWhatIsWrong has files that Open has to refuse, and to leave as they are.
func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	sql := func(statements string) func(path string) error {
		return func(path string) error {
			db, err := sql.Open("sqlite", path)
			if err != nil {
				return err
			}
			defer db.Close()
			_, err = db.Exec(statements)
			return err
		}
	}
	newer := func(path string) error {
		s := sqlite.New(path)
		if err := errors.Join(s.Open(t.Context()), s.Close()); err != nil {
			return err
		}
		return sql("PRAGMA user_version = 99")(path)
	}
	for _, row := range []struct {
		name, advice string
		make         func(path string) error
	}{
		{"no database", "not an SQLite database", func(path string) error {
			return os.WriteFile(path, []byte(strings.Repeat("It was a dark and stormy night. ", 100)), 0o600)
		}},
		{"a newer one", "schema version 99, made by a newer version", newer},
		{"another program's", "the database of another program", sql("CREATE TABLE contacts (name TEXT)")},
		{"another program's, with versions", "the database of another program", sql("CREATE TABLE contacts (name TEXT); PRAGMA user_version = 1")},
	} {
		t.Run(row.name, func(t *testing.T) {
			path := filepath.Join(dir, row.name)
			if err := row.make(path); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			wantAdvice(t, sqlite.New(path).Open(t.Context()), row.advice)
			wantMistake(t, use(t, sqlite.New(path)), row.advice)
			if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
				t.Errorf("the file has changed, or %v", err)
			}
		})
	}
	wantAdvice(t, sqlite.New(dir).Open(t.Context()), "it is a folder: name a file in it")
	wantAdvice(t, sqlite.New("").Open(t.Context()), "the path is empty")
	inNoFolder := sqlite.New(filepath.Join(dir, "no database", "app.db"))
	wantAdvice(t, inNoFolder.Open(t.Context()), "no file can be there")
	wantMistake(t, use(t, inNoFolder), "no file can be there")
}

// TestLockedFileEndsWithTheContext has another program hold the lock for longer than a call may take.
func TestLockedFileEndsWithTheContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	s := opened(t, path)
	other, err := sql.Open("sqlite", path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for _, open := range []bool{false, true} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if open {
			err = sqlite.New(path).Open(ctx)
		} else {
			_, err = s.Put(ctx, store.Record{Kind: "session", ID: "id"})
		}
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("the error is %v", err)
		}
	}
	if _, err := s.Get(t.Context(), "session", "id"); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("those who read wait: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	put(t, s, store.Record{Kind: "session", ID: "id"})
}

// TestFullDisk fills a small file system, where one can be made. Everywhere else
// TestFullDatabase has SQLite take a file for full.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=512k", "oidcgate-test", dir).CombinedOutput(); err != nil {
		t.Skipf("only root can make a small file system, on Linux: %v %s", err, out)
	}
	defer func() {
		if err := exec.CommandContext(context.Background(), "umount", dir).Run(); err != nil {
			t.Error(err)
		}
	}()
	s := sqlite.New(filepath.Join(dir, "app.db"))
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n := 0
	var err error
	for err == nil {
		if _, err = s.Put(t.Context(), store.Record{Kind: "session", ID: fmt.Sprintf("%04d", n), Data: make([]byte, 4096), Expires: time.UnixMilli(1)}); err == nil {
			n++
		}
	}
	wantAdvice(t, err, "the disk is full")
	found, err := s.Find(t.Context(), "session", "", "", 1000)
	if err != nil || len(found) != n {
		t.Fatalf("%d of %d records are there, error %v", len(found), n, err)
	}
	other := sqlite.New(filepath.Join(dir, "other.db"))
	wantAdvice(t, other.Open(t.Context()), "the disk is full")
	wantAdvice(t, use(t, other), "the disk is full")
}

// use makes the first calls that an application makes when it starts.
func use(t testing.TB, s store.Store) error {
	t.Helper()
	err := s.Open(t.Context())
	if err == nil {
		_, err = s.Find(t.Context(), "signing-key", "", "", 100)
	}
	if err == nil {
		_, err = s.Put(t.Context(), store.Record{Kind: "signing-key", ID: "first"})
	}
	return err
}
