package core_test

import (
	"net/http"
	"testing"

	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestAnInvalidIDTokenAtARefreshIsRefusedAndTheSessionGoesOn(t *testing.T) {
	for name, claims := range map[string]map[string]any{
		"of another nonce":    {"nonce": "another", "at_hash": nil},
		"of another audience": {"aud": "somebody", "at_hash": nil},
		"that has expired":    {"exp": 1, "at_hash": nil},
		"of another issuer":   {"iss": "https://evil.example", "at_hash": nil},
		"of another at_hash":  {"at_hash": "AAAA"},
	} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{StrictRefresh: true})
			a := newApp(t, provider, brokered())
			token := a.signIn("alice").RefreshToken
			tamper(provider, oidctest.TokenPath, func(body map[string]any) {
				body["id_token"] = resign(t, provider, body["id_token"].(string), nil, claims)
			})
			requireError(t, a.refresh(token), 502, "server_error")
			provider.Answer(oidctest.TokenPath, nil)
			// The provider has replaced its token, and what it gave was kept.
			a.tokens(a.refresh(token))
			require.Empty(t, a.log.ends())
		})
	}
}

// What was refused once must not be believed later, when a refresh brings no ID
// token and the session goes by the one that it knows.
func TestAnIDTokenThatWasRefusedIsNotRemembered(t *testing.T) {
	root := func(more map[string]any) map[string]any {
		claims := map[string]any{"at_hash": nil, "groups": []string{"root"}, "preferred_username": "root", "name": "root", "email": "root@example.org", "acr": "root"}
		for name, value := range more {
			claims[name] = value
		}
		return claims
	}
	other := newProvider(t, oidctest.Options{})
	for name, forge := range map[string]func(p *oidctest.Provider, raw string) string{
		"of a bad signature": func(p *oidctest.Provider, raw string) string {
			raw = resign(t, p, raw, nil, root(nil))
			return raw[:len(raw)-8] + "AAAAAAAA"
		},
		"of another key": func(p *oidctest.Provider, raw string) string { return resign(t, other, raw, nil, root(nil)) },
		"of another audience": func(p *oidctest.Provider, raw string) string {
			return resign(t, p, raw, nil, root(map[string]any{"aud": "x"}))
		},
		"of another login": func(p *oidctest.Provider, raw string) string {
			return resign(t, p, raw, nil, root(map[string]any{"nonce": "x"}))
		},
		"that has expired": func(p *oidctest.Provider, raw string) string {
			return resign(t, p, raw, nil, root(map[string]any{"exp": 1}))
		},
		"that is no JWT": func(*oidctest.Provider, string) string { return "root" },
	} {
		t.Run(name, func(t *testing.T) {
			// Its access tokens say nothing to us, and userinfo takes none of them.
			provider := newProvider(t, oidctest.Options{OpaqueTokens: true, StrictRefresh: true})
			fail(provider, oidctest.UserinfoPath, http.StatusUnauthorized, "")
			a := newApp(t, provider, brokered())
			last := a.overhear(nil)
			first := a.signIn("alice")
			verified := last["id_token"]
			a.overhear(func(body map[string]any) { body["id_token"] = forge(provider, body["id_token"].(string)) })
			for range 2 {
				requireError(t, a.refresh(first.RefreshToken), 502, "server_error")
			}
			require.NotContains(t, a.get(http.DefaultClient, userinfoRoute, bearer(first.AccessToken)).body, "root")
			a.overhear(func(body map[string]any) { delete(body, "id_token") })
			before, next := claimsOf(t, first.AccessToken), a.tokens(a.refresh(first.RefreshToken))
			claims := claimsOf(t, next.AccessToken)
			for _, name := range []string{"preferred_username", "name", "email", "acr"} {
				require.Equal(t, before[name], claims[name])
			}
			require.Equal(t, []any{}, claims["roles"], "nobody says any now")
			require.Empty(t, a.log.ends())
			require.Equal(t, verified, a.hint(a.logoutWith(next.AccessToken)))
		})
	}
}

// Some providers leave the nonce out of an ID token at a refresh, others repeat
// that of the login.
func TestTheNonceOfALoginIsRememberedHoweverManyRefreshesLeaveItOut(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, brokered())
	last := a.overhear(nil)
	token := a.signIn("alice").RefreshToken
	nonce := claimsOf(t, last["id_token"].(string))["nonce"]
	require.NotEmpty(t, nonce)
	for _, row := range []struct {
		nonce any
		valid bool
	}{{nil, true}, {nonce, true}, {nil, true}, {"another", false}, {"", false}, {nonce, true}} {
		a.overhear(func(body map[string]any) { a.resigned(body, nil, map[string]any{"nonce": row.nonce}) })
		got := a.refresh(token)
		if row.valid {
			token = a.tokens(got).RefreshToken
		} else {
			requireError(t, got, 502, "server_error")
		}
	}
	require.Empty(t, a.log.ends())
}

// Strangers who name keys that nobody has use up the fetches that are allowed
// for those. A token that the provider itself has just given is not one of them.
func TestStrangersCannotKeepARefreshFromTheProvidersNewKeys(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, identifying(nil))
	token := a.signIn("alice").RefreshToken
	forged := provider.SignedToken(t, map[string]any{"kid": "x"}, provider.Claims("bob", nil))
	requireError(t, a.exchange(forged), 400, "invalid_request")
	fetched := provider.Requests(oidctest.KeysPath)
	requireError(t, a.exchange(forged), 400, "invalid_request")
	require.Equal(t, fetched, provider.Requests(oidctest.KeysPath), "the cool-down has begun")
	provider.RotateKeys()
	a.overhear(func(body map[string]any) {
		delete(body, "id_token")
		body["access_token"] = resign(t, provider, body["access_token"].(string), nil, map[string]any{"groups": []string{"fresh"}, "realm_access": nil})
	})
	require.Equal(t, []any{"fresh"}, claimsOf(t, a.tokens(a.refresh(token)).AccessToken)["roles"])
}
