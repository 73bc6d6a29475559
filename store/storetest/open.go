package storetest

import (
	"errors"
	"fmt"

	"github.com/oidcgate/oidcgate/store"
)

func tenOpenAtOnce(p place) {
	handles := make([]handle, 10)
	for i := range handles {
		handles[i] = handle{p.T, p.open()}
		p.Cleanup(func() { handles[i].Close() })
	}
	var want []store.Record
	for round := range 2 {
		handles[0].must(errors.Join(together(len(handles), func(i int) error { return handles[i].open() })...), "ten times Open at once")
		for i, s := range handles {
			want = append(want, s.mustPut(record(fmt.Sprint(round, i))))
		}
		for _, s := range handles {
			s.wantFound(kind, "", want...)
		}
	}
}

func openingAgain(p place) {
	s := p.store()
	r := s.mustPut(expiring("id", tomorrow()))
	s.must(s.open(), "the second Open")
	s.want(r)
	r = s.mustPut(r)
	p.store().want(r)
	s.want(r)
}

func recordsOutliveAHandle(p place) {
	var all []store.Record
	for i := range 3 {
		s := handle{p.T, p.open()}
		s.must(s.open(), "Open")
		s.wantFound(kind, "", all...)
		for j, r := range all {
			all[j] = s.mustPut(r)
		}
		all = append(all, s.mustPut(expiring(fmt.Sprint(i), tomorrow())))
		s.must(s.Close(), "Close")
	}
	s := p.store()
	s.wantFound(kind, "", all...)
	s.wantFound(kind, "key", all...)
}

func handlesSeeEachOther(p place) {
	a, b := p.store(), p.store()
	r := record("id")
	for range 3 {
		r = a.mustPut(r)
		b.want(r)
		r = b.mustPut(r)
		a.want(r)
	}
	r.Keys[0], r.Expires = "key", tomorrow()
	r = a.mustPut(r)
	b.wantFound(kind, "key", r)
	stale := r
	r = b.mustPut(r)
	_, err := a.put(stale)
	a.wantConflict(err, "Put of what the other handle has changed")
	a.wantConflict(a.delete(kind, stale.ID, stale.Version), "Delete of what the other handle has changed")
	a.mustDelete(r)
	b.wantMissing(kind, r.ID)
	b.wantFound(kind, "key")

	r.Version = 0
	a.mustPut(r)
	b.wantPurged(r.Expires, 1, 1)
	a.wantMissing(kind, r.ID)
}

func closingTwice(p place) {
	s := handle{p.T, p.open()}
	s.must(s.open(), "Open")
	s.must(s.Close(), "Close")
	s.must(s.Close(), "the second Close")

	other := handle{p.T, p.open()}
	s.must(other.open(), "Open")
	s.must(errors.Join(together(2, func(int) error { return other.Close() })...), "Close from two goroutines")
}
