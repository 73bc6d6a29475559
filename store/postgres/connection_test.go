package postgres_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/postgres"
	"github.com/oidcgate/oidcgate/store/storetest"
)

// TestPooledConnectionsAreAStore has what PgBouncer does in transaction mode.
func TestPooledConnectionsAreAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() store.Store {
		p := startProxy(t, &proxy{pooled: true})
		u := with(p.url, "schema", newSchema(t))
		return func() store.Store { return open(t, u.String()) }
	})
}

// TestPooledConnectionsNeedBinaryParameters shows that the proxy does what would
// go unnoticed with a connection of one's own.
func TestPooledConnectionsNeedBinaryParameters(t *testing.T) {
	p := startProxy(t, &proxy{pooled: true})
	for parameter, works := range map[string]bool{"yes": true, "no": false} {
		db := connect(t, with(p.url, "binary_parameters", parameter))
		db.SetMaxIdleConns(2)
		errs := make([]error, 20)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() { _, errs[i] = db.ExecContext(t.Context(), "SELECT $1::text", "a") })
		}
		all.Wait()
		if err := errors.Join(errs...); (err == nil) != works {
			t.Errorf("binary_parameters=%s: %v", parameter, err)
		}
	}
}

func TestNothingIsLeftInTheSession(t *testing.T) {
	db := connect(t, with(serverURL(t), "binary_parameters", "yes"))
	db.SetMaxOpenConns(1)
	s := opened(t, postgres.New(db, postgres.Options{Schema: newSchema(t)}))
	useAll(t, s)
	var left int
	if err := db.Get(&left, `SELECT (SELECT count(*) FROM pg_prepared_statements) + (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())`); err != nil || left != 0 {
		t.Fatalf("%d statements and locks are left, error %v", left, err)
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

// useAll makes a call of each kind, which has to succeed.
func useAll(t testing.TB, s store.Store) {
	t.Helper()
	ctx := t.Context()
	r := store.Record{Kind: "session", ID: "use-all", Keys: [2]string{"alice", "sid"}, Data: []byte("data"), Expires: time.UnixMilli(1)}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	for range 2 {
		r.Version, err = s.Put(ctx, r)
		must(err)
	}
	_, err = s.Get(ctx, r.Kind, r.ID)
	must(err)
	for _, key := range []string{"", "alice"} {
		_, err = s.Find(ctx, r.Kind, key, "", 10)
		must(err)
	}
	must(s.Delete(ctx, r.Kind, r.ID, r.Version))
	_, err = s.Purge(ctx, time.UnixMilli(1), 100)
	must(err)
}

// TestSilentServerEndsWithTheContext has a server that is there and doesn't answer,
// which the driver would wait for.
func TestSilentServerEndsWithTheContext(t *testing.T) {
	p := startProxy(t, &proxy{deal: func(request string) fate {
		if strings.Contains(request, statements["get"]) {
			return noAnswer
		}
		return pass
	}})
	s := opened(t, open(t, with(p.url, "schema", newSchema(t)).String()))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Get(ctx, "session", "id"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Get: %v", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	silent := open(t, "postgres://user@"+listener.Addr().String()+"/db?sslmode=disable")
	defer silent.Close()
	if err := silent.Open(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Open: %v", err)
	}
}

// TestContextEndsASlowQuery has a call wait for a lock, and end with its context,
// on the server as well.
func TestContextEndsASlowQuery(t *testing.T) {
	schema := newSchema(t)
	name := strings.ReplaceAll(schema, " ", "-")
	s := opened(t, open(t, with(with(serverURL(t), "schema", schema), "application_name", name).String()))
	db := connect(t, serverURL(t))
	for _, want := range []error{context.Canceled, context.DeadlineExceeded} {
		tx, err := db.Beginx()
		if err != nil {
			t.Fatal(err)
		}
		tx.MustExec(`LOCK TABLE "` + schema + `".oidcgate_records`)
		ctx, cancel := context.WithCancel(t.Context())
		if want == context.DeadlineExceeded {
			ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
		}
		failed := make(chan error)
		go func() {
			_, err := s.Put(ctx, store.Record{Kind: "session", ID: "id"})
			failed <- err
		}()
		waitFor(t, db, 1, name)
		if want == context.Canceled {
			cancel()
		}
		if err := <-failed; !errors.Is(err, want) {
			t.Fatalf("the error is %v, not %v", err, want)
		}
		waitFor(t, db, 0, name)
		cancel()
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), "session", "id"); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("the cancelled Put was done: %v", err)
		}
	}
}

