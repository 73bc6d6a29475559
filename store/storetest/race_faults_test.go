package storetest

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
)

var contextFaults = []fault{
	{name: "opens in spite of its context", rule: "an ended context fails every call", inject: func(s *faulty) {
		s.open = func(ctx context.Context) error { return s.Store.Open(context.WithoutCancel(ctx)) }
	}},
	{name: "gets in spite of its context", rule: "an ended context fails every call", inject: func(s *faulty) {
		s.get = func(ctx context.Context, kind, id string) (store.Record, error) {
			return s.Store.Get(context.WithoutCancel(ctx), kind, id)
		}
	}},
	{name: "finds in spite of its context", rule: "an ended context fails every call", inject: func(s *faulty) {
		s.find = func(ctx context.Context, kind, key, after string, limit int) ([]store.Record, error) {
			return s.Store.Find(context.WithoutCancel(ctx), kind, key, after, limit)
		}
	}},
	{name: "puts in spite of its context", rule: "an ended context fails every call", inject: func(s *faulty) {
		s.put = func(ctx context.Context, r store.Record) (int64, error) {
			return s.Store.Put(context.WithoutCancel(ctx), r)
		}
	}},
	{name: "puts and then looks at its context", rule: "an ended context fails every call", inject: func(s *faulty) {
		s.put = func(ctx context.Context, r store.Record) (int64, error) {
			version, err := s.Store.Put(context.WithoutCancel(ctx), r)
			return version, errors.Join(err, ctx.Err())
		}
	}},
	{name: "deletes in spite of its context", rule: "an ended context fails every call", inject: func(s *faulty) {
		s.delete = func(ctx context.Context, kind, id string, version int64) error {
			return s.Store.Delete(context.WithoutCancel(ctx), kind, id, version)
		}
	}},
	{name: "purges in spite of its context", rule: "an ended context fails every call", inject: func(s *faulty) {
		s.purge = func(ctx context.Context, now time.Time, limit int) (int, error) {
			return s.Store.Purge(context.WithoutCancel(ctx), now, limit)
		}
	}},
	{name: "has one error for all contexts", rule: "an ended context fails every call", inject: func(s *faulty) {
		s.get = func(ctx context.Context, kind, id string) (store.Record, error) {
			if ctx.Err() != nil {
				return store.Record{}, context.Canceled
			}
			return s.Store.Get(ctx, kind, id)
		}
	}},
	{name: "has an error of its own for an interruption", rule: "a call cancelled midway is done or not done", inject: func(s *faulty) {
		s.put = func(ctx context.Context, r store.Record) (int64, error) {
			if r.Version > 0 {
				<-ctx.Done()
				return 0, errors.New("interrupted")
			}
			return s.Store.Put(ctx, r)
		}
	}},
	{name: "leaves the half when interrupted", rule: "a call cancelled midway is done or not done", inject: func(s *faulty) {
		s.put = func(ctx context.Context, r store.Record) (int64, error) {
			if r.Version > 0 {
				<-ctx.Done()
				r.Keys = [2]string{"before"}
				s.Store.Put(context.WithoutCancel(ctx), r)
				return 0, ctx.Err()
			}
			return s.Store.Put(ctx, r)
		}
	}},
}

var raceFaults = []fault{
	{name: "looks and then inserts", rule: "of many inserts one wins", inject: func(s *faulty) { s.put = s.checkThenForce }},
	{name: "looks and then changes", rule: "of many changes one wins", inject: func(s *faulty) { s.put = s.checkThenForce }},
	{name: "has an error of its own for a conflict", rule: "of many changes one wins", inject: func(s *faulty) {
		s.put = func(ctx context.Context, r store.Record) (int64, error) {
			version, err := s.Store.Put(ctx, r)
			if errors.Is(err, store.ErrConflict) {
				err = errors.New("could not serialize access")
			}
			return version, err
		}
	}},
	{name: "loses updates", rule: "no update is lost", inject: func(s *faulty) { s.put = s.force }},
}

var openFaults = []fault{
	{name: "is not opened twice at once", rule: "ten may open at once", inject: func(s *faulty) {
		var opened atomic.Bool
		s.open = func(ctx context.Context) error {
			if opened.Swap(true) {
				return errors.New("the table exists already")
			}
			return s.Store.Open(ctx)
		}
	}},
	{name: "is emptied when it opens", rule: "opening again keeps the records", inject: func(s *faulty) {
		s.open = func(ctx context.Context) error {
			s.Store.Purge(ctx, tomorrow().AddDate(1, 0, 0), math.MaxInt)
			return s.Store.Open(ctx)
		}
	}},
	{name: "has records for each handle", rule: "records outlive a handle", perHandle: true, inject: func(s *faulty) {
		s.Store = memory.New()
	}},
	{name: "each handle remembers what it got", rule: "handles see the writes of each other", perHandle: true, inject: func(s *faulty) {
		var cache sync.Map
		s.get = func(ctx context.Context, kind, id string) (store.Record, error) {
			if r, found := cache.Load(id); found {
				return r.(store.Record), nil
			}
			r, err := s.Store.Get(ctx, kind, id)
			if err == nil {
				cache.Store(id, r)
			}
			return r, err
		}
	}},
	{name: "closes once", rule: "closing twice is no error", inject: func(s *faulty) {
		var closed atomic.Bool
		s.close = func() error {
			if closed.Swap(true) {
				return errors.New("closed already")
			}
			return nil
		}
	}},
}

var modelFaults = []fault{
	{name: "forgets the second key in the fourth version", rule: "random operations do as the model does", inject: changesPut(func(r *store.Record) {
		if r.Version == 3 {
			r.Keys[1] = ""
		}
	})},
	{name: "pages of one begin anywhere", rule: "random operations do as the model does", inject: func(s *faulty) {
		s.find = func(ctx context.Context, kind, key, after string, limit int) ([]store.Record, error) {
			if limit == 1 {
				after = ""
			}
			return s.Store.Find(ctx, kind, key, after, limit)
		}
	}},
}
