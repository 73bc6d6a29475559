// Package sqlite keeps records in one file, with no server to install: for an
// application that runs on one machine, as one process or a few, and whose
// sessions and keys are to survive a restart.
//
//	import _ "github.com/oidcgate/oidcgate/store/sqlite"
//
// The import makes these URLs known to [core.OpenStore]:
//
//	sqlite:/var/lib/app/app.db   a file, by its absolute path
//	sqlite:app.db                a file in the folder that the program runs in
//	sqlite::memory:              a database in memory, of this one store, for tests
//
// There are no options. A space, ?, % or # in a path is written %20, %3F, %25 or
// %23 in the URL, and as it is for [New].
//
// # The file
//
// Open makes it, readable and writable by its user alone (mode 0600), and folders
// that are missing likewise (0700). A file that is there keeps its mode. SQLite
// puts two more files beside it, app.db-wal and app.db-shm, with the same mode: all
// three belong together, so don't copy the first one alone while a program uses it
// (docs/stores.md tells how to make a backup). The file is the store's own: one with
// tables of another program is refused. It must be on a local disk, since the locks
// of network file systems can't be relied upon.
//
// # How it works
//
// The database is in WAL mode, in which those who read wait for nobody. Whoever
// writes takes the lock of the database at once and waits for it as long as the
// context allows, a minute at most, so that several goroutines and several
// processes can write without one failing because another is faster. What Put has
// answered is on the disk, and survives a power cut. Times are integers,
// milliseconds since 1970, UTC.
//
// The version of the schema is in the database's user_version. Open brings an older
// one up to date, and refuses a newer one.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

func init() {
	core.RegisterStore("sqlite", func(u *url.URL) (core.Store, error) {
		path := u.Path
		if u.Opaque != "" { // a relative path, still encoded
			var err error
			if path, err = url.PathUnescape(u.Opaque); err != nil {
				return nil, errors.New("the path can't be read: write % as %25")
			}
		}
		switch {
		case u.Host != "" || u.User != nil:
			return nil, errors.New("no host may be named: write sqlite:/path/to/file, with one slash or three, or sqlite:file")
		case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
			return nil, errors.New("there are no options: write a ? in the path as %3F, and a # as %23")
		case path == "" || path == "/":
			return nil, errors.New("the path of the file is missing: write sqlite:/path/to/file, or sqlite::memory: for none")
		}
		return New(path), nil
	})
}

// memory is the path of a database that is not a file.
const memory = ":memory:"

// New gives a store in the file at path, which is taken as it is: relative to the
// folder that the program runs in, with no character that means anything special.
// Only ":memory:" is no file, but an empty database in memory of this store's own,
// gone with Close ("./:memory:" is a file). New makes no I/O: what is wrong with the
// path or the file, Open tells. Several stores, in several processes too, may use
// one file. The store may be used concurrently; its errors name the path.
func New(path string) core.Store { return &store{path: path} }

type store struct {
	path string
	db   atomic.Pointer[database] // nil while not open
}

// database is one file, opened twice: one connection that writes, for which
// writers queue up, and some that read. In memory both are the same connection,
// since there each connection would have a database of its own.
type database struct{ write, read *sql.DB }

func (d *database) close() error { return errors.Join(d.read.Close(), d.write.Close()) }

const columns = "kind, id, version, key1, key2, data, expires"

// migrations lead from each version of the schema to the next. One that was
// released is never changed.
var migrations = []string{`
	CREATE TABLE records (
		kind TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
		key1 TEXT NOT NULL, key2 TEXT NOT NULL, data BLOB NOT NULL,
		expires INTEGER, -- NULL: never
		PRIMARY KEY (kind, id)
	) STRICT;
	CREATE INDEX records_key1 ON records (kind, key1, id) WHERE key1 <> '';
	CREATE INDEX records_key2 ON records (kind, key2, id) WHERE key2 <> '';
	CREATE INDEX records_expires ON records (expires) WHERE expires IS NOT NULL;`,
}

func (s *store) Open(ctx context.Context) error {
	db, err := connect(ctx, s.path)
	// While the file is not in WAL mode yet, SQLite breaks deadlocks of those who
	// open it by failing one of them at once.
	for began := time.Now(); isBusy(err) && ctx.Err() == nil && time.Since(began) < time.Minute; {
		time.Sleep(rand.N(10 * time.Millisecond))
		db, err = connect(ctx, s.path)
	}
	if err != nil {
		return s.explain(ctx, "opening", err)
	}
	if !s.db.CompareAndSwap(nil, db) { // it is open already
		return db.close()
	}
	return nil
}

