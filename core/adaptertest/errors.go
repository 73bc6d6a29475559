package adaptertest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
)

// fail has the provider answer a path with a status and a body.
func fail(provider *oidctest.Provider, path string, status int, body string) {
	provider.Answer(path, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

func guardsRefuse(s suite) {
	a := s.start(options{})
	alice, bob := bearer(a.provider.AccessToken(a.T, "alice")), bearer(a.provider.AccessToken(a.T, "bob"))
	expired := bearer(a.provider.SignedToken(a.T, nil, a.provider.Claims("alice", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()})))
	reader := bearer(a.provider.AccessToken(a.T, "alice", "openid", "orders:read"))
	writer := bearer(a.provider.AccessToken(a.T, "bob", "openid", "orders:read", "orders:write"))
	forged := alice[:len(alice)-10] + "AAAAAAAAAA"

	for _, row := range []struct {
		path   string
		header []string
		status int
		code   string // "": the body is who
		who    string
	}{
		{"/mine", nil, 401, "missing_token", ""},
		{"/mine", []string{"Authorization", ""}, 401, "missing_token", ""},
		{"/mine", []string{"Authorization", "Bearer"}, 401, "missing_token", ""},
		{"/mine", []string{"Authorization", "Basic YTpi"}, 401, "missing_token", ""},
		{"/mine", []string{"Cookie", "access_token=" + alice}, 401, "missing_token", ""},
		{"/mine", []string{"Authorization", "Bearer garbage"}, 401, "invalid_token", ""},
		{"/mine", []string{"Authorization", expired}, 401, "invalid_token", ""},
		{"/mine", []string{"Authorization", forged}, 401, "invalid_token", ""},
		{"/mine", []string{"Authorization", alice + " and more"}, 401, "invalid_token", ""},
		{"/mine", []string{"Authorization", alice, "Authorization", bob}, 400, "invalid_request", ""},
		{"/mine", []string{"Authorization", alice, "Authorization", alice}, 400, "invalid_request", ""},
		{"/mine", []string{"Authorization", alice, "Authorization", ""}, 400, "invalid_request", ""},
		{"/mine", []string{"Authorization", "", "Authorization", alice}, 400, "invalid_request", ""},
		{"/mine", []string{"Authorization", "Basic YTpi", "authorization", alice}, 400, "invalid_request", ""},
		{"/mine", []string{"Authorization", alice}, 200, "", "user-alice"},
		{"/mine", []string{"authorization", "bEARER   " + bob[len("Bearer "):]}, 200, "", "user-bob"},
		{"/mine?access_token=" + alice[len("Bearer "):], nil, 401, "missing_token", ""},
		{"/admin", []string{"Authorization", alice}, 200, "", "user-alice"},
		{"/admin", []string{"Authorization", bob}, 403, "insufficient_claims", ""},
		{"/verified", []string{"Authorization", alice}, 200, "", "user-alice"},
		{"/verified", []string{"Authorization", bob}, 403, "insufficient_claims", ""},
		{"/orders", []string{"Authorization", reader}, 403, "insufficient_scope", ""},
		{"/orders", []string{"Authorization", writer}, 200, "", "user-bob"},
		{"/hello", nil, 200, "", "anonymous"},
		{"/hello", []string{"Authorization", bob}, 200, "", "user-bob"},
		{"/hello", []string{"Authorization", expired}, 200, "", "anonymous"},
		{"/hello", []string{"Authorization", alice, "Authorization", bob}, 200, "", "anonymous"},
		{"/hello/admin", nil, 200, "", "anonymous"},
		{"/hello/admin", []string{"Authorization", bob}, 200, "", "anonymous"},
		{"/hello/admin", []string{"Authorization", alice}, 200, "", "user-alice"},
		{"/hello/strict", nil, 200, "", "anonymous"},
		{"/hello/strict", []string{"Authorization", forged}, 401, "invalid_token", ""},
		{"/hello/strict", []string{"Authorization", alice, "Authorization", bob}, 400, "invalid_request", ""},
		{"/open", []string{"Authorization", alice}, 200, "", "anonymous"},
		{userinfoRoute, nil, 401, "missing_token", ""},
		{userinfoRoute, []string{"Authorization", "Bearer garbage"}, 401, "invalid_token", ""},
		{userinfoRoute, []string{"Authorization", alice, "Authorization", bob}, 400, "invalid_request", ""},
		{userinfoRoute, []string{"Authorization", bearer(a.provider.AccessToken(a.T, "nameless"))}, 404, "not_found", ""},
	} {
		r := get(row.path, row.header...)
		if row.code != "" {
			a.refused(r, row.status, row.code)
		} else if got := a.same(r, row.status); got.body != row.who {
			a.Fatalf("%s with %.60q: the answer is %v, not %s", r.path, r.header, got, row.who)
		}
	}

	for _, header := range [][]string{nil, {"Authorization", reader}} {
		challenge := a.ask(get("/orders", header...)).header.Get("WWW-Authenticate")
		if !strings.Contains(challenge, `scope="orders:read orders:write"`) {
			a.Fatalf("the scopes that are needed are not told: %s", challenge)
		}
	}
	if challenge := a.ask(get("/mine")).header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, `Bearer realm="`) || strings.Contains(challenge, "error") {
		a.Fatalf("a request without a token is told %s", challenge)
	}
}

