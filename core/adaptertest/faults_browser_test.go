package adaptertest

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// sees changes what guards are given of a request. The router and the routes of core are given
// it as it is.
func sees(change func(r *http.Request)) func(*testing.T, net.Listener, App) {
	return func(t *testing.T, listener net.Listener, app App) {
		mux := plainMux(App{Auth: app.Auth, Prefix: app.Prefix})
		for _, route := range app.Routes {
			handler := guarded(app.Auth, route)
			mux.HandleFunc(route.Method+" "+app.Prefix+route.Path, func(w http.ResponseWriter, r *http.Request) {
				change(r)
				handler.ServeHTTP(w, r)
			})
		}
		Serve(t, listener, mux)
	}
}

// forgets leaves a header out of what guards are given.
func forgets(name string) func(*testing.T, net.Listener, App) {
	return sees(func(r *http.Request) { r.Header.Del(name) })
}

// first gives guards the first value of a header alone.
func first(name string) func(*testing.T, net.Listener, App) {
	return sees(func(r *http.Request) {
		if value := r.Header.Get(name); value != "" {
			r.Header.Set(name, value)
		}
	})
}

// browserFaults are what adapters do wrong with sessions of browsers.
var browserFaults = []fault{
	{"a browser stays signed in by a cookie", "the query of a page is forgotten", sees(func(r *http.Request) { r.RequestURI = r.URL.EscapedPath() })},
	{"a browser stays signed in by a cookie", "the prefix of a page is forgotten", sees(func(r *http.Request) { r.RequestURI = strings.TrimPrefix(r.RequestURI, "/a/b/api") })},
	{"a browser stays signed in by a cookie", "the address of a page is decoded", sees(func(r *http.Request) { r.RequestURI, _ = url.PathUnescape(r.RequestURI) })},
	{"a browser stays signed in by a cookie", "Pages is Required", guards(func(route *Route) {
		if route.Guard == Pages {
			route.Guard = Required
		}
	})},
	{"a browser stays signed in by a cookie", "pages may be kept", answers(func(r *http.Request, got *httptest.ResponseRecorder) {
		if strings.HasSuffix(r.URL.Path, "/page") && got.Code == http.StatusOK {
			got.Header().Del("Cache-Control")
		}
	})},
	{"a browser stays signed in by a cookie", "of several cookies one is set", answers(func(_ *http.Request, got *httptest.ResponseRecorder) {
		if cookie := got.Header().Get("Set-Cookie"); cookie != "" {
			got.Header().Set("Set-Cookie", cookie)
		}
	})},
	{"a browser stays signed in by a cookie", "redirects are 302", answers(func(_ *http.Request, got *httptest.ResponseRecorder) {
		if got.Code == http.StatusSeeOther {
			got.Code = http.StatusFound
		}
	})},
	{"a browser stays signed in by a cookie", "forms have no Origin", loses("Origin")},

	{"guards read what browsers send", "Cookie is forgotten", forgets("Cookie")},
	{"guards read what browsers send", "the first Cookie header is all", first("Cookie")},
	{"guards read what browsers send", "Origin is forgotten", forgets("Origin")},
	{"guards read what browsers send", "Sec-Fetch-Site is forgotten", forgets("Sec-Fetch-Site")},
	{"guards read what browsers send", "every method is GET", sees(func(r *http.Request) { r.Method = http.MethodGet })},
	{"guards read what browsers send", "an empty Authorization header is none", sees(func(r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			r.Header.Del("Authorization")
		}
	})},
	{"guards read what browsers send", "a websocket passes the guard", func(t *testing.T, listener net.Listener, app App) {
		mux := plainMux(App{Auth: app.Auth, Prefix: app.Prefix})
		for _, route := range app.Routes {
			handler := guarded(app.Auth, route)
			mux.HandleFunc(route.Method+" "+app.Prefix+route.Path, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Upgrade") != "" {
					route.ServeHTTP(w, r)
					return
				}
				handler.ServeHTTP(w, r)
			})
		}
		Serve(t, listener, mux)
	}},

	{"pages speak to people", "Accept is forgotten", forgets("Accept")},
	{"pages speak to people", "the first Accept header is all", first("Accept")},
	{"pages speak to people", "Sec-Fetch-Mode is forgotten", forgets("Sec-Fetch-Mode")},
	{"pages speak to people", "Sec-Fetch-Dest is forgotten", forgets("Sec-Fetch-Dest")},
	{"pages speak to people", "redirects lead nowhere", drops("Location")},
	{"pages speak to people", "redirects are followed", replaces(302, 200, "the login")},
	{"pages speak to people", "pages are in the router's words", replaces(403, 403, "Forbidden")},
	{"pages speak to people", "pages have no policy", drops("Content-Security-Policy")},
	{"pages speak to people", "pages are text", answers(func(_ *http.Request, got *httptest.ResponseRecorder) {
		if strings.HasPrefix(got.Header().Get("Content-Type"), "text/html") {
			got.Header().Set("Content-Type", "text/plain; charset=utf-8")
		}
	})},
	{"pages speak to people", "Retry-After is dropped", drops("Retry-After")},
}
