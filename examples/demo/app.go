package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/oidcgate/oidcgate/core"
)

// route is one of the application's own routes, and who may call it.
type route struct {
	Path     string
	Who      string // for people
	optional bool
	needs    []core.Constraint
	serve    http.HandlerFunc
}

// routes are a table only because the demo serves them by five routers and lists
// them on its page. An application writes each as a line of its own, as the
// examples beside the demo do:
//
//	api.With(chiauth.Required(auth, core.Role("admin"))).Get("/admin", admin)
var routes = []route{
	{Path: "/hello", Who: "anybody, signed in or not", optional: true, serve: hello},
	{Path: "/me", Who: "whoever is signed in", serve: me},
	{Path: "/mail", Who: "the scope email", needs: []core.Constraint{core.Scope("email")}, serve: mail},
	{Path: "/admin", Who: "the role admin", needs: []core.Constraint{core.Role("admin")}, serve: admin},
	{Path: "/audit", Who: "admin in the claim realm_access.roles", needs: []core.Constraint{core.Claim("realm_access.roles", "admin")}, serve: audit},
}

// newBroker makes the application an issuer of its own. Everything lives
// briefly, so that one can watch it end.
func newBroker() *core.Broker {
	return &core.Broker{
		TokenLifetime: 2 * time.Minute,
		RefreshGrace:  20 * time.Second,
		Exchange:      true,
		Identify:      identify,
	}
}

// identify puts a claim of the provider's into the tokens as it is, because one
// of the routes asks for it. Flat roles they have anyway.
func identify(_ context.Context, who *core.Identity) error {
	if access, ok := who.Claims["realm_access"]; ok {
		who.Extra["realm_access"] = access
	}
	return nil
}

// The handlers know nothing of the router: the guard has put the token into the
// request's context. That is why they are net/http's, whatever the router.

func hello(w http.ResponseWriter, r *http.Request) {
	if token := core.TokenFrom(r.Context()); token.Valid() {
		reply(w, "Hello, "+token.Username()+".")
		return
	}
	reply(w, "Hello, stranger.")
}

func me(w http.ResponseWriter, r *http.Request) {
	token := core.TokenFrom(r.Context())
	writeJSON(w, map[string]any{
		"subject": token.Subject(), "username": token.Username(), "roles": token.Roles(), "scopes": token.Scopes(),
	})
}

func mail(w http.ResponseWriter, r *http.Request) {
	// ClaimsFrom reads the claims for which Token has no method.
	claims, err := core.ClaimsFrom[struct {
		Email    string `json:"email"`
		Verified bool   `json:"email_verified"`
	}](r.Context())
	if err != nil {
		core.WriteError(w, err)
		return
	}
	reply(w, fmt.Sprintf("Your address is %q, verified: %t.", claims.Email, claims.Verified))
}

func admin(w http.ResponseWriter, r *http.Request) {
	reply(w, "You may run this place, "+core.TokenFrom(r.Context()).Username()+".")
}

func audit(w http.ResponseWriter, _ *http.Request) { reply(w, "Nothing to report.") }

func reply(w http.ResponseWriter, message string) {
	writeJSON(w, map[string]any{"message": message})
}

func writeJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store") // it is about one user
	_ = json.NewEncoder(w).Encode(body)         // fails only when the client has gone
}

// application is a running web application.
type application struct {
	origin    string // http://localhost:8080
	publicURL string // http://localhost:8080/api
	local     string // the same without what may be in front of it
	auth      *core.Auth
	listener  net.Listener
	server    server
	failed    chan error
}

// startApplication serves the application at addr. A config without a PublicURL
// gets the one that follows from addr.
func startApplication(addr, router string, config core.Config, people []person) (*application, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%w; choose another address with -addr (localhost:0 takes a free port)", err)
	}
	app := &application{listener: listener, failed: make(chan error, 1)}
	if err := app.configure(listener.Addr(), addr, router, config, people); err != nil {
		listener.Close()
		return nil, err
	}
	go func() { app.failed <- app.server.Serve(listener) }()
	return app, nil
}

func (app *application) configure(bound net.Addr, addr, router string, config core.Config, people []person) error {
	local := "http://" + reachable(addr, bound)
	config.PublicURL = cmp.Or(config.PublicURL, local+"/api")
	public, err := url.Parse(config.PublicURL)
	if err != nil || public.Path == "" {
		return fmt.Errorf("the public URL %q needs a path, such as /api", config.PublicURL)
	}
	app.publicURL, app.origin, app.local = config.PublicURL, public.Scheme+"://"+public.Host, local+public.Path
	if app.auth, err = core.New(config); err != nil {
		return err
	}
	page, err := newPage(pageData{
		Origin: app.origin, API: public.Path, Issuer: config.Issuer, Broker: config.Broker,
		Router: router, People: people, Routes: routes,
	})
	if err != nil {
		return err
	}
	app.server = routers[router](app.auth, public.Path, page)
	return nil
}

// reachable is the host and port by which a browser on this machine reaches a
// listener.
func reachable(addr string, bound net.Addr) string {
	host, _, _ := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	_, port, _ := net.SplitHostPort(bound.String())
	return net.JoinHostPort(host, port)
}

// close lets requests that are under way finish, for a while, and waits for what
// they have begun.
func (app *application) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	_ = app.server.Shutdown(ctx)
	_ = app.listener.Close() // Fiber's Shutdown leaves it open when it doesn't serve yet
	_ = app.auth.Close()
}
