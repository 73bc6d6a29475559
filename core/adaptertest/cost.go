package adaptertest

import (
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
)

// Requests builds a router with two equal routes. One of them is behind the adapter's
// Required without constraints. It returns two functions, bare and guarded. Each makes the
// router serve one request to its route, in the process, with these headers: see [Get].
// Whatever can be reused for many requests is made before.
type Requests func(auth *core.Auth, header http.Header) (bare, guarded func())

// Get returns a function for [Requests] that makes a router serve a GET to path with these
// headers. The function panics if the answer is not 204.
func Get(router http.Handler, path string, header http.Header) func() {
	r, w := httptest.NewRequest(http.MethodGet, path, nil), discard{http.Header{}}
	r.Header = header
	return func() { router.ServeHTTP(w, r) }
}

// discard is an answer that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(status int) {
	if status != http.StatusNoContent {
		panic(http.StatusText(status))
	}
}

// GuardAllocations fails if the adapter's guard makes more than most allocations per
// request, without those of [core.Guard.Check] and of the router. It measures requests with a
// token and requests with the cookie of a browser's session. It is skipped with the race
// detector, which allocates as well.
func GuardAllocations(t *testing.T, most int, requests Requests) {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector makes allocations of its own")
	}
	for _, c := range costs(t, requests) {
		check, b, g := testing.AllocsPerRun(500, c.check), testing.AllocsPerRun(500, c.bare), testing.AllocsPerRun(500, c.guarded)
		if added := g - b - check; added > float64(most) {
			t.Errorf("by %s, the guard adds %v allocations to the %v of Check and the %v of the router: %v are allowed", c.by, added, check, b, most)
		} else {
			t.Logf("by %s, the guard adds %v allocations to the %v of Check and the %v of the router", c.by, added, check, b)
		}
	}
}

// BenchmarkGuard runs three benchmarks for a token and for a cookie: check, bare and guarded.
// The cost of guarded is the cost of the other two plus the cost of the guard.
func BenchmarkGuard(b *testing.B, requests Requests) {
	for _, c := range costs(b, requests) {
		for _, part := range []struct {
			name string
			run  func()
		}{{"check", c.check}, {"bare", c.bare}, {"guarded", c.guarded}} {
			b.Run(c.by+"/"+part.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					part.run()
				}
			})
		}
	}
}

// cost is what is measured for requests by a token or by a cookie.
type cost struct {
	by                   string
	check, bare, guarded func()
}

func costs(tb testing.TB, requests Requests) []cost {
	provider, server := oidctest.New(tb, oidctest.Options{}), httptest.NewUnstartedServer(nil)
	public := "http://" + server.Listener.Addr().String()
	auth, err := core.New(core.Config{
		Providers: []core.Provider{{Issuer: provider.Issuer, ClientID: provider.ClientID, ClientSecret: provider.ClientSecret}},
		PublicURL: public, Broker: &core.Broker{Algorithm: "ES256"}, Browser: &core.Browser{}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, e := range auth.Endpoints() {
		mux.Handle(e.Path, e.Handler)
	}
	server.Config.Handler = mux
	server.Start()
	tb.Cleanup(func() { server.Close(); _ = auth.Close() })

	raw, err := auth.Mint(tb.Context(), core.Identity{Subject: "user-alice"}, core.MintOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	costs := []cost{{by: "token"}, {by: "cookie"}}
	for i, header := range []http.Header{{"Authorization": {bearer(raw)}}, {"Cookie": {signedIn(tb, provider, public)}}} {
		guard, r := auth.Required(), httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header = header
		costs[i].check = func() {
			if _, err := guard.Check(tb.Context(), core.RequestOf(r)); err != nil {
				tb.Fatal(err)
			}
		}
		costs[i].bare, costs[i].guarded = requests(auth, header)
		for _, run := range []func(){costs[i].check, costs[i].bare, costs[i].guarded} {
			run() // what is fetched once is fetched now
		}
	}
	return costs
}

// signedIn gives the header Cookie of a browser in which a user is signed in.
func signedIn(tb testing.TB, provider *oidctest.Provider, public string) string {
	jar, _ := cookiejar.New(nil) // fails only for options that are not used
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	callback := provider.Authorize(tb, client, public+loginRoute, "alice")
	res, err := client.Get(callback.String())
	if err != nil {
		tb.Fatal(err)
	}
	defer res.Body.Close()
	cookie := sessionCookie(jar, callback)
	if cookie == "" {
		tb.Fatalf("the callback answers %s, without the cookie of a session", res.Status)
	}
	return cookie
}
