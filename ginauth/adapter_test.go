package ginauth_test

import (
	"net"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/oidcgate/oidcgate/core/adaptertest"
	"github.com/oidcgate/oidcgate/ginauth"
)

func init() { gin.SetMode(gin.ReleaseMode) }

// groups nests a group for each segment of a prefix.
func groups(root gin.IRouter, prefix string) gin.IRouter {
	for segment := range strings.SplitSeq(strings.Trim(prefix, "/"), "/") {
		if segment != "" {
			root = root.Group("/" + segment)
		}
	}
	return root
}

func TestAdapter(t *testing.T) {
	adaptertest.Run(t, func(t *testing.T, listener net.Listener, app adaptertest.App) {
		root := gin.New()
		api := groups(root, strings.NewReplacer("{", ":", "}", "").Replace(app.Prefix))
		ginauth.Mount(api, app.Auth)
		for _, e := range app.Auth.RootEndpoints() {
			root.Any(e.Path, gin.WrapH(e.Handler))
		}
		for _, route := range app.Routes {
			handlers := []gin.HandlerFunc{gin.WrapH(route)}
			switch route.Guard {
			case adaptertest.Required:
				handlers = append([]gin.HandlerFunc{ginauth.Required(app.Auth, route.Constraints...)}, handlers...)
			case adaptertest.Optional:
				handlers = append([]gin.HandlerFunc{ginauth.Optional(app.Auth, route.Constraints...)}, handlers...)
			}
			api.Handle(route.Method, route.Path, handlers...)
		}
		adaptertest.Serve(t, listener, root)
	})
}
