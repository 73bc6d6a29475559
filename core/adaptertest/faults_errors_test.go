package adaptertest

import (
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// errorFaults are what adapters do wrong with guards and errors.
var errorFaults = []fault{
	{"guards refuse as core does", "the first Authorization header is all", sends(func(r *http.Request) {
		if values := r.Header["Authorization"]; len(values) > 1 {
			r.Header["Authorization"] = values[:1]
		}
	})},
	{"guards refuse as core does", "the last Authorization header is all", sends(func(r *http.Request) {
		if values := r.Header["Authorization"]; len(values) > 1 {
			r.Header["Authorization"] = values[len(values)-1:]
		}
	})},
	{"guards refuse as core does", "Authorization headers are joined", sends(func(r *http.Request) {
		if values := r.Header["Authorization"]; len(values) > 1 {
			r.Header["Authorization"] = []string{strings.Join(values, ", ")}
		}
	})},
	{"guards refuse as core does", "an empty Authorization header is none", sends(func(r *http.Request) {
		r.Header["Authorization"] = slices.DeleteFunc(r.Header["Authorization"], func(value string) bool { return value == "" })
	})},
	{"guards refuse as core does", "constraints are forgotten", guards(func(route *Route) { route.Constraints = nil })},
	{"guards refuse as core does", "Optional is Required", guards(func(route *Route) {
		if route.Guard == Optional {
			route.Guard, route.Constraints = Required, nil
		}
	})},
	{"guards refuse as core does", "Required is Optional", guards(func(route *Route) {
		if route.Guard == Required {
			route.Guard = Optional
		}
	})},
	{"guards refuse as core does", "WWW-Authenticate is dropped", drops("WWW-Authenticate")},
	{"guards refuse as core does", "a token may be in the query", sends(func(r *http.Request) {
		if raw := r.URL.Query().Get("access_token"); raw != "" {
			r.Header.Set("Authorization", bearer(raw))
		}
	})},
	{"guards refuse as core does", "errors are in the router's words", replaces(401, 401, `{"message":"Unauthorized"}`)},
	{"guards refuse as core does", "a refused request is served all the same", func(t *testing.T, listener net.Listener, app App) {
		mux := plainMux(App{Auth: app.Auth, Prefix: app.Prefix})
		for _, route := range app.Routes {
			mux.HandleFunc(route.Method+" "+app.Prefix+route.Path, func(w http.ResponseWriter, r *http.Request) {
				g := guarded(app.Auth, route)
				got := httptest.NewRecorder()
				g.ServeHTTP(got, r)
				maps.Copy(w.Header(), got.Header())
				w.WriteHeader(got.Code)
				_, _ = w.Write(got.Body.Bytes())
				if got.Code >= 400 {
					_, body := route.Serve(r.Context())
					_, _ = io.WriteString(w, body)
				}
			})
		}
		Serve(t, listener, mux)
	}},
	{"routes refuse as core does", "errors are in the router's words", replaces(400, 400, `{"message":"Bad Request"}`)},
	{"routes refuse as core does", "Basic credentials are lost", loses("Authorization")},
	{"routes refuse as core does", "Referrer-Policy is dropped", drops("Referrer-Policy")},
	{"routes refuse as core does", "nosniff is sent twice", answers(func(_ *http.Request, got *httptest.ResponseRecorder) {
		got.Header().Add("X-Content-Type-Options", "nosniff")
	})},
	{"failures of the provider are told as core does", "Retry-After is dropped", drops("Retry-After")},
	{"failures of the provider are told as core does", "502 is 500", replaces(502, 500, "Internal Server Error")},
	{"failures of the store are told as core does", "503 is 500", replaces(503, 500, "Internal Server Error")},
}
