package adaptertest

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"

	"github.com/oidcgate/oidcgate/core"
)

// coreHeaders are those that core sets.
var coreHeaders = []string{
	"Access-Control-Allow-Origin", "Allow", "Cache-Control", "Content-Security-Policy", "Content-Type", "Etag", "Location",
	"Referrer-Policy", "Retry-After", "Set-Cookie", "Www-Authenticate", "X-Content-Type-Options",
}

// same sends a request and holds the answer against what core answers by itself.
// The request must be one that changes nothing, and whose answer has nothing
// random in it.
func (a *app) same(r request, status int) answer {
	a.Helper()
	want := a.reference(r) // first, for it leaves the client's cookies as they are
	got := a.ask(r)
	if want.status != status {
		a.Fatalf("%s %.200s: the suite expects %d, but core answers %v", r.method, r.path, status, want)
	}
	if got.status != want.status || got.body != want.body {
		a.Fatalf("%s %.200s: the answer is\n%v, core's is\n%v", r.method, r.path, got, want)
	}
	for _, name := range coreHeaders {
		got, want := got.header.Values(name), want.header.Values(name)
		if name == "Retry-After" && len(got) == 1 && len(want) == 1 {
			continue // it counts down
		}
		if name == "Content-Type" && want == nil {
			continue // of the application's own answers net/http makes a guess
		}
		if !slices.Equal(got, want) {
			a.Fatalf("%s %.200s: the header %s is %q, core's is %q", r.method, r.path, name, got, want)
		}
	}
	return got
}

// refused is same for a row of the table of errors.
func (a *app) refused(r request, status int, code string) {
	a.Helper()
	got := a.same(r, status)
	a.isError(r, got, status, code)
}

// isError holds an answer against a row of the table of errors.
func (a *app) isError(r request, got answer, status int, code string) {
	a.Helper()
	a.isProtected(r, got)
	if got.status != status || got.header.Get("Content-Type") != "application/json" || got.field("error") != code {
		a.Fatalf("%s %.200s: the answer is %v, not the error %d %s", r.method, r.path, got, status, code)
	}
	if got.field("detail") == "" || got.field("detail") != got.field("error_description") {
		a.Fatalf("%s %.200s: the answer does not tell what is wrong: %v", r.method, r.path, got)
	}
	if (status == http.StatusServiceUnavailable) != (got.header.Get("Retry-After") != "") {
		a.Fatalf("%s %.200s: Retry-After belongs to 503: %v", r.method, r.path, got)
	}
	if seconds, err := strconv.Atoi(got.header.Get("Retry-After")); status == http.StatusServiceUnavailable && (err != nil || seconds < 1) {
		a.Fatalf("%s %.200s: Retry-After is no number of seconds: %v", r.method, r.path, got)
	}
}

// isProtected looks for the headers of every answer to one person.
func (a *app) isProtected(r request, got answer) {
	a.Helper()
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
		if values := got.header.Values(name); len(values) != 1 || values[0] != want {
			a.Fatalf("%s %.200s: the header %s is %q, not %q", r.method, r.path, name, values, want)
		}
	}
}

// ok sends a request whose answer is random, and must have this status.
func (a *app) ok(client *http.Client, r request, status int) answer {
	a.Helper()
	got := a.as(client, r)
	if got.status != status {
		a.Fatalf("%s %.200s: the answer is %v, not %d", r.method, r.path, got, status)
	}
	a.isProtected(r, got)
	return got
}

// reference is what core answers by itself.
func (a *app) reference(r request) answer {
	built := a.build(r)
	built.RequestURI = built.URL.RequestURI()
	if cookies := a.client.Jar.Cookies(built.URL); built.Header.Get("Cookie") == "" {
		for _, cookie := range cookies {
			built.AddCookie(cookie)
		}
	}
	w := httptest.NewRecorder()
	a.handler(built).ServeHTTP(w, built)
	if r.method == http.MethodHead {
		w.Body.Reset()
	}
	return answer{w.Code, w.Header(), w.Body.String()}
}

func (a *app) handler(r *http.Request) http.Handler {
	for _, e := range a.Auth.RootEndpoints() {
		if r.URL.Path == e.Path {
			return e.Handler
		}
	}
	for _, e := range a.Auth.Endpoints() {
		if r.URL.Path == a.mount+e.Path {
			return e.Handler
		}
	}
	for _, route := range a.Routes {
		if r.URL.Path == a.mount+route.Path && r.Method == route.Method {
			return guarded(a.Auth, route)
		}
	}
	panic("the suite expects nothing at " + r.URL.Path)
}

// guarded is how core itself guards a route.
func guarded(auth *core.Auth, route Route) http.Handler {
	for _, guard := range Guards(auth, route, (*core.Auth).Required, (*core.Auth).Optional, (*core.Auth).Pages) {
		return guard.Handler(route)
	}
	return route
}
