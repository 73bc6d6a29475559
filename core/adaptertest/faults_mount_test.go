package adaptertest

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// mountFaults are what adapters do wrong where they mount routes.
var mountFaults = []fault{
	{"every route is below the prefix", "the routes are at the root as well", func(t *testing.T, listener net.Listener, app App) {
		mux := plainMux(app)
		if app.Prefix != "" {
			for _, e := range app.Auth.Endpoints() {
				if _, pattern := mux.Handler(&http.Request{Method: "GET", URL: &url.URL{Path: e.Path}}); pattern == "" {
					mux.Handle(e.Path, e.Handler)
				}
			}
		}
		Serve(t, listener, mux)
	}},
	{"every route is below the prefix", "routes are prefixes themselves", func(t *testing.T, listener net.Listener, app App) {
		mux := plainMux(app)
		for _, e := range app.Auth.Endpoints() {
			mux.Handle(app.Prefix+e.Path+"/", e.Handler)
		}
		Serve(t, listener, mux)
	}},
	{"every route is below the prefix", "a nested prefix loses a segment", func(t *testing.T, listener net.Listener, app App) {
		app.Prefix = strings.Replace(app.Prefix, "/b", "", 1)
		plain(t, listener, app)
	}},
	{"every route is below the prefix", "nothing is at the root", answers(func(r *http.Request, got *httptest.ResponseRecorder) {
		if strings.HasPrefix(r.URL.Path, "/.well-known/oauth-authorization-server/") {
			*got = *httptest.NewRecorder()
			got.Code = http.StatusNotFound
		}
	})},
	{"moved routes are where they are and others are off", "the usual paths are kept", sends(func(r *http.Request) {
		r.URL.Path = strings.Replace(r.URL.Path, "/auth/v2/login", "/signin", 1)
	})},
	{"every route answers every method", "405 is swallowed", replaces(405, 404, "404 page not found")},
	{"every route answers every method", "Allow is dropped", drops("Allow")},
	{"every route answers every method", "OPTIONS is answered by itself", answers(func(r *http.Request, got *httptest.ResponseRecorder) {
		if r.Method == http.MethodOptions {
			got.Code = http.StatusNoContent
		}
	})},
	{"every route answers every method", "HEAD is taken for GET", sends(func(r *http.Request) {
		if r.Method == http.MethodHead {
			r.Method = http.MethodGet
		}
	})},
	{"routes of the application stand beside", "POST routes are lost", guards(func(route *Route) {
		if route.Method == http.MethodPost {
			route.Path += "lost"
		}
	})},
	{"routes of the application stand beside", "the status is always 200", replaces(201, 200, "created by user-alice")},
}
