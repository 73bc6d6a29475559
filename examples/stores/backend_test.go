// Package stores holds what is true of an application on each store in a database.
package stores_test

import (
	"crypto/md5"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"crypto/rand"

	"github.com/jmoiron/sqlx"
	_ "github.com/lib/pq"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/postgres"
	"github.com/oidcgate/oidcgate/store/sqlite"
)

// backend is an empty place for records: a store, its database beside it, and the SQL
// that differs.
type backend struct {
	store   store.Store
	db      *sqlx.DB
	table   string
	dump    string // all records as one text
	corrupt string // changes the last byte of each signing key
	insert  string // of sessions, from the number $1 on, $2 of them, that expire at $3
	id      func(n int) string
	unable  store.Store // one that somebody has to mend
}

// backends make one of each kind.
var backends = map[string]func(testing.TB) backend{"sqlite": onSQLite, "postgres": onPostgres}

func onSQLite(t testing.TB) backend {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app.db")
	foreign := filepath.Join(t.TempDir(), "foreign")
	if err := os.WriteFile(foreign, []byte("this is no database, but a text of some length"), 0o600); err != nil {
		t.Fatal(err)
	}
	return backend{
		store: opened(t, sqlite.New(path)), db: connect(t, "sqlite", path+"?_pragma=cache_size(-1000000)&_pragma=busy_timeout(10000)"), table: "records",
		dump: "SELECT group_concat(kind || id || version || hex(data)) FROM records",
		corrupt: `UPDATE records SET data = CAST(substr(data, 1, length(data) - 1) ||
			CASE substr(data, -1) WHEN x'00' THEN x'01' ELSE x'00' END AS BLOB) WHERE kind = 'signing-key'`,
		insert: `WITH RECURSIVE n(i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM n WHERE i < $1 + $2 - 1)
			INSERT INTO records SELECT 'session', printf('%08x', i * 2654435761 & 4294967295), 1, 'user-' || i / 2, hex(randomblob(16)), randomblob(2048), $3 FROM n`,
		id:     func(n int) string { return fmt.Sprintf("%08x", uint32(n*2654435761)) },
		unable: sqlite.New(foreign),
	}
}

func onPostgres(t testing.TB) backend {
	t.Helper()
	raw := os.Getenv("TEST_POSTGRES_URL")
	switch {
	case raw == "" && os.Getenv("CI") == "true":
		t.Fatal("TEST_POSTGRES_URL is not set: run the tests by scripts/with-postgres")
	case raw == "":
		t.Skip("TEST_POSTGRES_URL is not set: run the tests by scripts/with-postgres")
	}
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal("TEST_POSTGRES_URL is not a URL")
	}
	q := u.Query()
	q.Set("binary_parameters", "yes")
	u.RawQuery = q.Encode()
	db, schema := connect(t, "postgres", u.String()), "Test "+rand.Text()
	t.Cleanup(func() { db.MustExec(`DROP SCHEMA IF EXISTS "` + schema + `" CASCADE`) })
	u.User = url.UserPassword(u.User.Username(), "not the password")
	u.Path = "/no such database"
	unable, err := store.Open(u.String())
	if err != nil {
		t.Fatal(err)
	}
	table := `"` + schema + `".oidcgate_records`
	return backend{
		store: opened(t, postgres.New(db, postgres.Options{Schema: schema})), db: db, table: table,
		dump:    "SELECT string_agg(r::text, ';' ORDER BY id) FROM " + table + " r",
		corrupt: "UPDATE " + table + ` SET data = set_byte(data, length(data) - 1, get_byte(data, length(data) - 1) # 1) WHERE kind = 'signing-key'`,
		insert: "INSERT INTO " + table + ` SELECT 'session', md5(i::text), 1, 'user-' || i / 2, md5('sid-' || i),
			decode(repeat(md5(i::text), 128), 'hex'), $3::bigint FROM generate_series($1::int, $1::int + $2::int - 1) i`,
		id:     func(n int) string { return fmt.Sprintf("%x", md5.Sum([]byte(strconv.Itoa(n)))) },
		unable: unable,
	}
}

func opened(t testing.TB, s store.Store) store.Store {
	t.Helper()
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func connect(t testing.TB, driver, name string) *sqlx.DB {
	t.Helper()
	db, err := sqlx.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
