package stdauth_test

import (
	"net/http"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/adaptertest"
	"github.com/oidcgate/oidcgate/stdauth"
)

func requests(auth *core.Auth, header http.Header) (bare, guarded func()) {
	mux := http.NewServeMux()
	done := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.Handle("GET /bare", done)
	mux.Handle("GET /guarded", stdauth.Required(auth)(done))
	return adaptertest.Get(mux, "/bare", header), adaptertest.Get(mux, "/guarded", header)
}

func TestGuardMakesFewAllocations(t *testing.T) { adaptertest.GuardAllocations(t, 3, requests) }

func BenchmarkGuard(b *testing.B) { adaptertest.BenchmarkGuard(b, requests) }
