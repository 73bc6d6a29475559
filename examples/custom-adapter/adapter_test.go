package customadapter_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/adaptertest"
	customadapter "github.com/oidcgate/oidcgate/examples/custom-adapter"
)

func TestAdapter(t *testing.T) {
	adaptertest.Run(t, func(t *testing.T, listener net.Listener, app adaptertest.App) {
		router := &customadapter.Router{}
		prefix := strings.Join(app.Segments("$"), "")
		customadapter.Mount(router, prefix, app.Auth)
		for _, e := range app.Auth.RootEndpoints() {
			router.Add("", e.Path, customadapter.Wrap(e.Handler))
		}
		for _, route := range app.Routes {
			guards := adaptertest.Guards(app.Auth, route, customadapter.Required, customadapter.Optional, customadapter.Pages)
			router.Add(route.Method, prefix+route.Path, append(guards, customadapter.Wrap(route))...)
		}
		adaptertest.Serve(t, listener, router)
	})
}

func TestGuardMakesFewAllocations(t *testing.T) {
	adaptertest.GuardAllocations(t, 3, func(auth *core.Auth, header http.Header) (bare, guarded func()) {
		router := &customadapter.Router{}
		done := func(*customadapter.Call) bool { return false }
		router.Add("GET", "/bare", done)
		router.Add("GET", "/guarded", customadapter.Required(auth), done)
		return adaptertest.Get(router, "/bare", header), adaptertest.Get(router, "/guarded", header)
	})
}
