package adaptertest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
)

// modes are the two that an application can be in.
var modes = map[string]func(*core.Config){"passthrough": func(*core.Config) {}, "broker": broker}

// polled is a provider that may be polled as often as one likes.
var polled = oidctest.Options{DeviceInterval: -1}

const (
	loginRoute    = "/auth/v2/login"
	callbackRoute = "/auth/v2/callback"
	tokenRoute    = "/auth/v2/token"
	deviceRoute   = "/auth/v2/device"
	logoutRoute   = "/auth/v2/logout"
	userinfoRoute = "/auth/v2/userinfo"
	jwksRoute     = "/auth/v2/.well-known/jwks.json"
	openidRoute   = "/.well-known/openid-configuration"
	serverRoute   = "/.well-known/oauth-authorization-server"
	resourceRoute = "/.well-known/oauth-protected-resource"

	exchangeType = "urn:ietf:params:oauth:grant-type:token-exchange"

	// native is a redirect URI on which nothing listens: a program's own.
	native = "http://127.0.0.1:9/done"
	// page is one of a page's, which no test goes to.
	page = "https://www.example.org/done"
)

// run is a subtest of a rule.
func (s suite) run(name string, check func(suite)) {
	s.Run(name, func(t *testing.T) { check(suite{t, s.serve}) })
}

// tokens reads a token answer.
func (a *app) tokens(got answer) oidctest.Tokens {
	a.Helper()
	var tokens oidctest.Tokens
	if got.status != http.StatusOK || json.Unmarshal([]byte(got.body), &tokens) != nil || tokens.AccessToken == "" || tokens.TokenType != "Bearer" {
		a.Fatalf("a token answer was expected: %v", got)
	}
	a.isProtected(request{}, got)
	return tokens
}

// authorize walks through a login until the code is there.
func (a *app) authorize(client *http.Client, user string, fields ...string) (code, state string) {
	a.Helper()
	query := a.provider.Authorize(a.T, client, a.base+loginRoute+"?"+form(fields...).Encode(), user).Query()
	if query.Get("code") == "" {
		a.Fatalf("the login gives no code: %v", query)
	}
	return query.Get("code"), query.Get("state")
}

// signIn gets tokens as a program does that listens on loopback.
func (a *app) signIn(user string) oidctest.Tokens {
	a.Helper()
	client := a.browser()
	code, state := a.authorize(client, user, "redirect_uri", native)
	return a.tokens(a.as(client, post(tokenRoute, "code", code, "redirect_uri", native, "code_verifier", state)))
}

// subject is what a guarded route says about a token.
func (a *app) subject(raw string) string {
	a.Helper()
	return a.ok(a.client, get(userinfoRoute, "Authorization", bearer(raw)), http.StatusOK).field("sub")
}

