package adaptertest_test

import (
	"net"
	"net/http"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/adaptertest"
)

// This is all that the author of an adapter writes. Here the adapter is core's own for
// net/http, and the router a ServeMux.
func ExampleRun() {
	_ = func(t *testing.T) { // TestAdapter
		adaptertest.Run(t, func(t *testing.T, listener net.Listener, app adaptertest.App) {
			mux := http.NewServeMux()
			for _, e := range app.Auth.Endpoints() {
				mux.Handle(app.Prefix+e.Path, e.Handler)
			}
			for _, e := range app.Auth.RootEndpoints() {
				mux.Handle(e.Path, e.Handler)
			}
			for _, route := range app.Routes {
				var handler http.Handler = route
				for _, guard := range adaptertest.Guards(app.Auth, route, (*core.Auth).Required, (*core.Auth).Optional, (*core.Auth).Pages) {
					handler = guard.Handler(handler)
				}
				mux.Handle(route.Method+" "+app.Prefix+route.Path, handler)
			}
			adaptertest.Serve(t, listener, mux)
		})
	}
}
