package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/oidcgate/oidcgate/store"
)

// expiring is a record with keys and an expiry.
func expiring(id string, expires time.Time) store.Record {
	r := keyed(id, "key", "key of "+id)
	r.Expires = expires
	return r
}

func thereUntilItExpires(p place) {
	s := p.store()
	soon := s.mustPut(expiring("soon", time.Now().Add(time.Hour).Truncate(time.Millisecond)))
	never := s.mustPut(expiring("never", time.Time{}))
	past := s.mustPut(expiring("past", time.Now().Add(-time.Hour).Truncate(time.Millisecond)))

	// What has expired may be gone by an expiry of the store's own.
	switch got, err := s.get(kind, past.ID); {
	case err == nil:
		s.wantSame(got, past)
	case !errors.Is(err, store.ErrNotFound):
		p.Fatalf("Get of an expired record: %v", err)
	}
	s.want(soon)
	s.want(never)
	var found []store.Record
	for _, r := range s.mustFind(kind, "key", "", 10) {
		if r.ID != past.ID {
			found = append(found, r)
		}
	}
	s.wantPage(found, []store.Record{soon, never})
}

func purgeBoundary(p place) {
	s := p.store()
	now := tomorrow()
	for name, row := range map[string]struct {
		now   time.Time
		stays bool
	}{
		"a nanosecond before":       {now.Add(-1), true},
		"a millisecond before":      {now.Add(-time.Millisecond), true},
		"just then":                 {now, false},
		"just then, in a time zone": {now.In(time.FixedZone("", 9*3600)), false},
		"a nanosecond after":        {now.Add(1), false},
		"a millisecond after":       {now.Add(time.Millisecond), false},
	} {
		r := s.mustPut(expiring(name, now))
		never := s.mustPut(record("never"))
		n, err := s.purge(row.now, 10)
		s.must(err, "Purge")
		switch {
		case n == 0 && row.stays:
			s.want(r)
			s.mustDelete(r)
		case n == 1 && !row.stays:
			s.wantMissing(kind, r.ID)
		default:
			p.Fatalf("Purge %s removed %d records", name, n)
		}
		s.want(never)
		s.mustDelete(never)
	}
	never := s.mustPut(record("never"))
	s.wantPurged(time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC), 10, 0)
	s.want(never)
}

func purgeGoesByItsTime(p place) {
	s := p.store()
	past := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	s.mustPut(expiring("past", past))
	soon := s.mustPut(expiring("soon", tomorrow()))
	late := s.mustPut(expiring("late", tomorrow().AddDate(50, 0, 0)))
	// The record that has expired may be gone, but none is for Purge to remove.
	s.wantPurged(past.Add(-time.Millisecond), 10, 0)
	if got, err := s.get(kind, "past"); err == nil {
		s.mustDelete(got)
	} else if !errors.Is(err, store.ErrNotFound) {
		p.Fatalf("Get of an expired record: %v", err)
	}
	s.wantPurged(time.Now(), 10, 0)
	s.want(soon)
	s.wantPurged(soon.Expires.AddDate(10, 0, 0), 10, 1)
	s.wantMissing(kind, soon.ID)
	s.want(late)
	s.wantPurged(late.Expires, 10, 1)
	s.wantMissing(kind, late.ID)
}

func purgeKeepsToItsLimit(p place) {
	s := p.store()
	now := tomorrow()
	for limit := 1; limit <= 6; limit++ {
		const expired = 5
		for i := range expired {
			s.mustPut(expiring(fmt.Sprint(i), now.Add(-time.Duration(i)*time.Minute)))
		}
		live := s.mustPut(expiring("live", now.Add(time.Minute)))
		for left := expired; ; left -= limit {
			s.wantPurged(now, limit, min(left, limit))
			if found := s.mustFind(kind, "", "", 10); len(found) != max(0, left-limit)+1 {
				p.Fatalf("Purge was to remove %d of %d records, and %d are there", min(left, limit), left, len(found)-1)
			}
			if left < limit {
				break
			}
		}
		s.wantFound(kind, "", live)
		s.mustDelete(live)
	}
}

func purgeSeesPresentExpiry(p place) {
	s := p.store()
	now := tomorrow()
	change := func(id string, from, to time.Time) store.Record {
		r := s.mustPut(expiring(id, from))
		r.Expires = to
		return s.mustPut(r)
	}
	later := change("later", now, now.Add(time.Millisecond))
	never := change("never", now, time.Time{})
	change("earlier", now.Add(time.Hour), now)
	change("at-last", time.Time{}, now)
	again := s.mustPut(expiring("again", now))
	s.mustDelete(again)
	again.Version, again.Expires = 0, now.Add(time.Hour)
	again = s.mustPut(again)

	s.wantPurged(now, 10, 2)
	s.wantFound(kind, "", later, never, again)
}

func purgeLeavesNothing(p place) {
	s := p.store()
	now := tomorrow()
	var old []store.Record
	for _, k := range []string{"a", "b", kind} {
		r := expiring("id", now)
		r.Kind = k
		old = append(old, s.mustPut(s.mustPut(r)))
	}
	s.wantPurged(now, 10, len(old))
	for _, r := range old {
		s.wantMissing(r.Kind, r.ID)
		s.wantFound(r.Kind, "")
		s.wantFound(r.Kind, "key")
		_, err := s.put(r)
		s.wantConflict(err, "Put of a purged record")
		s.wantConflict(s.delete(r.Kind, r.ID, r.Version), "Delete of a purged record")
		r.Version = 0
		s.want(s.mustPut(r))
	}
}

// purgeWhileOthersWrite has two who purge while others put off the expiry of
// half of what has expired, and change what has not.
func purgeWhileOthersWrite(p place) {
	handles := p.both()
	for round := range 5 {
		purgeRound(handles, round)
	}
}

func purgeRound(handles [2]handle, round int) {
	s := handles[0]
	now := tomorrow()
	later := now.Add(time.Hour)
	const n, purgers, writers, limit = 60, 2, 8, 7
	records := make([]store.Record, n)
	for i := range records {
		expires := now
		if i%3 == 0 {
			expires = later
		}
		records[i] = s.mustPut(expiring(fmt.Sprint(round, "-", i), expires))
	}
	var purged [purgers]int
	put := make([]error, n)
	errs := together(purgers+writers, func(g int) error {
		s := handles[g%2]
		g = (g + 3*round) % (purgers + writers) // whoever is first shall not always be a purger
		if g < purgers {
			for range n {
				removed, err := s.purge(now, limit)
				if purged[g] += removed; err != nil || removed < limit {
					return err
				}
			}
			return fmt.Errorf("after %d calls Purge still finds more", n)
		}
		for i := g - purgers; i < n; i += writers {
			if i%3 == 2 {
				continue
			}
			r := records[i]
			r.Expires = later
			if _, put[i] = s.put(r); put[i] != nil && !errors.Is(put[i], store.ErrConflict) {
				return put[i]
			}
		}
		return nil
	})
	s.must(errors.Join(errs...), "purging while others write")

	rest, err := s.purge(now, n)
	s.must(err, "Purge")
	gone := 0
	for i, r := range records {
		switch {
		case i%3 == 0 && put[i] != nil:
			s.t.Fatalf("a Put of a live record: %v", put[i])
		case i%3 == 2 || put[i] != nil:
			gone++
			s.wantMissing(kind, r.ID)
		default:
			r.Version, r.Expires = 2, later
			s.want(r)
		}
	}
	if sum := rest + purged[0] + purged[1]; sum != gone {
		s.t.Fatalf("Purge says it removed %d records, and %d are gone", sum, gone)
	}
}
