package adaptertest

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
)

// patience is how long anything may take. It is for adapters that hang, not for
// slow ones.
const patience = 30 * time.Second

// quiet gets what servers say about handlers that panic.
var quiet = log.New(io.Discard, "", 0)

// suite is what a rule is given.
type suite struct {
	*testing.T
	serve func(t *testing.T, listener net.Listener, app App)
}

// app is an application that the adapter serves, beside its provider.
type app struct {
	*testing.T
	App
	provider *oidctest.Provider
	address  string // that it listens on
	mount    string // the path of the prefix, parameters filled in
	base     string // the URL of the mount
	client   *http.Client
}

// options say what an application is like. The zero value is one in passthrough
// mode below /api.
type options struct {
	prefix    string // "": /api
	root      bool   // no prefix at all
	provider  *oidctest.Provider
	configure func(*core.Config)
	routes    []Route // nil: ownRouteTable
}

// users of every provider. The third has no name.
var users = []oidctest.User{
	{Username: "alice", Claims: map[string]any{"email": "alice@example.com", "email_verified": true, "groups": []any{"admin", "users"}}},
	{Username: "bob", Claims: map[string]any{"email": "bob@example.com", "groups": []any{"users"}}},
	{Username: "nameless", Claims: map[string]any{"preferred_username": nil}},
}

// newProvider starts a provider. Its algorithm is the one that costs least.
func (s suite) newProvider(o oidctest.Options) *oidctest.Provider {
	o.SigningAlgorithm = "ES256"
	if o.Users == nil {
		o.Users = users
	}
	return oidctest.New(s.T, o)
}

// start has the adapter serve an application.
func (s suite) start(o options) *app {
	s.Helper()
	if o.provider == nil {
		o.provider = s.newProvider(polled)
	}
	if o.prefix == "" && !o.root {
		o.prefix = "/api"
	}
	if o.routes == nil {
		o.routes = ownRouteTable
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.Fatal(err)
	}
	a := &app{T: s.T, provider: o.provider, address: listener.Addr().String(), mount: strings.ReplaceAll(o.prefix, "{tenant}", "acme")}
	a.base = "http://" + a.address + a.mount
	config := core.Config{
		Providers: []core.Provider{{Issuer: o.provider.Issuer, ClientID: o.provider.ClientID, ClientSecret: o.provider.ClientSecret}},
		PublicURL: a.base, Secrets: []string{"c2VjcmV0IG9uZSBmb3IgdGVzdHMgb25seSwgMzIgYnl0ZXMh"},
		Logger: slog.New(slog.DiscardHandler),
	}
	if o.configure != nil {
		o.configure(&config)
	}
	auth, err := core.New(config)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		if err := auth.Close(); err != nil {
			s.Errorf("closing the Auth: %v", err)
		}
	})
	a.App = App{Auth: auth, Prefix: o.prefix, Routes: o.routes}
	s.serve(s.T, listener, a.App)
	a.client = a.browser()
	return a
}

// broker puts an application into broker mode, with token exchange.
func broker(c *core.Config) { c.Broker = &core.Broker{Algorithm: "ES256", Exchange: true} }

// browser is a client that keeps cookies and shows redirects.
func (a *app) browser() *http.Client {
	transport := &http.Transport{DisableCompression: true}
	a.Cleanup(transport.CloseIdleConnections)
	jar, _ := cookiejar.New(nil) // fails only for options that are not used
	return &http.Client{
		Transport: transport, Jar: jar, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// ownRouteTable are the application's own routes in most rules.
var ownRouteTable = []Route{
	{http.MethodGet, "/open", Unguarded, nil, whoami},
	{http.MethodGet, "/mine", Required, nil, whoami},
	{http.MethodPost, "/mine", Required, nil, func(ctx context.Context) (int, string) {
		return http.StatusCreated, "created by " + core.TokenFrom(ctx).Subject()
	}},
	{http.MethodDelete, "/mine/nested/thing", Required, nil, whoami},
	{http.MethodGet, "/admin", Required, []core.Constraint{core.AnyRole("admin", "chief")}, whoami},
	{http.MethodGet, "/orders", Required, []core.Constraint{core.Scopes("orders:read", "orders:write"), core.AnyRole("users")}, whoami},
	{http.MethodGet, "/verified", Required, []core.Constraint{core.Claim("email_verified", true)}, whoami},
	{http.MethodGet, "/hello", Optional, nil, whoami},
	{http.MethodGet, "/hello/admin", Optional, []core.Constraint{core.AnyRole("admin")}, whoami},
	{http.MethodGet, "/hello/strict", Optional, []core.Constraint{core.RefuseBadTokens}, whoami},
	{http.MethodGet, "/panic", Unguarded, nil, func(context.Context) (int, string) { panic("a handler of the application panics") }},
	{http.MethodGet, "/mine/panic", Required, nil, func(context.Context) (int, string) { panic("a guarded handler panics") }},
}

func whoami(ctx context.Context) (int, string) {
	if token := core.TokenFrom(ctx); token.Valid() {
		return http.StatusOK, token.Subject()
	}
	return http.StatusOK, "anonymous"
}