func routesRefuse(s suite) {
	for mode, configure := range modes {
		s.run(mode, func(s suite) {
			a := s.start(options{configure: func(c *core.Config) {
				configure(c)
				c.Providers[0].AllowedScopes = []string{"email", "profile"}
			}})
			verifier := strings.Repeat("v", 43)
			basic := "Basic b3RoZXI6c2VjcmV0"
			for _, row := range []struct {
				request
				status int
				code   string
			}{
				{get(loginRoute + "?redirect_uri=https://evil.example.org/"), 400, "invalid_request"},
				{get(loginRoute + "?redirect_uri=" + native + "&redirect_uri=" + native), 400, "invalid_request"},
				{get(loginRoute + "?state=%zz"), 400, "invalid_request"},
				{get(loginRoute + "?prompt=maybe"), 400, "invalid_request"},
				{get(loginRoute + "?scope=admin"), 400, "invalid_scope"},
				{get(loginRoute + "?scope=email+offline_access&offline_access=sure"), 400, "invalid_request"},
				{get(loginRoute + "?scope=" + strings.Repeat("x", 2049)), 400, "invalid_request"},
				{get(callbackRoute), 400, "invalid_request"},
				{get(callbackRoute + "?code=c&state=og1.AAAA"), 400, "invalid_grant"},
				{get(callbackRoute + "?error=access_denied&state=stranger"), 400, "invalid_grant"},
				{post(tokenRoute), 400, "invalid_request"},
				{post(tokenRoute, "grant_type", "password"), 400, "unsupported_grant_type"},
				{post(tokenRoute, "code", "c"), 400, "invalid_request"},
				{post(tokenRoute, "code", "c", "refresh_token", "r"), 400, "invalid_request"},
				{post(tokenRoute, "code", "c", "code", "d", "code_verifier", verifier), 400, "invalid_request"},
				{post(tokenRoute, "code", "c", "code_verifier", "og1.AAAA"), 400, "invalid_request"},
				{post(tokenRoute, "code", "c", "redirect_uri", native, "code_verifier", "og1.AAAA"), 400, "invalid_grant"},
				{post(tokenRoute, "code", "c", "redirect_uri", native, "state", "og1.AAAA"), 400, "invalid_grant"},
				{post(tokenRoute, "code", "c", "redirect_uri", native, "code_verifier", verifier), 400, "invalid_grant"},
				{post(tokenRoute, "code", "ü", "redirect_uri", native, "code_verifier", verifier), 400, "invalid_request"},
				{post(tokenRoute, "refresh_token", "unknown"), 400, "invalid_grant"},
				{post(tokenRoute, "refresh_token", "unknown", "refresh-token", "unknown"), 400, "invalid_request"},
				{post(tokenRoute, "device_code", "unknown"), 400, "invalid_grant"},
				{post(tokenRoute, "refresh_token", "unknown", "client_id", "other"), 401, "invalid_client"},
				{post(tokenRoute, "refresh_token", "unknown").with("Authorization", basic), 401, "invalid_client"},
				{post(deviceRoute, "scope", "admin"), 400, "invalid_scope"},
				{post(deviceRoute).with("Authorization", basic), 401, "invalid_client"},
				{get(logoutRoute + "?post_logout_redirect_uri=https://evil.example.org/"), 400, "invalid_request"},
				{get(logoutRoute + "?refresh_token=r"), 400, "invalid_request"},
				{post(logoutRoute+"?state=1", "state", "2"), 400, "invalid_request"},
			} {
				a.refused(row.request, row.status, row.code)
			}
			page := a.same(get(loginRoute+"?prompt=maybe", "Accept", "text/html"), http.StatusBadRequest)
			if page.header.Get("Content-Type") != "text/html; charset=utf-8" || page.header.Get("Content-Security-Policy") == "" || !strings.Contains(page.body, "invalid_request") {
				a.Fatalf("a browser is answered with %v", page)
			}
			a.same(get(logoutRoute+"?state=s+t&post_logout_redirect_uri="+a.base+"/a%3Fb"), http.StatusFound)
			a.same(post(logoutRoute+"?state=s", "post_logout_redirect_uri", a.base+"/bye"), http.StatusFound)
		})
	}
	s.run("token exchange is off", func(s suite) {
		a := s.start(options{})
		a.refused(post(tokenRoute, "grant_type", exchangeType, "subject_token", "t"), 400, "unsupported_grant_type")
		a.refused(post(tokenRoute, "subject_token", "t"), 400, "unsupported_grant_type")
	})
	s.run("the application refuses", func(s suite) {
		a := s.start(options{configure: func(c *core.Config) {
			broker(c)
			c.Broker.Identify = func(context.Context, *core.Identity) error { return core.ErrAccessDenied }
		}})
		client := a.browser()
		code, state := a.authorize(client, "alice", "redirect_uri", native)
		r := post(tokenRoute, "code", code, "redirect_uri", native, "code_verifier", state)
		a.isError(r, a.as(client, r), http.StatusForbidden, "access_denied")
	})
}

