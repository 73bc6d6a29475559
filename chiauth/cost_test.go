package chiauth_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/oidcgate/oidcgate/chiauth"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/adaptertest"
)

func requests(auth *core.Auth, authorization string) (bare, guarded func()) {
	r := chi.NewRouter()
	done := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
	r.Get("/bare", done)
	r.With(chiauth.Required(auth)).Get("/guarded", done)
	request := func(path string) func() {
		req, w := httptest.NewRequest(http.MethodGet, path, nil), discard{http.Header{}}
		req.Header.Set("Authorization", authorization)
		return func() { r.ServeHTTP(w, req) }
	}
	return request("/bare"), request("/guarded")
}

// discard is an answer that nobody reads. It panics on an error.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(status int) {
	if status != http.StatusNoContent {
		panic(http.StatusText(status))
	}
}

func TestGuardMakesFewAllocations(t *testing.T) { adaptertest.GuardAllocations(t, 3, requests) }

func BenchmarkGuard(b *testing.B) { adaptertest.BenchmarkGuard(b, requests) }
