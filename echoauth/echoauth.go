// Package echoauth adds OpenID Connect to Echo v4:
//
//	func main() {
//		auth, err := core.New(core.Config{
//			Providers: []core.Provider{{Issuer: "https://id.example.org/realms/demo", ClientID: "shop", ClientSecret: os.Getenv("CLIENT_SECRET")}},
//			PublicURL: "http://localhost:8000/api",
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//		e := echo.New()
//		api := e.Group("/api")
//		echoauth.Mount(api, auth)
//		api.GET("/me", func(c echo.Context) error {
//			return c.String(http.StatusOK, "hello "+core.TokenFrom(c.Request().Context()).Username())
//		}, echoauth.Required(auth))
//		log.Fatal(e.Start("localhost:8000"))
//	}
//
// [Mount] adds the routes of a [core.Auth] to an instance or a group. [Required], [Optional]
// and [Pages] are middleware for the application's own routes. A group may be below a
// parameter, as in "/u/:tenant/api". The package only translates: all decisions are in
// core.
//
// Use echo.WrapHandler for the routes at the root of the host:
//
//	for _, endpoint := range auth.RootEndpoints() {
//		e.Any(endpoint.Path, echo.WrapHandler(endpoint.Handler))
//	}
package echoauth

import (
	"github.com/labstack/echo/v4"
	"github.com/oidcgate/oidcgate/core"
)

// Router is the part of [echo.Echo] and [echo.Group] that Mount needs.
type Router interface {
	Any(path string, h echo.HandlerFunc, middleware ...echo.MiddlewareFunc) []*echo.Route
}

// Mount adds every route of auth that is switched on to r, an instance or a group at the
// path of Config.PublicURL. Call it before the instance serves.
func Mount(r Router, auth *core.Auth) {
	for _, e := range auth.Endpoints() {
		r.Any(e.Path, echo.WrapHandler(e.Handler))
	}
}

// Required returns middleware that rejects requests without a valid access token that
// satisfies the constraints. It answers them 401, 403 or 503 with [core.WriteError].
// Handlers get the token from [core.TokenFrom] with the context of c.Request().
// Required panics on a malformed constraint. The middleware is safe for concurrent use.
// See [core.Auth.Required].
func Required(auth *core.Auth, constraints ...core.Constraint) echo.MiddlewareFunc {
	return guard(auth.Required(constraints...))
}

// Optional returns middleware that also lets requests without a valid access token
// through. For these, Valid of the token from [core.TokenFrom] is false. Optional panics
// on a malformed constraint. See [core.Auth.Optional].
func Optional(auth *core.Auth, constraints ...core.Constraint) echo.MiddlewareFunc {
	return guard(auth.Optional(constraints...))
}

// Pages returns middleware for pages that people open with a browser: it sends people who are
// not signed in to the provider and back to the page. Answers get Cache-Control: no-store,
// unless the handler sets another. Pages panics on a malformed constraint, and without
// Config.Browser. See [core.Auth.Pages].
func Pages(auth *core.Auth, constraints ...core.Constraint) echo.MiddlewareFunc {
	return guard(auth.Pages(constraints...))
}

func guard(g *core.Guard) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			token, err := g.Check(r.Context(), core.RequestOf(r))
			if err != nil {
				core.WriteError(c.Response(), err)
				return nil
			}
			if value := g.CacheControl(); value != "" {
				c.Response().Header().Set(echo.HeaderCacheControl, value)
			}
			c.SetRequest(r.WithContext(core.WithToken(r.Context(), token)))
			return next(c)
		}
	}
}
