package adaptertest

import (
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"

	"github.com/oidcgate/oidcgate/core"
)

// parallelFaults are what adapters do wrong when requests come at once, or panic.
var parallelFaults = []fault{
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
