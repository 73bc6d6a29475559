package customadapter_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/adaptertest"
	customadapter "github.com/oidcgate/oidcgate/examples/custom-adapter"
)

func TestAdapter(t *testing.T) {
	adaptertest.Run(t, func(t *testing.T, listener net.Listener, app adaptertest.App) {
		router := &customadapter.Router{}
		prefix := strings.NewReplacer("{", "$", "}", "").Replace(app.Prefix)
		customadapter.Mount(router, prefix, app.Auth)
		for _, e := range app.Auth.RootEndpoints() {
			router.Add("", e.Path, customadapter.Wrap(e.Handler))
		}
		for _, route := range app.Routes {
			handlers := []customadapter.Handler{customadapter.Wrap(route)}
			switch route.Guard {
			case adaptertest.Required:
				handlers = append([]customadapter.Handler{customadapter.Required(app.Auth, route.Constraints...)}, handlers...)
			case adaptertest.Optional:
				handlers = append([]customadapter.Handler{customadapter.Optional(app.Auth, route.Constraints...)}, handlers...)
			}
			router.Add(route.Method, prefix+route.Path, handlers...)
		}
		adaptertest.Serve(t, listener, router)
	})
}

func TestGuardMakesFewAllocations(t *testing.T) {
	adaptertest.GuardAllocations(t, 3, func(auth *core.Auth, authorization string) (bare, guarded func()) {
		router := &customadapter.Router{}
		done := func(*customadapter.Call) bool { return false }
		router.Add("GET", "/bare", done)
		router.Add("GET", "/guarded", customadapter.Required(auth), done)
		request := func(path string) func() {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Header.Set("Authorization", authorization)
			return func() { router.ServeHTTP(nil, r) }
		}
		return request("/bare"), request("/guarded")
	})
}
