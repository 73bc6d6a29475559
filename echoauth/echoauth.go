// Package echoauth puts OpenID Connect on Echo v4: [Mount] adds the routes of a
// [core.Auth] to an instance or a group, and [Required] and [Optional] are
// middleware for the application's own routes.
//
//	e := echo.New()
//	api := e.Group("/api")
//	echoauth.Mount(api, auth)
//	api.GET("/me", func(c echo.Context) error {
//		return c.String(http.StatusOK, "hello "+core.TokenFrom(c.Request().Context()).Username())
//	}, echoauth.Required(auth))
//
// A group may be below a parameter, as in "/u/:tenant/api". Routes for the root of
// the host are registered with echo.WrapHandler:
//
//	for _, endpoint := range auth.RootEndpoints() {
//		e.Any(endpoint.Path, echo.WrapHandler(endpoint.Handler))
//	}
//
// The package translates and decides nothing; everything else is in [core].
package echoauth

import (
	"github.com/labstack/echo/v4"
	"github.com/oidcgate/oidcgate/core"
)

// Router is what Mount needs of an [echo.Echo] and an [echo.Group].
type Router interface {
	Any(path string, h echo.HandlerFunc, middleware ...echo.MiddlewareFunc) []*echo.Route
}

// Mount adds every route of auth that is switched on to r, an instance or a group,
// which must be where Config.PublicURL leads to. It is called before the instance
// serves, by one goroutine.
func Mount(r Router, auth *core.Auth) {
	for _, e := range auth.Endpoints() {
		r.Any(e.Path, echo.WrapHandler(e.Handler))
	}
}

// Required is middleware that rejects requests without a valid access token that
// satisfies the constraints: they are answered 401, 403 or 503 as [core.WriteError] does.
// For the others [core.TokenFrom] finds the token in the context of c.Request(). It panics
// on a malformed constraint. See [core.Auth.Required].
func Required(auth *core.Auth, constraints ...core.Constraint) echo.MiddlewareFunc {
	return guard(auth.Required(constraints...))
}

// Optional is middleware that takes requests without a valid access token for anonymous:
// for those [core.TokenFrom] gives a token that is not Valid. See [core.Auth.Optional].
func Optional(auth *core.Auth, constraints ...core.Constraint) echo.MiddlewareFunc {
	return guard(auth.Optional(constraints...))
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
			c.SetRequest(r.WithContext(core.WithToken(r.Context(), token)))
			return next(c)
		}
	}
}
