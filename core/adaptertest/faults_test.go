package adaptertest

import (
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/oidcgate/oidcgate/core"
)

// fault is something that adapters do wrong, and the rule that is to find it.
type fault struct {
	rule, name string
	serve      func(t *testing.T, listener net.Listener, app App)
}

// around is a plain adapter with something between the server and the router.
func around(wrap func(next http.Handler) http.Handler) func(*testing.T, net.Listener, App) {
	return func(t *testing.T, listener net.Listener, app App) { Serve(t, listener, wrap(plainMux(app))) }
}

// sends changes requests.
func sends(change func(r *http.Request)) func(*testing.T, net.Listener, App) {
	return around(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			change(r)
			next.ServeHTTP(w, r)
		})
	})
}

// answers changes answers.
func answers(change func(r *http.Request, got *httptest.ResponseRecorder)) func(*testing.T, net.Listener, App) {
	return around(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got := httptest.NewRecorder()
			next.ServeHTTP(got, r)
			change(r, got)
			maps.Copy(w.Header(), got.Header())
			w.WriteHeader(got.Code)
			_, _ = w.Write(got.Body.Bytes())
		})
	})
}

// drops loses headers of answers.
func drops(name string) func(*testing.T, net.Listener, App) {
	return answers(func(_ *http.Request, got *httptest.ResponseRecorder) { got.Header().Del(name) })
}

// loses loses headers of requests.
func loses(name string) func(*testing.T, net.Listener, App) {
	return sends(func(r *http.Request) { r.Header.Del(name) })
}

// replaces answers one status with another.
func replaces(status, by int, body string) func(*testing.T, net.Listener, App) {
	return answers(func(_ *http.Request, got *httptest.ResponseRecorder) {
		if got.Code == status {
			*got = *httptest.NewRecorder()
			got.Code, got.Body = by, bytes.NewBufferString(body)
		}
	})
}

// guards has the application's own routes changed.
func guards(change func(route *Route)) func(*testing.T, net.Listener, App) {
	return func(t *testing.T, listener net.Listener, app App) {
		app.Routes = slices.Clone(app.Routes)
		for i := range app.Routes {
			change(&app.Routes[i])
		}
		plain(t, listener, app)
	}
}

// edits changes what the body of a request has, as far as it can be read.
func edits(change func(r *http.Request, body string) string) func(*testing.T, net.Listener, App) {
	return sends(func(r *http.Request) {
		body, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader(change(r, string(body))), failed{err}))
	})
}

type failed struct{ err error }

func (f failed) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}

// shares has requests put a part of theirs where the others put it, too, before it
// is used.
func shares[T any](part func(r *http.Request) *T) func(*testing.T, net.Listener, App) {
	var mu sync.Mutex
	var shared T
	return sends(func(r *http.Request) {
		mu.Lock()
		shared = *part(r)
		mu.Unlock()
		for range 200 {
			runtime.Gosched()
		}
		mu.Lock()
		*part(r) = shared
		mu.Unlock()
	})
}

