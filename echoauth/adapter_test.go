package echoauth_test

import (
	"net"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/oidcgate/oidcgate/core/adaptertest"
	"github.com/oidcgate/oidcgate/echoauth"
)

func TestAdapter(t *testing.T) {
	adaptertest.Run(t, func(t *testing.T, listener net.Listener, app adaptertest.App) {
		root := echo.New()
		api := root.Group("")
		for _, segment := range app.Segments(":") {
			api = api.Group(segment)
		}
		echoauth.Mount(api, app.Auth)
		for _, e := range app.Auth.RootEndpoints() {
			root.Any(e.Path, echo.WrapHandler(e.Handler))
		}
		for _, route := range app.Routes {
			guards := adaptertest.Guards(app.Auth, route, echoauth.Required, echoauth.Optional, echoauth.Pages)
			api.Add(route.Method, route.Path, echo.WrapHandler(route), guards...)
		}
		adaptertest.Serve(t, listener, root)
	})
}