// browserSignsIn looks at the login's cookie, too: the callback is nothing without
// it, and clears it.
func browserSignsIn(s suite) {
	for mode, configure := range modes {
		s.run(mode, func(s suite) {
			a := s.start(options{configure: configure})
			login := a.ok(a.browser(), get(loginRoute+"?prompt=login&scope=openid+email"), http.StatusFound)
			to, err := url.Parse(login.header.Get("Location"))
			if err != nil || to.Query().Get("redirect_uri") != a.base+callbackRoute || to.Query().Get("scope") != "openid email" || to.Query().Get("prompt") != "login" || login.body != "" {
				a.Fatalf("the login leads to %v", login)
			}
			cookie := a.cookie(login)
			if cookie.Value == "" || cookie.MaxAge != 600 {
				a.Fatalf("the login's cookie is %v", cookie)
			}

			client := a.browser()
			code, state := a.authorize(client, "alice")
			back := get(callbackRoute + "?" + form("code", code, "state", state).Encode())
			a.isError(back, a.as(a.browser(), back), http.StatusBadRequest, "invalid_grant")
			got := a.as(client, back)
			if tokens := a.tokens(got); a.subject(tokens.AccessToken) != "user-alice" {
				a.Fatal("the callback's tokens are another user's")
			}
			if cleared := a.cookie(got); cleared.Value != "" || cleared.MaxAge != -1 {
				a.Fatalf("the callback's cookie is %v", cleared)
			}
			again := a.as(client, back)
			a.isError(back, again, http.StatusBadRequest, "invalid_grant")
		})
	}

	s.run("among cookies of others", func(s suite) {
		a := s.start(options{})
		client := a.browser()
		for _, name := range []string{"first", "last"} {
			client.Jar.SetCookies(&url.URL{Scheme: "http", Host: a.address, Path: "/"}, []*http.Cookie{{Name: name, Value: "x", Path: "/"}})
		}
		code, state := a.authorize(client, "bob")
		if tokens := a.tokens(a.as(client, get(callbackRoute+"?"+form("code", code, "state", state).Encode()))); a.subject(tokens.AccessToken) != "user-bob" {
			a.Fatal("the callback's tokens are another user's")
		}
	})

	s.run("two tabs of one browser", func(s suite) {
		a := s.start(options{})
		client := a.browser()
		code1, state1 := a.authorize(client, "alice")
		code2, state2 := a.authorize(client, "alice")
		for _, query := range []url.Values{form("code", code1, "state", state1), form("code", code2, "state", state2)} {
			a.tokens(a.as(client, get(callbackRoute+"?"+query.Encode())))
		}
	})

	s.run("the provider refuses", func(s suite) {
		a := s.start(options{})
		login := a.ok(a.client, get(loginRoute), http.StatusFound)
		to, _ := url.Parse(login.header.Get("Location"))
		state := to.Query().Get("state")
		a.refused(get(callbackRoute+"?"+form("error", "access_denied", "state", state).Encode()), http.StatusForbidden, "access_denied")
	})

	s.run("secure where the application is", func(s suite) {
		a := s.start(options{configure: func(c *core.Config) { c.PublicURL = "https://app.example.org/api" }})
		login := a.ok(a.browser(), get(loginRoute), http.StatusFound)
		if cookie := a.cookie(login); !cookie.Secure || !strings.HasPrefix(cookie.Name, "__Host-oidcgate-") {
			a.Fatalf("the login's cookie is %v", cookie)
		}
	})
}

// cookie gives the one cookie that a route has set.
func (a *app) cookie(got answer) *http.Cookie {
	a.Helper()
	if len(got.header.Values("Set-Cookie")) != 1 {
		a.Fatalf("one cookie was expected: %v", got)
	}
	cookie, err := http.ParseSetCookie(got.header.Get("Set-Cookie"))
	if err != nil || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" {
		a.Fatalf("the cookie is %q (%v)", got.header.Get("Set-Cookie"), err)
	}
	return cookie
}

// pageSignsIn: the token route, too, takes the cookie of a login and clears it.
func pageSignsIn(s suite) {
	for mode, configure := range modes {
		s.run(mode, func(s suite) {
			a := s.start(options{configure: func(c *core.Config) {
				configure(c)
				c.RedirectURIs = []string{page}
			}})
			client := a.browser()
			code, state := a.authorize(client, "alice", "redirect_uri", page)
			redeem := post(tokenRoute, "code", code, "redirect_uri", page, "state", state)
			a.isError(redeem, a.as(a.browser(), redeem), http.StatusBadRequest, "invalid_grant")
			got := a.as(client, redeem)
			if tokens := a.tokens(got); a.subject(tokens.AccessToken) != "user-alice" {
				a.Fatal("the page's tokens are another user's")
			}
			if cleared := a.cookie(got); cleared.Value != "" || cleared.MaxAge != -1 {
				a.Fatalf("the page's cookie is %v", cleared)
			}
		})
	}
}

func programSignsIn(s suite) {
	for mode, configure := range modes {
		s.run(mode, func(s suite) {
			a := s.start(options{configure: configure})
			login := a.ok(a.browser(), get(loginRoute+"?"+form("redirect_uri", native).Encode()), http.StatusFound)
			if cookies := login.header.Values("Set-Cookie"); cookies != nil {
				a.Fatalf("a native login has the cookies %q", cookies)
			}
			tokens := a.signIn("alice")
			if a.subject(tokens.AccessToken) != "user-alice" {
				a.Fatal("the tokens are another user's")
			}
			refreshed := a.tokens(a.ask(post(tokenRoute, "refresh-token", tokens.RefreshToken)))
			if a.subject(refreshed.AccessToken) != "user-alice" {
				a.Fatal("the refreshed tokens are another user's")
			}
			out := a.ask(request{method: http.MethodPost, path: logoutRoute, header: []string{"Authorization", bearer(tokens.AccessToken)}})
			if out.status != http.StatusFound || !strings.HasPrefix(out.header.Get("Location"), a.provider.Issuer) {
				a.Fatalf("the logout is %v", out)
			}
		})
	}
}

