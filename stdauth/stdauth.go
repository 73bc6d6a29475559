// Package stdauth puts OpenID Connect on net/http's own router: [Mount] adds
// the routes of a [core.Auth] to an http.ServeMux, and [Required] and [Optional]
// are middleware for the application's own routes.
//
//	mux := http.NewServeMux()
//	stdauth.Mount(mux, "/api", auth)
//	mux.Handle("GET /api/me", stdauth.Required(auth)(me))
//
// The package translates and decides nothing; everything else is in [core].
package stdauth

import (
	"net/http"

	"github.com/oidcgate/oidcgate/core"
)

// methods are all that net/http names. Each is registered by itself: a pattern
// without a method would panic beside an application's "GET /", since neither
// of the two is more specific.
var methods = []string{
	http.MethodConnect, http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions,
	http.MethodPatch, http.MethodPost, http.MethodPut, http.MethodTrace, "QUERY",
}

// Mount adds every route of auth that is switched on to the mux, below prefix:
// "" or a path such as "/api", without a slash at its end, which is where
// Config.PublicURL leads to. Like mux.Handle it panics when a route is there
// already.
func Mount(mux *http.ServeMux, prefix string, auth *core.Auth) {
	for _, e := range auth.Endpoints() {
		for _, method := range methods {
			mux.Handle(method+" "+prefix+e.Path, e.Handler)
		}
	}
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
