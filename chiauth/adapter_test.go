package chiauth_test

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/oidcgate/oidcgate/chiauth"
	"github.com/oidcgate/oidcgate/core/adaptertest"
)

func TestAdapter(t *testing.T) {
	adaptertest.Run(t, func(t *testing.T, listener net.Listener, app adaptertest.App) {
		api := chiauth.Router(app.Auth)
		for _, route := range app.Routes {
			switch route.Guard {
			case adaptertest.Required:
				api.With(chiauth.Required(app.Auth, route.Constraints...)).Method(route.Method, route.Path, route)
			case adaptertest.Optional:
				api.With(chiauth.Optional(app.Auth, route.Constraints...)).Method(route.Method, route.Path, route)
			default:
				api.Method(route.Method, route.Path, route)
			}
		}
		// A router for each segment of the prefix, from the inside out.
		segments := strings.Split(strings.TrimPrefix(app.Prefix, "/"), "/")
		var root chi.Router
		for _, segment := range slices.Backward(segments) {
			root = chi.NewRouter()
			root.Mount("/"+segment, api)
			api = root
		}
		for _, e := range app.Auth.RootEndpoints() {
			root.Handle(e.Path, e.Handler)
		}
		adaptertest.Serve(t, listener, root)
	})
}