// challengeOf is the S256 challenge of a verifier (RFC 7636 4.2).
func challengeOf(verifier string) string {
	hash := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(hash[:])
}

func clientSignsIn(s suite) {
	for mode, configure := range modes {
		s.run(mode, func(s suite) {
			a := s.start(options{configure: configure})
			verifier := strings.Repeat("-._~verifier", 4)
			state := `a state|of "its" own; 100% a+b&c=d`
			code, back := a.authorize(a.browser(), "bob", "redirect_uri", native, "state", state,
				"code_challenge", challengeOf(verifier), "code_challenge_method", "S256")
			if back != state {
				a.Fatalf("the state came back as %q, not %q", back, state)
			}
			redeem := post(tokenRoute, "grant_type", "authorization_code", "client_id", a.provider.ClientID,
				"code", code, "redirect_uri", native, "code_verifier", verifier)
			wrong := post(tokenRoute, "code", code, "redirect_uri", native, "code_verifier", verifier+"x")
			if tokens := a.tokens(a.ask(redeem)); a.subject(tokens.AccessToken) != "user-bob" {
				a.Fatal("the tokens are another user's")
			}
			for _, r := range []request{redeem, wrong} {
				a.isError(r, a.ask(r), http.StatusBadRequest, "invalid_grant")
			}
		})
	}
}

func deviceSignsIn(s suite) {
	for mode, configure := range modes {
		s.run(mode, func(s suite) {
			a := s.start(options{configure: configure})
			for user, approve := range map[string]bool{"alice": true, "bob": false} {
				begun := a.ok(a.client, post(deviceRoute, "scope", "openid profile"), http.StatusOK)
				poll := post(tokenRoute, "device-code", begun.field("device_code"))
				a.isError(poll, a.ask(poll), http.StatusBadRequest, "authorization_pending")
				a.provider.Device(a.T, begun.field("user_code"), user, approve)
				if !approve {
					a.isError(poll, a.ask(poll), http.StatusBadRequest, "access_denied")
				} else if tokens := a.tokens(a.ask(poll)); a.subject(tokens.AccessToken) != "user-"+user {
					a.Fatal("the tokens are another user's")
				}
			}
			empty := request{method: http.MethodPost, path: deviceRoute} // no body, no type
			if got := a.ok(a.client, empty, http.StatusOK); got.field("user_code") == "" {
				a.Fatalf("the device route answers %v", got)
			}
		})
	}
	s.run("too often", func(s suite) {
		a := s.start(options{provider: s.newProvider(oidctest.Options{})})
		poll := a.poll()
		a.isError(poll, a.ask(poll), http.StatusBadRequest, "authorization_pending")
		a.isError(poll, a.ask(poll), http.StatusBadRequest, "slow_down")
	})
	s.run("too late", func(s suite) {
		a := s.start(options{})
		poll := a.poll()
		fail(a.provider, oidctest.TokenPath, http.StatusBadRequest, `{"error":"expired_token"}`)
		a.refused(poll, http.StatusBadRequest, "expired_token")
	})
}

// poll begins a device login, and gives the request that asks how it goes.
func (a *app) poll() request {
	a.Helper()
	return post(tokenRoute, "device_code", a.ok(a.client, post(deviceRoute), http.StatusOK).field("device_code"))
}

