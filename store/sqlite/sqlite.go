// Package sqlite keeps records in one file, with no server to install: for an
// application that runs on one machine, as one process or a few, and whose
// sessions and keys are to survive a restart.
//
//	records := sqlite.New("/var/lib/app/app.db")
//	…
//	core.Config{Broker: &core.Broker{Store: records} /* … */}
//
// Importing the package also makes these URLs known to [store.Open]:
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
// that are missing likewise (0700). A file that is there keeps its mode, and may be
// behind a symbolic link. If it is removed or replaced while it is open, every call
// fails, since what was written then would be lost. SQLite
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
// answered is on the disk, and survives a power cut. What was written is moved from the
// -wal file into the database by a goroutine, from Open to Close, so that no writer has
// to. Times are integers, milliseconds since 1970, UTC.
//
// The version of the schema is in the database's user_version. Open brings an older
// one up to date, and refuses a newer one.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/oidcgate/oidcgate/store"
	_ "modernc.org/sqlite" // the driver
)

// New gives a store in the file at path, which is taken as it is: relative to the
// folder that the program runs in, with no character that means anything special.
// Only ":memory:" is no file, but an empty database in memory of this store's own,
// gone with Close ("./:memory:" is a file). New makes no I/O: what is wrong with the
// path or the file, Open tells. Several stores, in several processes too, may use
// one file. The store may be used concurrently; its errors name the path.
func New(path string) store.Store { return &records{path: path} }

type records struct {
	path string
	db   atomic.Pointer[database] // nil while not open
}

const columns = "kind, id, version, key1, key2, data, expires"

func (s *records) Open(ctx context.Context) error {
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

func (s *records) Get(ctx context.Context, kind, id string) (store.Record, error) {
	found, err := s.records(ctx, "SELECT "+columns+" FROM records WHERE kind = ? AND id = ?", kind, id)
	if err == nil && len(found) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Record{}, err
	}
	return found[0], nil
}

func (s *records) Find(ctx context.Context, kind, key, after string, limit int) ([]store.Record, error) {
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

func (s *records) Put(ctx context.Context, r store.Record) (int64, error) {
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

func (s *records) Delete(ctx context.Context, kind, id string, version int64) error {
	n, err := s.exec(ctx, "deleting", "DELETE FROM records WHERE kind = ? AND id = ? AND version = ?", kind, id, version)
	return conflictIfNone(n, err)
}

func conflictIfNone(n int, err error) error {
	if err == nil && n == 0 {
		return store.ErrConflict
	}
	return err
}

func (s *records) Purge(ctx context.Context, now time.Time, limit int) (int, error) {
	return s.exec(ctx, "purging", "DELETE FROM records WHERE rowid IN (SELECT rowid FROM records WHERE expires <= ? ORDER BY expires LIMIT ?)", now.UnixMilli(), limit)
}

func (s *records) Close() error {
	if db := s.db.Swap(nil); db != nil {
		return db.close()
	}
	return nil
}

// opened gives the database, if it is there still.
func (s *records) opened(ctx context.Context, doing string) (*database, error) {
	db := s.db.Load()
	if db == nil {
		return nil, errors.New("sqlite: the store is not open: call Open first")
	}
	if err := db.check(); err != nil {
		return nil, s.explain(ctx, doing, err)
	}
	return db, nil
}

// exec runs one statement that writes. By itself it is a transaction that begins
// with the lock for writing, so what it has read can't be out of date.
func (s *records) exec(ctx context.Context, doing, query string, args ...any) (int, error) {
	db, err := s.opened(ctx, doing)
	if err != nil {
		return 0, err
	}
	result, err := db.write.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, s.explain(ctx, doing, err)
	}
	db.checkpoints.written()
	n, err := result.RowsAffected()
	return int(n), err
}

func (s *records) records(ctx context.Context, query string, args ...any) ([]store.Record, error) {
	db, err := s.opened(ctx, "reading")
	if err != nil {
		return nil, err
	}
	rows, err := db.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.explain(ctx, "reading", err)
	}
	defer rows.Close()
	var found []store.Record
	for rows.Next() {
		var r store.Record
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