// connect opens the database and brings its schema up to date.
func connect(ctx context.Context, path string) (*database, error) {
	db, err := openFile(ctx, path)
	if err != nil {
		return nil, err
	}
	if err := db.migrate(ctx, path); err != nil {
		return nil, errors.Join(err, db.close())
	}
	return db, nil
}

// creating is held while a file is made. POSIX drops all the locks that a process
// has on a file when the process closes any of its descriptors, so nobody may have
// opened the file as a database by then.
var creating sync.Mutex

func openFile(ctx context.Context, path string) (*database, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	const options = "?_txlock=immediate&_pragma=busy_timeout(60000)"
	if path == memory {
		db, err := sql.Open("sqlite", memory+options)
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(1)
		return &database{db, db}, nil
	}
	if path == "" {
		return nil, errors.New("the path is empty: name a file, or :memory: for none")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	creating.Lock()
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		err = file.Close()
	}
	creating.Unlock()
	if err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	uri := url.URL{Scheme: "file", Path: filepath.ToSlash(path)}
	write, err := sql.Open("sqlite", uri.String()+options)
	if err != nil {
		return nil, err
	}
	read, err := sql.Open("sqlite", uri.String()+options)
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	write.SetMaxOpenConns(1)
	readers := max(2, runtime.GOMAXPROCS(0))
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	return &database{write, read}, nil
}

// migrate brings the schema up to date. Beginning the transaction takes the lock,
// so of ten who open a new file one creates the schema. Only a database that is ours
// is then put into WAL mode, where it stays.
func (d *database) migrate(ctx context.Context, path string) error {
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	var version, tables, ours int
	if err := tx.QueryRowContext(ctx, `SELECT (SELECT user_version FROM pragma_user_version),
		(SELECT count(*) FROM sqlite_schema), (SELECT count(*) FROM sqlite_schema WHERE name = 'records_expires')`).Scan(&version, &tables, &ours); err != nil {
		return err
	}
	switch {
	case tables > 0 && (version < 1 || ours == 0):
		return errors.New("the file is the database of another program: give the store a file of its own")
	case version > len(migrations):
		return fmt.Errorf("the database has schema version %d, made by a newer version of this program, which knows up to %d: run that one, or restore a backup from before the upgrade", version, len(migrations))
	}
	for _, statements := range migrations[version:] {
		if _, err := tx.ExecContext(ctx, statements); err != nil {
			return err
		}
	}
	// It is set even if it is right already: writing is how to find out that a file
	// can't be written.
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(migrations))); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil || path == memory {
		return err
	}
	var mode string
	if err := d.write.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return errors.New("the file system can't do what WAL mode needs: put the file on a local disk")
	}
	return nil
}

func (s *store) Get(ctx context.Context, kind, id string) (core.Record, error) {
	found, err := s.records(ctx, "SELECT "+columns+" FROM records WHERE kind = ? AND id = ?", kind, id)
	if err == nil && len(found) == 0 {
		err = core.ErrNotFound
	}
	if err != nil {
		return core.Record{}, err
	}
	return found[0], nil
}

func (s *store) Find(ctx context.Context, kind, key, after string, limit int) ([]core.Record, error) {
	if key == "" {
		return s.records(ctx, "SELECT "+columns+" FROM records WHERE kind = ? AND id > ? ORDER BY id LIMIT ?", kind, after, limit)
	}
	// Each half comes from its index in order, so that no more than a page is read.
	return s.records(ctx, `
		SELECT `+columns+` FROM records WHERE kind = ?1 AND key1 = ?2 AND key1 <> '' AND id > ?3
		UNION ALL
		SELECT `+columns+` FROM records WHERE kind = ?1 AND key2 = ?2 AND key2 <> '' AND key1 <> ?2 AND id > ?3
		ORDER BY id LIMIT ?4`, kind, key, after, limit)
}

