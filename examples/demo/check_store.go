package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
	"github.com/oidcgate/oidcgate/store/sqlite"
)

// checkStore gives what opens the check's store, each time anew as a program does
// that starts, and what removes the check's records from it in the end. The store
// is the one that -store names, or else a file in a temporary folder.
func checkStore(o options) (open func() (store.Store, error), remove func(context.Context) error, err error) {
	nothing := func(context.Context) error { return nil }
	switch {
	case o.passthrough:
		return nil, nothing, nil
	case o.store == "":
		folder, err := os.MkdirTemp("", "oidcgate-check-*")
		open = func() (store.Store, error) { return sqlite.New(filepath.Join(folder, "check.db")), nil }
		return open, func(context.Context) error { return os.RemoveAll(folder) }, err
	}
	records, err := store.Open(o.store)
	if err != nil {
		return nil, nil, fmt.Errorf("-store: %w", err)
	}
	if reflect.TypeOf(records) == reflect.TypeOf(memory.New()) { // another one would have other records
		return func() (store.Store, error) { return records, nil }, nothing, nil
	}
	mine := newCorner()
	open = func() (store.Store, error) {
		records, err := store.Open(o.store)
		return cornered{records, mine}, err
	}
	return open, func(ctx context.Context) error { return mine.clear(ctx, records) }, nil
}

// corner is the part of a store that one run of the check has for itself, so that
// -store may name one that others use: its kinds of records begin with a name
// that nobody else has.
type corner struct {
	prefix string
	mu     sync.Mutex
	kinds  map[string]bool // that were written, with the prefix
}

func newCorner() *corner {
	return &corner{prefix: "check-" + lowercase(rand.Text()[:8]) + "-", kinds: map[string]bool{}}
}

// lowercase makes letters of base32's digits, for a kind has none.
func lowercase(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 'A' {
			return r - '2' + 'a'
		}
		return r - 'A' + 'a'
	}, text)
}

// clear removes every record that was put there, and closes the store.
func (c *corner) clear(ctx context.Context, records store.Store) error {
	// Even if the check was interrupted.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), core.DefaultTimeout)
	defer cancel()
	defer records.Close()
	for kind := range c.kinds {
		if err := records.Open(ctx); err != nil {
			return err
		}
		for more := true; more; {
			page, err := records.Find(ctx, kind, "", "", 100)
			if err != nil {
				return err
			}
			for _, r := range page {
				if err := records.Delete(ctx, kind, r.ID, r.Version); err != nil {
					return err
				}
			}
			more = len(page) > 0
		}
	}
	return nil
}

// cornered is a store all of whose records are in a corner of another.
type cornered struct {
	store.Store
	corner *corner
}

func (s cornered) Get(ctx context.Context, kind, id string) (store.Record, error) {
	r, err := s.Store.Get(ctx, s.corner.prefix+kind, id)
	r.Kind = kind
	return r, err
}

func (s cornered) Find(ctx context.Context, kind, key, after string, limit int) ([]store.Record, error) {
	page, err := s.Store.Find(ctx, s.corner.prefix+kind, key, after, limit)
	for i := range page {
		page[i].Kind = kind
	}
	return page, err
}

func (s cornered) Put(ctx context.Context, r store.Record) (int64, error) {
	r.Kind = s.corner.prefix + r.Kind
	s.corner.mu.Lock()
	s.corner.kinds[r.Kind] = true
	s.corner.mu.Unlock()
	return s.Store.Put(ctx, r)
}

func (s cornered) Delete(ctx context.Context, kind, id string, version int64) error {
	return s.Store.Delete(ctx, s.corner.prefix+kind, id, version)
}

// Purge leaves what has expired to clear: the check moves its clock, and must not
// remove what others still need.
func (s cornered) Purge(context.Context, time.Time, int) (int, error) { return 0, nil }
