package core_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// A userinfo endpoint that refuses or fails costs nothing that the tokens tell.
func TestUserinfoThatFailsEndsNoLogin(t *testing.T) {
	for name, row := range map[string]struct {
		status int
		body   string
	}{
		"400": {400, ""}, "400 and an error": {400, `{"error":"invalid_request"}`}, "401": {401, ""}, "403": {403, ""},
		"404": {404, "not found"}, "405": {405, ""}, "500": {500, "oops"}, "503": {503, ""}, "a page": {200, "<html>"}, "nobody": {200, "{}"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{OpaqueTokens: true}), brokered())
			fail(a.provider, oidctest.UserinfoPath, row.status, row.body)
			for _, got := range []answer{a.codeLogin("alice"), a.callbackLogin("alice"), a.deviceLogin("alice")} {
				body := a.tokens(got)
				body = a.tokens(a.refresh(body.RefreshToken))
				claims := claimsOf(t, body.AccessToken)
				require.Equal(t, []any{"admin", "user", "users"}, claims["roles"])
				require.Equal(t, "alice@example.com", claims["email"])
			}
			if row.status != 401 && row.status != 403 {
				require.Equal(t, 1, strings.Count(a.log.logged(), `"level":"ERROR"`)+strings.Count(a.log.logged(), `"level":"WARN"`), "an operator is told once: %s", a.log.logged())
				a.provider.Answer(oidctest.UserinfoPath, nil)
				a.clock.Add(time.Minute)
				a.signIn("alice")
				require.Contains(t, a.log.logged(), `"at":"the provider's userinfo endpoint`)
				require.Contains(t, a.log.logged(), "requests succeed again", "and when it is over")
			}
		})
	}
}

// What userinfo told at the login, and nobody tells now, may be what Identify or Require
// go by: neither a failure nor a refusal, of a firewall say, must end the session for it.
func TestUserinfoThatFailsAtARefreshEndsNoSession(t *testing.T) {
	judges := map[string]func(*core.Config){
		"Identify": identifying(func(_ context.Context, who *core.Identity) error {
			if who.Claims["department"] == nil {
				return core.Refuse("You are in no department.")
			}
			return nil
		}),
		"Require": func(c *core.Config) {
			brokered()(c)
			c.Require = []core.Constraint{core.Claim("department", "IT")}
		},
	}
	for name, judge := range judges {
		a := newApp(t, newProvider(t, oidctest.Options{OpaqueTokens: true, StrictRefresh: true}), judge)
		told := `{"sub":"user-alice","preferred_username":"alice","department":"IT"}`
		fail(a.provider, oidctest.UserinfoPath, http.StatusOK, told)
		token := a.signIn("alice").RefreshToken
		for _, status := range []int{400, 401, 403, 404, 500} {
			fail(a.provider, oidctest.UserinfoPath, status, "oops")
			for range 2 {
				got := a.refresh(token)
				require.Equal(t, http.StatusBadGateway, got.StatusCode, "%s: %d: %s", name, status, got.body)
				requireError(t, got, http.StatusBadGateway, "server_error")
			}
		}
		fail(a.provider, oidctest.UserinfoPath, http.StatusOK, told)
		a.tokens(a.refresh(token))
		require.Empty(t, a.log.ends())
	}
}

