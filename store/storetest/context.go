package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/oidcgate/oidcgate/store"
)

func endedContext(p place) {
	s := p.store()
	r := s.mustPut(expiring("id", tomorrow()))
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	late, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Hour))
	defer cancel()
	for _, ctx := range []context.Context{cancelled, late} {
		changed := r
		changed.Data = []byte("changed")
		for name, call := range map[string]func() error{
			"Open":              func() error { return s.Open(ctx) },
			"Get":               func() error { _, err := s.Get(ctx, kind, r.ID); return err },
			"Get of nothing":    func() error { _, err := s.Get(ctx, kind, "nothing"); return err },
			"Find":              func() error { _, err := s.Find(ctx, kind, "", "", 10); return err },
			"Find of nothing":   func() error { _, err := s.Find(ctx, kind, "nothing", "", 10); return err },
			"Put of a new one":  func() error { _, err := s.Put(ctx, record("new")); return err },
			"Put":               func() error { _, err := s.Put(ctx, changed); return err },
			"Put of nothing":    func() error { r := record("new"); r.Version = 1; _, err := s.Put(ctx, r); return err },
			"Delete":            func() error { return s.Delete(ctx, kind, r.ID, r.Version) },
			"Delete of nothing": func() error { return s.Delete(ctx, kind, "nothing", 1) },
			"Purge":             func() error { _, err := s.Purge(ctx, r.Expires, 10); return err },
			"Purge of nothing":  func() error { _, err := s.Purge(ctx, r.Expires.Add(-1), 10); return err },
		} {
			if err := call(); !errors.Is(err, ctx.Err()) {
				p.Fatalf("%s: the error is %v, not %v", name, err, ctx.Err())
			}
			s.wantFound(kind, "", r)
		}
		unopened := handle{p.T, p.open()}
		if err := unopened.Open(ctx); !errors.Is(err, ctx.Err()) {
			p.Fatalf("the first Open: the error is %v, not %v", err, ctx.Err())
		}
		s.must(unopened.open(), "Open after one that was cancelled")
		unopened.want(r)
		s.must(unopened.Close(), "Close")
	}
}

// cancelledMidway ends the contexts of calls at some moment while they run. Each
// has a record of its own, since a call that failed may be done a little later.
func cancelledMidway(p place) {
	s := p.store()
	for i := range 60 {
		before := s.mustPut(keyed(fmt.Sprint(i), "before", ""))
		after := before
		after.Version, after.Keys[0], after.Data = 2, "after", []byte("changed")

		ctx, cancel := limited()
		go func() {
			for range i {
				runtime.Gosched()
			}
			cancel()
		}()
		_, getErr := s.Get(ctx, kind, before.ID)
		_, findErr := s.Find(ctx, kind, "before", "", 10)
		var err error
		if i%3 == 0 {
			err = s.Delete(ctx, kind, before.ID, 1)
		} else {
			change := after
			change.Version = 1
			_, err = s.Put(ctx, change)
		}
		cancel()
		for _, err := range []error{getErr, findErr, err} {
			if err != nil && !errors.Is(err, context.Canceled) {
				p.Fatalf("the error of a call cancelled midway is %v, not the context's", err)
			}
		}
		got, getErr := s.get(kind, before.ID)
		switch {
		case errors.Is(getErr, store.ErrNotFound) && i%3 == 0:
			continue
		case getErr != nil:
			p.Fatalf("Get after a call that was cancelled midway: %v", getErr)
		case err != nil && same(got, before):
			continue
		case i%3 == 0:
			p.Fatalf("a Delete whose error was %v left %s", err, describe(got))
		}
		s.wantSame(got, after)
	}
}
