// Package postgres is a store in a PostgreSQL database, version 14 or newer, for many
// replicas:
//
//	import _ "github.com/oidcgate/oidcgate/store/postgres"
//
//	func main() {
//		records, err := store.Open("postgres://app@db.example.org/app?sslmode=verify-full")
//		if err != nil {
//			log.Fatal(err)
//		}
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
// Importing the package lets [store.Open] open URLs that begin with postgres: or
// postgresql:. They are those of libpq, except that the default sslmode is require. There
// are two more parameters:
//
//	postgres://user:password@db.example.org/app?sslmode=verify-full&schema=auth&pool_max_conns=20
//
// schema is [Options].Schema. pool_max_conns is the maximum number of connections (default
// 10). Connections that are idle for five minutes are closed. If your program already has
// a pool, pass it to [New].
//
// # What is in the database
//
// Open creates or migrates two tables, oidcgate_records and oidcgate_schema (the version of
// the first one). Ten replicas may do so at once: an advisory lock makes them wait for each
// other. If another role has opened the store before, a role without the right to create
// tables is enough. It needs SELECT, INSERT, UPDATE and DELETE on the first table and SELECT
// on the second. Open rejects tables of a newer version. Compared columns have COLLATE "C",
// so their order is byte order in any locale. Times are integers: milliseconds since 1970,
// UTC. Every look-up has an index.
//
// # How it works
//
// Each call is one statement, and so one transaction. If the server aborts it for its own
// reasons (serialization failures, deadlocks), the call is repeated. The same is true if the
// connection is lost. This is safe for reads. It is also safe for changes, because a
// statement affects only the version that it names. If the repeated change finds another
// version, nobody knows who wrote it. The error then says that the outcome is unknown, and
// is not [store.ErrConflict]. Inserts are not repeated, because they name no version and
// could restore a record that was deleted meanwhile. Instead, each insert first tests its
// connection, which costs one more request.
//
// A call whose context ends returns at once, even if the server is silent, and the query
// is cancelled.
//
// # PgBouncer
//
// In transaction mode, successive requests on one connection may reach different servers.
// So the store sets nothing in the session, uses no named statements, and takes only locks
// that end with the transaction. A statement and its parameters must be sent in one
// request. For a URL this is set. A pool for New needs binary_parameters=yes with lib/pq, or
// default_query_exec_mode=exec with pgx.
package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/oidcgate/oidcgate/store"
)

// Options are the options of [New]. The zero value is valid.
type Options struct {
	// Schema is the schema of the tables. It is created if it is missing. "" means the
	// first schema of the connection's search_path, usually public.
	Schema string
}

// New returns a store in a database. The caller keeps db: the store sets no limits, and
// Close does not close it. The driver must accept $1 for a parameter, and its errors must
// have a method SQLState, as those of lib/pq and pgx have. New makes no I/O. The store is
// safe for concurrent use.
func New(db *sqlx.DB, o Options) store.Store {
	s := &records{
		// A caller's own mapping of columns to fields must not become ours.
		db:      sqlx.NewDb(db.DB, db.DriverName()),
		schema:  o.Schema,
		records: "oidcgate_records", version: "oidcgate_schema",
		close: func() error { return nil },
	}
	if o.Schema != "" {
		s.records = pq.QuoteIdentifier(o.Schema) + "." + s.records
		s.version = pq.QuoteIdentifier(o.Schema) + "." + s.version
	}
	return s
}

type records struct {
	db               *sqlx.DB
	schema           string
	records, version string // the tables, to be put into statements
	close            func() error
}

const columns = "kind, id, version, key1, key2, data, expires"

// row is a record as the table has it.
type row struct {
	Kind    string `db:"kind"`
	ID      string `db:"id"`
	Version int64  `db:"version"`
	Key1    string `db:"key1"`
	Key2    string `db:"key2"`
	Data    []byte `db:"data"`
	Expires *int64 `db:"expires"` // nil: never
}

func (s *records) Get(ctx context.Context, kind, id string) (store.Record, error) {
	found, err := s.read(ctx, "SELECT "+columns+" FROM "+s.records+" WHERE kind = $1 AND id = $2", kind, id)
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
		return s.read(ctx, "SELECT "+columns+" FROM "+s.records+" WHERE kind = $1 AND id > $2 ORDER BY id LIMIT $3", kind, after, limit)
	}
	// Each half comes from its index in order, so that no more than a page is read.
	return s.read(ctx, `
		(SELECT `+columns+` FROM `+s.records+` WHERE kind = $1 AND key1 = $2 AND key1 <> '' AND id > $3 ORDER BY id LIMIT $4)
		UNION ALL
		(SELECT `+columns+` FROM `+s.records+` WHERE kind = $1 AND key2 = $2 AND key2 <> '' AND key1 <> $2 AND id > $3 ORDER BY id LIMIT $4)
		ORDER BY id LIMIT $4`, kind, key, after, limit)
}

