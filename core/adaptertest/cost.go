package adaptertest

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
)

// Requests builds a router with two routes that do the same, one of them behind the
// adapter's Required without constraints, and gives functions that have the router
// serve one request to each, in the process and with this Authorization header: see
// [Get]. Both do no more than they must: what is made once for many requests, they make
// before.
type Requests func(auth *core.Auth, authorization string) (bare, guarded func())

// Get gives a function that has a router serve a GET to path with this Authorization
// header, for [Requests]. The answer must be 204, or the function panics.
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

// GuardAllocations fails if a guard of the adapter makes more than most allocations
// for each request besides those of [core.Auth.Verify] and of the router. With the
// race detector, which makes some of its own, it is skipped.
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

// BenchmarkGuard runs three benchmarks, of which the third costs what the first two do
// and what the guard adds: verify, bare and guarded.
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
