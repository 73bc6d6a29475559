package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/oidcgate/oidcgate/store"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// database is one file, opened twice: one connection that writes, for which
// writers queue up, and some that read. In memory both are the same connection,
// since there each connection would have a database of its own.
type database struct {
	write, read *sql.DB
	path        string // absolute; "" in memory
	file        os.FileInfo
	checkpoints *checkpoints
}

// memory is the path of a database that is not a file.
const memory = ":memory:"

func (d *database) close() error {
	return errors.Join(d.checkpoints.end(), d.read.Close(), d.write.Close())
}

// check finds out that the file was removed or replaced. SQLite would go on to
// write where nobody ever looks, but for connections that it opens from then on.
func (d *database) check() error {
	if d.path == "" {
		return nil
	}
	if now, err := os.Stat(d.path); err != nil || !os.SameFile(now, d.file) {
		return store.Unusable("the file was removed or replaced while it was open: start the program again, and stop it before you restore a backup")
	}
	return nil
}

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

// connect opens the database and brings its schema up to date.
func connect(ctx context.Context, path string) (*database, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	open := openFile
	if path == memory {
		open = openMemory
	}
	db, err := open(path)
	if err != nil {
		return nil, err
	}
	if err := db.migrate(ctx); err != nil {
		return nil, errors.Join(err, db.close())
	}
	return db, nil
}

// options of the connections. mode=rw has SQLite make no file, since its mode would
// be another.
const options = "?mode=rw&_txlock=immediate&_pragma=busy_timeout(60000)"

func openMemory(string) (*database, error) {
	db, err := sql.Open("sqlite", memory+options)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return &database{write: db, read: db}, nil
}

func openFile(path string) (*database, error) {
	if path == "" {
		return nil, store.Unusable("the path is empty: name a file, or :memory: for none")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := create(path); err != nil {
		return nil, err
	}
	file, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case file.IsDir():
		return nil, store.Unusable("it is a folder: name a file in it")
	}
	uri := url.URL{Scheme: "file", Path: filepath.ToSlash(path)}
	if uri.Path[0] != '/' { // C:/app.db; the C would be taken for a host
		uri.Path = "/" + uri.Path
	}
	write, err := sql.Open("sqlite", uri.String()+options+autoCheckpoint)
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
	checkpoints, err := newCheckpoints(uri.String())
	if err != nil {
		return nil, errors.Join(err, write.Close(), read.Close())
	}
	return &database{write, read, path, file, checkpoints}, nil
}

// creating is held while a file is made. POSIX drops all the locks that a process
// has on a file when the process closes any of its descriptors, so nobody may have
// opened the file as a database by then.
var creating sync.Mutex

// create makes the file, and folders that are missing, unless it is there.
func create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	creating.Lock()
	defer creating.Unlock()
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	return file.Close()
}

// migrate brings the schema up to date. Beginning the transaction takes the lock,
// so of ten who open a new file one creates the schema. Only a database that is ours
// is then put into WAL mode, where it stays.
func (d *database) migrate(ctx context.Context) error {
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
		return store.Unusable("the file is the database of another program: give the store a file of its own")
	case version > len(migrations):
		return store.Unusable("the database has schema version %d, made by a newer version of this program, which knows up to %d: run that one, or restore a backup from before the upgrade", version, len(migrations))
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
	if err := tx.Commit(); err != nil || d.path == "" {
		return err
	}
	var mode string
	if err := d.write.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return store.Unusable("the file system can't do what WAL mode needs: put the file on a local disk")
	}
	return nil
}

// Advice about what SQLite and the operating system both tell.
const (
	full   = "the disk is full: make room; what was written before is safe"
	rights = "the user who runs this program must be able to read and write it, the files with -wal and -shm after its name if they are there, and to make files in its folder"
)

// advice is what to do about the errors of SQLite: first about those that waiting
// won't mend.
var (
	mistakes = map[int]string{
		sqlite3.SQLITE_CANTOPEN: rights,
		sqlite3.SQLITE_CORRUPT:  "it is damaged: restore a backup",
		sqlite3.SQLITE_NOTADB:   "it is not an SQLite database: name another file",
		sqlite3.SQLITE_PERM:     rights,
		sqlite3.SQLITE_READONLY: "it is read-only: " + rights,
	}
	advice = map[int]string{
		sqlite3.SQLITE_BUSY:  "another program has locked it for a minute: end that one",
		sqlite3.SQLITE_FULL:  full,
		sqlite3.SQLITE_IOERR: "the disk or file system fails",
	}
)

func code(err error) int {
	var failed *sqlite.Error
	if errors.As(err, &failed) {
		return failed.Code() & 0xff // without what makes it an extended one
	}
	return 0
}

func isBusy(err error) bool { return code(err) == sqlite3.SQLITE_BUSY }
