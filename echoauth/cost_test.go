package echoauth_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/adaptertest"
	"github.com/oidcgate/oidcgate/echoauth"
)

func requests(auth *core.Auth, authorization string) (bare, guarded func()) {
	e := echo.New()
	done := func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }
	e.GET("/bare", done)
	e.GET("/guarded", done, echoauth.Required(auth))
	request := func(path string) func() {
		r, w := httptest.NewRequest(http.MethodGet, path, nil), discard{http.Header{}}
		r.Header.Set("Authorization", authorization)
		return func() { e.ServeHTTP(w, r) }
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
