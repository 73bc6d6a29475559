// Package ginauth puts OpenID Connect on Gin: [Mount] adds the routes of a
// [core.Auth] to an engine or a group, and [Required] and [Optional] are middleware
// for the application's own routes.
//
//	router := gin.New()
//	api := router.Group("/api")
//	ginauth.Mount(api, auth)
//	api.GET("/me", ginauth.Required(auth), func(c *gin.Context) {
//		c.String(http.StatusOK, "hello %s", core.TokenFrom(c.Request.Context()).Username())
//	})
//
// A group may be below a parameter, as in "/u/:tenant/api". Routes for the root of
// the host are registered with gin.WrapH:
//
//	for _, e := range auth.RootEndpoints() {
//		router.Any(e.Path, gin.WrapH(e.Handler))
//	}
//
// The package translates and decides nothing; everything else is in [core].
package ginauth

import (
	"github.com/gin-gonic/gin"
	"github.com/oidcgate/oidcgate/core"
)

// Mount adds every route of auth that is switched on to r, an engine or a group,
// which must be where Config.PublicURL leads to. Like Gin it panics when a route is
// there already. It is called before the engine serves, by one goroutine.
func Mount(r gin.IRoutes, auth *core.Auth) {
	for _, e := range auth.Endpoints() {
		r.Any(e.Path, gin.WrapH(e.Handler))
	}
}

// Required is middleware that rejects requests without a valid access token that
// satisfies the constraints: they are answered 401, 403 or 503 as [core.WriteError] does.
// For the others [core.TokenFrom] finds the token in the context of c.Request. It panics
// on a malformed constraint. See [core.Auth.Required].
func Required(auth *core.Auth, constraints ...core.Constraint) gin.HandlerFunc {
	return guard(auth.Required(constraints...))
}

// Optional is middleware that takes requests without a valid access token for anonymous:
// for those [core.TokenFrom] gives a token that is not Valid. See [core.Auth.Optional].
func Optional(auth *core.Auth, constraints ...core.Constraint) gin.HandlerFunc {
	return guard(auth.Optional(constraints...))
}

func guard(g *core.Guard) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx := c.Request.Context()
		token, err := g.Check(ctx, core.RequestOf(c.Request))
		if err != nil {
			core.WriteError(c.Writer, err)
			c.Abort()
			return
		}
		c.Request = c.Request.WithContext(core.WithToken(ctx, token))
	}
}
