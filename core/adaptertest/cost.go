package adaptertest

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
)

// Requests builds a router with two equal routes. One of them is behind the adapter's
// Required without constraints. It returns two functions, bare and guarded. Each makes the
// router serve one request to its route, in the process, with this Authorization header:
// see [Get]. Whatever can be reused for many requests is made before.
type Requests func(auth *core.Auth, authorization string) (bare, guarded func())

// Get returns a function for [Requests] that makes a router serve a GET to path with this
// Authorization header. The function panics if the answer is not 204.
func Get(router http.Handler, path, authorization string) func() {
	r, w := httptest.NewRequest(http.MethodGet, path, nil), discard{http.Header{}}
	r.Header.Set("Authorization", authorization)
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
// request, without those of [core.Auth.Verify] and of the router. It is skipped with the
// race detector, which allocates as well.
func GuardAllocations(t *testing.T, most int, requests Requests) {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector makes allocations of its own")
	}
	verify, bare, guarded := cost(t, requests)
	v, b, g := testing.AllocsPerRun(500, verify), testing.AllocsPerRun(500, bare), testing.AllocsPerRun(500, guarded)
	if added := g - b - v; added > float64(most) {
		t.Errorf("the guard adds %v allocations to the %v of Verify and the %v of the router: %v are allowed", added, v, b, most)
	} else {
		t.Logf("the guard adds %v allocations to the %v of Verify and the %v of the router", added, v, b)
	}
}

// BenchmarkGuard runs three benchmarks: verify, bare and guarded. The cost of guarded is the
// cost of the other two plus the cost of the guard.
func BenchmarkGuard(b *testing.B, requests Requests) {
	verify, bare, guarded := cost(b, requests)
	for _, part := range []struct {
		name string
		run  func()
	}{{"verify", verify}, {"bare", bare}, {"guarded", guarded}} {
		b.Run(part.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				part.run()
			}
		})
	}
}

func cost(tb testing.TB, requests Requests) (verify, bare, guarded func()) {
	provider := oidctest.New(tb, oidctest.Options{})
	auth, err := core.New(core.Config{
		Providers: []core.Provider{{Issuer: provider.Issuer, ClientID: provider.ClientID, ClientSecret: provider.ClientSecret}},
		PublicURL: "https://app.example.org/api", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = auth.Close() })
	raw := provider.AccessToken(tb, "alice")
	verify = func() {
		if _, err := auth.Verify(tb.Context(), raw); err != nil {
			tb.Fatal(err)
		}
	}
	bare, guarded = requests(auth, bearer(raw))
	for _, f := range []func(){verify, bare, guarded} {
		f() // the keys are fetched now
	}
	return verify, bare, guarded
}