func (s *store) Put(ctx context.Context, r core.Record) (int64, error) {
	var expires sql.NullInt64
	if !r.Expires.IsZero() {
		expires = sql.NullInt64{Int64: r.Expires.UnixMilli(), Valid: true}
	}
	if r.Data == nil {
		r.Data = []byte{}
	}
	query := "UPDATE records SET version = ?3 + 1, key1 = ?4, key2 = ?5, data = ?6, expires = ?7 WHERE kind = ?1 AND id = ?2 AND version = ?3"
	if r.Version == 0 {
		query = "INSERT INTO records (" + columns + ") VALUES (?1, ?2, ?3 + 1, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING"
	}
	n, err := s.exec(ctx, "writing", query, r.Kind, r.ID, r.Version, r.Keys[0], r.Keys[1], r.Data, expires)
	return r.Version + 1, conflictIfNone(n, err)
}

func (s *store) Delete(ctx context.Context, kind, id string, version int64) error {
	n, err := s.exec(ctx, "deleting", "DELETE FROM records WHERE kind = ? AND id = ? AND version = ?", kind, id, version)
	return conflictIfNone(n, err)
}

func conflictIfNone(n int, err error) error {
	if err == nil && n == 0 {
		return core.ErrConflict
	}
	return err
}

func (s *store) Purge(ctx context.Context, now time.Time, limit int) (int, error) {
	return s.exec(ctx, "purging", "DELETE FROM records WHERE rowid IN (SELECT rowid FROM records WHERE expires <= ? ORDER BY expires LIMIT ?)", now.UnixMilli(), limit)
}

func (s *store) Close() error {
	if db := s.db.Swap(nil); db != nil {
		return db.close()
	}
	return nil
}

var errNotOpen = errors.New("sqlite: the store is not open: call Open first")

// exec runs one statement that writes. By itself it is a transaction that begins
// with the lock for writing, so what it has read can't be out of date.
func (s *store) exec(ctx context.Context, doing, query string, args ...any) (int, error) {
	db := s.db.Load()
	if db == nil {
		return 0, errNotOpen
	}
	result, err := db.write.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, s.explain(ctx, doing, err)
	}
	n, err := result.RowsAffected()
	return int(n), err
}

func (s *store) records(ctx context.Context, query string, args ...any) ([]core.Record, error) {
	db := s.db.Load()
	if db == nil {
		return nil, errNotOpen
	}
	rows, err := db.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.explain(ctx, "reading", err)
	}
	defer rows.Close()
	var found []core.Record
	for rows.Next() {
		var r core.Record
		var expires sql.NullInt64
		if err := rows.Scan(&r.Kind, &r.ID, &r.Version, &r.Keys[0], &r.Keys[1], &r.Data, &expires); err != nil {
			return nil, s.explain(ctx, "reading", err)
		}
		if expires.Valid {
			r.Expires = time.UnixMilli(expires.Int64).UTC()
		}
		found = append(found, r)
	}
	if err := rows.Err(); err != nil {
		return nil, s.explain(ctx, "reading", err)
	}
	return found, nil
}

// advice is what to do about the errors of SQLite.
var advice = map[int]string{
	sqlite3.SQLITE_BUSY:     "another program has locked it for a minute: end that one",
	sqlite3.SQLITE_CANTOPEN: "the user who runs this program must be able to read and write it and to make files in its folder",
	sqlite3.SQLITE_CORRUPT:  "it is damaged: restore a backup",
	sqlite3.SQLITE_FULL:     "the disk is full: make room; what was written before is safe",
	sqlite3.SQLITE_IOERR:    "the disk or file system fails",
	sqlite3.SQLITE_NOTADB:   "it is not an SQLite database: name another file",
	sqlite3.SQLITE_PERM:     "the user who runs this program must be able to read and write it and to make files in its folder",
	sqlite3.SQLITE_READONLY: "it is read-only: the user who runs this program must be able to write it and its folder",
}

func code(err error) int {
	var failed *sqlite.Error
	if errors.As(err, &failed) {
		return failed.Code() & 0xff // without what makes it an extended one
	}
	return 0
}

func isBusy(err error) bool { return code(err) == sqlite3.SQLITE_BUSY }

// explain makes errors those of the context where it has ended, which SQLite
// reports as an interruption, and says what to do about others.
func (s *store) explain(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err()
	} else if hint := advice[code(err)]; hint != "" {
		err = fmt.Errorf("%s: %w", hint, err)
	}
	return fmt.Errorf("sqlite: %s %s: %w", doing, s.path, err)
}
