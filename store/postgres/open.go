package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/oidcgate/oidcgate/store"
)

// migrations lead from each version of the schema to the next, with the table of
// records in the place of %[1]s. One that was released is never changed.
//
// Sealed data can't be compressed. Free space in pages lets the two changes of a
// refresh stay on their page, and vacuuming early keeps the table small.
var migrations = []string{`
	CREATE TABLE %[1]s (
		kind text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, version bigint NOT NULL,
		key1 text COLLATE "C" NOT NULL, key2 text COLLATE "C" NOT NULL, data bytea NOT NULL,
		expires bigint, -- NULL: never
		PRIMARY KEY (kind, id)
	) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
	ALTER TABLE %[1]s ALTER COLUMN data SET STORAGE EXTERNAL;
	CREATE INDEX oidcgate_records_key1 ON %[1]s (kind, key1, id) WHERE key1 <> '';
	CREATE INDEX oidcgate_records_key2 ON %[1]s (kind, key2, id) WHERE key2 <> '';
	CREATE INDEX oidcgate_records_expires ON %[1]s (expires) WHERE expires IS NOT NULL;`,
}

// migrationLock is the number of the advisory lock: "oidcgate" in ASCII.
const migrationLock = 0x6f69646367617465

func (s *records) Open(ctx context.Context) error {
	if len(s.schema) > 63 || strings.ContainsRune(s.schema, 0) {
		return fmt.Errorf("postgres: %w", store.Unusable("the name of the schema is longer than 63 bytes, or has a zero byte"))
	}
	_, _, err := ask(ctx, s.db, "opening", func(ctx context.Context, c *sqlx.Conn) (struct{}, error) {
		return struct{}{}, s.migrate(ctx, c)
	})
	return err
}

func (s *records) migrate(ctx context.Context, c *sqlx.Conn) error {
	var server struct {
		Encoding string `db:"encoding"`
		ReadOnly string `db:"readonly"`
		There    bool   `db:"there"`
	}
	if err := c.GetContext(ctx, &server, `SELECT current_setting('server_encoding') AS encoding,
		current_setting('transaction_read_only') AS readonly, to_regclass($1) IS NOT NULL AS there`, s.version); err != nil {
		return err
	}
	switch {
	case server.Encoding != "UTF8" && server.Encoding != "SQL_ASCII":
		return store.Unusable("the database has the encoding %s: create one with ENCODING 'UTF8'", server.Encoding)
	case server.ReadOnly == "on":
		return store.Unusable("the server is read-only, maybe a standby: connect to the primary")
	case server.There:
		version, err := s.schemaVersion(ctx, c)
		if err != nil || version == len(migrations) {
			return errors.Join(err, s.mayUse(ctx, c))
		}
	}
	// An isolation level that is higher would not see what was done while waiting
	// for the lock.
	tx, err := c.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
		return err
	}
	if s.schema != "" {
		// CREATE SCHEMA IF NOT EXISTS wants the right to create one even if it is
		// there, and to_regnamespace may not know yet what was done while waiting
		// for the lock.
		var missing bool
		if err := tx.GetContext(ctx, &missing, "SELECT NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", s.schema); err != nil {
			return err
		}
		if missing {
			if _, err := tx.ExecContext(ctx, "CREATE SCHEMA "+pq.QuoteIdentifier(s.schema)); err != nil {
				return err
			}
		}
	}
	if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS "+s.version+" (version integer PRIMARY KEY)"); err != nil {
		return err
	}
	version, err := s.schemaVersion(ctx, tx)
	if err != nil || version == len(migrations) { // another one was faster
		return err
	}
	for i, statements := range migrations[version:] {
		if _, err := tx.ExecContext(ctx, fmt.Sprintf(statements, s.records)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO "+s.version+" (version) VALUES ($1)", version+i+1); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// schemaVersion is the last migration that was made, 0 before the first.
func (s *records) schemaVersion(ctx context.Context, q sqlx.QueryerContext) (version int, err error) {
	err = sqlx.GetContext(ctx, q, &version, "SELECT coalesce(max(version), 0) FROM "+s.version)
	if err == nil && version > len(migrations) {
		err = store.Unusable("the tables have schema version %d, made by a newer version of this program, which knows up to %d: run that one, or restore a backup from before the upgrade", version, len(migrations))
	}
	return version, err
}

// mayUse finds out at Open what a role without rights would otherwise find out later.
func (s *records) mayUse(ctx context.Context, c *sqlx.Conn) error {
	var may bool
	err := c.GetContext(ctx, &may, "SELECT bool_and(has_table_privilege($1::text, p)) FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p", s.records)
	if err == nil && !may {
		err = store.Unusable("the role may not use the table: have its owner run GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO the role", s.records)
	}
	return err
}
