package core_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// ownNonces are the applications in which the nonce of such a login is ours.
func ownNonces(t *testing.T) map[string]*app {
	silent := newProvider(t, oidctest.Options{})
	announcesNoPKCE(silent)
	plain := newProvider(t, oidctest.Options{})
	tamper(plain, oidctest.DiscoveryPath, func(body map[string]any) { body["code_challenge_methods_supported"] = []string{"plain"} })
	return map[string]*app{
		"broker":                           newApp(t, newProvider(t, oidctest.Options{}), brokered()),
		"passthrough, without PKCE":        newApp(t, silent),
		"passthrough, another method only": newApp(t, plain),
	}
}

func TestLoginLeavesPKCEToAClientThatDoesIt(t *testing.T) {
	for name, a := range ownNonces(t) {
		t.Run(name, func(t *testing.T) {
			verifier := oauth2.GenerateVerifier()
			q := a.begin(browser(), pkce(verifier, "response_type", "code", "client_id", a.provider.ClientID, "state", "its own | state", "nonce", "its own")...)
			require.Equal(t, "its own | state", q.Get("state"))
			require.Equal(t, challengeOf(verifier), q.Get("code_challenge"))
			require.Equal(t, "S256", q.Get("code_challenge_method"))

			again := a.begin(browser(), pkce(verifier)...)
			require.Equal(t, q.Get("nonce"), again.Get("nonce"), "a MAC over challenge and redirect URI")
			require.NotContains(t, again, "state")
			for _, other := range [][]string{
				{"redirect_uri", native + "2", "code_challenge", challengeOf(verifier), "code_challenge_method", "S256"},
				pkce(oauth2.GenerateVerifier()), pkce(verifier, "max_age", "60"), pkce(verifier, "scope", "email"),
			} {
				require.NotEqual(t, q.Get("nonce"), a.begin(browser(), other...).Get("nonce"))
			}
			usual := a.begin(browser(), pkce(verifier, "scope", "profile email")...).Get("nonce")
			require.Equal(t, q.Get("nonce"), usual, "the configured scopes need not be remembered")
		})
	}
}

// A strict client refuses a nonce that it has not sent; at a provider that announces
// S256 it has the nonce for itself.
func TestANonceIsTheClientsOwnWhereTheProviderChecksPKCE(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	for _, nonce := range []string{"its own", ""} {
		verifier := oauth2.GenerateVerifier()
		q := a.begin(browser(), pkce(verifier, "nonce", nonce)...)
		require.Equal(t, nonce, q.Get("nonce"))
		require.Equal(t, nonce != "", q.Has("nonce"))

		code, _ := a.authorize(browser(), "alice", pkce(verifier, "nonce", nonce)...)
		got := a.tokens(a.post(browser(), tokenRoute, "code", code, "redirect_uri", native, "code_verifier", verifier))
		said, _ := claimsOf(t, got.IDToken)["nonce"].(string)
		require.Equal(t, nonce, said)
	}
	for _, bad := range []string{"n\x00", "n\u00fc", strings.Repeat("n", 2049)} {
		requireError(t, a.get(browser(), "/auth/v2/login?"+form(pkce(oauth2.GenerateVerifier(), "nonce", bad)...).Encode()), http.StatusBadRequest, "invalid_request")
	}
	require.NotEqual(t, "its own", a.begin(browser(), "nonce", "its own").Get("nonce"), "where we do PKCE the nonce is ours")
}

// The challenge alone binds the code there: an attacker gets nowhere with a code of
// another login, whoever has begun that.
func TestACodeOfAnotherLoginIsRefusedWhereTheNonceIsTheClients(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	own := oauth2.GenerateVerifier()
	for name, begin := range map[string]func() string{
		"another client's": func() string {
			code, _ := a.authorize(browser(), "bob", pkce(oauth2.GenerateVerifier())...)
			return code
		},
		"ours": func() string { code, _ := a.authorize(browser(), "bob", "redirect_uri", native); return code },
	} {
		t.Run(name, func(t *testing.T) {
			requireError(t, a.post(browser(), tokenRoute, "code", begin(), "redirect_uri", native, "code_verifier", own), http.StatusBadRequest, "invalid_grant")
		})
	}
}

// The nonce of a login that began before the provider announced PKCE is ours, and
// valid; that of a client's own is none where we check it.
func TestNoncesOutliveAChangeOfTheProviders(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	announcesNoPKCE(provider)
	before := newApp(t, provider)
	verifier := oauth2.GenerateVerifier()
	code, _ := before.authorize(browser(), "alice", pkce(verifier)...)
	provider.Answer(oidctest.DiscoveryPath, nil)
	after := newApp(t, provider)
	after.tokens(after.post(browser(), tokenRoute, "code", code, "redirect_uri", native, "code_verifier", verifier))

	code, _ = after.authorize(browser(), "alice", pkce(verifier, "nonce", "mine")...)
	requireError(t, before.post(browser(), tokenRoute, "code", code, "redirect_uri", native, "code_verifier", verifier), http.StatusBadRequest, "invalid_grant")
}

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
