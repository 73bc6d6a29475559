package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/store"
)

// callLimit is how long a call may take. It is for stores that hang, not for
// slow ones.
const callLimit = 30 * time.Second

// kind is the kind of records in tests that need just one.
const kind = "session"

// place is where a subtest has its records.
type place struct {
	*testing.T
	open func() store.Store
}

// store gives an open store for the place and closes it when the test ends.
func (p place) store() handle {
	p.Helper()
	h := handle{p.T, p.open()}
	h.must(h.open(), "Open")
	p.Cleanup(func() {
		if err := h.Close(); err != nil {
			p.Errorf("Close: %v", err)
		}
	})
	return h
}

// handle is a store whose lower-case methods give each call a time limit. They
// may be called in any goroutine, those whose name begins with must or want only
// in that of the test.
type handle struct {
	t *testing.T
	store.Store
}

func limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), callLimit)
}

func (h handle) open() error {
	ctx, cancel := limited()
	defer cancel()
	return h.Open(ctx)
}

func (h handle) get(kind, id string) (store.Record, error) {
	ctx, cancel := limited()
	defer cancel()
	return h.Get(ctx, kind, id)
}

func (h handle) find(kind, key, after string, limit int) ([]store.Record, error) {
	ctx, cancel := limited()
	defer cancel()
	return h.Find(ctx, kind, key, after, limit)
}

func (h handle) put(r store.Record) (int64, error) {
	ctx, cancel := limited()
	defer cancel()
	return h.Put(ctx, r)
}

func (h handle) delete(kind, id string, version int64) error {
	ctx, cancel := limited()
	defer cancel()
	return h.Delete(ctx, kind, id, version)
}

func (h handle) purge(now time.Time, limit int) (int, error) {
	ctx, cancel := limited()
	defer cancel()
	return h.Purge(ctx, now, limit)
}

func (h handle) must(err error, format string, args ...any) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("%s: %v", fmt.Sprintf(format, args...), err)
	}
}

// mustPut puts the record and gives it with its new version.
func (h handle) mustPut(r store.Record) store.Record {
	h.t.Helper()
	version, err := h.put(r)
	h.must(err, "Put(%s)", describe(r))
	if version != r.Version+1 {
		h.t.Fatalf("Put(%s) gave version %d, not one more", describe(r), version)
	}
	r.Version = version
	return r
}

func (h handle) mustDelete(r store.Record) {
	h.t.Helper()
	h.must(h.delete(r.Kind, r.ID, r.Version), "Delete(%s)", describe(r))
}

func (h handle) mustFind(kind, key, after string, limit int) []store.Record {
	h.t.Helper()
	found, err := h.find(kind, key, after, limit)
	h.must(err, "Find(%q, %q, %q, %d)", kind, key, after, limit)
	return found
}

// want checks that Get gives just this record.
func (h handle) want(r store.Record) {
	h.t.Helper()
	got, err := h.get(r.Kind, r.ID)
	h.must(err, "Get(%q, %q)", r.Kind, r.ID)
	h.wantSame(got, r)
}

func (h handle) wantSame(got, want store.Record) {
	h.t.Helper()
	if !same(got, want) {
		h.t.Fatalf("the store gave\n%s\nnot\n%s", describe(got), describe(want))
	}
}

func (h handle) wantMissing(kind, id string) {
	h.t.Helper()
	if got, err := h.get(kind, id); !errors.Is(err, store.ErrNotFound) {
		h.t.Fatalf("Get(%q, %q) gave %s and error %v, not ErrNotFound", kind, id, describe(got), err)
	}
}

// wantFound checks that Find gives just these records for a key.
func (h handle) wantFound(kind, key string, want ...store.Record) {
	h.t.Helper()
	h.wantPage(h.mustFind(kind, key, "", len(want)+10), want)
}

// wantPage checks that a page is just these records in the order of their IDs.
func (h handle) wantPage(page, want []store.Record) {
	h.t.Helper()
	want = slices.SortedFunc(slices.Values(want), byID)
	if !slices.Equal(ids(page), ids(want)) {
		h.t.Fatalf("Find gave the IDs\n%.200q\nnot\n%.200q", ids(page), ids(want))
	}
	for i := range page {
		h.wantSame(page[i], want[i])
	}
}

// wantConflict checks that a Put or Delete came to nothing.
func (h handle) wantConflict(err error, format string, args ...any) {
	h.t.Helper()
	if !errors.Is(err, store.ErrConflict) {
		h.t.Fatalf("%s: the error is %v, not ErrConflict", fmt.Sprintf(format, args...), err)
	}
}

// wantPurged checks how many records one Purge removes.
func (h handle) wantPurged(now time.Time, limit, want int) {
	h.t.Helper()
	n, err := h.purge(now, limit)
	h.must(err, "Purge(%s, %d)", now, limit)
	if n != want {
		h.t.Fatalf("Purge(%s, %d) removed %d records, not %d", now, limit, n, want)
	}
}

// record is one of the usual kind, that never expires and has no keys.
func record(id string) store.Record {
	return store.Record{Kind: kind, ID: id, Data: []byte("data of " + id)}
}

// tomorrow is a time that no store can take for past.
func tomorrow() time.Time {
	return time.Now().Add(24 * time.Hour).Truncate(time.Millisecond)
}

func byID(a, b store.Record) int { return bytes.Compare([]byte(a.ID), []byte(b.ID)) }

func ids(records []store.Record) []string {
	list := make([]string, len(records))
	for i, r := range records {
		list[i] = r.ID
	}
	return list
}

func same(a, b store.Record) bool {
	return a.Kind == b.Kind && a.ID == b.ID && a.Version == b.Version && a.Keys == b.Keys &&
		bytes.Equal(a.Data, b.Data) && a.Expires.Equal(b.Expires)
}

func describe(r store.Record) string {
	return fmt.Sprintf("%s %q, version %d, keys %.80q, %d bytes %.40q, expires %s",
		r.Kind, r.ID, r.Version, r.Keys, len(r.Data), r.Data, r.Expires.UTC().Format(time.RFC3339Nano))
}

// together calls f in n goroutines that begin at once, and gives their errors.
func together(n int, f func(i int) error) []error {
	var all sync.WaitGroup
	begin := make(chan struct{})
	errs := make([]error, n)
	for i := range n {
		all.Go(func() {
			<-begin
			errs[i] = f(i)
		})
	}
	close(begin)
	all.Wait()
	return errs
}
