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
	// device, logout, userinfo, session, revoke, introspect, backchannel-logout, jwks,
	// metadata, resource-metadata.
	Name string
	// Path begins with a slash and has no pattern in it.
	Path string
	// Methods are those that the route knows, as Allow lists them: for documents about
	// the routes, such as OpenAPI. Handler is registered for all methods.
	Methods []string
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
	var all []Endpoint
	for _, row := range a.routes() {
		for _, part := range a.config.partsOf(row) {
			all = append(all, a.endpoint(row, *a.config.Routes.of(row)+part.mounted, part.serve))
		}
	}
	return all
}

// RootEndpoints lists the routes that belong to the root of the host, outside
// the mount: the broker's metadata and that of its resources, at the places where RFC
// 8414 3.1 and RFC 9728 3.1 put it, the well-known part before the path. There are none without a
// [Broker], nor when PublicURL has no path, since then [Auth.Endpoints] are at the
// root already.
//
//	for _, e := range auth.RootEndpoints() {
//		router.Handle(e.Path, e.Handler)
//	}
func (a *Auth) RootEndpoints() []Endpoint {
	if pathOf(a.config.PublicURL) == "" {
		return nil
	}
	var all []Endpoint
	for _, row := range a.routes() {
		if !row.root {
			continue
		}
		for _, part := range a.config.partsOf(row) {
			// Wherever Routes has moved the document below the mount, clients look
			// for it here.
			all = append(all, a.endpoint(row, row.path+part.rooted, part.serve))
		}
	}
	return all
}

// routes are the rows of the routes that are switched on.
func (a *Auth) routes() []route {
	return slices.DeleteFunc(routeTable(), func(row route) bool {
		return !row.isIn(a.config)
	})
}

// endpoint wraps what a part of a route does in what all routes do.
func (a *Auth) endpoint(row route, path string, serve func(*Auth, http.ResponseWriter, *http.Request) error) Endpoint {
	allow := strings.Join(row.methods, ", ")
	writeError := func(w http.ResponseWriter, r *http.Request, err error) {
		if row.fail == nil {
			WriteError(w, err)
			return
		}
		row.fail(a, w, r, err)
	}
	return Endpoint{Name: row.name, Path: path, Methods: slices.Clone(row.methods), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limitBody(w, r)
		switch {
		case !slices.Contains(row.methods, r.Method):
			w.Header().Set("Allow", allow)
			writeError(w, r, errMethod)
			return
		case row.meant && prefetches(r):
			WriteError(w, errPrefetch) // no outage, so nothing for the log
			return
		}
		err := serve(a, w, r)
		a.complaints.note(r.Context(), row.name, err)
		if err != nil {
			writeError(w, r, a.challenging(err, "", a.metadataOf("")))
		}
	})}
}

var errPrefetch = ErrUnavailable.because("The browser asked in advance, and nothing was done. Open the page itself.").soon()

// prefetches reports whether the browser asks in advance (Sec-Purpose, Fetch 2.2.7), for
// a page that nobody has opened yet. That must neither begin nor end a login, nor use a
// code up.
func prefetches(r *http.Request) bool {
	for _, purpose := range r.Header.Values("Sec-Purpose") {
		for entry := range strings.SplitSeq(purpose, ",") {
			token, _, _ := strings.Cut(entry, ";")
			if strings.EqualFold(strings.TrimSpace(token), "prefetch") {
				return true
			}
		}
	}
	return false
}

// redirect answers with a status of 3xx. Unlike [http.Redirect] it takes the URL as it is
// and writes no body.
func redirect(w http.ResponseWriter, location string, status int) {
	protect(w.Header())
	w.Header().Set("Location", location)
	w.WriteHeader(status)
}
