package core

import (
	"net/http"
	"slices"
	"strings"
)

// Endpoint is one route: register Handler for every method at Path, below the
// prefix that PublicURL names.
type Endpoint struct {
	// Name is the route's name in the documentation: login, callback, token,
	// device, logout, userinfo, jwks, metadata.
	Name string
	// Path begins with a slash and has no pattern in it.
	Path string
	// Handler answers every method itself, those that the route doesn't know
	// included (405 with Allow). It looks at the request's method, query,
	// headers and body, not at its path, and keeps nothing of it.
	//
	// It gives a body ten seconds to arrive, by [http.ResponseController]. Where the
	// ResponseWriter has neither SetReadDeadline nor Unwrap, as on fasthttp, the
	// server's own time limit has to do that.
	Handler http.Handler
}

// Endpoints lists the routes that are switched on, in a fixed order. An adapter
// for a router registers each of them and decides nothing:
//
//	for _, e := range auth.Endpoints() {
//		router.Handle(prefix+e.Path, e.Handler)
//	}
func (a *Auth) Endpoints() []Endpoint {
	routes := a.config.Routes
	all := []Endpoint{
		a.endpoint("login", routes.Login, whenMeant(a.serveLogin), http.MethodGet),
		a.endpoint("callback", routes.Callback, whenMeant(a.serveCallback), http.MethodGet),
		a.endpoint("token", routes.Token, a.serveToken, http.MethodPost),
		a.endpoint("device", routes.Device, a.serveDevice, http.MethodPost),
		a.endpoint("logout", routes.Logout, whenMeant(a.serveLogout), http.MethodGet, http.MethodPost),
		a.endpoint("userinfo", routes.Userinfo, a.serveUserinfo, http.MethodGet, http.MethodHead, http.MethodPost),
	}
	if b := a.broker; b != nil {
		all = append(all, a.endpoint("jwks", routes.JWKS, b.serveJWKS, http.MethodGet, http.MethodHead))
	}
	all = append(all, a.metadataEndpoints()...)
	return slices.DeleteFunc(all, func(e Endpoint) bool { return e.Path == Off })
}

// metadataEndpoints are one document in two places, since each kind of client
// looks in one of them.
func (a *Auth) metadataEndpoints() []Endpoint {
	b := a.broker
	if b == nil {
		return nil
	}
	return []Endpoint{
		a.endpoint("metadata", a.config.Routes.OpenIDConfiguration, b.serveMetadata, http.MethodGet, http.MethodHead),
		a.endpoint("metadata", a.config.Routes.AuthorizationServer, b.serveMetadata, http.MethodGet, http.MethodHead),
	}
}

// serve answers a request, or gives the error to answer it with.
type serve func(http.ResponseWriter, *http.Request) error

// endpoint wraps what a route does in what all routes do.
func (a *Auth) endpoint(name, path string, serve serve, methods ...string) Endpoint {
	allow := strings.Join(methods, ", ")
	writeError := func(w http.ResponseWriter, _ *http.Request, err error) { WriteError(w, err) }
	if slices.Contains(pageRoutes, name) {
		writeError = a.writePage
	}
	return Endpoint{Name: name, Path: path, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limitBody(w, r)
		if !slices.Contains(methods, r.Method) {
			w.Header().Set("Allow", allow)
			writeError(w, r, errMethod)
			return
		}
		err := serve(w, r)
		a.complaints.note(r.Context(), name, err)
		if err != nil {
			writeError(w, r, a.challenging(err, ""))
		}
	})}
}

var errPrefetch = ErrUnavailable.because("The browser asked in advance, and nothing was done. Open the page itself.").soon()

// whenMeant keeps a browser that only prefetches (Sec-Purpose, Fetch 2.2.7) from beginning
// or ending a login that nobody asked for, and from using a code up.
func whenMeant(next serve) serve {
	return func(w http.ResponseWriter, r *http.Request) error {
		for _, purpose := range r.Header.Values("Sec-Purpose") {
			for entry := range strings.SplitSeq(purpose, ",") {
				token, _, _ := strings.Cut(entry, ";")
				if strings.EqualFold(strings.TrimSpace(token), "prefetch") {
					WriteError(w, errPrefetch) // no outage, so nothing for the log
					return nil
				}
			}
		}
		return next(w, r)
	}
}

// redirect answers 302. Unlike [http.Redirect] it takes the URL as it is and
// writes no body.
func redirect(w http.ResponseWriter, location string) {
	protect(w.Header())
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusFound)
}
