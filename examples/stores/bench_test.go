package stores_test

import (
	"slices"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/store"
)

// BenchmarkRefresh measures the three calls of a refresh with a thousand sessions
// and with a million, beside a SELECT 1, in turns.
//
//	scripts/with-postgres go test -run '^$' -bench Refresh -benchtime 9x ./examples/stores
func BenchmarkRefresh(b *testing.B) {
	const few, many, times = 1_000, 1_000_000, 500
	for name, fresh := range backends {
		b.Run(name, func(b *testing.B) {
			small, large := fresh(b), fresh(b)
			small.fill(b, 0, few, never)
			large.fill(b, 0, many, never)
			small.db.SetMaxOpenConns(1)
			large.db.SetMaxOpenConns(1)
			var one, atFew, atMany, ratios []float64
			for b.Loop() {
				one = append(one, middle(timed(times, func(int) {
					if err := small.db.QueryRowContext(b.Context(), "SELECT 1").Scan(new(int)); err != nil {
						b.Fatal(err)
					}
				})))
				atFew = append(atFew, middle(timed(times, func(i int) { refresh(b, small.store, small.id(i*7919%few)) })))
				atMany = append(atMany, middle(timed(times, func(i int) { refresh(b, large.store, large.id(i*7919%many)) })))
				ratios = append(ratios, atMany[len(atMany)-1]/atFew[len(atFew)-1])
			}
			b.ReportMetric(middle(one), "ms-SELECT-1")
			b.ReportMetric(middle(atFew), "ms-1,000")
			b.ReportMetric(middle(atMany), "ms-1,000,000")
			b.ReportMetric(middle(ratios), "times")
		})
	}
}

// BenchmarkPurge measures how long the slowest hundredth of refreshes takes while
// core removes expired records, of which there are 100,000, and without, in turns.
//
//	scripts/with-postgres go test -run '^$' -bench Purge -benchtime 9x ./examples/stores
func BenchmarkPurge(b *testing.B) {
	const live, expired, refreshes = 1_000, 100_000, 2_000
	for name, fresh := range backends {
		b.Run(name, func(b *testing.B) {
			place := fresh(b)
			place.fill(b, 0, live, never)
			place.fill(b, live, expired, 1)
			remaining := func() (n int) {
				b.Helper()
				if err := place.db.Get(&n, "SELECT count(*) FROM "+place.table+" WHERE kind = 'session'"); err != nil {
					b.Fatal(err)
				}
				return n
			}
			p99 := func() float64 {
				return timed(refreshes, func(i int) { refresh(b, place.store, place.id(i*7919%live)) })[refreshes*99/100]
			}
			var alone, purging, ratios []float64
			var removed int
			var took time.Duration
			for b.Loop() {
				alone = append(alone, p99())
				auth := started(b, place.store)
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
		})
	}
}

// never is when sessions expire that a benchmark wants to keep, in milliseconds.
const never = 4_000_000_000_000

// fill makes a signing key, and adds sessions with the numbers from first on, whose ids
// are in no order.
func (p backend) fill(b *testing.B, first, n int, expires int64) {
	b.Helper()
	if err := started(b, p.store).Close(); err != nil {
		b.Fatal(err)
	}
	p.add(first, n, expires)
}

// add adds the sessions alone.
func (p backend) add(first, n int, expires int64) {
	p.db.MustExec(p.insert, first, n, expires)
	p.db.MustExec("ANALYZE " + p.table)
}

// started gives an application that has opened the store, and so purges it.
func started(b *testing.B, s store.Store) *core.Auth {
	b.Helper()
	auth := newAuth(b, s, secret)
	if err := start(b, auth); err != nil {
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
func refresh(b *testing.B, s store.Store, id string) {
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