func (s *records) read(ctx context.Context, query string, args ...any) ([]store.Record, error) {
	rows, _, err := ask(ctx, s.db, "reading", func(ctx context.Context, c *sqlx.Conn) (rows []row, err error) {
		return rows, c.SelectContext(ctx, &rows, query, args...)
	})
	var found []store.Record
	for _, r := range rows {
		record := store.Record{Kind: r.Kind, ID: r.ID, Version: r.Version, Keys: [2]string{r.Key1, r.Key2}, Data: r.Data}
		if r.Expires != nil {
			record.Expires = time.UnixMilli(*r.Expires).UTC()
		}
		found = append(found, record)
	}
	return found, err
}

func (s *records) Put(ctx context.Context, r store.Record) (int64, error) {
	var expires *int64
	if !r.Expires.IsZero() {
		expires = new(r.Expires.UnixMilli())
	}
	// A call that is left behind must not read what is the caller's again.
	if r.Data = bytes.Clone(r.Data); r.Data == nil {
		r.Data = []byte{}
	}
	args := []any{r.Kind, r.ID, r.Keys[0], r.Keys[1], r.Data, expires}
	if r.Version == 0 {
		n, _, err := ask(ctx, s.db, "inserting", func(ctx context.Context, c *sqlx.Conn) (int64, error) {
			return insert(ctx, c, "INSERT INTO "+s.records+" ("+columns+") VALUES ($1, $2, 1, $3, $4, $5, $6) ON CONFLICT DO NOTHING", args...)
		})
		return 1, conflictIfNone(n, false, err)
	}
	return r.Version + 1, s.change(ctx, "writing", "UPDATE "+s.records+` SET version = version + 1, key1 = $3, key2 = $4, data = $5, expires = $6
		WHERE kind = $1 AND id = $2 AND version = $7`, append(args, r.Version)...)
}

func (s *records) Delete(ctx context.Context, kind, id string, version int64) error {
	return s.change(ctx, "deleting", "DELETE FROM "+s.records+" WHERE kind = $1 AND id = $2 AND version = $3", kind, id, version)
}

// change runs a statement that changes one record in the version that it names.
func (s *records) change(ctx context.Context, doing, query string, args ...any) error {
	n, lost, err := s.exec(ctx, doing, query, args...)
	return conflictIfNone(n, lost, err)
}

func (s *records) exec(ctx context.Context, doing, query string, args ...any) (n int64, lost bool, err error) {
	return ask(ctx, s.db, doing, func(ctx context.Context, c *sqlx.Conn) (int64, error) { return exec(ctx, c, query, args...) })
}

func exec(ctx context.Context, c *sqlx.Conn, query string, args ...any) (int64, error) {
	result, err := c.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// insert runs a statement that must not be done twice: the record that the first
// one has inserted may have been deleted by then, and would be there again. So a
// connection is tried before it is trusted with one, and when it is lost
// nevertheless, nobody knows.
func insert(ctx context.Context, c *sqlx.Conn, query string, args ...any) (int64, error) {
	if err := c.PingContext(ctx); err != nil {
		return 0, err
	}
	n, err := exec(ctx, c, query, args...)
	if isLost(err) {
		return 0, errUnknown
	}
	return n, err
}

var errUnknown = errors.New("the connection was lost, and it is not known whether that was done: read the record again")

// conflictIfNone judges by how many records were changed. When a connection was lost on
// the way, none may be left to change because the statement was done before its
// answer got lost.
func conflictIfNone(n int64, lost bool, err error) error {
	switch {
	case err != nil || n > 0:
		return err
	case lost:
		return fmt.Errorf("postgres: %w", errUnknown)
	}
	return store.ErrConflict
}

func (s *records) Purge(ctx context.Context, now time.Time, limit int) (int, error) {
	// It waits for nobody who changes or removes one of the records just then.
	n, _, err := s.exec(ctx, "purging", `
		WITH expired AS MATERIALIZED (
			SELECT kind, id FROM `+s.records+` WHERE expires <= $1 ORDER BY expires LIMIT $2 FOR UPDATE SKIP LOCKED
		) DELETE FROM `+s.records+` r USING expired e WHERE r.kind = e.kind AND r.id = e.id`, now.UnixMilli(), limit)
	return int(n), err
}

func (s *records) Close() error { return s.close() }