// brokerServesEveryGrant follows one session from login to logout.
func brokerServesEveryGrant(s suite) {
	a := s.start(options{configure: broker})
	tokens := a.signIn("alice")
	if issuer := claims(tokens.AccessToken)["iss"]; issuer != a.base {
		a.Fatalf("the token's issuer is %v, not %s", issuer, a.base)
	}
	first := tokens.RefreshToken
	for range 3 {
		next := a.tokens(a.ask(post(tokenRoute, "grant_type", "refresh_token", "refresh_token", tokens.RefreshToken)))
		if next.RefreshToken == tokens.RefreshToken || claims(next.AccessToken)["sid"] != claims(tokens.AccessToken)["sid"] {
			a.Fatal("the refresh gives the same refresh token again, or another session's")
		}
		tokens = next
	}

	exchanged := a.ok(a.client, post(tokenRoute, "grant_type", exchangeType, "subject_token", a.provider.AccessToken(a.T, "bob"),
		"audience", a.base, "audience", a.base, "resource", a.base), http.StatusOK)
	if a.subject(a.tokens(exchanged).AccessToken) != "user-bob" || exchanged.field("issued_token_type") == "" {
		a.Fatalf("the exchange gives %v", exchanged)
	}
	a.refused(post(tokenRoute, "grant_type", exchangeType, "subject_token", a.provider.AccessToken(a.T, "bob"), "audience", "https://other.example.org"),
		http.StatusBadRequest, "invalid_target")
	a.refused(post(tokenRoute, "subject_token", "garbage"), http.StatusBadRequest, "invalid_request")

	mine := get("/mine", "Authorization", bearer(tokens.AccessToken))
	a.same(mine, http.StatusOK)
	a.same(get(userinfoRoute, "Authorization", bearer(tokens.AccessToken)), http.StatusOK)
	a.refused(get("/mine", "Authorization", bearer(a.provider.AccessToken(a.T, "alice"))), http.StatusUnauthorized, "invalid_token")

	out := a.ok(a.client, post(logoutRoute, "refresh_token", tokens.RefreshToken, "post_logout_redirect_uri", a.base+"/bye", "state", "s t"), http.StatusFound)
	to, err := url.Parse(out.header.Get("Location"))
	if err != nil || to.Query().Get("post_logout_redirect_uri") != a.base+"/bye" || to.Query().Get("state") != "s t" || to.Query().Get("id_token_hint") == "" {
		a.Fatalf("the logout leads to %v", out)
	}
	for _, dead := range []string{first, tokens.RefreshToken} {
		r := post(tokenRoute, "refresh_token", dead)
		a.isError(r, a.ask(r), http.StatusBadRequest, "invalid_grant")
	}

	second := a.signIn("bob")
	a.ok(a.client, get(logoutRoute, "Authorization", bearer(second.AccessToken)), http.StatusFound)
	r := post(tokenRoute, "refresh_token", second.RefreshToken)
	a.isError(r, a.ask(r), http.StatusBadRequest, "invalid_grant")
	info := get(userinfoRoute, "Authorization", bearer(second.AccessToken))
	a.isError(info, a.ask(info), http.StatusUnauthorized, "invalid_token")
}

// claims are those of a token, unverified.
func claims(raw string) map[string]any {
	parts := strings.Split(raw, ".")
	var all map[string]any
	if len(parts) == 3 {
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		_ = json.Unmarshal(payload, &all)
	}
	return all
}

func brokerPublishes(s suite) {
	a := s.start(options{configure: broker})
	paths := []string{jwksRoute, openidRoute, serverRoute, resourceRoute}
	for _, e := range a.Auth.RootEndpoints() {
		paths = append(paths, "/"+e.Path)
	}
	if len(paths) != 7 {
		a.Fatalf("the suite expects seven documents: %q", paths)
	}
	for _, path := range paths {
		got := a.same(get(path), http.StatusOK)
		tag := got.header.Get("ETag")
		if tag == "" || !strings.HasPrefix(got.header.Get("Cache-Control"), "public, max-age=") || got.header.Get("Access-Control-Allow-Origin") != "*" || got.header.Get("Content-Type") != "application/json" {
			a.Fatalf("%s: the answer is not one that others may keep: %v", path, got)
		}
		head := a.same(request{method: http.MethodHead, path: path}, http.StatusOK)
		if length := head.header.Get("Content-Length"); length != "" && length != got.header.Get("Content-Length") {
			a.Fatalf("%s: HEAD has the Content-Length %s, GET %s", path, length, got.header.Get("Content-Length"))
		}
		a.same(get(path, "If-None-Match", tag), http.StatusNotModified)
		a.same(get(path, "If-None-Match", `"other"`), http.StatusOK)
	}
	if got := a.ask(get(openidRoute)); got.field("issuer") != a.base || got.field("jwks_uri") != a.base+jwksRoute {
		a.Fatalf("the metadata tells other addresses than %s: %v", a.base, got)
	}
}
