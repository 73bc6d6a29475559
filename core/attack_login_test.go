package core_test

import (
	"net/http"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

const page = "https://shop.example.org/done"

// withPage is an application with a page that redeems the codes of its logins.
func withPage(c *core.Config) { c.RedirectURIs = []string{page} }

func TestTokenRedeemsAPagesStateWithTheCookieOfItsLogin(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), withPage)
	client := browser()
	code, state := a.authorize(client, "alice", "redirect_uri", page)
	redeem := []string{"code", code, "redirect_uri", page, "state", state}
	got := a.post(browser(), tokenRoute, redeem...)
	requireError(t, got, http.StatusBadRequest, "invalid_grant")
	require.Contains(t, got.body, "cookie")

	got = a.post(client, tokenRoute, redeem...)
	a.tokens(got)
	require.Len(t, got.Cookies(), 1)
	require.Negative(t, got.Cookies()[0].MaxAge)
}

func TestTokenRedeemsANativeStateInEitherParameter(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	for _, parameter := range []string{"code_verifier", "state"} {
		code, state := a.authorize(browser(), "alice", "redirect_uri", native)
		a.tokens(a.post(browser(), tokenRoute, "code", code, "redirect_uri", native, parameter, state))
	}
}

// A page posts what is in its URL, and the URL may be a link of an attacker's, who
// has begun a login of his own. The victim's browser must not be signed in as him.
func TestALinkSignsNobodyInAsSomebodyElse(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), withPage)
	verifier := oauth2.GenerateVerifier()
	own := func(redirectURI string) (code, state string) {
		code, _ = a.authorize(browser(), "bob", "redirect_uri", redirectURI, "code_challenge", challengeOf(verifier), "code_challenge_method", "S256")
		return code, verifier
	}
	ours := func(redirectURI string) (code, state string) {
		return a.authorize(browser(), "bob", "redirect_uri", redirectURI)
	}
	for name, begin := range map[string]func() (code, state string){
		"his verifier":                       func() (string, string) { return own(page) },
		"his verifier, of a program":         func() (string, string) { return own(native) },
		"the state of a login at his page":   func() (string, string) { return ours(page) },
		"the state of a program's login":     func() (string, string) { return ours(native) },
		"the state of a login at callback":   func() (string, string) { return ours(a.api + "/auth/v2/callback") },
		"nothing that this service has made": func() (string, string) { code, _ := own(page); return code, "og1.AAAA" },
	} {
		t.Run(name, func(t *testing.T) {
			victim := browser()
			a.begin(victim, "redirect_uri", page) // has a login of its own under way
			code, state := begin()
			got := a.post(victim, tokenRoute, "code", code, "redirect_uri", page, "state", state)
			requireError(t, got, http.StatusBadRequest, "invalid_grant")
		})
	}
	require.Zero(t, a.provider.Requests(oidctest.TokenPath), "no code was spent")
}

// Pages that did post their state as code_verifier are told, since that is what the
// attack needs.
func TestTheStateOfAPageIsNoVerifier(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), withPage)
	client := browser()
	code, state := a.authorize(client, "alice", "redirect_uri", page)
	got := a.post(client, tokenRoute, "code", code, "redirect_uri", page, "code_verifier", state)
	requireError(t, got, http.StatusBadRequest, "invalid_grant")
	require.Contains(t, got.body, "as state")
	requireError(t, a.post(client, tokenRoute, "code", code, "redirect_uri", page, "code_verifier", state, "state", state), http.StatusBadRequest, "invalid_request")
	requireError(t, a.post(client, tokenRoute, "code", code, "redirect_uri", page, "code_verifier", oauth2.GenerateVerifier(), "state", state), http.StatusBadRequest, "invalid_request")
	a.tokens(a.post(client, tokenRoute, "code", code, "redirect_uri", page, "state", state))
}

func TestASealedStateNeedsItsOwnRedirectURI(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), withPage)
	client := browser()
	for _, redirectURI := range []string{native, page} {
		code, state := a.authorize(client, "alice", "redirect_uri", redirectURI)
		for _, parameter := range []string{"code_verifier", "state"} {
			requireError(t, a.post(client, tokenRoute, "code", code, parameter, state), http.StatusBadRequest, "invalid_request")
			requireError(t, a.post(client, tokenRoute, "code", code, parameter, state, "redirect_uri", redirectURI+"2"), http.StatusBadRequest, "invalid_grant")
		}
	}
	require.Zero(t, a.provider.Requests(oidctest.TokenPath))
}

// The client's own state may come along with its own verifier, and means nothing.
func TestAClientsOwnStateBesideItsVerifierIsIgnored(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	verifier := oauth2.GenerateVerifier()
	code, state := a.authorize(browser(), "alice", "redirect_uri", native, "state", "mine", "code_challenge", challengeOf(verifier), "code_challenge_method", "S256")
	a.tokens(a.post(browser(), tokenRoute, "code", code, "redirect_uri", native, "code_verifier", verifier, "state", state))
}
