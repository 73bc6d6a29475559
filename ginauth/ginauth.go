// Package ginauth adds OpenID Connect to Gin:
//
//	func main() {
//		auth, err := core.New(core.Config{
//			Providers: []core.Provider{{Issuer: "https://id.example.org/realms/demo", ClientID: "shop", ClientSecret: os.Getenv("CLIENT_SECRET")}},
//			PublicURL: "http://localhost:8000/api",
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//		router := gin.New()
//		api := router.Group("/api")
//		ginauth.Mount(api, auth)
//		api.GET("/me", ginauth.Required(auth), func(c *gin.Context) {
//			c.String(http.StatusOK, "hello %s", core.TokenFrom(c.Request.Context()).Username())
//		})
//		log.Fatal(router.Run("localhost:8000"))
//	}
//
// [Mount] adds the routes of a [core.Auth] to an engine or a group. [Required], [Optional]
// and [Pages] are middleware for the application's own routes. A group may be below a
// parameter, as in "/u/:tenant/api". The package only translates: all decisions are in
// core.
//
// Use gin.WrapH for the routes at the root of the host:
//
//	for _, e := range auth.RootEndpoints() {
//		router.Any(e.Path, gin.WrapH(e.Handler))
//	}
package ginauth

import (
	"github.com/gin-gonic/gin"
	"github.com/oidcgate/oidcgate/core"
)

// Mount adds every route of auth that is switched on to r, an engine or a group at the
// path of Config.PublicURL. Like Gin, it panics if a route exists already. Call it before
// the engine serves.
func Mount(r gin.IRoutes, auth *core.Auth) {
	for _, e := range auth.Endpoints() {
		r.Any(e.Path, gin.WrapH(e.Handler))
	}
}

// Required returns middleware that rejects requests without a valid access token that
// satisfies the constraints. It answers them 401, 403 or 503 with [core.WriteError].
// Handlers get the token from [core.TokenFrom] with the context of c.Request.
// Required panics on a malformed constraint. The middleware is safe for concurrent use.
// See [core.Auth.Required].
func Required(auth *core.Auth, constraints ...core.Constraint) gin.HandlerFunc {
	return guard(auth.Required(constraints...))
}

// Optional returns middleware that also lets requests without a valid access token
// through. For these, Valid of the token from [core.TokenFrom] is false. Optional panics
// on a malformed constraint. See [core.Auth.Optional].
func Optional(auth *core.Auth, constraints ...core.Constraint) gin.HandlerFunc {
	return guard(auth.Optional(constraints...))
}

// Pages returns middleware for pages that people open with a browser: it sends people who are
// not signed in to the provider and back to the page. Answers get Cache-Control: no-store,
// unless the handler sets another. Pages panics on a malformed constraint, and without
// Config.Browser. See [core.Auth.Pages].
func Pages(auth *core.Auth, constraints ...core.Constraint) gin.HandlerFunc {
	return guard(auth.Pages(constraints...))
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
		if value := g.CacheControl(); value != "" {
			c.Header("Cache-Control", value)
		}
		c.Request = c.Request.WithContext(core.WithToken(ctx, token))
	}
}
