// Package chiauth adds OpenID Connect to a chi router:
//
//	func main() {
//		auth, err := core.New(core.Config{
//			Providers: []core.Provider{{Issuer: "https://id.example.org/realms/demo", ClientID: "shop", ClientSecret: os.Getenv("CLIENT_SECRET")}},
//			PublicURL: "http://localhost:8000/api",
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//		api := chiauth.Router(auth)
//		api.With(chiauth.Required(auth)).Get("/me", func(w http.ResponseWriter, r *http.Request) {
//			fmt.Fprintln(w, "hello", core.TokenFrom(r.Context()).Username())
//		})
//		r := chi.NewRouter()
//		r.Mount("/api", api)
//		log.Fatal(http.ListenAndServe("localhost:8000", r))
//	}
//
// [Router] has the routes of a [core.Auth]; mount it at the path of Config.PublicURL.
// [Required], [Optional] and [Pages] are middleware for the application's own routes. The
// package only translates: all decisions are in core.
package chiauth

import (
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/oidcgate/oidcgate/core"
)

// Router returns a new router with every route of auth that is switched on. Mount it, at
// any depth, at the path of Config.PublicURL. The application may add its own routes. Use
// With or Group for their middleware, not Use: chi wants Use before the first route.
// Like any chi router it must not be changed while it serves.
func Router(auth *core.Auth) chi.Router {
	r := chi.NewRouter()
	for _, e := range auth.Endpoints() {
		r.Handle(e.Path, e.Handler)
	}
	return r
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