func providerFails(s suite) {
	refresh := post(tokenRoute, "refresh_token", "some-token")
	begin := post(deviceRoute)
	s.run("it refuses", func(s suite) {
		a := s.start(options{})
		poll := a.poll()
		for _, row := range []struct {
			request
			path   string
			answer int
			body   string
			status int
			code   string
		}{
			{refresh, oidctest.TokenPath, 400, `{"error":"invalid_grant"}`, 400, "invalid_grant"},
			{refresh, oidctest.TokenPath, 400, `{"error":"invalid_scope","error_description":"no such scope"}`, 400, "invalid_scope"},
			{refresh, oidctest.TokenPath, 400, `{"error":"invalid_request"}`, 400, "invalid_request"},
			{refresh, oidctest.TokenPath, 400, `{"error":"interaction_required"}`, 403, "interaction_required"},
			{refresh, oidctest.TokenPath, 401, `{"error":"invalid_client"}`, 502, "server_error"},
			{refresh, oidctest.TokenPath, 200, `<html>`, 502, "server_error"},
			{refresh, oidctest.TokenPath, 500, `oops`, 502, "server_error"},
			{refresh, oidctest.TokenPath, 503, ``, 503, "temporarily_unavailable"},
			{refresh, oidctest.TokenPath, 429, ``, 503, "temporarily_unavailable"},
			{poll, oidctest.TokenPath, 400, `{"error":"authorization_pending"}`, 400, "authorization_pending"},
			{poll, oidctest.TokenPath, 400, `{"error":"slow_down"}`, 400, "slow_down"},
			{poll, oidctest.TokenPath, 400, `{"error":"access_denied"}`, 400, "access_denied"},
			{poll, oidctest.TokenPath, 504, ``, 503, ""},
			{begin, oidctest.DeviceAuthorizationPath, 200, `{"device_code":"d"}`, 502, "server_error"},
			{begin, oidctest.DeviceAuthorizationPath, 502, ``, 503, "temporarily_unavailable"},
		} {
			fail(a.provider, row.path, row.answer, row.body)
			a.refused(row.request, row.status, row.code)
		}
	})
	s.run("it is down", func(s suite) {
		provider := s.newProvider(polled)
		alice := bearer(provider.AccessToken(s.T, "alice"))
		poll := s.start(options{provider: provider}).poll()
		provider.Down(true)
		a := s.start(options{provider: provider})
		for _, r := range []request{get(loginRoute), get(logoutRoute), begin, refresh, get("/mine", "Authorization", alice), get("/hello", "Authorization", alice), get(userinfoRoute, "Authorization", alice)} {
			a.refused(r, http.StatusServiceUnavailable, "temporarily_unavailable")
		}
		a.refused(poll, http.StatusServiceUnavailable, "")
		a.refused(get("/mine"), http.StatusUnauthorized, "missing_token")
		a.same(get("/hello"), http.StatusOK)
	})
}

// failing is a store that can be made to fail.
type failing struct {
	store.Store
	down atomic.Bool
}

var errDown = errors.New("the store is down")

func (s *failing) Get(ctx context.Context, kind, id string) (store.Record, error) {
	if s.down.Load() {
		return store.Record{}, errDown
	}
	return s.Store.Get(ctx, kind, id)
}

func (s *failing) Find(ctx context.Context, kind, key, after string, limit int) ([]store.Record, error) {
	if s.down.Load() {
		return nil, errDown
	}
	return s.Store.Find(ctx, kind, key, after, limit)
}

func storeFails(s suite) {
	records := &failing{Store: memory.New()}
	a := s.start(options{configure: func(c *core.Config) { broker(c); c.Broker.Store = records }})
	tokens := a.signIn("alice")
	records.down.Store(true)
	for _, r := range []request{
		post(tokenRoute, "refresh_token", tokens.RefreshToken),
		get(userinfoRoute, "Authorization", bearer(tokens.AccessToken)),
		post(logoutRoute, "refresh_token", tokens.RefreshToken),
	} {
		a.isError(r, a.ask(r), http.StatusServiceUnavailable, "temporarily_unavailable")
	}
	a.same(get("/mine", "Authorization", bearer(tokens.AccessToken)), http.StatusOK)
	records.down.Store(false)
	a.tokens(a.ask(post(tokenRoute, "refresh_token", tokens.RefreshToken)))

	// Keys that were never read.
	records.down.Store(true)
	dark := s.start(options{configure: func(c *core.Config) { broker(c); c.Broker.Store = records }})
	dark.refused(get(jwksRoute), http.StatusServiceUnavailable, "temporarily_unavailable")
}
