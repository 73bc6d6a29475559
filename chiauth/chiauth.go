// Package chiauth puts OpenID Connect on a chi router: [Router] has the routes
// of a [core.Auth], to be mounted under the prefix that its PublicURL names, and
// [Required] and [Optional] are middleware for the application's own routes.
//
//	api := chiauth.Router(auth)
//	api.With(chiauth.Required(auth)).Get("/me", me)
//	r := chi.NewRouter()
//	r.Mount("/api", api)
//
// The package translates and decides nothing; everything else is in [core].
package chiauth

import (
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/oidcgate/oidcgate/core"
)

// Router gives a new router with every route of auth that is switched on. Mount
// it, at any depth, where Config.PublicURL says. The application may add routes
// of its own; since chi wants middleware before routes, those take theirs by
// With and Group, not by Use. A router is configured before it serves, by one
// goroutine.
func Router(auth *core.Auth) chi.Router {
	r := chi.NewRouter()
	for _, e := range auth.Endpoints() {
		r.Handle(e.Path, e.Handler)
	}
	return r
}

// Required is middleware that rejects requests without a valid access token that
// satisfies the constraints: they are answered 401, 403 or 503 as [core.WriteError] does.
// For the others [core.TokenFrom] finds the token in the request's context. It panics
// on a malformed constraint. See [core.Auth.Required].
func Required(auth *core.Auth, constraints ...core.Constraint) func(http.Handler) http.Handler {
	return auth.Required(constraints...).Handler
}

// Optional is middleware that takes requests without a valid access token for anonymous:
// for those [core.TokenFrom] gives a token that is not Valid. See [core.Auth.Optional].
func Optional(auth *core.Auth, constraints ...core.Constraint) func(http.Handler) http.Handler {
	return auth.Optional(constraints...).Handler
}
