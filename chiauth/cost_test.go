package chiauth_test

import (
	"net/http"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/oidcgate/oidcgate/chiauth"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/adaptertest"
)

func requests(auth *core.Auth, header http.Header) (bare, guarded func()) {
	r := chi.NewRouter()
	done := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
	r.Get("/bare", done)
	r.With(chiauth.Required(auth)).Get("/guarded", done)
	return adaptertest.Get(r, "/bare", header), adaptertest.Get(r, "/guarded", header)
}

func TestGuardMakesFewAllocations(t *testing.T) { adaptertest.GuardAllocations(t, 3, requests) }

func BenchmarkGuard(b *testing.B) { adaptertest.BenchmarkGuard(b, requests) }
