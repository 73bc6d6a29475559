package postgres_test

import (
	"context"
	"crypto/md5"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/store/postgres"
)

// BenchmarkRefresh measures the three calls of a refresh beside a SELECT 1 by the
// same connection, with few and with many sessions there.
//
//	scripts/with-postgres go test -run '^$' -bench . ./store/postgres
func BenchmarkRefresh(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint(n, " sessions"), func(b *testing.B) {
			db := connect(b, with(serverURL(b), "binary_parameters", "yes"))
			db.SetMaxOpenConns(1)
			schema := newSchema(b)
			s := opened(b, postgres.New(db, postgres.Options{Schema: schema}))
			db.MustExec(`INSERT INTO "` + schema + `".oidcgate_records SELECT 'session', md5(i::text), 1, 'user-' || i / 2, 'sid-' || i,
				decode(repeat(md5(i::text), 64), 'hex'), 4000000000000 FROM generate_series(1, ` + strconv.Itoa(n) + `) i`)
			db.MustExec(`VACUUM ANALYZE "` + schema + `".oidcgate_records`)
			b.Run("SELECT 1", func(b *testing.B) {
				for b.Loop() {
					var one int
					if err := db.GetContext(b.Context(), &one, "SELECT 1"); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("Get, Put, Put", func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					refresh(b, s, md5Hex(i*7919%n+1))
				}
			})
		})
	}
}

// BenchmarkPurge removes 100,000 records, in batches as core does, and measures how
// long the slowest hundredth of refreshes takes meanwhile and without.
func BenchmarkPurge(b *testing.B) {
	u, schema := serverURL(b), newSchema(b)
	s, db := opened(b, open(b, with(u, "schema", schema).String())), connect(b, u)
	old := `INSERT INTO "` + schema + `".oidcgate_records SELECT 'session', 'old-' || i, 1, 'user-' || i / 2, 'sid-' || i,
		decode(repeat(md5(i::text), 64), 'hex'), 1 FROM generate_series(1, 100000) i`
	for i := range 1000 {
		if _, err := s.Put(b.Context(), core.Record{Kind: "session", ID: md5Hex(i + 1), Data: make([]byte, 1024)}); err != nil {
			b.Fatal(err)
		}
	}
	for range b.N {
		b.StopTimer()
		db.MustExec(old)
		alone := slowest(b, s, func() bool { return true })
		b.StartTimer()
		ctx, done := context.WithCancel(b.Context())
		go func() {
			defer done()
			for n := 100; n == 100; {
				var err error
				if n, err = s.Purge(ctx, time.UnixMilli(1), 100); err != nil {
					b.Error(err)
				}
			}
		}()
		purging := slowest(b, s, func() bool { return ctx.Err() != nil })
		b.ReportMetric(float64(alone.Microseconds()), "µs-p99-alone")
		b.ReportMetric(float64(purging.Microseconds()), "µs-p99-purging")
	}
}

// slowest refreshes 5,000 times, and on until it is done, and gives the 99th percentile.
func slowest(b *testing.B, s core.Store, done func() bool) time.Duration {
	var took []time.Duration
	for i := 0; i < 5_000 || !done(); i++ {
		begin := time.Now()
		refresh(b, s, md5Hex(i%1000+1))
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

func refresh(b *testing.B, s core.Store, id string) {
	r, err := s.Get(b.Context(), "session", id)
	for range 2 {
		if err == nil {
			r.Version, err = s.Put(b.Context(), r)
		}
	}
	if err != nil {
		b.Fatal(err)
	}
}

func md5Hex(i int) string { return fmt.Sprintf("%x", md5.Sum([]byte(strconv.Itoa(i)))) }
