package chiauth_test

import (
	"net"
	"slices"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/oidcgate/oidcgate/chiauth"
	"github.com/oidcgate/oidcgate/core/adaptertest"
)

func TestAdapter(t *testing.T) {
	adaptertest.Run(t, func(t *testing.T, listener net.Listener, app adaptertest.App) {
		api := chiauth.Router(app.Auth)
		for _, route := range app.Routes {
			guards := adaptertest.Guards(app.Auth, route, chiauth.Required, chiauth.Optional, chiauth.Pages)
			api.With(guards...).Method(route.Method, route.Path, route)
		}
		// A router for each segment of the prefix, from the inside out.
		root := api
		for _, segment := range slices.Backward(app.Segments("")) {
			inner := root
			root = chi.NewRouter()
			root.Mount(segment, inner)
		}
		for _, e := range app.Auth.RootEndpoints() {
			root.Handle(e.Path, e.Handler)
		}
		adaptertest.Serve(t, listener, root)
	})
}
