package echoauth_test

import (
	"net"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/oidcgate/oidcgate/core/adaptertest"
	"github.com/oidcgate/oidcgate/echoauth"
)

// groups nests a group for each segment of a prefix.
func groups(e *echo.Echo, prefix string) *echo.Group {
	group := e.Group("")
	for segment := range strings.SplitSeq(strings.Trim(prefix, "/"), "/") {
		if segment != "" {
			group = group.Group("/" + segment)
		}
	}
	return group
}

func TestAdapter(t *testing.T) {
	adaptertest.Run(t, func(t *testing.T, listener net.Listener, app adaptertest.App) {
		root := echo.New()
		api := groups(root, strings.NewReplacer("{", ":", "}", "").Replace(app.Prefix))
		echoauth.Mount(api, app.Auth)
		for _, e := range app.Auth.RootEndpoints() {
			root.Any(e.Path, echo.WrapHandler(e.Handler))
		}
		for _, route := range app.Routes {
			var guards []echo.MiddlewareFunc
			switch route.Guard {
			case adaptertest.Required:
				guards = append(guards, echoauth.Required(app.Auth, route.Constraints...))
			case adaptertest.Optional:
				guards = append(guards, echoauth.Optional(app.Auth, route.Constraints...))
			}
			api.Add(route.Method, route.Path, echo.WrapHandler(route), guards...)
		}
		adaptertest.Serve(t, listener, root)
	})
}
