package postgres_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"
	"sync"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/oidcgate/oidcgate/store/postgres"
)

// recorder is a driver that remembers statements and their parameters.
type recorder struct {
	driver.Connector
	mu   sync.Mutex
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
	r.mu.Lock()
	r.seen = append(r.seen, statement{query, args})
	r.mu.Unlock()
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

func (c recorded) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
}

// TestEveryStatementGoesByAnIndex reads the plans of what the store asks, of a
// table with so many records that the server would rather not read them all.
func TestEveryStatementGoesByAnIndex(t *testing.T) {
	u, schema := serverURL(t), newSchema(t)
	connector, err := pq.NewConnector(u.String())
	if err != nil {
		t.Fatal(err)
	}
	rec := &recorder{Connector: connector}
	db := sqlx.NewDb(sql.OpenDB(rec), "postgres")
	defer db.Close()
	s := opened(t, postgres.New(db, postgres.Options{Schema: schema}))
	plain := connect(t, u)
	// Sessions of 10,000 users, of whom one has a fifth of all; a tenth has expired.
	plain.MustExec(`INSERT INTO "` + schema + `".oidcgate_records SELECT 'session', md5(i::text), 1,
		CASE WHEN i % 5 = 0 THEN 'alice' ELSE 'user-' || i % 10000 END, 'sid-' || i, '\x00', i FROM generate_series(1, 50000) i`)
	plain.MustExec(`ANALYZE "` + schema + `".oidcgate_records`)
	rec.seen = nil
	useAll(t, s)
	if len(rec.seen) != 7 {
		t.Fatalf("the store made %d statements", len(rec.seen))
	}
	for _, statement := range rec.seen {
		var plan []string
		if err := plain.Select(&plan, "EXPLAIN "+statement.query, statement.args...); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(plan, "\n")
		t.Logf("%s\n%s", statement.query, text)
		if strings.Contains(text, "Seq Scan") || !strings.Contains(text, "Index") && !strings.Contains(text, "Insert on") {
			t.Errorf("%s\ngoes by no index:\n%s", statement.query, text)
		}
	}
}
