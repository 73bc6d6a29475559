package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
	"github.com/oidcgate/oidcgate/store"
)

// route is one of the application's own routes, and who may call it.
type route struct {
	method string // "": GET
	Path   string
	Who    string // for people
	guard  guard
	needs  []core.Constraint
	serve  http.HandlerFunc
}

// guard says what becomes of a request without a token or a session.
type guard int

const (
	isRequired guard = iota // it is refused
	isOptional              // it is anonymous
	isPage                  // the browser is sent to sign in, and back
)

// verb is the route's method.
func (r route) verb() string { return cmp.Or(r.method, http.MethodGet) }

// routes are a table only because the demo serves them by five routers and lists
// them on its page. An application writes each as a line of its own, as the
// examples beside the demo do:
//
//	api.With(chiauth.Required(auth, core.AnyRole("admin"))).Get("/admin", admin)
var routes = []route{
	{Path: "/hello", Who: "anybody, signed in or not", guard: isOptional, serve: hello},
	{Path: "/me", Who: "whoever is signed in", serve: me},
	{Path: "/mail", Who: "the scope email", needs: []core.Constraint{core.Scopes("email")}, serve: mail},
	{Path: "/admin", Who: "the role admin", needs: []core.Constraint{core.AnyRole("admin")}, serve: admin},
	{Path: "/audit", Who: "admin in the claim realm_access.roles", needs: []core.Constraint{core.Claim("realm_access.roles", "admin")}, serve: audit},
}

// sessionRoutes are about the sessions of whoever is signed in, in broker mode: on which
// devices, and a way to end one of them.
func sessionRoutes(auth *core.Auth) []route {
	list := func(w http.ResponseWriter, r *http.Request) {
		sessions, err := auth.Sessions(r.Context(), core.TokenFrom(r.Context()).Subject())
		if err != nil {
			core.WriteError(w, err)
			return
		}
		shown := []map[string]any{}
		for _, s := range sessions {
			shown = append(shown, map[string]any{"id": s.ID, "began": s.Began.Unix(), "refreshed": s.Refreshed.Unix()})
		}
		writeJSON(w, map[string]any{"sessions": shown})
	}
	end := func(w http.ResponseWriter, r *http.Request) {
		// With the subject, so that nobody ends a session of somebody else.
		who := core.Who{Session: r.PostFormValue("session"), Subject: core.TokenFrom(r.Context()).Subject()}
		count, err := auth.Revoke(r.Context(), who)
		if err != nil {
			core.WriteError(w, err)
			return
		}
		writeJSON(w, map[string]any{"ended": count})
	}
	return []route{{Path: "/sessions", serve: list}, {method: http.MethodPost, Path: "/sessions/end", serve: end}}
}

// newBroker makes the application an issuer of its own. Everything lives
// briefly, so that one can watch it end.
func newBroker() *core.Broker {
	return &core.Broker{
		TokenLifetime: 2 * time.Minute,
		RefreshGrace:  20 * time.Second,
		Exchange:      true,
		Identify:      identify,
		Device:        deviceOf,
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
		"subject": token.Subject(), "session": token.SessionID(), "username": token.Username(), "roles": token.Roles(), "scopes": token.Scopes(),
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
	store     store.Store // nil: passthrough mode
	listener  net.Listener
	server    server
	failed    chan error
}

// startApplication serves the application on a listener that was made for o.addr. A
// config without a PublicURL gets the one that follows from that. The listener and
// the broker's store are the application's from then on, also if there is an error.
func startApplication(ctx context.Context, listener net.Listener, o options, config core.Config, people []probe.Person) (*application, error) {
	app := &application{listener: listener, failed: make(chan error, 1)}
	err := app.open(ctx, config)
	if err == nil {
		err = app.configure(o, config, people)
	}
	if err != nil {
		app.release()
		return nil, err
	}
	go func() {
		app.failed <- app.server.Serve(listener)
		close(app.failed)
	}()
	return app, nil
}

// open opens the store now, though core would at first use: one that can't work
// is to end the program.
func (app *application) open(ctx context.Context, config core.Config) error {
	if config.Broker == nil {
		return nil
	}
	app.store = config.Broker.Store
	ctx, cancel := context.WithTimeout(ctx, core.DefaultTimeout)
	defer cancel()
	if err := app.store.Open(ctx); err != nil {
		return fmt.Errorf("the store can't be opened: %w", err)
	}
	return nil
}

func (app *application) configure(o options, config core.Config, people []probe.Person) error {
	local := "http://" + reachable(o.addr, app.listener.Addr())
	config.PublicURL = cmp.Or(config.PublicURL, local+"/api")
	public, err := url.Parse(config.PublicURL)
	if err != nil || public.Path == "" {
		return fmt.Errorf("the public URL %q needs a path, such as /api", config.PublicURL)
	}
	app.publicURL, app.origin, app.local = config.PublicURL, public.Scheme+"://"+public.Host, local+public.Path
	about := pageData{
		Origin: app.origin, API: public.Path, Issuer: config.Providers[0].Issuer, Broker: config.Broker,
		Router: o.router, People: people, Routes: routes,
	}
	if app.auth, err = core.New(config); err != nil {
		return err
	}
	served, err := app.served(about, config)
	if err != nil {
		return err
	}
	app.server = routers[o.router](app.auth, served)
	return nil
}

// served is what the application serves: in passthrough mode, in which there are no
// sessions, a page that holds tokens and the API.
func (app *application) served(about pageData, config core.Config) (served, error) {
	files, err := newFiles(about)
	if err != nil {
		return served{}, err
	}
	first := route{Path: "/", guard: isOptional, serve: files.ServeHTTP}
	all := served{prefix: about.API, api: routes, pages: []route{first}, files: files}
	if config.Broker != nil {
		all.api = slices.Concat(routes, sessionRoutes(app.auth))
	}
	if config.Browser != nil {
		pages, err := newSite(app.auth, about)
		if err != nil {
			return served{}, err
		}
		all.pages = pages.routes()
	}
	return all, nil
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
	// The listener comes first: Fiber's Shutdown leaves it open when it doesn't
	// serve yet, and takes a tenth of a second more while it does.
	_ = app.listener.Close()
	<-app.failed
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	_ = app.server.Shutdown(ctx)
	app.release()
}

// release closes what the application was given and what it has made of it.
func (app *application) release() {
	_ = app.listener.Close()
	if app.auth != nil {
		_ = app.auth.Close()
	}
	if app.store != nil {
		_ = app.store.Close()
	}
}
