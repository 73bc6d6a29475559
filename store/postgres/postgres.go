// Package postgres keeps records in a PostgreSQL database, version 14 or newer,
// which many replicas of an application share.
//
//	import _ "github.com/oidcgate/oidcgate/store/postgres"
//
//	records, err := store.Open("postgres://app@db.example.org/app?sslmode=verify-full")
//	…
//	core.Config{Broker: &core.Broker{Store: records} /* … */}
//
// The import makes URLs known to store.Open that begin with postgres: or
// postgresql: and are otherwise what libpq takes (but that sslmode is require where
// none is named), with two parameters of our own:
//
//	postgres://user:password@db.example.org/app?sslmode=verify-full&schema=auth&pool_max_conns=20
//
// schema is as [Options].Schema, pool_max_conns how many connections the store
// opens at most (10). Those that were not used for five minutes are closed. Where
// the program has a pool already, hand it to [New].
//
// # What is in the database
//
// Open creates two tables, oidcgate_records and oidcgate_schema (the version of
// the first one), or brings them up to date; ten replicas may do that at once,
// since an advisory lock has them do it one after the other. A role that may not
// create tables will do where another has opened the store before, and granted it
// SELECT, INSERT, UPDATE and DELETE on the one table and SELECT on the other. Open
// refuses tables of a newer version. Columns that are compared have COLLATE "C", so
// that the order is that of bytes whatever the language of the database is; times
// are integers, milliseconds since 1970, UTC. Every look-up has its index.
//
// # How it works
//
// Each call is one statement, and so one transaction. What the server gives up for
// reasons of its own (serialization failures, deadlocks) is done again. So is what a
// lost connection has interrupted. That is safe for reading, and for changing too,
// since a statement takes effect only on the version that it names. But if it finds
// another version the second time, nobody knows whose that is: then the error is
// one of an unknown outcome, and not [store.ErrConflict]. Inserting names no version,
// and is not done again, lest it bring back a record that somebody has deleted
// meanwhile; each has its connection tried first, which costs it another request.
//
// A call whose context ends returns at once, even if the server is silent, and the
// query is cancelled.
//
// # PgBouncer
//
// In transaction mode, successive requests on one connection may reach different
// servers. The store sets nothing in the session, names no statement, and takes
// only locks that end with a transaction. A statement's text and its
// parameters must go to the server in one request. For a URL that is set; a pool
// handed to New needs binary_parameters=yes with lib/pq, and
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

// Options are what a store can be told besides its database.
type Options struct {
	// Schema is where the tables are, and is created if it is missing. "" is the
	// first schema of the connection's search_path, as a rule public.
	Schema string
}

// New gives a store in a database. db stays the caller's: the store sets no
// limits, and Close leaves it open. Any driver will do that takes $1 for a
// parameter and whose errors have a method SQLState, such as lib/pq and pgx. New
// makes no I/O. The store may be used concurrently.
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
