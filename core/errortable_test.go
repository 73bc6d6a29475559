package core_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// situation is a row of the table of errors.
type situation struct {
	status int
	code   string // "" for no error member
	ask    func(*app) answer
}

// posts is a form for the token route.
func posts(fields ...string) func(*app) answer {
	return func(a *app) answer { return a.post(browser(), tokenRoute, fields...) }
}

// asks is a GET.
func asks(path string, headers ...string) func(*app) answer {
	return func(a *app) answer { return a.get(browser(), path, headers...) }
}

// guardedBy asks a guard with a token of bob's.
func guardedBy(constraints ...core.Constraint) func(*app) answer {
	return func(a *app) answer {
		return serve(a.auth.Required(constraints...), bearer(a.signIn("bob").AccessToken))
	}
}

// someVerifier has the form of a PKCE verifier.
const someVerifier = "a-verifier-that-is-long-enough-to-be-one-of-rfc-7636"

// The table of errors, as far as it is about what a caller sends: one row each.
func TestTableOfErrorsOfTheCaller(t *testing.T) {
	for name, row := range map[string]situation{
		"parameter missing":         {400, "invalid_request", posts()},
		"parameter repeated":        {400, "invalid_request", posts("refresh_token", "a", "refresh_token", "b")},
		"parameter malformed":       {400, "invalid_request", asks("/auth/v2/login?max_age=soon")},
		"parameter too long":        {400, "invalid_request", asks("/auth/v2/login?scope=" + strings.Repeat("x", 2049))},
		"grant_type unknown":        {400, "unsupported_grant_type", posts("grant_type", "password")},
		"scope malformed":           {400, "invalid_scope", asks("/auth/v2/login?scope=%22")},
		"scope wider than allowed":  {400, "invalid_scope", asks("/auth/v2/login?scope=admin")},
		"code wrong":                {400, "invalid_grant", posts("code", "x", "redirect_uri", native, "code_verifier", someVerifier)},
		"state wrong":               {400, "invalid_grant", posts("code", "x", "redirect_uri", native, "code_verifier", "og1.x")},
		"refresh token wrong":       {400, "invalid_grant", posts("refresh_token", "x")},
		"an invalid subject token":  {400, "invalid_request", func(a *app) answer { return a.exchange("garbage") }},
		"audience not ours":         {400, "invalid_target", func(a *app) answer { return a.exchange(a.provider.AccessToken(a.t, "bob"), "audience", "x") }},
		"credentials wrong":         {401, "invalid_client", posts("refresh_token", "x", "client_secret", "guess")},
		"no bearer token":           {401, "missing_token", asks(userinfoRoute)},
		"an invalid bearer token":   {401, "invalid_token", asks(userinfoRoute, bearer("garbage"))},
		"scope missing":             {403, "insufficient_scope", guardedBy(core.Scopes("orders:read"))},
		"claim constraint failed":   {403, "insufficient_claims", guardedBy(core.Claim("email", "alice@example.com"))},
		"role missing":              {403, "insufficient_claims", guardedBy(core.AnyRole("admin"))},
		"body too big":              {413, "invalid_request", posts("refresh_token", "x", "pad", strings.Repeat("x", 64<<10))},
		"body no form":              {415, "invalid_request", func(a *app) answer { return a.postBody(browser(), tokenRoute, "{}", "application/json") }},
		"method not allowed":        {405, "invalid_request", asks(tokenRoute)},
		"Identify refuses":          {403, "access_denied", func(a *app) answer { return a.codeLogin("alice") }},
		"a device that polls wrong": {400, "invalid_grant", posts("device_code", "x")},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(_ context.Context, who *core.Identity) error {
				if who.Username == "alice" {
					return core.Refuse("Only bob may sign in.")
				}
				return nil
			}), func(c *core.Config) { c.Providers[0].AllowedScopes = []string{"email", "offline_access"} })
			got := row.ask(a)
			requireError(t, got, row.status, row.code)
			if row.code == "insufficient_claims" {
				require.Contains(t, got.json["detail"], "claims")
			}
			require.Equal(t, row.status == http.StatusMethodNotAllowed, got.Header.Get("Allow") != "")
			require.Empty(t, a.log.lines("requests fail"), "it is nobody's fault but the caller's")
		})
	}
	t.Run("userinfo knows no username", func(t *testing.T) {
		provider := newProvider(t, oidctest.Options{})
		a := newApp(t, provider)
		fail(provider, oidctest.UserinfoPath, http.StatusOK, `{"sub":"user-bob"}`)
		requireError(t, a.get(browser(), userinfoRoute, bearer(a.bare("bob"))), http.StatusNotFound, "not_found")
	})
}

