package postgres_test

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/oidcgate/oidcgate/store/internal/recorder"
	"github.com/oidcgate/oidcgate/store/postgres"
)

// TestEveryStatementGoesByAnIndex reads the plans of what the store asks, of a
// table with so many records that the server would rather not read them all.
func TestEveryStatementGoesByAnIndex(t *testing.T) {
	u, schema := serverURL(t), newSchema(t)
	connector, err := pq.NewConnector(u.String())
	if err != nil {
		t.Fatal(err)
	}
	rec := &recorder.Recorder{Connector: connector}
	db := sqlx.NewDb(sql.OpenDB(rec), "postgres")
	defer db.Close()
	s := opened(t, postgres.New(db, postgres.Options{Schema: schema}))
	plain := connect(t, u)
	// Sessions of 10,000 users, of whom one has a fifth of all; a tenth has expired.
	plain.MustExec(`INSERT INTO "` + schema + `".oidcgate_records SELECT 'session', md5(i::text), 1,
		CASE WHEN i % 5 = 0 THEN 'alice' ELSE 'user-' || i % 10000 END, 'sid-' || i, '\x00', i FROM generate_series(1, 50000) i`)
	plain.MustExec(`ANALYZE "` + schema + `".oidcgate_records`)
	rec.Take()
	useAll(t, s)
	seen := rec.Take()
	if len(seen) != 7 {
		t.Fatalf("the store made %d statements", len(seen))
	}
	for _, statement := range seen {
		var plan []string
		if err := plain.Select(&plan, "EXPLAIN "+statement.Query, statement.Args...); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(plan, "\n")
		t.Logf("%s\n%s", statement.Query, text)
		if strings.Contains(text, "Seq Scan") || !strings.Contains(text, "Index") && !strings.Contains(text, "Insert on") {
			t.Errorf("%s\ngoes by no index:\n%s", statement.Query, text)
		}
	}
}
