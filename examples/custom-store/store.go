// Package customstore is a store in less than 100 lines: one JSON file, read and
// written as a whole by each call. It is for one process with a handful of users.
package customstore

import (
	"cmp"
	"context"
	"encoding/json"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/oidcgate/oidcgate/store"
)

// records are all there are, by a kind, a slash and an ID.
type records map[string]store.Record

// Store keeps records in a file. A pointer to one is a store.Store.
type Store struct {
	Path string // of the file, in a directory that is there
	mu   sync.Mutex
}

// use calls f with all records, which it may change.
func (s *Store) use(ctx context.Context, f func(all records) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	all := records{}
	before, err := os.ReadFile(s.Path)
	if err == nil {
		err = json.Unmarshal(before, &all)
	}
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := f(all); err != nil {
		return err
	}
	after, err := json.Marshal(all)
	if err != nil || string(before) == string(after) {
		return err
	}
	if err = os.WriteFile(s.Path+".new", after, 0o600); err == nil {
		err = os.Rename(s.Path+".new", s.Path) // so that a crash leaves one or the other
	}
	return err
}

// Open finds out whether the file can be read.
func (s *Store) Open(ctx context.Context) error {
	return s.use(ctx, func(records) error { return nil })
}

// Get gives a record.
func (s *Store) Get(ctx context.Context, kind, id string) (r store.Record, err error) {
	err = s.use(ctx, func(all records) error {
		if r = all[kind+"/"+id]; r.Version == 0 {
			return store.ErrNotFound
		}
		return nil
	})
	return r, err
}

// Find gives a page of records.
func (s *Store) Find(ctx context.Context, kind, key, after string, limit int) (page []store.Record, err error) {
	err = s.use(ctx, func(all records) error {
		for _, r := range all {
			if r.Kind == kind && r.ID > after && (key == "" || slices.Contains(r.Keys[:], key)) {
				page = append(page, r)
			}
		}
		return nil
	})
	slices.SortFunc(page, func(a, b store.Record) int { return cmp.Compare(a.ID, b.ID) })
	return page[:min(limit, len(page))], err
}

// Put inserts or replaces a record.
func (s *Store) Put(ctx context.Context, r store.Record) (int64, error) {
	r.Version++
	err := s.use(ctx, func(all records) error {
		if all[r.Kind+"/"+r.ID].Version != r.Version-1 { // 0 where there is none
			return store.ErrConflict
		}
		all[r.Kind+"/"+r.ID] = r
		return nil
	})
	return r.Version, err
}

// Delete removes a record.
func (s *Store) Delete(ctx context.Context, kind, id string, version int64) error {
	return s.use(ctx, func(all records) error {
		if r, ok := all[kind+"/"+id]; !ok || r.Version != version {
			return store.ErrConflict
		}
		delete(all, kind+"/"+id)
		return nil
	})
}

// Purge removes what has expired.
func (s *Store) Purge(ctx context.Context, now time.Time, limit int) (n int, err error) {
	err = s.use(ctx, func(all records) error {
		for name, r := range all {
			if !r.Expires.IsZero() && !r.Expires.After(now) && n < limit {
				delete(all, name)
				n++
			}
		}
		return nil
	})
	return n, err
}

// Close does nothing: no file is open between two calls.
func (s *Store) Close() error { return nil }
