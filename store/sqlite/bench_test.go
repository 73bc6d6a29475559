package sqlite_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
)

// BenchmarkRefresh measures the three calls of a refresh beside a SELECT 1, with few
// and with many sessions there.
//
//	go test -run '^$' -bench . ./store/sqlite
func BenchmarkRefresh(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint(n, " sessions"), func(b *testing.B) {
			s, db := filled(b, n, 4_000_000_000_000)
			b.Run("SELECT 1", func(b *testing.B) {
				for b.Loop() {
					var one int
					if err := db.QueryRowContext(b.Context(), "SELECT 1").Scan(&one); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("Get, Put, Put", func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					refresh(b, s, fmt.Sprint(i*7919%n+1))
				}
			})
		})
	}
}

// BenchmarkPurge removes 100,000 records, in batches as core does, and measures how
// long the slowest hundredth of refreshes takes meanwhile and without.
func BenchmarkPurge(b *testing.B) {
	for range b.N {
		b.StopTimer()
		s, _ := filled(b, 100_000, 1)
		put(b, s, core.Record{Kind: "session", ID: "live", Data: make([]byte, 1024)})
		alone := slowest(b, s, func(n int) bool { return n >= 500 })
		b.StartTimer()
		done := make(chan error, 1)
		go func() {
			for {
				if n, err := s.Purge(b.Context(), time.UnixMilli(1), 100); err != nil || n < 100 {
					done <- err
					return
				}
			}
		}()
		purging := slowest(b, s, func(int) bool { return len(done) > 0 })
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(alone.Microseconds()), "µs-p99-alone")
		b.ReportMetric(float64(purging.Microseconds()), "µs-p99-purging")
	}
}

// filled gives a store with so many sessions, and its database.
func filled(b *testing.B, n int, expires int64) (core.Store, *sql.DB) {
	path := filepath.Join(b.TempDir(), "app.db")
	s := opened(b, path)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	if _, err := db.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO records SELECT 'session', i, 1, 'user-' || i / 2, 'sid-' || i, randomblob(1024), ?2 FROM n`, n, expires); err != nil {
		b.Fatal(err)
	}
	return s, db
}

// slowest refreshes until it is enough, and gives the 99th percentile.
func slowest(b *testing.B, s core.Store, enough func(n int) bool) time.Duration {
	var took []time.Duration
	for len(took) == 0 || !enough(len(took)) {
		begin := time.Now()
		refresh(b, s, "live")
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
