package postgres_test

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/oidcgate/oidcgate/store"
)

func TestURLsThatAreWrong(t *testing.T) {
	for rawURL, advice := range map[string]string{
		"postgres://user:hunter2@host/db?pool_max_conns=0":       "pool_max_conns is not a number",
		"postgres://user:hunter2@host/db?pool_max_conns=hunter2": "pool_max_conns is not a number",
		"postgresql://user:hunter2@host/db?sslmode=hunter2":      "can't be understood",
		"postgres://user@host/db?password=hunter2&sslmode=x":     "can't be understood",
		"postgres://user:hunter2@host:hunter2/db":                "can't be parsed",
		"postgres://user:hunter2@host/db?sslmode=nonsense":       "sslmode",
	} {
		_, err := store.Open(rawURL)
		wantAdvice(t, err, advice)
	}
	s := open(t, "postgres://user:hunter2@host/db?schema="+strings.Repeat("x", 64))
	defer s.Close()
	wantAdvice(t, s.Open(t.Context()), "longer than 63 bytes")
}

// TestOpenSaysWhatIsWrong has a server that is there and doesn't suit.
func TestOpenSaysWhatIsWrong(t *testing.T) {
	u := serverURL(t)
	db := connect(t, u)
	check := func(u *url.URL, advice string) {
		t.Helper()
		s := open(t, u.String())
		defer s.Close()
		wantAdvice(t, s.Open(t.Context()), advice)
		err := use(t, s)
		wantAdvice(t, err, advice)
		if !errors.Is(err, store.ErrUnusable) {
			t.Errorf("a program that starts would wait for this to mend itself: %v", err)
		}
	}

	t.Run("wrong password", func(t *testing.T) {
		wrong := *u
		wrong.User = url.UserPassword(u.User.Username(), "hunter2")
		if connect(t, &wrong).Ping() == nil {
			t.Skip("this server asks for no password")
		}
		check(&wrong, "refuses the user's password")
	})
	t.Run("a parameter that nobody knows", func(t *testing.T) {
		check(with(u, "shema", "auth"), "neither this store nor the server knows")
	})
	t.Run("no TLS", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		go func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				_, _ = c.Write([]byte("N")) // which is what a server without TLS says
				_, _ = c.Read(make([]byte, 100))
				c.Close()
			}
		}()
		check(&url.URL{Scheme: "postgres", User: u.User, Host: listener.Addr().String(), Path: "/db"}, "add sslmode=disable")
	})
	t.Run("absent database", func(t *testing.T) {
		absent := *u
		absent.Path = "/absent"
		check(&absent, "the database is missing")
	})
	t.Run("read-only server", func(t *testing.T) {
		check(with(u, "default_transaction_read_only", "on"), "the server is read-only")
	})
	t.Run("no schema", func(t *testing.T) {
		check(with(u, "search_path", "absent"), "there is no schema")
	})
	t.Run("newer tables", func(t *testing.T) {
		schema := newSchema(t)
		useAll(t, opened(t, open(t, with(u, "schema", schema).String())))
		db.MustExec(`INSERT INTO "` + schema + `".oidcgate_schema VALUES (99)`)
		check(with(u, "schema", schema), "schema version 99, made by a newer version")
	})
	t.Run("missing table", func(t *testing.T) {
		schema := newSchema(t)
		useAll(t, opened(t, open(t, with(u, "schema", schema).String())))
		db.MustExec(`DROP TABLE "` + schema + `".oidcgate_records`)
		check(with(u, "schema", schema), "a table is missing")
	})
	t.Run("another encoding", func(t *testing.T) {
		mayFail(t, db, `DROP DATABASE IF EXISTS oidcgate_latin1`)
		mayFail(t, db, `CREATE DATABASE oidcgate_latin1 ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C' LOCALE_PROVIDER libc`)
		defer db.MustExec(`DROP DATABASE oidcgate_latin1 WITH (FORCE)`)
		latin1 := *u
		latin1.Path = "/oidcgate_latin1"
		check(&latin1, "has the encoding LATIN1")
	})
	t.Run("role without rights", func(t *testing.T) {
		schema, role := newSchema(t), strings.ToLower(strings.ReplaceAll(newSchema(t), " ", "_"))
		mayFail(t, db, `CREATE ROLE `+role+` LOGIN PASSWORD 'hunter2'`)
		defer db.MustExec(`DROP OWNED BY ` + role + `; DROP ROLE ` + role)
		theirs := *with(u, "schema", schema)
		theirs.User = url.UserPassword(role, "hunter2")
		check(&theirs, "the role lacks a right")
		useAll(t, opened(t, open(t, with(u, "schema", schema).String())))
		check(&theirs, "the role lacks a right")
		db.MustExec(`GRANT USAGE ON SCHEMA "` + schema + `" TO ` + role + `; GRANT SELECT ON "` + schema + `".oidcgate_schema TO ` + role)
		check(&theirs, "GRANT SELECT, INSERT, UPDATE, DELETE ON")
		db.MustExec(`GRANT SELECT, INSERT, UPDATE, DELETE ON "` + schema + `".oidcgate_records TO ` + role)
		useAll(t, opened(t, open(t, theirs.String())))
	})
}

// mayFail makes what only a role with more rights may make on a server that is
// not ours.
func mayFail(t *testing.T, db *sqlx.DB, statement string) {
	t.Helper()
	if _, err := db.Exec(statement); err != nil {
		var code interface{ SQLState() string }
		if errors.As(err, &code) && code.SQLState() == "42501" {
			t.Skip(err)
		}
		t.Fatal(err)
	}
}

// TestFullDiskIsSaidToBeFull has the server answer so to whatever is written.
func TestFullDiskIsSaidToBeFull(t *testing.T) {
	p := startProxy(t, &proxy{deal: func(request string) fate {
		if strings.Contains(request, statements["insert"]) {
			return diskFull
		}
		return pass
	}})
	s := opened(t, open(t, with(p.url, "schema", newSchema(t)).String()))
	wantAdvice(t, use(t, s), "the server's disk is full: make room")
}