func TestWithOpaqueAccessTokensClaimsAreTheIDTokensAndUserinfos(t *testing.T) {
	provider := newProvider(t, oidctest.Options{OpaqueTokens: true, StrictRefresh: true})
	a := newApp(t, provider, brokered())
	a.overhear(func(body map[string]any) {
		body["id_token"] = resign(t, provider, body["id_token"].(string), nil, map[string]any{
			"preferred_username": nil, "email": "id@example.org", "groups": []string{"of-the-id-token"}, "realm_access": nil,
		})
	})
	fail(provider, oidctest.UserinfoPath, http.StatusOK, `{"sub":"user-alice","preferred_username":"carroll","email":"info@example.org","roles":["of-userinfo"]}`)
	first := a.signIn("alice")
	check := func(got tokens) {
		t.Helper()
		claims := claimsOf(t, got.AccessToken)
		require.Equal(t, "carroll", claims["preferred_username"])
		require.Equal(t, "info@example.org", claims["email"])
		require.Equal(t, []any{"of-the-id-token", "of-userinfo"}, claims["roles"])
	}
	check(first)
	require.Equal(t, 1, provider.Requests(oidctest.UserinfoPath))
	check(a.tokens(a.refresh(first.RefreshToken)))

	for name, row := range map[string]struct {
		trouble func()
		status  int // of a refresh, and of a login too if that is an outage
		code    string
	}{
		"userinfo is down": {func() {
			provider.Answer(oidctest.UserinfoPath, func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) })
		}, http.StatusServiceUnavailable, "temporarily_unavailable"},
		"userinfo is overloaded":          {func() { fail(provider, oidctest.UserinfoPath, 503, "") }, http.StatusServiceUnavailable, "temporarily_unavailable"},
		"userinfo is of no subject":       {func() { fail(provider, oidctest.UserinfoPath, 200, `{"preferred_username":"bob"}`) }, http.StatusBadGateway, "server_error"},
		"userinfo is of an empty subject": {func() { fail(provider, oidctest.UserinfoPath, 200, `{"sub":""}`) }, http.StatusBadGateway, "server_error"},
		"userinfo is no JSON":             {func() { fail(provider, oidctest.UserinfoPath, 200, `<html>`) }, http.StatusBadGateway, "server_error"},
	} {
		t.Run(name, func(t *testing.T) {
			provider.Answer(oidctest.UserinfoPath, nil)
			token := a.signIn("alice").RefreshToken
			row.trouble()
			if row.status == http.StatusServiceUnavailable {
				requireError(t, a.codeLogin("alice"), row.status, row.code)
				requireError(t, a.callbackLogin("alice"), row.status, row.code)
			} else {
				require.Equal(t, []any{"of-the-id-token"}, claimsOf(t, a.signIn("alice").AccessToken)["roles"])
			}
			require.Zero(t, a.revoked())
			// A refresh that fails there has lost nothing either.
			requireError(t, a.refresh(token), row.status, row.code)
			provider.Answer(oidctest.UserinfoPath, nil)
			a.tokens(a.refresh(token))
			require.Empty(t, a.log.ends())
		})
	}
	t.Run("userinfo is of another subject", func(t *testing.T) {
		fail(provider, oidctest.UserinfoPath, http.StatusOK, `{"sub":"user-bob","preferred_username":"bob"}`)
		for _, got := range []answer{a.codeLogin("alice"), a.callbackLogin("alice"), a.deviceLogin("alice")} {
			requireError(t, got, http.StatusBadGateway, "server_error")
		}
	})
	t.Run("userinfo does not take the token", func(t *testing.T) {
		for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
			fail(provider, oidctest.UserinfoPath, status, "")
			require.Equal(t, []any{"of-the-id-token"}, claimsOf(t, a.signIn("alice").AccessToken)["roles"], "the rest is used without it")
		}
	})
}

func TestUserinfoIsNotAskedForWhatAJWTSays(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	a.tokens(a.refresh(a.signIn("alice").RefreshToken))
	require.Zero(t, a.provider.Requests(oidctest.UserinfoPath))
}

// An access token says something about the user only when it is certain that the
// provider says so, and about whom.
func TestClaimsOfAnUnverifiedAccessTokenAreIgnored(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	other := newProvider(t, oidctest.Options{})
	root := func(more map[string]any) map[string]any {
		claims := map[string]any{"groups": []string{"root"}, "roles": []string{"root"}, "preferred_username": "root", "acr": "root"}
		for name, value := range more {
			claims[name] = value
		}
		return claims
	}
	for name, row := range map[string]struct {
		forge func(raw string) string
		used  bool
	}{
		"as the provider signs it": {func(raw string) string { return resign(t, provider, raw, nil, root(nil)) }, true},
		"meant for somebody else":  {func(raw string) string { return resign(t, provider, raw, nil, root(map[string]any{"aud": "x"})) }, true},
		"of another subject":       {func(raw string) string { return resign(t, provider, raw, nil, root(map[string]any{"sub": "user-bob"})) }, false},
		"of no subject":            {func(raw string) string { return resign(t, provider, raw, nil, root(map[string]any{"sub": nil})) }, true}, // as Keycloak's lightweight tokens
		"of another issuer": {func(raw string) string {
			return resign(t, provider, raw, nil, root(map[string]any{"iss": other.Issuer}))
		}, false},
		"that has expired":  {func(raw string) string { return resign(t, provider, raw, nil, root(map[string]any{"exp": 1})) }, false},
		"without an expiry": {func(raw string) string { return resign(t, provider, raw, nil, root(map[string]any{"exp": nil})) }, false},
		"without a signature": {func(raw string) string {
			return resign(t, provider, raw, map[string]any{"alg": "none"}, root(nil)) + "AA"
		}, false},
		"by the public key as a secret": {func(raw string) string { return resign(t, provider, raw, map[string]any{"alg": "HS256"}, root(nil)) }, false},
		"with a bad signature": {func(raw string) string {
			raw = resign(t, provider, raw, nil, root(nil))
			return raw[:len(raw)-8] + "AAAAAAAA"
		}, false},
		"of another key by our key's name": {func(raw string) string {
			return resign(t, other, raw, map[string]any{"kid": provider.KeyID(t)}, root(nil))
		}, false},
		"of another key by its own name": {func(raw string) string { return resign(t, other, raw, nil, root(nil)) }, false},
		"with a key of its own in it": {func(raw string) string {
			return resign(t, other, raw, map[string]any{"jwk": map[string]any{"kty": "RSA"}}, root(nil))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var identity core.Identity
			a := newApp(t, provider, identifying(func(_ context.Context, who *core.Identity) error { identity = *who; return nil }))
			defer provider.Answer(oidctest.TokenPath, nil)
			first := a.signIn("alice")
			a.overhear(func(body map[string]any) {
				body["id_token"] = resign(t, provider, body["id_token"].(string), nil, map[string]any{"at_hash": nil})
				body["access_token"] = row.forge(body["access_token"].(string))
			})
			for _, got := range []tokens{a.tokens(a.codeLogin("alice")), a.tokens(a.refresh(first.RefreshToken))} {
				claims := claimsOf(t, got.AccessToken)
				require.Equal(t, "user-alice", claims["sub"])
				if row.used {
					require.Contains(t, claims["roles"], "root")
					continue
				}
				require.NotContains(t, fmt.Sprint(claims), "root")
				require.NotContains(t, fmt.Sprint(identity), "root")
				require.Equal(t, "alice", claims["preferred_username"])
				require.Equal(t, []any{"admin", "user", "users"}, claims["roles"], "of the ID token")
			}
		})
	}
}

