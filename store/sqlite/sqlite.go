// Package sqlite is a store in one SQLite file:
//
//	func main() {
//		records := sqlite.New("/var/lib/app/app.db")
//		defer records.Close()
//		auth, err := core.New(core.Config{
//			Providers: []core.Provider{{Issuer: "https://id.example.org/realms/demo", ClientID: "shop", ClientSecret: os.Getenv("CLIENT_SECRET")}},
//			PublicURL: "https://shop.example.org/api",
//			Secrets:   []string{os.Getenv("SHOP_SECRET")}, // openssl rand -base64 32
//			Broker:    &core.Broker{Store: records},
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer auth.Close()
//		// … mount the routes of auth and serve
//	}
//
// It is for an application on one machine, with one process or a few, whose sessions and
// keys must survive a restart. It needs no server.
//
// Importing the package also lets [store.Open] open these URLs:
//
//	sqlite:/var/lib/app/app.db   a file, by its absolute path
//	sqlite:app.db                a file in the working directory
//	sqlite::memory:              a database in memory, of this one store, for tests
//
// There are no options. In a URL, write a space, ?, % or # of a path as %20, %3F, %25 or
// %23. [New] takes the path unescaped.
//
// # The file
//
// Open creates the file with mode 0600, and missing folders with mode 0700. An existing
// file keeps its mode, and may be behind a symbolic link. If the file is removed or
// replaced while it is open, every call fails, because writes would be lost. SQLite
// adds two files with the same mode, app.db-wal and app.db-shm. All three belong together:
// don't copy the first one alone while a program uses it (docs/stores.md shows how to make
// a backup). A file with tables of another program is rejected. The file must be on a local
// disk, because locks on network file systems are not reliable.
//
// # How it works
//
// The database is in WAL mode, so readers never wait. A writer takes the database's lock at
// once and waits for it until the context ends, but for a minute at most. So goroutines and
// processes that write at the same time don't fail. When Put returns, the record is on the
// disk and survives a power failure. From Open to Close a goroutine moves the content of the
// -wal file into the database, so that no writer has to. Times are integers: milliseconds
// since 1970, UTC.
//
// The schema's version is in the database's user_version. Open migrates an older schema and
// rejects a newer one.
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

// New returns a store in the file at path. A relative path is relative to the working
// directory. No character in it is special. The path ":memory:" is a new database in memory
// for this store, which Close deletes ("./:memory:" is a file). New makes no I/O: Open
// returns an error if something is wrong with the path or the file. Several stores may use
// one file, also in several processes. The store is safe for concurrent use. Its errors
// contain the path.
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
