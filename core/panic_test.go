package core_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
	"github.com/stretchr/testify/require"
)

// requirePanic looks for a panic among what was logged: at level ERROR, with its
// cause and where in the code it was.
func (j *journal) requirePanic(t *testing.T, cause, where string) {
	t.Helper()
	lines := bufio.NewScanner(strings.NewReader(j.logged()))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line map[string]any
		if json.Unmarshal(lines.Bytes(), &line) == nil && line["level"] == "ERROR" &&
			strings.Contains(lines.Text(), cause) && strings.Contains(fmt.Sprint(line["stack"]), where) {
			return
		}
	}
	require.NoError(t, lines.Err())
	t.Errorf("no panic %q with a stack was logged:\n%s", cause, j.logged())
}

// forget makes room for the next thing to be logged, when the last had no secret.
func (j *journal) forget() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, secret := range j.secrets {
		if len(secret) > 8 && strings.Contains(j.text.String(), secret) {
			return // for check to find
		}
	}
	j.text.Reset()
}

// panickingStore is a store whose nth call of a name panics, counted from arm on. Calls
// for keys of others do not count: they are kept in the background, at any time.
type panickingStore struct {
	store.Store
	mu    sync.Mutex
	name  string
	count int
	after bool // that is, after it was done
}

func (s *panickingStore) arm(name string, n int, after bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.name, s.count, s.after = name, n, after
}

func (s *panickingStore) maybe(name, kind string, after bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kind != "key-set" && name == s.name && after == s.after {
		if s.count--; s.count == 0 {
			panic("a bug in the driver")
		}
	}
}

func (s *panickingStore) Open(ctx context.Context) error {
	s.maybe("open", "", false)
	defer s.maybe("open", "", true)
	return s.Store.Open(ctx)
}

func (s *panickingStore) Get(ctx context.Context, kind, id string) (store.Record, error) {
	s.maybe("get", kind, false)
	defer s.maybe("get", kind, true)
	return s.Store.Get(ctx, kind, id)
}

func (s *panickingStore) Put(ctx context.Context, r store.Record) (int64, error) {
	s.maybe("put", r.Kind, false)
	defer s.maybe("put", r.Kind, true)
	return s.Store.Put(ctx, r)
}

func (s *panickingStore) Find(ctx context.Context, kind, key, after string, limit int) ([]store.Record, error) {
	s.maybe("find", kind, false)
	defer s.maybe("find", kind, true)
	return s.Store.Find(ctx, kind, key, after, limit)
}

// On goroutines of our own nobody else recovers a panic: it would end the process.
func TestAPanicOfTheStoreAtTheFirstRequestIsAnOutage(t *testing.T) {
	for _, call := range []string{"open", "find", "put"} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, done %t", call, after), func(t *testing.T) {
				spy := &panickingStore{Store: memory.New()}
				a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
				spy.arm(call, 1, after)
				requireError(t, a.get(browser(), "/auth/v2/.well-known/jwks.json"), http.StatusServiceUnavailable, "temporarily_unavailable")
				a.log.requirePanic(t, "a bug in the driver", "panickingStore")
				a.clock.Add(time.Minute)
				require.Equal(t, http.StatusOK, a.get(browser(), "/auth/v2/.well-known/jwks.json").StatusCode)
				a.signIn("alice")

				b := a.replica(spy)
				spy.arm(call, 1, after)
				if err := b.auth.Start(t.Context()); call != "put" { // there is a key by now
					require.ErrorIs(t, err, core.ErrUnavailable)
				}
			})
		}
	}
}

func TestAPanicOfTheStoreAtARefreshCostsNoSession(t *testing.T) {
	for _, row := range []struct {
		call string
		n    int // a refresh reads, takes the lease, and writes the next generation
	}{{"get", 1}, {"put", 1}, {"put", 2}} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %d, done %t", row.call, row.n, after), func(t *testing.T) {
				spy := &panickingStore{Store: memory.New()}
				a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
				a.overhear(nil) // so that none of its tokens may be logged
				token := a.signIn("alice").RefreshToken
				spy.arm(row.call, row.n, after)
				got := a.refresh(token)
				if row.n == 1 {
					requireError(t, got, http.StatusServiceUnavailable, "temporarily_unavailable")
				} else { // what the provider has answered is saved by another try
					a.tokens(got)
				}
				a.log.requirePanic(t, "a bug in the driver", "panickingStore")
				next := a.tokens(a.refresh(token))
				a.tokens(a.refresh(next.RefreshToken))
				require.Empty(t, a.log.ends())
			})
		}
	}
}

