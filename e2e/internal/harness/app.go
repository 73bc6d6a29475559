package harness

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/gofiber/fiber/v3"
	"github.com/oidcgate/oidcgate/chiauth"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/fiberauth"
	"github.com/oidcgate/oidcgate/stdauth"
)

// route is one of an application's own, behind a guard.
type route struct {
	path     string
	optional bool
	needs    []core.Constraint
}

// routes are what every application has. Each answers with what the token says.
var routes = []route{
	{path: "/hello", optional: true},
	{path: "/me"},
	{path: "/mail", needs: []core.Constraint{core.Scopes("email")}},
	{path: "/contact", needs: []core.Constraint{core.Scopes("profile", "email")}},
	{path: "/admin", needs: []core.Constraint{core.AnyRole("admin")}},
	{path: "/other", needs: []core.Constraint{core.Claim("resource_access.other.roles", "admin")}},
}

// App is an application in this process, on a real listener.
type App struct {
	URL  string // of the mount, its PublicURL
	Auth *core.Auth
	Log  *Log

	client *http.Client // follows no redirects, keeps no cookies
}

// Site is an address for an application, so that its provider can be told of it first.
type Site struct {
	URL      string // of the mount
	listener net.Listener
	number   int // of the suite's
}

// Callback is the redirect URI that the application's own callback has.
func (s *Site) Callback() string { return s.URL + "/auth/v2/callback" }

// Listen reserves an address until the suite ends.
func (r *Run) Listen() (*Site, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r.Cleanup(func() { _ = listener.Close() })
	r.sites++
	return &Site{"http://" + listener.Addr().String() + "/api", listener, r.sites}, nil
}

// App serves an application at a site until the suite ends, on the router chi, std or
// fiber. Its config needs no PublicURL, Secrets or Logger.
func (r *Run) App(site *Site, router string, config core.Config) (*App, error) {
	serve, ok := routers[router]
	if !ok {
		return nil, fmt.Errorf("there is no router %q", router)
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	file, err := os.Create(filepath.Join(r.Folder, fmt.Sprintf("application-%d-%s.log", site.number, router)))
	if err != nil {
		return nil, err
	}
	r.Cleanup(func() { _ = file.Close() })
	app := &App{URL: site.URL, Log: &Log{file: file}, client: &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 100},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	config.PublicURL = site.URL
	config.Secrets = []string{base64.StdEncoding.EncodeToString(secret)}
	config.Logger = slog.New(slog.NewJSONHandler(app.Log, nil))
	config.Observe = core.LogEvents(config.Logger)
	auth, err := core.New(config)
	if err != nil {
		return nil, err
	}
	app.Auth = auth
	stop := serve(auth, site.listener)
	r.Cleanup(func() {
		stop()
		app.client.CloseIdleConnections()
		_ = auth.Close()
	})
	return app, nil
}

// Get requests a route, with a token if there is one.
func (a *App) Get(ctx context.Context, path, token string) Answer {
	return Send(ctx, a.client, a.URL+path, token, nil)
}

// Post sends a form to a route, with a token if there is one.
func (a *App) Post(ctx context.Context, path, token string, form url.Values) Answer {
	if form == nil {
		form = url.Values{}
	}
	answer := Send(ctx, a.client, a.URL+path, token, form)
	a.Log.secret(form.Get("code"), answer.Value("access_token"), answer.Value("refresh_token"), answer.Value("id_token"))
	return answer
}

// Token sends a form to the token route.
func (a *App) Token(ctx context.Context, form url.Values) Answer {
	return a.Post(ctx, "/auth/v2/token", "", form)
}

// Refresh redeems a refresh token.
func (a *App) Refresh(ctx context.Context, token string) Answer {
	return a.Token(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

// whoami answers with what the guard has found in the token.
func whoami(w http.ResponseWriter, r *http.Request) {
	token := core.TokenFrom(r.Context())
	body := map[string]any{"valid": token.Valid()}
	if token.Valid() {
		body["sub"], body["username"], body["roles"], body["scopes"] = token.Subject(), token.Username(), token.Roles(), token.Scopes()
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // fails only when the client has gone
}

// routers serve an application on a listener, and give what ends it.
var routers = map[string]func(*core.Auth, net.Listener) func(){
	"chi":   serveChi,
	"std":   serveStd,
	"fiber": serveFiber,
}

func serveChi(auth *core.Auth, listener net.Listener) func() {
	api := chiauth.Router(auth)
	for _, r := range routes {
		guard := chiauth.Required
		if r.optional {
			guard = chiauth.Optional
		}
		api.With(guard(auth, r.needs...)).Get(r.path, whoami)
	}
	root := chi.NewRouter()
	root.Mount("/api", api)
	for _, e := range auth.RootEndpoints() {
		root.Method(http.MethodGet, e.Path, e.Handler)
	}
	return serveHTTP(root, listener)
}

func serveStd(auth *core.Auth, listener net.Listener) func() {
	mux := http.NewServeMux()
	stdauth.Mount(mux, "/api", auth)
	for _, r := range routes {
		guard := stdauth.Required
		if r.optional {
			guard = stdauth.Optional
		}
		mux.Handle("GET /api"+r.path, guard(auth, r.needs...)(http.HandlerFunc(whoami)))
	}
	for _, e := range auth.RootEndpoints() {
		mux.Handle("GET "+e.Path, e.Handler)
	}
	return serveHTTP(mux, listener)
}

func serveHTTP(handler http.Handler, listener net.Listener) func() {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)
	return func() { _ = server.Close() }
}

func serveFiber(auth *core.Auth, listener net.Listener) func() {
	app := fiber.New(fiber.Config{ReadBufferSize: fiberauth.ReadBufferSize, ReadTimeout: fiberauth.ReadTimeout})
	api := app.Group("/api")
	fiberauth.Mount(api, auth)
	for _, r := range routes {
		guard := fiberauth.Required
		if r.optional {
			guard = fiberauth.Optional
		}
		api.Get(r.path, guard(auth, r.needs...), fiberauth.Handler(http.HandlerFunc(whoami)))
	}
	for _, e := range auth.RootEndpoints() {
		app.Get(e.Path, fiberauth.Handler(e.Handler))
	}
	go app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true})
	return func() {
		_ = listener.Close()
		_ = app.ShutdownWithTimeout(3 * time.Second)
	}
}

// Log keeps what an application logs, in a file of the suite's folder too, and the secrets that its clients have seen. It
// may be used concurrently.
type Log struct {
	file    io.Writer
	mu      sync.Mutex
	text    bytes.Buffer
	secrets []string
}

func (l *Log) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(line)
	return l.file.Write(line)
}

// String is all that was logged: a line of JSON each.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *Log) secret(secrets ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, secret := range secrets {
		if secret != "" {
			l.secrets = append(l.secrets, secret)
		}
	}
}

// Has holds the log against a text that must be in it.
func (l *Log) Has(text string) error {
	if !strings.Contains(l.String(), text) {
		return fmt.Errorf("no log line has %q", text)
	}
	return nil
}

// Clean holds the log against the rule that no line has a token or a code.
func (l *Log) Clean() error {
	text := l.String()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, secret := range l.secrets {
		if strings.Contains(text, secret) {
			return errors.New("a log line has a token or a code")
		}
	}
	return nil
}
