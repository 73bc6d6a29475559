package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/oidcgate/oidcgate/store"
)

// keyed is a record with keys.
func keyed(id, first, second string) store.Record {
	r := record(id)
	r.Keys = [2]string{first, second}
	return r
}

func foundByEachKey(p place) {
	s := p.store()
	x := s.mustPut(keyed("x", "alice", "phone"))
	y := s.mustPut(keyed("y", "bob", "alice"))
	z := s.mustPut(keyed("z", "alice", "alice"))
	w := s.mustPut(keyed("w", "", "phone"))
	other := keyed("x", "alice", "phone")
	other.Kind = "other"
	other = s.mustPut(other)

	s.wantFound(kind, "alice", x, y, z)
	s.wantFound(kind, "phone", x, w)
	s.wantFound(kind, "bob", y)
	s.wantFound("other", "alice", other)
	for _, key := range []string{"ali", "alice2", "Alice", "x", "alicephone", "ice"} {
		s.wantFound(kind, key)
	}
}

func emptyKeyFindsAll(p place) {
	s := p.store()
	all := []store.Record{
		s.mustPut(keyed("none", "", "")),
		s.mustPut(keyed("first", "a", "")),
		s.mustPut(keyed("second", "", "a")),
		s.mustPut(keyed("both", "a", "b")),
		s.mustPut(keyed("twice", "a", "a")),
	}
	other := record("other")
	other.Kind = "other"
	s.mustPut(other)
	s.wantFound(kind, "", all...)
	s.wantFound(kind, "a", all[1:]...)
}

func foundByPresentKeys(p place) {
	s := p.store()
	r := s.mustPut(keyed("id", "one", "two"))
	stays := s.mustPut(keyed("stays", "one", "two"))
	change := func(first, second string, finds ...string) {
		p.Helper()
		r.Keys = [2]string{first, second}
		r = s.mustPut(r)
		for _, key := range []string{"one", "two", "three"} {
			var want []store.Record
			if slices.Contains(finds, key) {
				want = append(want, r)
			}
			if key != "three" {
				want = append(want, stays)
			}
			s.wantFound(kind, key, want...)
		}
		s.wantFound(kind, "", r, stays)
	}
	change("one", "two", "one", "two")
	change("two", "one", "one", "two")
	change("three", "one", "three", "one")
	change("three", "three", "three")
	change("", "three", "three")
	change("", "")
	change("one", "two", "one", "two")

	s.mustDelete(r)
	s.wantFound(kind, "one", stays)
	s.wantFound(kind, "two", stays)
	s.wantFound(kind, "", stays)

	// One that takes the place of a deleted one has nothing of it.
	r.Version, r.Keys = 0, [2]string{"three", ""}
	r = s.mustPut(r)
	s.wantFound(kind, "one", stays)
	s.wantFound(kind, "three", r)
}

// unordered are IDs that locales, and comparisons that ignore case or see
// numbers, put into another order than bytes do.
var unordered = []string{
	"a", "B", "b", "A", "aa", "aB", "Ab", "AB", "ab", "a-b", "a_b", "a.b", "a b", "a~", "aZ", "az", "-a", "_a", "~a",
	"10", "9", "1", "09", "1a", "a1", "a10", "a9", "!", "#", "[", "{", "Z", "z", "co-op", "coop", "CO-OP", "co op",
}

func pagesAreInOrder(p place) {
	s := p.store()
	for _, id := range unordered {
		s.mustPut(keyed(id, "key", ""))
	}
	want := slices.Sorted(slices.Values(unordered))
	for _, key := range []string{"", "key"} {
		if got := ids(s.mustFind(kind, key, "", 100)); !slices.Equal(got, want) {
			p.Fatalf("Find gave\n%q\nwhose order by bytes is\n%q", got, want)
		}
		// The order that pages follow is the same one.
		for i, after := range want {
			if got := ids(s.mustFind(kind, key, after, 100)); !slices.Equal(got, want[i+1:]) {
				p.Fatalf("after %q Find gave\n%q\nnot\n%q", after, got, want[i+1:])
			}
		}
	}
}

