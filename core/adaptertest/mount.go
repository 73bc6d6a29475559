package adaptertest

import (
	"net/http"
	"slices"

	"github.com/oidcgate/oidcgate/core"
)

// everyRouteIsBelowThePrefix goes by each kind of prefix in both modes. A route
// that is not there in one mode is there in the other.
func everyRouteIsBelowThePrefix(s suite) {
	provider := s.newProvider(polled)
	for name, o := range map[string]options{
		"at the root":       {root: true},
		"mounted":           {prefix: "/api"},
		"nested":            {prefix: "/a/b/api"},
		"below a parameter": {prefix: "/u/{tenant}/api"},
	} {
		for mode, configure := range modes {
			s.run(name+", "+mode, func(s suite) {
				o.provider, o.configure = provider, configure
				a := s.start(o)
				for _, e := range slices.Concat(a.Auth.Endpoints(), a.Auth.RootEndpoints()) {
					a.refused(request{method: http.MethodPatch, path: a.pathOf(e)}, http.StatusMethodNotAllowed, "invalid_request")
					if a.mount != "" {
						a.absent("/" + e.Path)
						a.absent("//elsewhere" + e.Path)
					}
					a.absent(e.Path + "/more")
				}
				tokens := a.signIn("alice")
				own := get("/mine", "Authorization", bearer(tokens.AccessToken))
				if got := a.same(own, http.StatusOK); got.body != "user-alice" {
					a.Fatalf("the guarded route answers %v", got)
				}
				a.refused(get("/mine"), http.StatusUnauthorized, "missing_token")
				a.same(get("/hello"), http.StatusOK)
				a.same(get(userinfoRoute, "Authorization", bearer(tokens.AccessToken)), http.StatusOK)
			})
		}
	}
}

// pathOf is the path of an endpoint for a request.
func (a *app) pathOf(e core.Endpoint) string {
	for _, root := range a.Auth.RootEndpoints() {
		if e.Path == root.Path {
			return "/" + e.Path
		}
	}
	return e.Path
}

// absent makes sure that no route of core answers at a path.
func (a *app) absent(path string) {
	a.Helper()
	for _, e := range a.Auth.RootEndpoints() {
		if path == "/"+e.Path {
			return
		}
	}
	for _, r := range []request{get(path), post(path)} {
		if got := a.ask(r); got.status != http.StatusNotFound && got.status != http.StatusMethodNotAllowed || got.header.Get("Referrer-Policy") != "" {
			a.Fatalf("%s %s: nothing belongs there, but the answer is %v", r.method, path, got)
		}
	}
}

func movedRoutes(s suite) {
	moved := s.start(options{configure: func(c *core.Config) {
		broker(c)
		c.Routes = core.Routes{
			Login: "/signin", Callback: "/a/b/c/back", Token: "/token.v1", Device: core.Off, Logout: "/sign-out_",
			Userinfo: core.Off, JWKS: "/keys~", OpenIDConfiguration: core.Off, AuthorizationServer: "/about", ProtectedResource: "/about/us",
		}
	}})
	if tokens := moved.provider.SignIn(moved.T, moved.base+"/signin", "alice"); tokens.RefreshToken == "" {
		moved.Fatal("the login by moved routes gives no refresh token")
	}
	moved.refused(post("/token.v1"), http.StatusBadRequest, "invalid_request")
	moved.same(get("/sign-out_"), http.StatusFound)
	moved.same(get("/keys~"), http.StatusOK)
	moved.same(get("/about"), http.StatusOK)
	moved.same(get("/about/us"), http.StatusOK)
	for _, path := range []string{
		loginRoute, callbackRoute, tokenRoute, deviceRoute, logoutRoute, userinfoRoute, jwksRoute, openidRoute, serverRoute, resourceRoute, "/-",
	} {
		moved.absent(path)
	}

	// A mode that has no such routes.
	passthrough := s.start(options{})
	for _, path := range []string{jwksRoute, openidRoute, serverRoute, resourceRoute} {
		passthrough.absent(path)
	}
}

// everyMethod makes sure that the router leaves all methods to the routes. CONNECT
// is not for paths.
func everyMethod(s suite) {
	for mode, configure := range modes {
		s.run(mode, func(s suite) {
			a := s.start(options{configure: configure})
			for _, e := range slices.Concat(a.Auth.Endpoints(), a.Auth.RootEndpoints()) {
				for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
					r := request{method: method, path: a.pathOf(e)}
					want := a.reference(r)
					if again := a.reference(r); again.body != want.body || again.header.Get("Location") != want.header.Get("Location") {
						continue // a login, which is another each time
					}
					got := a.same(r, want.status)
					if allow := got.header.Get("Allow"); (want.status == http.StatusMethodNotAllowed) != (allow != "") {
						a.Fatalf("%s %s: Allow is %q in %v", method, e.Path, allow, got)
					}
				}
			}
			a.same(request{method: http.MethodHead, path: userinfoRoute, header: []string{"Authorization", bearer(a.signIn("alice").AccessToken)}}, http.StatusOK)
		})
	}
}

func ownRoutes(s suite) {
	for mode, configure := range modes {
		s.run(mode, func(s suite) {
			a := s.start(options{configure: configure})
			alice, bob := a.signIn("alice").AccessToken, a.signIn("bob").AccessToken
			for _, route := range a.Routes {
				if route.Path == "/panic" || route.Path == "/mine/panic" {
					continue
				}
				for _, header := range [][]string{nil, {"Authorization", bearer(alice)}, {"Authorization", bearer(bob)}} {
					r := request{method: route.Method, path: route.Path + "?query=1", header: header}
					a.same(r, a.reference(r).status)
				}
			}
		})
	}
}
