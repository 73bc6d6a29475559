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

// BenchmarkRefresh measures the three calls of a refresh with a thousand sessions
// and with a million, beside a SELECT 1, in turns.
//
//	go test -run '^$' -bench Refresh -benchtime 9x ./store/sqlite
func BenchmarkRefresh(b *testing.B) {
	const few, many, times = 1_000, 1_000_000, 500
	small, db := withSessions(b, few)
	large, _ := withSessions(b, many)
	var one, atFew, atMany, ratios []float64
	for b.Loop() {
		one = append(one, middle(timed(times, func(int) {
			if err := db.QueryRowContext(b.Context(), "SELECT 1").Scan(new(int)); err != nil {
				b.Fatal(err)
			}
		})))
		atFew = append(atFew, middle(timed(times, func(i int) { refresh(b, small, id(i*7919%few)) })))
		atMany = append(atMany, middle(timed(times, func(i int) { refresh(b, large, id(i*7919%many)) })))
		ratios = append(ratios, atMany[len(atMany)-1]/atFew[len(atFew)-1])
	}
	b.ReportMetric(middle(one), "ms-SELECT-1")
	b.ReportMetric(middle(atFew), "ms-1,000")
	b.ReportMetric(middle(atMany), "ms-1,000,000")
	b.ReportMetric(middle(ratios), "times")
}

// BenchmarkPurge measures how long the slowest hundredth of refreshes takes while
// core removes expired records, of which there are 100,000, and without, in turns.
//
//	go test -run '^$' -bench Purge -benchtime 9x ./store/sqlite
func BenchmarkPurge(b *testing.B) {
	const live, expired, refreshes = 1_000, 100_000, 2_000
	s, db := withSessions(b, live)
	insert(b, db, live, expired, 1)
	remaining := func() (n int) {
		b.Helper()
		if err := db.QueryRow("SELECT count(*) FROM records WHERE kind = 'session'").Scan(&n); err != nil {
			b.Fatal(err)
		}
		return n
	}
	p99 := func() float64 {
		return timed(refreshes, func(i int) { refresh(b, s, id(i*7919%live)) })[refreshes*99/100]
	}
	var alone, purging, ratios []float64
	var removed int
	var took time.Duration
	for b.Loop() {
		alone = append(alone, p99())
		auth := started(b, s)
		before, began := remaining(), time.Now()
		purging = append(purging, p99())
		removed, took = removed+before-remaining(), took+time.Since(began)
		if err := auth.Close(); err != nil {
			b.Fatal(err)
		}
		ratios = append(ratios, purging[len(purging)-1]/alone[len(alone)-1])
	}
	if remaining() == live {
		b.Fatal("there was nothing left to purge")
	}
	b.ReportMetric(middle(alone), "ms-p99-alone")
	b.ReportMetric(middle(purging), "ms-p99-purging")
	b.ReportMetric(middle(ratios), "times")
	b.ReportMetric(float64(removed)/took.Seconds(), "removed/s")
}

// withSessions gives a store with a signing key and so many sessions, and its
// database.
func withSessions(b *testing.B, n int) (core.Store, *sql.DB) {
	b.Helper()
	path := filepath.Join(b.TempDir(), "app.db")
	s := opened(b, path)
	if err := started(b, s).Close(); err != nil {
		b.Fatal(err)
	}
	db := plain(b, path+"?_pragma=cache_size(-1000000)")
	insert(b, db, 0, n, 4_000_000_000_000)
	return s, db
}

// insert adds sessions with the numbers from first on, whose ids are in no order.
func insert(b *testing.B, db *sql.DB, first, n int, expires int64) {
	b.Helper()
	if _, err := db.Exec(`WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 + ?2 - 1)
		INSERT INTO records SELECT 'session', printf('%08x', i * 2654435761 & 4294967295), 1, 'user-' || i / 2, hex(randomblob(16)), randomblob(2048), ?3 FROM n`,
		first, n, expires); err != nil {
		b.Fatal(err)
	}
}

// id is the id of the session with that number.
func id(i int) string { return fmt.Sprintf("%08x", uint32(i*2654435761)) }

// started gives an application that has opened the store, and so purges it.
func started(b *testing.B, s core.Store) *core.Auth {
	b.Helper()
	auth := newAuth(b, s, secret)
	if err := startStore(b, auth); err != nil {
		b.Fatal(err)
	}
	return auth
}

// timed makes a call so many times, and gives how long each took, in milliseconds
// and in order.
func timed(times int, call func(i int)) []float64 {
	took := make([]float64, times)
	for i := range took {
		began := time.Now()
		call(i)
		took[i] = time.Since(began).Seconds() * 1000
	}
	slices.Sort(took)
	return took
}

func middle(values []float64) float64 { return slices.Sorted(slices.Values(values))[len(values)/2] }

// refresh makes the three calls of a refresh, which puts off the session's end.
func refresh(b *testing.B, s core.Store, id string) {
	r, err := s.Get(b.Context(), "session", id)
	for range 2 {
		if err == nil {
			r.Version, err = s.Put(b.Context(), r)
			r.Expires = r.Expires.Add(time.Minute)
		}
	}
	if err != nil {
		b.Fatal(err)
	}
}
