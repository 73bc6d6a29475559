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
			switch route.Guard {
			case adaptertest.Required:
				handler = stdauth.Required(app.Auth, route.Constraints...)(handler)
			case adaptertest.Optional:
				handler = stdauth.Optional(app.Auth, route.Constraints...)(handler)
			}
			mux.Handle(route.Method+" "+app.Prefix+route.Path, handler)
		}
		adaptertest.Serve(t, listener, mux)
	})
}
