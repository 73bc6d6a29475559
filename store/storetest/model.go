package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/store"
)

// name is what there is one record of.
type name struct{ kind, id string }

// model is a store as plain as can be.
type model map[name]store.Record

func (m model) find(kind, key, after string, limit int) []store.Record {
	var found []store.Record
	for _, r := range m {
		if r.Kind == kind && r.ID > after && (key == "" || slices.Contains(r.Keys[:], key)) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, byID)
	return found[:min(limit, len(found))]
}

// put and delete report whether they did it.
func (m model) put(r store.Record) bool {
	at := name{r.Kind, r.ID}
	if m[at].Version != r.Version {
		return false
	}
	r.Version++
	m[at] = r
	return true
}

func (m model) delete(kind, id string, version int64) bool {
	r, found := m[name{kind, id}]
	if !found || r.Version != version {
		return false
	}
	delete(m, name{kind, id})
	return true
}

func (m model) expired(now time.Time) []store.Record {
	var found []store.Record
	for _, r := range m {
		if !r.Expires.IsZero() && !r.Expires.After(now) {
			found = append(found, r)
		}
	}
	return found
}

func randomOperations(p place) {
	s := p.store()
	for seed := range uint64(5) {
		// Every seed needs a place without records.
		for _, kind := range kinds {
			for _, r := range s.mustFind(kind, "", "", 100) {
				s.mustDelete(r)
			}
		}
		p.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Logf("the seed is %d", seed)
			w := &walk{handle{t, s.Store}, rand.New(rand.NewPCG(seed, 0)), model{}, tomorrow()}
			for range 400 {
				w.step()
			}
			w.wantModel()
		})
	}
}

// kinds, and the few IDs, keys and expiries below, are so few that operations
// meet.
var kinds = []string{"a", "b"}

// walk is one sequence of random operations.
type walk struct {
	handle
	*rand.Rand
	model model
	base  time.Time
}

func (w *walk) kind() string { return kinds[w.IntN(len(kinds))] }

func (w *walk) id() string { return []string{"a", "B", "b", "C", "b-", "bb"}[w.IntN(6)] }

func (w *walk) key() string { return []string{"", "x", "X", "y"}[w.IntN(4)] }

// time is never or one of ten milliseconds.
func (w *walk) time() time.Time {
	if n := w.IntN(12); n < 10 {
		return w.base.Add(time.Duration(n) * time.Millisecond)
	}
	return time.Time{}
}

// version is mostly the right one.
func (w *walk) version(kind, id string) int64 {
	current := w.model[name{kind, id}].Version
	if w.IntN(4) == 0 {
		return max(0, current+w.Int64N(4)-2)
	}
	return current
}

// step does one operation with the store and the model.
func (w *walk) step() {
	w.t.Helper()
	kind, id := w.kind(), w.id()
	switch n := w.IntN(20); {
	case n < 9:
		r := store.Record{
			Kind: kind, ID: id, Version: w.version(kind, id),
			Keys: [2]string{w.key(), w.key()}, Data: make([]byte, w.IntN(20)), Expires: w.time(),
		}
		for i := range r.Data {
			r.Data[i] = byte(w.Uint32())
		}
		version, err := w.put(r)
		w.wantOutcome(err, w.model.put(r), "Put(%s)", describe(r))
		if err == nil && version != r.Version+1 {
			w.t.Fatalf("Put(%s) gave version %d", describe(r), version)
		}
	case n < 12:
		version := w.version(kind, id)
		w.wantOutcome(w.delete(kind, id, version), w.model.delete(kind, id, version), "Delete(%q, %q, %d)", kind, id, version)
	case n < 14:
		if r, found := w.model[name{kind, id}]; found {
			w.want(r)
		} else {
			w.wantMissing(kind, id)
		}
	case n < 18:
		key, after, limit := w.key(), []string{"", w.id()}[w.IntN(2)], 1+w.IntN(8)
		w.wantPage(w.mustFind(kind, key, after, limit), w.model.find(kind, key, after, limit))
	case n < 19:
		w.purgeSome(w.base.Add(time.Duration(w.IntN(12)-1)*time.Millisecond), 1+w.IntN(6))
	default:
		w.wantModel()
	}
}

// purgeSome leaves it to the store which of the expired records it removes.
func (w *walk) purgeSome(now time.Time, limit int) {
	w.t.Helper()
	expired := w.model.expired(now)
	want := min(limit, len(expired))
	w.wantPurged(now, limit, want)
	for _, r := range expired {
		if _, err := w.get(r.Kind, r.ID); errors.Is(err, store.ErrNotFound) && want > 0 {
			delete(w.model, name{r.Kind, r.ID})
			want--
		}
	}
	w.wantModel()
}

func (w *walk) wantOutcome(err error, done bool, format string, args ...any) {
	w.t.Helper()
	if done {
		w.must(err, format, args...)
	} else {
		w.wantConflict(err, format, args...)
	}
}

// wantModel checks that the store has just the records of the model.
func (w *walk) wantModel() {
	w.t.Helper()
	for _, kind := range kinds {
		w.wantPage(w.mustFind(kind, "", "", 100), w.model.find(kind, "", "", 100))
	}
}
