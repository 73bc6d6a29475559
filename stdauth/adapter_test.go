package stdauth_test

import (
	"net"
	"net/http"
	"testing"

	"github.com/oidcgate/oidcgate/core/adaptertest"
	"github.com/oidcgate/oidcgate/stdauth"
)

func TestAdapter(t *testing.T) {
	adaptertest.Run(t, func(t *testing.T, listener net.Listener, app adaptertest.App) {
		mux := http.NewServeMux()
		stdauth.Mount(mux, app.Prefix, app.Auth)
		for _, e := range app.Auth.RootEndpoints() {
			mux.Handle(e.Path, e.Handler)
		}
		for _, route := range app.Routes {
			var handler http.Handler = route
			for _, guard := range adaptertest.Guards(app.Auth, route, stdauth.Required, stdauth.Optional, stdauth.Pages) {
				handler = guard(handler)
			}
			mux.Handle(route.Method+" "+app.Prefix+route.Path, handler)
		}
		adaptertest.Serve(t, listener, mux)
	})
}
