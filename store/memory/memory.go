package memory

import (
	"bytes"
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/oidcgate/oidcgate/store"
)

// New returns a new, empty store. It is safe for concurrent use.
func New() *Store {
	return &Store{
		byID: map[string]map[string]*entry{},
		byKey: newOrderedSet(func(a, b keyedRecord) int {
			return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.key, b.key), cmp.Compare(a.ID, b.ID))
		}),
		byDue: newOrderedSet(func(a, b *entry) int {
			return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
		}),
	}
}

// Store implements [store.Store] in memory. Make one with [New]. Open and Close do nothing:
// a closed store keeps its records and may be opened again. It is safe for concurrent use.
//
// It consists of three indexes of the same records. A change is made in place. It moves the
// record in an index only if its position there changes. A refresh moves nothing, because
// with a million records each step of a search is a cache miss. The bytes of Data are never
// changed, so they may be read without the lock.
type Store struct {
	mu    sync.RWMutex
	byID  map[string]map[string]*entry // by kind and id
	byKey orderedSet[keyedRecord]      // in the order in which Find gives them
	byDue orderedSet[*entry]           // those that Purge is to look at some time
}

// keyedRecord is a record under one of its keys. Under "" every record is found.
type keyedRecord struct {
	key string
	*entry
}

// entry is a record and when Purge is to look at it: not later than when it
// expires, and sooner if that was put off since.
type entry struct {
	store.Record
	due time.Time // zero: never
}

func (s *Store) Open(ctx context.Context) error { return ctx.Err() }

func (s *Store) Close() error { return nil }

func (s *Store) Get(ctx context.Context, kind, id string) (store.Record, error) {
	if err := ctx.Err(); err != nil {
		return store.Record{}, err
	}
	s.mu.RLock()
	found := s.byID[kind][id]
	if found == nil {
		s.mu.RUnlock()
		return store.Record{}, store.ErrNotFound
	}
	r := found.Record
	s.mu.RUnlock()
	r.Data = bytes.Clone(r.Data)
	return r, nil
}

func (s *Store) Find(ctx context.Context, kind, key, after string, limit int) ([]store.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	var page []store.Record
	for r := range s.byKey.from(keyedRecord{key, &entry{Record: store.Record{Kind: kind, ID: after}}}) {
		if len(page) >= limit || r.Kind != kind || r.key != key {
			break
		}
		if r.ID != after {
			page = append(page, r.Record)
		}
	}
	s.mu.RUnlock()
	for i := range page {
		page[i].Data = bytes.Clone(page[i].Data)
	}
	return page, nil
}

func (s *Store) Put(ctx context.Context, r store.Record) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	r.Data = bytes.Clone(r.Data)
	r.Expires = r.Expires.Truncate(time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.byID[r.Kind][r.ID]
	switch {
	case old == nil && r.Version == 0:
		old = &entry{}
		if s.byID[r.Kind] == nil {
			s.byID[r.Kind] = map[string]*entry{}
		}
		s.byID[r.Kind][r.ID] = old
	case old != nil && old.Version == r.Version:
	default:
		return 0, store.ErrConflict
	}
	r.Version++
	rekeyed := old.Version == 0 || old.Keys != r.Keys
	sooner := !r.Expires.IsZero() && (old.due.IsZero() || r.Expires.Before(old.due))
	if rekeyed {
		s.removeKeys(old)
	}
	old.Record = r
	if rekeyed {
		for _, key := range append(r.Keys[:], "") {
			s.byKey.add(keyedRecord{key, old})
		}
	}
	if sooner {
		s.schedule(old)
	}
	return r.Version, nil
}

func (s *Store) Delete(ctx context.Context, kind, id string, version int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byID[kind][id]
	if r == nil || r.Version != version {
		return store.ErrConflict
	}
	s.remove(r)
	return nil
}

func (s *Store) Purge(ctx context.Context, now time.Time, limit int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	removed := 0
	for looked := 1; removed < limit; looked++ {
		var next *entry
		for next = range s.byDue.from(&entry{}) {
			break
		}
		switch {
		case next == nil || next.due.After(now):
			return removed, nil
		case next.Expires.IsZero() || next.Expires.After(now): // it was put off
			s.schedule(next)
		default:
			s.remove(next)
			removed++
		}
		if looked%1000 == 0 { // there may be many that were put off
			s.mu.Unlock()
			s.mu.Lock()
			if err := ctx.Err(); err != nil {
				return removed, err
			}
		}
	}
	return removed, nil
}

// schedule has Purge look at a record when it expires. The caller holds the lock.
func (s *Store) schedule(r *entry) {
	if !r.due.IsZero() {
		s.byDue.remove(r)
	}
	if r.due = r.Expires; !r.due.IsZero() {
		s.byDue.add(r)
	}
}

// remove takes a record out of all indexes. The caller holds the lock.
func (s *Store) remove(r *entry) {
	delete(s.byID[r.Kind], r.ID)
	s.removeKeys(r)
	if !r.due.IsZero() {
		s.byDue.remove(r)
	}
}

func (s *Store) removeKeys(r *entry) {
	for _, key := range append(r.Keys[:], "") {
		s.byKey.remove(keyedRecord{key, r})
	}
}
