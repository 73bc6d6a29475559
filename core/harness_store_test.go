package core_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
	"github.com/stretchr/testify/require"
)

// spyStore is a store in memory that counts the calls, keeps all bytes that it
// was handed, and can be made to fail.
type spyStore struct {
	store.Store
	mu    sync.Mutex
	calls []string // "get session", "put session" …
	seen  strings.Builder
	// trouble is asked before and after each call; an error is the call's.
	trouble func(ctx context.Context, call string, done bool) error
}

func newSpyStore() *spyStore { return &spyStore{Store: memory.New()} }

// inBackground reports whether a call keeps keys of others, at any time.
func inBackground(call string) bool { return strings.HasSuffix(call, " key-set") }

func (s *spyStore) call(ctx context.Context, name string, do func() error) error {
	s.mu.Lock()
	if !inBackground(name) {
		s.calls = append(s.calls, name)
	}
	trouble := s.trouble
	s.mu.Unlock()
	if trouble == nil {
		return do()
	}
	if err := trouble(ctx, name, false); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return trouble(ctx, name, true)
}

func (s *spyStore) note(r store.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(&s.seen, r.Kind, r.ID, r.Keys[0], r.Keys[1], string(r.Data))
}

// handed is all that the store was handed.
func (s *spyStore) handed() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.String()
}

func (s *spyStore) Get(ctx context.Context, kind, id string) (r store.Record, err error) {
	s.note(store.Record{Kind: kind, ID: id})
	err = s.call(ctx, "get "+kind, func() (err error) { r, err = s.Store.Get(ctx, kind, id); return err })
	return r, err
}

func (s *spyStore) Find(ctx context.Context, kind, key, after string, limit int) (found []store.Record, err error) {
	s.note(store.Record{Kind: kind, ID: after, Keys: [2]string{key, ""}})
	err = s.call(ctx, "find "+kind, func() (err error) { found, err = s.Store.Find(ctx, kind, key, after, limit); return err })
	return found, err
}

func (s *spyStore) Put(ctx context.Context, r store.Record) (version int64, err error) {
	s.note(r)
	err = s.call(ctx, "put "+r.Kind, func() (err error) { version, err = s.Store.Put(ctx, r); return err })
	return version, err
}

func (s *spyStore) Delete(ctx context.Context, kind, id string, version int64) error {
	return s.call(ctx, "delete "+kind, func() error { return s.Store.Delete(ctx, kind, id, version) })
}

// during gives the calls that do makes.
func (s *spyStore) during(do func()) []string {
	s.mu.Lock()
	s.calls = nil
	s.mu.Unlock()
	do()
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls...)
}

// lastCall is the latest call.
func (s *spyStore) lastCall() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[len(s.calls)-1]
}

// fail has every call fail for which trouble gives an error; nil heals the store.
func (s *spyStore) fail(trouble func(ctx context.Context, call string, done bool) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = trouble
}

// all gives every record.
func (s *spyStore) all(t *testing.T) []store.Record {
	t.Helper()
	var all []store.Record
	for _, kind := range []string{"session", "signing-key"} {
		found, err := s.Store.Find(t.Context(), kind, "", "", 1000)
		require.NoError(t, err)
		all = append(all, found...)
	}
	return all
}

// sessions gives every session.
func (s *spyStore) sessions(t *testing.T) []store.Record {
	t.Helper()
	found, err := s.Store.Find(t.Context(), "session", "", "", 1000)
	require.NoError(t, err)
	return found
}

// failAt makes a store's nth call, from now on, go wrong.
func (s *spyStore) failAt(n int, trouble func(ctx context.Context, done bool) error) {
	var mu sync.Mutex
	count := 0
	s.fail(func(ctx context.Context, call string, done bool) error {
		if inBackground(call) {
			return nil
		}
		mu.Lock()
		if !done {
			count++
		}
		hit := count == n
		mu.Unlock()
		if hit {
			return trouble(ctx, done)
		}
		return nil
	})
}

// remove takes all records of a kind away.
func (s *spyStore) remove(t *testing.T, kind string) {
	t.Helper()
	for _, record := range s.all(t) {
		if record.Kind == kind {
			require.NoError(t, s.Delete(t.Context(), record.Kind, record.ID, record.Version))
		}
	}
}

// spoil changes the data of the record of a subject, or of the first of a kind.
func (s *spyStore) spoil(t *testing.T, kind, subject string) {
	t.Helper()
	found, err := s.Store.Find(t.Context(), kind, subject, "", 1)
	require.NoError(t, err)
	require.Len(t, found, 1)
	found[0].Data[len(found[0].Data)/2] ^= 1
	_, err = s.Put(t.Context(), found[0])
	require.NoError(t, err)
}

// kept waits until the store holds the keys of so many issuers.
func (s *spyStore) kept(t *testing.T, count int) []store.Record {
	t.Helper()
	var found []store.Record
	require.Eventually(t, func() bool {
		var err error
		found, err = s.Store.Find(t.Context(), "key-set", "", "", 10)
		return err == nil && len(found) == count
	}, 10*time.Second, time.Millisecond)
	return found
}

// keptOf gives the record of an issuer's keys.
func (s *spyStore) keptOf(t *testing.T, issuer string) store.Record {
	t.Helper()
	record, err := s.Store.Get(t.Context(), "key-set", keptID(issuer))
	require.NoError(t, err)
	return record
}

// keptID is the id of the record of an issuer's keys.
func keptID(issuer string) string {
	hash := sha256.Sum256([]byte(issuer))
	return base64.RawURLEncoding.EncodeToString(hash[:])
}
