package core_test

import (
	"net/http"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// RFC 6749 5.1: a provider that leaves scope out has granted what was asked for.
func TestAnOmittedScopeIsTheOneAskedFor(t *testing.T) {
	for name, a := range ownNonces(t) {
		provider := a.provider
		tamper(provider, oidctest.TokenPath, func(body map[string]any) { delete(body, "scope") })
		for kind, login := range map[string]func(scope ...string) answer{
			"its own PKCE": func(scope ...string) answer {
				verifier := oauth2.GenerateVerifier()
				code, _ := a.authorize(browser(), "alice", pkce(verifier, scope...)...)
				return a.post(browser(), tokenRoute, "code", code, "redirect_uri", native, "code_verifier", verifier)
			},
			"a program": func(scope ...string) answer {
				code, state := a.authorize(browser(), "alice", append(scope, "redirect_uri", native)...)
				return a.post(browser(), tokenRoute, "code", code, "redirect_uri", native, "code_verifier", state)
			},
			"the callback": func(scope ...string) answer {
				client := browser()
				code, state := a.authorize(client, "alice", scope...)
				return a.get(client, callback("code", code, "state", state))
			},
			"a device": func(scope ...string) answer {
				got := a.post(browser(), deviceRoute, scope...)
				provider.Device(t, got.json["user_code"].(string), "alice", true)
				return a.post(browser(), tokenRoute, "device_code", got.json["device_code"].(string))
			},
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				offline := ""
				if kind == "a device" {
					offline = " offline_access"
				}
				for scope, want := range map[string]string{"": "openid profile email", "email orders": "openid email orders", "profile email": "openid profile email"} {
					got := a.tokens(login("scope", scope))
					require.Equal(t, want+offline, got.Scope)
					if name == "broker" {
						require.Equal(t, want+offline, claimsOf(t, got.AccessToken)["scope"])
						require.Equal(t, want+offline, a.tokens(a.refresh(got.RefreshToken)).Scope)
					}
				}
			})
		}
	}
}

// A provider that ignores the scopes it does not know, and says so in the token alone: a
// link that asks for more gives nobody more.
func TestAnOmittedScopeIsNotWiderThanTheAccessToken(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	a.overhear(func(body map[string]any) {
		delete(body, "scope")
		a.resigned(body, map[string]any{"scope": "openid email"}, nil)
	})
	code, state := a.authorize(browser(), "alice", "redirect_uri", native, "scope", "openid email admin")
	got := a.tokens(a.post(browser(), tokenRoute, "code", code, "redirect_uri", native, "code_verifier", state))
	require.Equal(t, "openid email", got.Scope)
	require.Equal(t, "openid email", claimsOf(t, got.AccessToken)["scope"])
	requireError(t, a.refresh(got.RefreshToken, "scope", "admin"), http.StatusBadRequest, "invalid_scope")
}

// Where the nonce is the client's nobody remembers what it asked for, but the client.
func TestAScopeThatNobodyKnowsIsLeftOut(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	tamper(a.provider, oidctest.TokenPath, func(body map[string]any) { delete(body, "scope") })
	verifier := oauth2.GenerateVerifier()
	code, _ := a.authorize(browser(), "alice", pkce(verifier, "scope", "email")...)
	got := a.post(browser(), tokenRoute, "code", code, "redirect_uri", native, "code_verifier", verifier)
	require.NotContains(t, got.json, "scope")
	got = a.post(browser(), tokenRoute, "refresh_token", a.tokens(got).RefreshToken)
	a.tokens(got)
	require.NotContains(t, got.json, "scope")
}

// What the answer says comes before what was asked for.
func TestAScopeThatTheProviderNamesIsTheScope(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	tamper(a.provider, oidctest.TokenPath, func(body map[string]any) { body["scope"] = "openid stock" })
	for _, got := range []answer{a.deviceLogin("alice"), a.codeLogin("alice"), a.callbackLogin("alice")} {
		require.Equal(t, "openid stock", a.tokens(got).Scope)
	}
}

func TestPassthroughRefreshAsksForTheScopesThatTheClientWants(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	refresh := func(token, scope string) answer {
		return a.post(browser(), tokenRoute, "refresh_token", token, "scope", scope)
	}
	fewer := a.tokens(refresh(a.signIn("alice").RefreshToken, "openid email"))
	require.Equal(t, "openid email", fewer.Scope)
	require.Equal(t, "openid email", claimsOf(t, fewer.AccessToken)["scope"])
	requireError(t, refresh(fewer.RefreshToken, "openid admin"), http.StatusBadRequest, "invalid_scope")
	requireError(t, refresh("x", "a\u00a0b"), http.StatusBadRequest, "invalid_scope")
	requireError(t, refresh("x", "a\x00b"), http.StatusBadRequest, "invalid_request")

	tamper(a.provider, oidctest.TokenPath, func(body map[string]any) { delete(body, "scope") })
	require.Equal(t, "openid email", a.tokens(refresh(a.signIn("alice").RefreshToken, "openid email")).Scope, "RFC 6749 5.1")
}

// Some providers grant at a refresh what was never granted before.
func TestPassthroughRefreshKeepsToTheAllowedScopes(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), func(c *core.Config) { c.Providers[0].AllowedScopes = []string{"orders"} })
	before := a.provider.Requests(oidctest.TokenPath)
	requireError(t, a.post(browser(), tokenRoute, "refresh_token", "x", "scope", "admin"), http.StatusBadRequest, "invalid_scope")
	require.Equal(t, before, a.provider.Requests(oidctest.TokenPath))
	requireError(t, a.post(browser(), tokenRoute, "refresh_token", "x", "scope", "openid orders email"), http.StatusBadRequest, "invalid_grant")
	require.NotEqual(t, before, a.provider.Requests(oidctest.TokenPath))
}
