package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/store"
	"modernc.org/sqlite"
)

// recorder is a driver that remembers statements and their parameters.
type recorder struct {
	driver.Connector
	seen []statement
}

type statement struct {
	query string
	args  []any
}

func (r *recorder) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := r.Connector.Connect(ctx)
	return recorded{c, r}, err
}

func (r *recorder) add(query string, named []driver.NamedValue) {
	args := make([]any, len(named))
	for i, n := range named {
		args[i] = n.Value
	}
	r.seen = append(r.seen, statement{query, args})
}

type recorded struct {
	driver.Conn
	*recorder
}

func (c recorded) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.add(query, args)
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c recorded) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.add(query, args)
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

// TestEveryStatementGoesByAnIndex reads the plans of what the store asks: none
// reads the whole table, or sorts more than the page that it gives.
func TestEveryStatementGoesByAnIndex(t *testing.T) {
	ctx := t.Context()
	s := New(filepath.Join(t.TempDir(), "app.db")).(*records)
	if err := s.Open(ctx); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	db := s.db.Load()
	connector, err := sqlite.NewConnector(db.path)
	if err != nil {
		t.Fatal(err)
	}
	rec := &recorder{Connector: connector}
	both := sql.OpenDB(rec)
	defer both.Close()
	s.db.Store(&database{write: both, read: both})
	plain := db.write
	defer plain.Close()
	defer db.read.Close()

	calls := []func() error{
		func() error { _, err := s.Get(ctx, "session", "id"); return err },
		func() error { _, err := s.Find(ctx, "session", "", "", 10); return err },
		func() error { _, err := s.Find(ctx, "session", "alice", "", 10); return err },
		func() error { _, err := s.Put(ctx, store.Record{Kind: "session", ID: "id", Version: 1}); return err },
		func() error { return s.Delete(ctx, "session", "id", 2) },
		func() error { _, err := s.Purge(ctx, time.Now(), 10); return err },
	}
	if _, err := s.Put(ctx, store.Record{Kind: "session", ID: "id"}); err != nil {
		t.Fatal(err)
	}
	for _, call := range calls {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	if len(rec.seen) != 1+len(calls) {
		t.Fatalf("the store made %d statements", len(rec.seen))
	}
	for _, statement := range rec.seen {
		plan := plan(t, plain, statement)
		t.Logf("%s\n%s", statement.query, plan)
		looksUp := !strings.HasPrefix(statement.query, "INSERT")
		if strings.Contains(plan, "SCAN") || strings.Contains(plan, "TEMP B-TREE") || strings.Contains(plan, "INDEX") != looksUp {
			t.Errorf("%s\ngoes by no index:\n%s", statement.query, plan)
		}
	}
}

func plan(t *testing.T, db *sql.DB, s statement) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+s.query, s.args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(detail + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
