package core_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

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