// pages reads all pages, calls between after each, and gives what is on them, or an
// error if one is too long or doesn't go on where the last one ended.
func (h handle) pages(key string, limit int, between func() error) ([]store.Record, error) {
	var all []store.Record
	after := ""
	for {
		page, err := h.find(kind, key, after, limit)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			return all, nil
		}
		if len(page) > limit {
			return nil, fmt.Errorf("a page for limit %d has %d records", limit, len(page))
		}
		for _, r := range page {
			if r.ID <= after {
				return nil, fmt.Errorf("the page after %q has %q", after, r.ID)
			}
			after = r.ID
		}
		all = append(all, page...)
		if err := between(); err != nil {
			return nil, err
		}
	}
}

func pagesAreComplete(p place) {
	s := p.store()
	var all, some []store.Record
	for i := range 12 {
		r := record(fmt.Sprintf("%02d", 2*i))
		if i%2 == 0 {
			r.Keys[i/2%2] = "key"
		}
		r = s.mustPut(r)
		all = append(all, r)
		if i%2 == 0 {
			some = append(some, r)
		}
	}
	for key, want := range map[string][]store.Record{"": all, "key": some} {
		for limit := 1; limit <= len(want)+1; limit++ {
			got, err := s.pages(key, limit, func() error { return nil })
			s.must(err, "the pages for key %q", key)
			s.wantPage(got, want)
			for i := range want {
				s.wantPage(s.mustFind(kind, key, want[i].ID, limit), want[i+1:min(i+1+limit, len(want))])
				// An ID that isn't there is between two that are.
				s.wantPage(s.mustFind(kind, key, want[i].ID+"!", limit), want[i+1:min(i+1+limit, len(want))])
			}
		}
		s.wantPage(s.mustFind(kind, key, "!", 100), want)
		s.wantPage(s.mustFind(kind, key, "~", 100), nil)
	}
}

// pagesWhileOthersWrite reads pages while records come, go and change between
// those that stay: some at any time, and one between each page and the next.
func pagesWhileOthersWrite(p place) {
	s, other := p.store(), p.store()
	const stay = 20
	id := func(n int) string { return fmt.Sprintf("%02d", n%stay) }
	for n := range stay {
		s.mustPut(keyed(id(n), "key", ""))
	}
	comeOrGo := func(suffix string) func() error {
		n, versions := 0, map[string]int64{}
		return func() (err error) {
			id := id(n) + suffix
			n++
			if version, there := versions[id]; there {
				delete(versions, id)
				return other.delete(kind, id, version)
			}
			versions[id], err = other.put(keyed(id, "", "key"))
			return err
		}
	}
	change := func() func() error {
		n := 0
		return func() error {
			r, err := other.get(kind, id(n))
			if err != nil {
				return err
			}
			n++
			_, err = other.put(r)
			return err
		}
	}
	done := make(chan struct{})
	var begun, writers sync.WaitGroup
	var failed [2]error
	for w, write := range []func() error{comeOrGo("-"), change()} {
		begun.Add(1)
		writers.Go(func() {
			failed[w] = write()
			begun.Done()
			for failed[w] == nil {
				select {
				case <-done:
					return
				default:
					failed[w] = write()
				}
			}
		})
	}
	begun.Wait()
	var err error
	between := comeOrGo("+")
	for round := 0; round < 20 && err == nil; round++ {
		var got []store.Record
		key := []string{"", "key"}[round%2]
		if got, err = s.pages(key, 1+round%7, between); err == nil {
			seen := slices.DeleteFunc(ids(got), func(id string) bool { return len(id) != 2 })
			if len(seen) != stay {
				err = fmt.Errorf("of %d records that were there throughout, the pages for key %q had %q", stay, key, seen)
			}
		}
	}
	close(done)
	writers.Wait()
	s.must(errors.Join(err, failed[0], failed[1]), "pages while others write")
}