var faults = []fault{
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

	{"a browser signs in by the callback", "cookies are readable by scripts", answers(func(_ *http.Request, got *httptest.ResponseRecorder) {
		if cookie := got.Header().Get("Set-Cookie"); cookie != "" {
			got.Header().Set("Set-Cookie", strings.Replace(cookie, "; HttpOnly", "", 1))
		}
	})},
	{"a browser signs in by the callback", "cookies are not Secure", answers(func(_ *http.Request, got *httptest.ResponseRecorder) {
		if cookie := got.Header().Get("Set-Cookie"); cookie != "" {
			got.Header().Set("Set-Cookie", strings.Replace(cookie, "; Secure", "", 1))
		}
	})},
	{"a browser signs in by the callback", "redirects are 303", answers(func(_ *http.Request, got *httptest.ResponseRecorder) {
		if got.Code == http.StatusFound {
			got.Code = http.StatusSeeOther
		}
	})},
	{"a browser signs in by the callback", "the first cookie is all", sends(func(r *http.Request) {
		first, _, _ := strings.Cut(r.Header.Get("Cookie"), ";")
		r.Header.Set("Cookie", first)
	})},
	{"a browser signs in by the callback", "cookies are lost", drops("Set-Cookie")},
	{"a page signs in by the state and its cookie", "a form comes without cookies", sends(func(r *http.Request) {
		if r.Method == http.MethodPost {
			r.Header.Del("Cookie")
		}
	})},
	{"a page signs in by the state and its cookie", "a form is answered without cookies", answers(func(r *http.Request, got *httptest.ResponseRecorder) {
		if r.Method == http.MethodPost {
			got.Header().Del("Set-Cookie")
		}
	})},
	{"a program signs in by the state", "redirects lead nowhere", drops("Location")},
	{"a program signs in by the state", "a hyphen becomes an underscore", edits(func(_ *http.Request, body string) string {
		return strings.ReplaceAll(body, "refresh-token=", "refresh_token_=")
	})},
	{"a client does PKCE itself", "the query is decoded twice", sends(func(r *http.Request) {
		if decoded, err := url.QueryUnescape(r.URL.RawQuery); err == nil {
			r.URL.RawQuery = decoded
		}
	})},
	{"a device signs in", "a POST needs a body", answers(func(r *http.Request, got *httptest.ResponseRecorder) {
		if r.Method == http.MethodPost && r.ContentLength == 0 {
			got.Code = http.StatusLengthRequired
		}
	})},
	{"a device signs in", "device answers may be cached", answers(func(_ *http.Request, got *httptest.ResponseRecorder) {
		if strings.Contains(got.Body.String(), "user_code") {
			got.Header().Set("Cache-Control", "max-age=60")
		}
	})},
	{"a broker serves every grant", "a field that repeats is kept once, and joined", edits(func(_ *http.Request, body string) string {
		values, _ := url.ParseQuery(body)
		for name, list := range values {
			values.Set(name, strings.Join(list, ","))
		}
		return values.Encode()
	})},
	{"a broker serves every grant", "logout has no Authorization", sends(func(r *http.Request) {
		if strings.HasSuffix(r.URL.Path, logoutRoute) {
			r.Header.Del("Authorization")
		}
	})},
	{"a broker publishes its keys and metadata", "ETag is dropped", drops("ETag")},
	{"a broker publishes its keys and metadata", "If-None-Match is lost", loses("If-None-Match")},
	{"a broker publishes its keys and metadata", "other origins may not read", drops("Access-Control-Allow-Origin")},
	{"a broker publishes its keys and metadata", "everything is no-store", answers(func(_ *http.Request, got *httptest.ResponseRecorder) {
		got.Header().Set("Cache-Control", "no-store")
	})},

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
	{"parameters count in their place only", "query and form are one", edits(func(r *http.Request, body string) string {
		if r.Method != http.MethodPost || r.URL.RawQuery == "" {
			return body
		}
		return strings.Trim(body+"&"+r.URL.RawQuery, "&")
	})},
	{"parameters count in their place only", "the query comes before the form", edits(func(r *http.Request, body string) string {
		values, _ := url.ParseQuery(body)
		maps.Copy(values, r.URL.Query())
		return values.Encode()
	})},
	{"parameters count in their place only", "a GET may have a form", sends(func(r *http.Request) {
		if r.Method == http.MethodGet {
			body, _ := io.ReadAll(r.Body)
			r.URL.RawQuery = strings.Trim(r.URL.RawQuery+"&"+string(body), "&")
		}
	})},
	{"parameters arrive as they were sent", "the query is parsed and written anew", sends(func(r *http.Request) {
		r.URL.RawQuery = r.URL.Query().Encode()
	})},
	{"parameters arrive as they were sent", "of several values the last counts", sends(func(r *http.Request) {
		values := url.Values{}
		for field := range strings.SplitSeq(r.URL.RawQuery, "&") {
			name, value, _ := strings.Cut(field, "=")
			name, _ = url.QueryUnescape(name)
			value, _ = url.QueryUnescape(value)
			values.Set(name, value)
		}
		r.URL.RawQuery = values.Encode()
	})},
	{"parameters arrive as they were sent", "a plus is a plus", sends(func(r *http.Request) {
		r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "+", "%2B")
	})},

	{"a body has a limit", "413 is in the router's words", replaces(413, 413, "Request Entity Too Large")},
	{"a body has a limit", "the rest is ignored", edits(func(_ *http.Request, body string) string { return body[:min(len(body), maxBody)] })},
	{"a body has a limit", "the limit is lower", sends(func(r *http.Request) { r.Body = http.MaxBytesReader(nil, r.Body, maxBody/2) })},
	{"long tokens are taken", "headers may have 8 KiB", func(t *testing.T, listener net.Listener, app App) {
		mux := plainMux(app)
		Serve(t, listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(r.Header.Get("Authorization")) > 8<<10 {
				w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
				return
			}
			mux.ServeHTTP(w, r)
		}))
	}},
	{"a body may come in pieces", "the first piece is all", sends(func(r *http.Request) {
		piece := make([]byte, maxBody)
		n, _ := r.Body.Read(piece)
		r.Body = io.NopCloser(bytes.NewReader(piece[:n]))
	})},
	{"a body may come in pieces", "a body needs a length", answers(func(r *http.Request, got *httptest.ResponseRecorder) {
		if r.ContentLength < 0 {
			got.Code = http.StatusLengthRequired
		}
	})},
	{"a body that is cut off is not served", "half a body will do", sends(func(r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
	})},
	{"a body that does not arrive is given up", "nobody can set a deadline", answers(func(*http.Request, *httptest.ResponseRecorder) {})},
	{"a body is of the type that it says", "gzip is unpacked", edits(func(r *http.Request, body string) string {
		if packed, err := gzip.NewReader(strings.NewReader(body)); err == nil && r.Header.Get("Content-Encoding") == "gzip" {
			plain, _ := io.ReadAll(packed)
			return string(plain)
		}
		return body
	})},
	{"a body is of the type that it says", "every body is a form", sends(func(r *http.Request) { r.Header.Set("Content-Type", formType) })},
	{"a body is of the type that it says", "Content-Type is lost", loses("Content-Type")},

	{"a guard is asked anew for each request", "a connection keeps its token", func() func(*testing.T, net.Listener, App) {
		var known sync.Map
		return sends(func(r *http.Request) {
			if token := r.Header.Get("Authorization"); token != "" {
				known.Store(r.RemoteAddr, token)
			} else if token, ok := known.Load(r.RemoteAddr); ok {
				r.Header.Set("Authorization", token.(string))
			}
		})
	}()},
	{"tokens of users are never mixed up", "headers are in a buffer that all share", shares(func(r *http.Request) *http.Header { return &r.Header })},
	{"tokens of users are never mixed up", "the token is where all put theirs", func(t *testing.T, listener net.Listener, app App) {
		var mu sync.Mutex
		var latest core.Token
		mux := plainMux(App{Auth: app.Auth, Prefix: app.Prefix})
		for _, route := range app.Routes {
			g := app.Auth.Required()
			mux.HandleFunc(route.Method+" "+app.Prefix+route.Path, func(w http.ResponseWriter, r *http.Request) {
				token, err := g.Check(r.Context(), core.RequestOf(r))
				if err != nil {
					core.WriteError(w, err)
					return
				}
				mu.Lock()
				latest = token
				mu.Unlock()
				runtime.Gosched()
				mu.Lock()
				ctx := core.WithToken(r.Context(), latest)
				mu.Unlock()
				route.ServeHTTP(w, r.WithContext(ctx))
			})
		}
		Serve(t, listener, mux)
	}},
	{"logins of users are never mixed up", "queries are in a buffer that all share", shares(func(r *http.Request) *string { return &r.URL.RawQuery })},
	{"sessions of users are never mixed up", "bodies are in a buffer that all share", shares(func(r *http.Request) *io.ReadCloser {
		// Read at once, or whoever comes second would find it read already.
		if body, err := io.ReadAll(r.Body); err == nil {
			r.Body = again{string(body)}
		}
		return &r.Body
	})},
	{"a panic ends one request", "the server ends", around(func(next http.Handler) http.Handler {
		var mu sync.Mutex
		ended := false
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if ended {
				panic(http.ErrAbortHandler)
			}
			ended = true
			next.ServeHTTP(w, r)
			ended = false
		})
	})},
	{"a panic ends one request", "a panic is a good answer", around(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { _ = recover() }()
			next.ServeHTTP(w, r)
		})
	})},
}

// again is a body that can be read by many, each from its beginning.
type again struct{ text string }

func (a again) Read(p []byte) (int, error) { return copy(p, a.text), io.EOF }
func (a again) Close() error               { return nil }
