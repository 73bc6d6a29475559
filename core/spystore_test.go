package core_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
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

// handed is all that was noted. Keys of others are kept in the background, at any time.
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

// replica starts another instance of an application, on the same store and with
// the same name to the world.
func (a *app) replica(records store.Store, configure ...func(*core.Config)) *app {
	a.t.Helper()
	b := newApp(a.t, a.provider, append([]func(*core.Config){
		brokered(func(b *core.Broker) { b.Store = records }),
		func(c *core.Config) { c.PublicURL = a.api; c.Now = a.clock.Now },
	}, configure...)...)
	b.clock = a.clock
	return b
}

// stored puts an application into broker mode with a store.
func stored(records store.Store) func(*core.Config) {
	return brokered(func(b *core.Broker) { b.Store = records })
}

// refresh posts a refresh token.
func (a *app) refresh(token string, fields ...string) answer {
	a.t.Helper()
	a.log.keep(token)
	return a.post(a.server.Client(), "/auth/v2/token", append(fields, "grant_type", "refresh_token", "refresh_token", token)...)
}

// ends are the reasons of the sessions that were ended so far.
func (j *journal) ends() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var reasons []string
	for _, event := range j.events {
		if event.Kind == core.EventEnd {
			reasons = append(reasons, event.Reason)
		}
	}
	return reasons
}

// quick keeps time limits short, for tests in which they pass, and long enough for
// a machine that is busy.
func quick(c *core.Config) { c.Timeout = 2 * time.Second }
