package core_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

const day = 24 * time.Hour

// secret is a value for Config.Secrets.
const secret = "c2VjcmV0IG9uZSBmb3IgdGVzdHMgb25seSwgMzIgYnl0ZXMh"

// native is a redirect URI on which nothing listens: a program's own.
const native = "http://127.0.0.1:9/done"

// app is an application with oidcgate in it, on a port of its own, beside a
// real provider.
type app struct {
	t        *testing.T
	auth     *core.Auth
	provider *oidctest.Provider
	clock    *clock
	log      *journal
	server   *httptest.Server
	mux      *http.ServeMux
	api      string // where the routes are mounted
}

// newApp starts an application; configure may change its Config first.
func newApp(t *testing.T, provider *oidctest.Provider, configure ...func(*core.Config)) *app {
	t.Helper()
	a := &app{t: t, provider: provider, clock: &clock{now: time.Now()}, log: &journal{}, mux: http.NewServeMux()}
	a.server = httptest.NewUnstartedServer(a.mux)
	a.api = "http://" + a.server.Listener.Addr().String() + "/api"
	config := core.Config{
		Providers: []core.Provider{{Issuer: provider.Issuer, ClientID: provider.ClientID, ClientSecret: provider.ClientSecret}},
		PublicURL: a.api,
		Secrets:   []string{secret},
		Now:       a.clock.Now,
		Logger:    slog.New(slog.NewJSONHandler(a.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Observe:   a.log.observe,
	}
	for _, change := range configure {
		change(&config)
	}
	var err error
	a.auth, err = core.New(config)
	require.NoError(t, err)
	for _, e := range a.auth.Endpoints() {
		a.mux.Handle("/api"+e.Path, e.Handler)
	}
	a.server.Start()
	t.Cleanup(func() {
		a.server.Close()
		require.NoError(t, a.auth.Close())
		a.log.check(t)
	})
	a.log.keep(provider.ClientSecret)
	return a
}

// guarded adds a route behind a guard, which answers who the user is.
func (a *app) guarded(path string, guard *core.Guard) {
	a.mux.Handle("/api"+path, guard.Handler(http.HandlerFunc(whoami)))
}

// quick keeps time limits short, for tests in which they pass, and long enough for
// a machine that is busy.
func quick(c *core.Config) { c.Timeout = 2 * time.Second }

// clock is the clock of an application.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// validConfig is a configuration for New, of an application that nobody calls.
func validConfig() core.Config {
	return core.Config{
		Providers: []core.Provider{{Issuer: "https://id.example.org/realms/demo", ClientID: "shop"}}, PublicURL: "https://shop.example.org/api",
		Secrets: []string{secret}, Logger: slog.New(slog.DiscardHandler),
	}
}

// unsetOIDC takes away what the machine's own environment may have.
func unsetOIDC(t *testing.T) {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "OIDC_") {
			t.Setenv(name, "")
		}
	}
}

// verify gives the error of an application that is asked about a token.
func (a *app) verify(raw string) error {
	_, err := a.auth.Verify(a.t.Context(), raw)
	return err
}