func TestAPanicOfIdentifyIsLoggedWithItsStack(t *testing.T) {
	fails := false
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(context.Context, *core.Identity) error {
		if fails {
			mistake()
		}
		return nil
	}))
	a.overhear(nil)
	token := a.signIn("alice").RefreshToken
	fails = true
	for _, ask := range []func() answer{
		func() answer { return a.codeLogin("alice") },
		func() answer { return a.exchange(a.provider.AccessToken(t, "alice")) },
		func() answer { return a.refresh(token) },
	} {
		a.log.forget()
		got := ask()
		require.GreaterOrEqual(t, got.StatusCode, 400)
		require.NotContains(t, got.body, "a bug of the application")
		a.log.requirePanic(t, "a bug of the application", "core_test.mistake")
	}
	fails = false
	a.tokens(a.refresh(token))
	require.Empty(t, a.log.ends())
}

// mistake is a bug of the application.
func mistake() { panic("a bug of the application") }

// Observe is told what was decided, and decides nothing.
func TestAPanicOfObserveChangesNoOutcome(t *testing.T) {
	refused := false
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(context.Context, *core.Identity) error {
		if refused {
			return core.ErrAccessDenied
		}
		return nil
	}), func(c *core.Config) {
		observe := c.Observe
		c.Observe = func(ctx context.Context, event core.Event) {
			observe(ctx, event)
			mistake()
		}
	})
	a.overhear(nil)
	step := func(kind core.EventKind, do func()) {
		t.Helper()
		a.log.forget()
		do()
		require.Equal(t, kind, a.log.last(t).Kind)
		a.log.requirePanic(t, "a bug of the application", "core_test.mistake")
	}
	var got tokens
	step(core.EventLogin, func() { got = a.signIn("alice") })
	step(core.EventLogin, func() { a.tokens(a.callbackLogin("alice")) })
	step(core.EventRefresh, func() { got = a.tokens(a.refresh(got.RefreshToken)) })
	step(core.EventExchange, func() { a.tokens(a.exchange(a.provider.AccessToken(t, "alice"))) })
	step(core.EventToken, func() { requireError(t, me(a.auth, "nonsense"), http.StatusUnauthorized, "invalid_token") })
	step(core.EventLogout, func() { require.NotEmpty(t, a.hint(a.logoutWith(got.AccessToken))) })
	requireError(t, a.get(browser(), userinfoRoute, bearer(got.AccessToken)), http.StatusUnauthorized, "invalid_token")

	got = a.signIn("alice")
	refused = true
	step(core.EventLogin, func() { requireError(t, a.codeLogin("alice"), http.StatusForbidden, "access_denied") })
	step(core.EventRefresh, func() { requireError(t, a.refresh(got.RefreshToken), http.StatusBadRequest, "invalid_grant") })
	require.Equal(t, []string{core.ReasonDenied}, a.log.ends())
	refused = false
	requireError(t, a.refresh(got.RefreshToken), http.StatusBadRequest, "invalid_grant")
}

// Some calls are made on the caller's own goroutine, which may be main's.
func TestAPanicOfTheStoreDoesNotReachTheCaller(t *testing.T) {
	spy := &panickingStore{Store: memory.New()}
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
	a.overhear(nil)
	got := a.signIn("alice")
	spy.arm("find", 1, false)
	_, err := a.auth.Reseal(t.Context())
	require.ErrorIs(t, err, core.ErrUnavailable)
	spy.arm("get", 1, false)
	requireError(t, a.get(http.DefaultClient, "/auth/v2/userinfo", "Authorization: Bearer "+got.AccessToken), http.StatusServiceUnavailable, "temporarily_unavailable")
	a.log.requirePanic(t, "a bug in the driver", "panickingStore")
}
