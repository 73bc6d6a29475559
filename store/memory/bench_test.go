package memory_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
)

// BenchmarkRefresh measures the three calls of a refresh with a thousand sessions and
// with a million, in turns.
//
//	go test -run '^$' -bench Refresh -benchtime 9x ./store/memory
func BenchmarkRefresh(b *testing.B) {
	const few, many, times = 1_000, 1_000_000, 10_000
	small, large := withSessions(b, few), withSessions(b, many)
	var atFew, atMany, ratios []float64
	for b.Loop() {
		atFew = append(atFew, middle(timed(times, func(i int) { refresh(b, small, id(i*7919%few)) })))
		atMany = append(atMany, middle(timed(times, func(i int) { refresh(b, large, id(i*7919%many)) })))
		ratios = append(ratios, atMany[len(atMany)-1]/atFew[len(atFew)-1])
	}
	b.ReportMetric(middle(atFew), "ms-1,000")
	b.ReportMetric(middle(atMany), "ms-1,000,000")
	b.ReportMetric(middle(ratios), "times")
}

// withSessions gives a store with so many sessions.
func withSessions(b *testing.B, n int) store.Store {
	b.Helper()
	s := memory.New()
	for i := range n {
		r := store.Record{Kind: "session", ID: id(i), Keys: [2]string{fmt.Sprint("user-", i/2), "sid-" + id(i)}, Data: make([]byte, 2048), Expires: time.Unix(2e9+int64(i*7907%2592000), 0)}
		if _, err := s.Put(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// id is the id of the session with that number; they are in no order.
func id(i int) string { return fmt.Sprintf("%08x", uint32(i*2654435761)) }

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
