package adaptertest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
)

// App is what an adapter must serve.
type App struct {
	// Auth has the routes. Its Endpoints belong below Prefix, its RootEndpoints at the root
	// of the host.
	Auth *core.Auth
	// Prefix is "", or a path of one or more segments without a slash at its
	// end, such as "/api" and "/a/b/api". Where the router has groups that nest,
	// each segment may be one. A parameter is a segment in braces, as in
	// "/u/{tenant}/api"; write it as the router does, or call t.Skip if the
	// router knows no such thing.
	Prefix string
	// Routes are the application's own.
	Routes []Route
}

// Route is one of the application's own routes. It is an [http.Handler], so routers for
// net/http can use it directly.
type Route struct {
	// Method is GET, POST or DELETE.
	Method string
	// Path is where the route is below App.Prefix. It begins with a slash and
	// has no pattern in it.
	Path string
	// Guard is the guard before Serve, and Constraints are the guard's.
	Guard       Guard
	Constraints []core.Constraint
	// Serve gives the answer to a request whose context is ctx. It may be called
	// concurrently. It may panic; then the request need not be answered, but the
	// server has to go on, by whatever means its users have for that.
	Serve func(ctx context.Context) (status int, body string)
}

// ServeHTTP answers with the result of Serve for the request's context.
func (route Route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, body := route.Serve(r.Context())
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // the client may have gone away
}

// Segments returns the segments of the prefix, each with a leading slash, for routers with
// nested groups. mark is the router's prefix of a parameter: with ":" the segment
// "/{tenant}" becomes "/:tenant". With "" the braces stay.
func (app App) Segments(mark string) []string {
	prefix := strings.TrimPrefix(app.Prefix, "/")
	if prefix == "" {
		return nil
	}
	if mark != "" {
		prefix = strings.NewReplacer("{", mark, "}", "").Replace(prefix)
	}
	segments := strings.Split(prefix, "/")
	for i := range segments {
		segments[i] = "/" + segments[i]
	}
	return segments
}

// Guard is the kind of guard that a [Route] needs.
type Guard int

// The kinds of guards.
const (
	Unguarded Guard = iota // none
	Required               // the adapter's Required
	Optional               // the adapter's Optional
	Pages                  // the adapter's Pages
)

// Guards returns the guard that a route needs, made by the adapter's required, optional or
// pages, or nothing for an unguarded route.
func Guards[G any](auth *core.Auth, route Route, required, optional, pages func(*core.Auth, ...core.Constraint) G) []G {
	switch route.Guard {
	case Required:
		return []G{required(auth, route.Constraints...)}
	case Optional:
		return []G{optional(auth, route.Constraints...)}
	case Pages:
		return []G{pages(auth, route.Constraints...)}
	}
	return nil
}

// Run tests an adapter against each rule, in one subtest per rule. For each application that
// a rule needs, it calls serve with the subtest's t. serve builds a router for the [App],
// starts to answer the connections of the listener, and returns. It uses t.Cleanup to stop
// the server and to wait for running handlers. Each application has its own port, so suites
// may run at the same time. The server must accept request headers of 24 KiB. It must give
// up on a body after ten seconds if core can't do that itself (see [core.Endpoint]).
func Run(t *testing.T, serve func(t *testing.T, listener net.Listener, app App)) {
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) { rule.check(suite{t, serve}) })
	}
}

// Serve answers the connections of a listener with a handler until the test ends. Routers
// that are net/http handlers call it at the end of the function for [Run].
func Serve(t *testing.T, listener net.Listener, handler http.Handler) {
	server := &http.Server{Handler: handler, ErrorLog: quiet}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("closing the server: %v", err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the server ended by itself: %v", err)
		}
	})
}

// rules are what an adapter is held to, by the sentence that says so.
var rules = []struct {
	name  string
	check func(suite)
}{
	{"every route is below the prefix", everyRouteIsBelowThePrefix},
	{"moved routes are where they are and others are off", movedRoutes},
	{"every route answers every method", everyMethod},
	{"routes of the application stand beside", ownRoutes},

	{"a browser signs in by the callback", browserSignsIn},
	{"a page signs in by the state and its cookie", pageSignsIn},
	{"a program signs in by the state", programSignsIn},
	{"a client does PKCE itself", clientSignsIn},
	{"a device signs in", deviceSignsIn},
	{"a broker serves every grant", brokerServesEveryGrant},
	{"a broker publishes its keys and metadata", brokerPublishes},

	{"a browser stays signed in by a cookie", browserStaysSignedIn},
	{"guards read what browsers send", guardsReadBrowsers},
	{"pages speak to people", pagesSpeakToPeople},

	{"guards refuse as core does", guardsRefuse},
	{"routes refuse as core does", routesRefuse},
	{"failures of the provider are told as core does", providerFails},
	{"failures of the store are told as core does", storeFails},
	{"parameters count in their place only", parametersInTheirPlace},
	{"parameters arrive as they were sent", parametersArrive},

	{"a body has a limit", bodyHasALimit},
	{"long tokens are taken", longTokensAreTaken},
	{"a body may come in pieces", bodyInPieces},
	{"a body that is cut off is not served", bodyCutOff},
	{"a body that does not arrive is given up", bodyNeverArrives},
	{"a body is of the type that it says", bodyTypes},

	{"a guard is asked anew for each request", guardIsAskedAnew},
	{"tokens of users are never mixed up", tokensAreNotMixedUp},
	{"logins of users are never mixed up", loginsAreNotMixedUp},
	{"sessions of users are never mixed up", sessionsAreNotMixedUp},
	{"a panic ends one request", panicEndsOneRequest},
}