// Not every provider gives an ID token to a device.
func TestADeviceLoginWithoutAnIDTokenIsWhoTheAccessTokenSays(t *testing.T) {
	provider := newProvider(t, oidctest.Options{StrictRefresh: true})
	a := newApp(t, provider, brokered())
	a.overhear(func(body map[string]any) { delete(body, "id_token") })
	first := a.tokens(a.deviceLogin("alice"))
	next := a.tokens(a.refresh(first.RefreshToken))
	for _, got := range []tokens{first, next} {
		claims := claimsOf(t, got.AccessToken)
		require.Equal(t, "user-alice", claims["sub"])
		require.Equal(t, []any{"admin", "user", "users"}, claims["roles"])
	}
	require.Empty(t, a.hint(a.logoutWith(next.AccessToken)), "there is no ID token to hint with")
	require.Equal(t, 1, a.revoked())

	opaque := newApp(t, newProvider(t, oidctest.Options{OpaqueTokens: true}), brokered())
	opaque.overhear(func(body map[string]any) { delete(body, "id_token") })
	requireError(t, opaque.deviceLogin("alice"), http.StatusBadGateway, "server_error")
	require.Zero(t, opaque.revoked())
}

// An ID token of the login, which a refresh need not renew, keeps nothing alive
// that the access token no longer says.
func TestARefreshWithoutAnIDTokenSaysWhatTheAccessTokenSaysNow(t *testing.T) {
	type claims = map[string]any
	for name, row := range map[string]struct {
		login, now claims
		claim      string
		want       any
	}{
		"roles that were taken away": {nil, claims{"groups": []string{}, "realm_access": nil}, "roles", []any{}},
		"a role that is left":        {nil, claims{"groups": []string{"users"}, "realm_access": nil}, "roles", []any{"users"}},
		"another acr":                {claims{"acr": "mfa"}, claims{"acr": "pwd"}, "acr", "pwd"},
		"another amr":                {claims{"amr": []string{"pwd", "otp"}}, claims{"amr": []string{"pwd"}}, "amr", []any{"pwd"}},
		"another auth_time":          {claims{"auth_time": 1000000000}, claims{"auth_time": 1000000001}, "auth_time", 1000000001.0},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
			a.overhear(func(body map[string]any) { a.resigned(body, row.login, row.login) })
			first := a.signIn("alice")
			require.NotEqual(t, row.want, claimsOf(t, first.AccessToken)[row.claim])
			a.overhear(func(body map[string]any) {
				delete(body, "id_token")
				body["access_token"] = resign(t, a.provider, body["access_token"].(string), nil, row.now)
			})
			require.Equal(t, row.want, claimsOf(t, a.tokens(a.refresh(first.RefreshToken)).AccessToken)[row.claim])
		})
	}
}

// An access token for somebody else's API may be signed by a key that is not
// published. The login does not hang on it.
func TestBesideAnIDTokenAnAccessTokenWhoseKeyCannotBeHadIsOpaque(t *testing.T) {
	for name, trouble := range map[string]func(p *oidctest.Provider){
		"the key is not published":    func(*oidctest.Provider) {},
		"the keys can't be had":       func(p *oidctest.Provider) { fail(p, oidctest.KeysPath, http.StatusServiceUnavailable, "") },
		"the keys are no JSON object": func(p *oidctest.Provider) { fail(p, oidctest.KeysPath, http.StatusOK, "oops") },
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{StrictRefresh: true}), brokered())
			require.NoError(t, a.auth.Start(t.Context()))
			a.overhear(func(body map[string]any) {
				body["id_token"] = resign(t, a.provider, body["id_token"].(string), nil, map[string]any{"at_hash": nil, "groups": []string{"mine"}, "realm_access": nil})
				body["access_token"] = resign(t, a.provider, body["access_token"].(string), map[string]any{"kid": "the API's"}, map[string]any{"groups": []string{"root"}})
			})
			fail(a.provider, oidctest.UserinfoPath, http.StatusOK, `{"sub":"user-alice"}`)
			trouble(a.provider)
			first := a.signIn("alice")
			for _, got := range []tokens{first, a.tokens(a.refresh(first.RefreshToken))} {
				require.Equal(t, []any{"mine"}, claimsOf(t, got.AccessToken)["roles"])
			}
		})
	}
}
