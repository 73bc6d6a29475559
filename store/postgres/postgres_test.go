package postgres_test

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/postgres"
	"github.com/oidcgate/oidcgate/store/storetest"
)

// serverURL names a database for tests, as scripts/with-postgres gives it.
func serverURL(t testing.TB) *url.URL {
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
	return u
}

// with gives the URL with another parameter.
func with(u *url.URL, name, value string) *url.URL {
	changed := *u
	q := u.Query()
	q.Set(name, value)
	changed.RawQuery = q.Encode()
	return &changed
}

// connect gives a pool as a program of its own would have it.
func connect(t testing.TB, u *url.URL) *sqlx.DB {
	t.Helper()
	db, err := sqlx.Open("postgres", u.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// newSchema gives the name of a schema that is gone after the test.
func newSchema(t testing.TB) string {
	t.Helper()
	name := "Test " + rand.Text()
	db := connect(t, serverURL(t))
	t.Cleanup(func() {
		if _, err := db.ExecContext(context.Background(), `DROP SCHEMA IF EXISTS "`+name+`" CASCADE`); err != nil {
			t.Error(err)
		}
	})
	return name
}

func open(t testing.TB, rawURL string) store.Store {
	t.Helper()
	s, err := store.Open(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestURLIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() store.Store {
		u := with(serverURL(t), "schema", newSchema(t))
		return func() store.Store { return open(t, u.String()) }
	})
}

// TestPoolIsAStore has a driver that does not send a statement with its
// parameters, and a server that gives transactions up.
func TestPoolIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() store.Store {
		schema := newSchema(t)
		db := connect(t, with(serverURL(t), "default_transaction_isolation", "serializable"))
		db.SetMaxOpenConns(20)
		return func() store.Store { return postgres.New(db, postgres.Options{Schema: schema}) }
	})
}

// TestPgxIsAStore has the other driver.
func TestPgxIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() store.Store {
		schema := newSchema(t)
		return func() store.Store { return openPgx(t, serverURL(t), schema) }
	})
}

// openPgx gives a store on a pool of pgx, in the mode that PgBouncer needs.
func openPgx(t testing.TB, u *url.URL, schema string) store.Store {
	t.Helper()
	db, err := sqlx.Open("pgx", with(u, "default_query_exec_mode", "exec").String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(20)
	return postgres.New(db, postgres.Options{Schema: schema})
}

// drivers are those that lose connections in ways of their own.
var drivers = map[string]struct {
	open func(t testing.TB, u *url.URL, schema string) store.Store
	ping string // how it tries a connection
}{
	"lib/pq": {func(t testing.TB, u *url.URL, schema string) store.Store {
		return open(t, with(u, "schema", schema).String())
	}, "\x06;\x00"},
	"pgx": {openPgx, "-- ping"},
}
