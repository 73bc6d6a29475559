// Package stdauth adds OpenID Connect to net/http's ServeMux:
//
//	func main() {
//		auth, err := core.New(core.Config{
//			Providers: []core.Provider{{Issuer: "https://id.example.org/realms/demo", ClientID: "shop", ClientSecret: os.Getenv("CLIENT_SECRET")}},
//			PublicURL: "http://localhost:8000/api",
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//		mux := http.NewServeMux()
//		stdauth.Mount(mux, "/api", auth)
//		mux.Handle("GET /api/me", stdauth.Required(auth)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
//			fmt.Fprintln(w, "hello", core.TokenFrom(r.Context()).Username())
//		})))
//		log.Fatal(http.ListenAndServe("localhost:8000", mux))
//	}
//
// [Mount] adds the routes of a [core.Auth] to a mux. [Required], [Optional] and [Pages] are
// middleware for the application's own routes. The package only translates: all decisions
// are in core.
package stdauth

import (
	"net/http"

	"github.com/oidcgate/oidcgate/core"
)

// methods are all methods of net/http. Each is registered by itself: a pattern without
// a method conflicts with an application's "GET /", because neither is more specific,
// and the mux panics.
var methods = []string{
	http.MethodConnect, http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions,
	http.MethodPatch, http.MethodPost, http.MethodPut, http.MethodTrace, "QUERY",
}

// Mount adds every route of auth that is switched on to the mux, below prefix. The prefix
// is the path of Config.PublicURL: "", or a path such as "/api" without a trailing slash.
// Like mux.Handle, Mount panics if a route exists already.
func Mount(mux *http.ServeMux, prefix string, auth *core.Auth) {
	for _, e := range auth.Endpoints() {
		for _, method := range methods {
			mux.Handle(method+" "+prefix+e.Path, e.Handler)
		}
	}
}

// Required returns middleware that rejects requests without a valid access token that
// satisfies the constraints. It answers them 401, 403 or 503 with [core.WriteError].
// Handlers get the token from [core.TokenFrom] with the request's context.
// Required panics on a malformed constraint. The middleware is safe for concurrent use.
// See [core.Auth.Required].
func Required(auth *core.Auth, constraints ...core.Constraint) func(http.Handler) http.Handler {
	return auth.Required(constraints...).Handler
}

// Optional returns middleware that also lets requests without a valid access token
// through. For these, Valid of the token from [core.TokenFrom] is false. Optional panics
// on a malformed constraint. See [core.Auth.Optional].
func Optional(auth *core.Auth, constraints ...core.Constraint) func(http.Handler) http.Handler {
	return auth.Optional(constraints...).Handler
}

// Pages returns middleware for pages that people open with a browser: it sends people who are
// not signed in to the provider and back to the page. Answers get Cache-Control: no-store,
// unless the handler sets another. Pages panics on a malformed constraint, and without
// Config.Browser. See [core.Auth.Pages].
func Pages(auth *core.Auth, constraints ...core.Constraint) func(http.Handler) http.Handler {
	return auth.Pages(constraints...).Handler
}
