package ginauth_test

import (
	"net"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/oidcgate/oidcgate/core/adaptertest"
	"github.com/oidcgate/oidcgate/ginauth"
)

func init() { gin.SetMode(gin.ReleaseMode) }

func TestAdapter(t *testing.T) {
	adaptertest.Run(t, func(t *testing.T, listener net.Listener, app adaptertest.App) {
		root := gin.New()
		var api gin.IRouter = root
		for _, segment := range app.Segments(":") {
			api = api.Group(segment)
		}
		ginauth.Mount(api, app.Auth)
		for _, e := range app.Auth.RootEndpoints() {
			root.Any(e.Path, gin.WrapH(e.Handler))
		}
		for _, route := range app.Routes {
			guards := adaptertest.Guards(app.Auth, route, ginauth.Required, ginauth.Optional, ginauth.Pages)
			api.Handle(route.Method, route.Path, append(guards, gin.WrapH(route))...)
		}
		adaptertest.Serve(t, listener, root)
	})
}