// What the provider says, by whose fault it is: at the callback, at the token route,
// and while a device polls.
func TestTableOfErrorsOfTheProvider(t *testing.T) {
	const ours, failed, down = 502, 502, 503
	for _, row := range []struct {
		code, description       string
		callback, token, device int    // status
		log                     string // what to change
	}{
		{"access_denied", "", 403, 403, 400, ""},
		{"login_required", "", 403, 403, 400, ""},
		{"interaction_required", "", 403, 403, 400, ""},
		{"consent_required", "", 403, 403, 400, ""},
		{"account_selection_required", "", 403, 403, 400, ""},
		{"authorization_pending", "", 403, 400, 400, ""},
		{"slow_down", "", 403, 400, 400, ""},
		{"expired_token", "", 403, 400, 400, ""},
		{"invalid_grant", "Session not active", 403, 400, 400, ""},
		{"invalid_request", "Missing parameter", 400, 400, 400, ""},
		{"invalid_scope", "", 400, 400, 400, ""},
		{"invalid_target", "", 400, 400, 400, ""},
		{"not_allowed", "Offline tokens not allowed", 403, 400, 400, ""},

		{"invalid_client", "", ours, ours, ours, "check Provider.ClientID and Provider.ClientSecret"},
		{"unauthorized_client", "Client not allowed", ours, ours, ours, "allow this client the grant at the provider"},
		{"unsupported_grant_type", "", ours, ours, ours, "switch the grant on at the provider"},
		{"unsupported_response_type", "", ours, ours, ours, "allow this client the authorization code flow"},
		{"invalid_request", "Pushed Authorization Request is only allowed.", ours, ours, ours, "switch pushed authorization requests off"},
		{"invalid_request", "Request Object must be used by this client", ours, ours, ours, "switch request objects off"},
		{"invalid_request_object", "", ours, ours, ours, "switch request objects off"},
		{"invalid_request_uri", "", ours, ours, ours, "switch pushed authorization requests off"},
		{"invalid_request", "DPoP proof is missing", ours, ours, ours, "switch DPoP off"},
		{"invalid_dpop_proof", "", ours, ours, ours, "switch DPoP off"},
		{"use_dpop_nonce", "", ours, ours, ours, "switch DPoP off"},
		{"invalid_request", "client_assertion is required", ours, ours, ours, "with the method of Provider.ClientAuth"},

		{"server_error", "", failed, failed, failed, "the provider says server_error"},
		{"temporarily_unavailable", "", down, down, down, "the provider says temporarily_unavailable"},
	} {
		t.Run(row.code+" "+row.description, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{})
			a := newApp(t, provider)
			client := browser()
			_, state := a.authorize(client, "alice")
			device := a.post(browser(), deviceRoute).json["device_code"].(string)
			status := http.StatusBadRequest
			fail(provider, oidctest.TokenPath, status, `{"error":"`+row.code+`","error_description":"`+row.description+`"}`)
			for at, ask := range map[string]struct {
				want int
				got  answer
			}{
				"callback": {row.callback, a.get(client, callback("error", row.code, "error_description", row.description, "state", state))},
				"token":    {row.token, a.post(browser(), tokenRoute, "refresh_token", "some-refresh-token")},
				"device":   {row.device, a.post(browser(), tokenRoute, "device_code", device)},
			} {
				code := row.code
				switch {
				case ask.want == down && at == "device":
					code = ""
				case ask.want == ours:
					code = "server_error"
				}
				requireError(t, ask.got, ask.want, code)
				if row.description != "" && ask.want < 500 {
					require.Equal(t, row.description, ask.got.json["detail"])
				}
			}
			if row.log == "" {
				require.Empty(t, a.log.lines("requests fail"))
			} else {
				require.Len(t, a.log.lines(row.log), 2, "one line for each route")
			}
		})
	}
}

// Status alone, where there is no OAuth error in the answer, and no answer at all.
func TestTableOfErrorsWithoutAWordOfTheProvider(t *testing.T) {
	for name, row := range map[string]struct {
		status int
		body   string
		want   int
		log    string
	}{
		"429":             {429, "", 503, "it answered 429"},
		"502":             {502, "<html>", 503, "it answered 502"},
		"503":             {503, "", 503, "it answered 503"},
		"504":             {504, "", 503, "it answered 504"},
		"500":             {500, "oops", 502, "answered 500"},
		"404":             {404, "", 502, "answered 404"},
		"a redirect":      {302, "", 502, "answered 302"},
		"not JSON":        {200, "<html>", 502, "it is not a JSON object"},
		"no access token": {200, "{}", 502, "it has no access_token"},
		"a bound token":   {200, `{"access_token":"x","token_type":"DPoP"}`, 502, "bind this client's tokens to no key"},
	} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{})
			a := newApp(t, provider)
			device := a.post(browser(), deviceRoute).json["device_code"].(string)
			fail(provider, oidctest.TokenPath, row.status, row.body)
			code := map[int]string{502: "server_error", 503: "temporarily_unavailable"}[row.want]
			requireError(t, a.post(browser(), tokenRoute, "refresh_token", "x"), row.want, code)
			if row.want == 503 {
				code = ""
			}
			requireError(t, a.post(browser(), tokenRoute, "device_code", device), row.want, code)
			require.Len(t, a.log.lines(row.log), 1)
		})
	}
	t.Run("the store is down", func(t *testing.T) {
		store := newSpyStore()
		a := newApp(t, newProvider(t, oidctest.Options{}), brokered(func(b *core.Broker) { b.Store = store }), quick)
		refresh := a.signIn("alice").RefreshToken
		store.fail(func(_ context.Context, call string, _ bool) error {
			if inBackground(call) { // keeping the provider's keys fails at any time, with a line of its own
				return nil
			}
			return errors.New("the disk is on fire")
		})
		for range 5 {
			requireError(t, a.refresh(refresh), http.StatusServiceUnavailable, "temporarily_unavailable")
		}
		require.Len(t, a.log.lines("the disk is on fire"), 1)
	})
}