// waitFor asks the server until so many connections of that name wait for a lock.
func waitFor(t *testing.T, db *sqlx.DB, n int, application string) {
	t.Helper()
	for waiting := -1; waiting != n; {
		if err := db.GetContext(t.Context(), &waiting, "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'", application); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCutConnectionsAreReplaced ends all of a pool's connections while they idle.
func TestCutConnectionsAreReplaced(t *testing.T) {
	schema := newSchema(t)
	name := strings.ReplaceAll(schema, " ", "-")
	s := opened(t, open(t, with(with(serverURL(t), "schema", schema), "application_name", name).String()))
	db := connect(t, serverURL(t))
	for call := range statements {
		t.Run(call, func(t *testing.T) {
			fill(t, s)
			db.MustExecContext(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", name)
			r := store.Record{Kind: "session", ID: call}
			var err error
			switch call {
			case "insert":
				_, err = s.Put(t.Context(), r)
			case "update":
				r.ID, r.Version = "fill", 1
				_, err = s.Put(t.Context(), r)
			case "delete":
				r.ID, r.Version = "fill", 1
				err = s.Delete(t.Context(), r.Kind, r.ID, r.Version)
			case "get":
				_, err = s.Get(t.Context(), "session", "fill")
			case "find":
				_, err = s.Find(t.Context(), "session", "", "", 10)
			case "purge":
				_, err = s.Purge(t.Context(), time.Now(), 10)
			}
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// fill puts the record session fill, version 1, and has all connections of the pool open.
func fill(t *testing.T, s store.Store) {
	t.Helper()
	if r, err := s.Get(t.Context(), "session", "fill"); err == nil {
		if err := s.Delete(t.Context(), r.Kind, r.ID, r.Version); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Put(t.Context(), store.Record{Kind: "session", ID: "fill"}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { _, _ = s.Get(t.Context(), "session", "fill") })
	}
	all.Wait()
}

// TestServerMayRestart stops and starts the server that scripts/with-postgres has
// made, as after a crash.
func TestServerMayRestart(t *testing.T) {
	control := os.Getenv("TEST_POSTGRES_CONTROL")
	if serverURL(t); control == "" {
		t.Skip("the server is not ours to stop: TEST_POSTGRES_CONTROL is not set")
	}
	do := func(what string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), control, what).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", what, err, out)
		}
	}
	s := opened(t, open(t, with(serverURL(t), "schema", newSchema(t)).String()))
	fill(t, s)
	do("stop")
	start := sync.OnceFunc(func() { do("start") })
	defer start()
	if _, err := s.Get(t.Context(), "session", "fill"); err == nil || !strings.Contains(err.Error(), "can't be reached") {
		t.Errorf("Get without a server: %v", err)
	}
	if _, err := s.Put(t.Context(), store.Record{Kind: "session", ID: "new"}); err == nil || errors.Is(err, store.ErrConflict) {
		t.Errorf("Put without a server: %v", err)
	}
	start()
	useAll(t, s)
	fill(t, s)
	do("restart")
	if version, err := s.Put(t.Context(), store.Record{Kind: "session", ID: "fill", Version: 1}); err != nil || version != 2 {
		t.Fatalf("Put after a restart: version %d, %v", version, err)
	}
	useAll(t, s)
}

// TestAbsentServer asks for a server that was never there.
func TestAbsentServer(t *testing.T) {
	for _, address := range []string{"/db?host=" + filepath.Join(t.TempDir(), "no-socket"), "127.0.0.1:1/db?sslmode=disable"} {
		s := open(t, "postgres://user:hunter2@"+address)
		defer s.Close()
		wantAdvice(t, s.Open(t.Context()), "can't be reached")
		wantAdvice(t, use(t, s), "can't be reached: start it")
	}
}

// wantAdvice checks the one error that a person gets to see.
func wantAdvice(t *testing.T, err error, advice string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), advice) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error is %v, without %q", err, advice)
		return
	}
	t.Log(err)
}

// use makes the first calls that an application makes when it starts.
func use(t testing.TB, s store.Store) error {
	t.Helper()
	err := s.Open(t.Context())
	if err == nil {
		_, err = s.Find(t.Context(), "signing-key", "", "", 100)
	}
	if err == nil {
		_, err = s.Put(t.Context(), store.Record{Kind: "signing-key", ID: "first"})
	}
	return err
}
