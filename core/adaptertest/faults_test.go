package adaptertest

import (
	"bytes"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
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

// faults are all of them, in the order of the rules.
var faults = slices.Concat(mountFaults, signInFaults, browserFaults, errorFaults, paramFaults, bodyFaults, parallelFaults)
