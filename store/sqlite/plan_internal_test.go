package sqlite

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/internal/recorder"
	"modernc.org/sqlite"
)

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
	rec := &recorder.Recorder{Connector: connector}
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
	seen := rec.Take()
	if len(seen) != 1+len(calls) {
		t.Fatalf("the store made %d statements", len(seen))
	}
	for _, statement := range seen {
		plan := plan(t, plain, statement)
		t.Logf("%s\n%s", statement.Query, plan)
		looksUp := !strings.HasPrefix(statement.Query, "INSERT")
		if strings.Contains(plan, "SCAN") || strings.Contains(plan, "TEMP B-TREE") || strings.Contains(plan, "INDEX") != looksUp {
			t.Errorf("%s\ngoes by no index:\n%s", statement.Query, plan)
		}
	}
}

func plan(t *testing.T, db *sql.DB, s recorder.Statement) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+s.Query, s.Args...)
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
