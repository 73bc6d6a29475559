package storetest

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/oidcgate/oidcgate/store"
)

// faulty is a store some of whose methods are replaced.
type faulty struct {
	store.Store
	open   func(context.Context) error
	get    func(ctx context.Context, kind, id string) (store.Record, error)
	find   func(ctx context.Context, kind, key, after string, limit int) ([]store.Record, error)
	put    func(context.Context, store.Record) (int64, error)
	delete func(ctx context.Context, kind, id string, version int64) error
	purge  func(ctx context.Context, now time.Time, limit int) (int, error)
	close  func() error
}

func (s *faulty) Open(ctx context.Context) error {
	if s.open == nil {
		return s.Store.Open(ctx)
	}
	return s.open(ctx)
}

func (s *faulty) Get(ctx context.Context, kind, id string) (store.Record, error) {
	if s.get == nil {
		return s.Store.Get(ctx, kind, id)
	}
	return s.get(ctx, kind, id)
}

func (s *faulty) Find(ctx context.Context, kind, key, after string, limit int) ([]store.Record, error) {
	if s.find == nil {
		return s.Store.Find(ctx, kind, key, after, limit)
	}
	return s.find(ctx, kind, key, after, limit)
}

func (s *faulty) Put(ctx context.Context, r store.Record) (int64, error) {
	if s.put == nil {
		return s.Store.Put(ctx, r)
	}
	return s.put(ctx, r)
}

func (s *faulty) Delete(ctx context.Context, kind, id string, version int64) error {
	if s.delete == nil {
		return s.Store.Delete(ctx, kind, id, version)
	}
	return s.delete(ctx, kind, id, version)
}

func (s *faulty) Purge(ctx context.Context, now time.Time, limit int) (int, error) {
	if s.purge == nil {
		return s.Store.Purge(ctx, now, limit)
	}
	return s.purge(ctx, now, limit)
}

func (s *faulty) Close() error {
	if s.close == nil {
		return s.Store.Close()
	}
	return s.close()
}

// force puts the record whatever the version is.
func (s *faulty) force(ctx context.Context, r store.Record) (int64, error) {
	for {
		current, err := s.Store.Get(ctx, r.Kind, r.ID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return 0, err
		}
		r.Version = current.Version
		if version, err := s.Store.Put(ctx, r); !errors.Is(err, store.ErrConflict) {
			return version, err
		}
	}
}

// letOthersRun is where a fault needs company to show.
func letOthersRun() {
	for range 100 {
		runtime.Gosched()
	}
}

// checkThenForce has a gap between looking at the version and putting.
func (s *faulty) checkThenForce(ctx context.Context, r store.Record) (int64, error) {
	current, err := s.Store.Get(ctx, r.Kind, r.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return 0, err
	}
	if current.Version != r.Version {
		return 0, store.ErrConflict
	}
	letOthersRun()
	return s.force(ctx, r)
}

// changesPut has records changed before they are put.
func changesPut(change func(*store.Record)) func(*faulty) {
	return func(s *faulty) {
		s.put = func(ctx context.Context, r store.Record) (int64, error) {
			change(&r)
			return s.Store.Put(ctx, r)
		}
	}
}

// filters has Find give those records of a kind which match.
func filters(match func(r store.Record, key string) bool) func(*faulty) {
	return func(s *faulty) {
		s.find = func(ctx context.Context, kind, key, after string, limit int) ([]store.Record, error) {
			all, err := s.Store.Find(ctx, kind, "", after, math.MaxInt)
			all = slices.DeleteFunc(all, func(r store.Record) bool { return !match(r, key) })
			return all[:min(limit, len(all))], err
		}
	}
}

// changesFound has pages changed.
func changesFound(change func(page []store.Record) []store.Record) func(*faulty) {
	return func(s *faulty) {
		s.find = func(ctx context.Context, kind, key, after string, limit int) ([]store.Record, error) {
			page, err := s.Store.Find(ctx, kind, key, after, limit)
			return change(page), err
		}
	}
}

// remembers has find and purge go by what a record was when it was inserted.
func remembers(inject func(s *faulty, inserted func(id string) store.Record)) func(*faulty) {
	return func(s *faulty) {
		var inserted sync.Map
		s.put = func(ctx context.Context, r store.Record) (int64, error) {
			inserted.LoadOrStore(r.ID, r)
			return s.Store.Put(ctx, r)
		}
		inject(s, func(id string) store.Record {
			r, _ := inserted.Load(id)
			return r.(store.Record)
		})
	}
}

// purges has Purge be written out: find, and then delete in whatever version.
func purges(s *faulty, expired func(r store.Record, now time.Time) bool, kinds ...string) {
	s.purge = func(ctx context.Context, now time.Time, limit int) (int, error) {
		var old []store.Record
		for _, kind := range kinds {
			all, err := s.Store.Find(ctx, kind, "", "", math.MaxInt)
			if err != nil {
				return 0, err
			}
			old = append(old, slices.DeleteFunc(all, func(r store.Record) bool { return !expired(r, now) })...)
		}
		old = old[:min(limit, len(old))]
		letOthersRun()
		for _, r := range old {
			for errors.Is(s.Store.Delete(ctx, r.Kind, r.ID, r.Version), store.ErrConflict) {
				if r, _ = s.Store.Get(ctx, r.Kind, r.ID); r.Version == 0 {
					break
				}
			}
		}
		return len(old), nil
	}
}

func expiredThen(r store.Record, now time.Time) bool {
	return !r.Expires.IsZero() && !r.Expires.After(now)
}

// fault is a way to break a store, and the rule that has to find it.
type fault struct {
	name, rule string
	inject     func(*faulty)
	perHandle  bool
}

var faults = slices.Concat(recordFaults, versionFaults, findFaults, purgeFaults, contextFaults, raceFaults, openFaults, modelFaults)
