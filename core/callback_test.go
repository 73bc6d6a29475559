package core_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestCallbackRedeemsTheCodeInTheBrowserThatBeganTheLogin(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	client := browser()
	code, state := a.authorize(client, "alice")
	got := a.get(client, callback("code", code, "state", state))
	body := a.tokens(got)
	require.NotEmpty(t, body.IDToken)
	require.Len(t, got.Cookies(), 1)
	require.Negative(t, got.Cookies()[0].MaxAge, "the cookie is cleared when used")

	event := a.log.last(t)
	require.Equal(t, core.EventLogin, event.Kind)
	require.Equal(t, "user-alice", event.Subject)
	require.Nil(t, event.Error)

	again := a.get(client, callback("code", code, "state", state))
	requireError(t, again, http.StatusBadRequest, "invalid_grant")
	require.NotNil(t, a.log.last(t).Error)
}

func TestCallbackServesSeveralTabsAtOnce(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	client := browser()
	code1, state1 := a.authorize(client, "alice")
	code2, state2 := a.authorize(client, "alice")
	a.tokens(a.get(client, callback("code", code2, "state", state2)))
	a.tokens(a.get(client, callback("code", code1, "state", state1)))
}

// A login that an attacker began must not end in a victim's browser.
func TestCallbackRefusesAnotherBrowsersLogin(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	attacker, victim := browser(), browser()
	code, state := a.authorize(attacker, "bob")
	victimCode, victimState := a.authorize(victim, "alice")

	requireError(t, a.get(victim, callback("code", code, "state", state)), http.StatusBadRequest, "invalid_grant")
	// A code of one login with the state of another: PKCE at the provider.
	requireError(t, a.get(victim, callback("code", code, "state", victimState)), http.StatusBadRequest, "invalid_grant")
	_ = victimCode
}

func TestCallbackRefusesInvalidStates(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), func(c *core.Config) { c.RedirectURIs = []string{"https://app.example.org/x"} })
	other := newApp(t, a.provider, func(c *core.Config) { c.Secrets = nil })
	client := browser()
	code, state := a.authorize(client, "alice")
	foreign := other.begin(client).Get("state")
	nativeState := a.begin(client, "redirect_uri", native).Get("state")
	browserState := a.begin(client, "redirect_uri", "https://app.example.org/x").Get("state")
	flipped := []byte(state)
	flipped[len(flipped)/2] ^= 1
	for name, bad := range map[string]string{
		"truncated": state[:len(state)-4], "prefix only": "og1.", "another prefix": "og2." + state[4:], "no prefix": state[4:],
		"flipped": string(flipped), "of another secret": foreign, "padded": state + "=", "not base64url": "og1.???",
		"of a native login": nativeState, "of a page's login": browserState,
	} {
		t.Run(name, func(t *testing.T) {
			requireError(t, a.get(client, callback("code", code, "state", bad)), http.StatusBadRequest, "invalid_grant")
			require.Zero(t, a.provider.Requests(oidctest.TokenPath), "the code was not spent")
		})
	}
	for name, query := range map[string]string{
		"missing": callback("code", code), "too long": callback("code", code, "state", strings.Repeat("a", 4097)),
		"repeated": callback("code", code, "state", state, "state", state),
	} {
		t.Run(name, func(t *testing.T) {
			requireError(t, a.get(client, query), http.StatusBadRequest, "invalid_request")
		})
	}
	t.Run("code too long", func(t *testing.T) {
		client := browser()
		_, state := a.authorize(client, "alice")
		requireError(t, a.get(client, callback("state", state, "code", strings.Repeat("a", 4097))), http.StatusBadRequest, "invalid_request")
	})
	t.Run("of another process without secrets", func(t *testing.T) {
		one := newApp(t, a.provider, func(c *core.Config) { c.Secrets = nil })
		two := newApp(t, a.provider, func(c *core.Config) { c.Secrets = nil })
		client := &http.Client{Jar: keptCookies{}, CheckRedirect: browser().CheckRedirect}
		code, state := one.authorize(client, "alice")
		requireError(t, two.get(client, callback("code", code, "state", state)), http.StatusBadRequest, "invalid_grant")
	})
	t.Run("code missing", func(t *testing.T) {
		client := browser()
		_, state := a.authorize(client, "alice")
		requireError(t, a.get(client, callback("state", state)), http.StatusBadRequest, "invalid_request")
	})
}

func TestCallbackStateEndsAfterTenMinutes(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	for _, row := range []struct {
		wait  time.Duration
		valid bool
	}{{10*time.Minute - 2*time.Second, true}, {10*time.Minute + time.Second, false}} {
		client := &http.Client{Jar: keptCookies{}, CheckRedirect: browser().CheckRedirect}
		code, state := a.authorize(client, "alice")
		a.clock.Add(row.wait)
		got := a.get(client, callback("code", code, "state", state))
		if row.valid {
			a.tokens(got)
		} else {
			requireError(t, got, http.StatusBadRequest, "invalid_grant")
		}
	}
}

func TestCallbackChecksTheIssuerOfTheAnswer(t *testing.T) {
	for _, promised := range []bool{false, true} {
		a := newApp(t, newProvider(t, oidctest.Options{IssParameter: promised}))
		for _, row := range []struct {
			iss   string
			valid bool
		}{
			{a.provider.Issuer, true},
			{"", !promised},
			{"https://evil.example.org", false},
			{a.provider.Issuer + "/", false},
		} {
			client := browser()
			code, state := a.authorize(client, "alice")
			got := a.get(client, callback("code", code, "state", state, "iss", row.iss))
			if row.valid {
				a.tokens(got)
			} else {
				requireError(t, got, http.StatusBadRequest, "invalid_grant")
			}
		}
	}
}

func TestCallbackPassesOnTheProvidersRefusal(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	for _, row := range []struct {
		code   string
		status int
		want   string
	}{
		{"access_denied", 403, "access_denied"},
		{"login_required", 403, "login_required"},
		{"consent_required", 403, "consent_required"},
		{"something_of_its_own", 403, "something_of_its_own"},
		{"invalid_scope", 400, "invalid_scope"},
		{"invalid_request", 400, "invalid_request"},
		{"unauthorized_client", 502, "server_error"},
		{"server_error", 502, "server_error"},
		{"temporarily_unavailable", 503, "temporarily_unavailable"},
		{"bad\"code", 502, "server_error"},
		{strings.Repeat("x", 65), 502, "server_error"},
	} {
		client := browser()
		_, state := a.authorize(client, "alice")
		got := a.get(client, callback("error", row.code, "error_description", "The user\x7f \"said\" nö.", "state", state))
		requireError(t, got, row.status, row.want)
		if row.status < 500 {
			require.Equal(t, "The user said n.", got.json["error_description"])
		}
		require.Equal(t, row.status != 503, len(got.Cookies()) == 1, "the cookie is cleared unless the same request may be made again")
	}
	t.Run("without a state it is not believed", func(t *testing.T) {
		requireError(t, a.get(browser(), callback("error", "access_denied")), http.StatusBadRequest, "invalid_request")
	})
	t.Run("a text that repeats the state is replaced", func(t *testing.T) {
		client := browser()
		_, state := a.authorize(client, "alice")
		got := a.get(client, callback("error", "access_denied", "error_description", "no "+state, "state", state))
		require.Equal(t, "The provider refused with access_denied.", got.json["error_description"])
	})
	t.Run("a long text is cut", func(t *testing.T) {
		client := browser()
		_, state := a.authorize(client, "alice")
		got := a.get(client, callback("error", "access_denied", "error_description", strings.Repeat("no ", 1000), "state", state))
		require.LessOrEqual(t, len(got.json["error_description"].(string)), 200)
	})
}

func TestCallbackOfAPromptNoneWithoutASession(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	client := browser()
	u := a.provider.Authorize(t, client, a.api+"/auth/v2/login?prompt=none", "alice")
	require.Equal(t, "login_required", u.Query().Get("error"))
	requireError(t, a.get(client, "/auth/v2/callback?"+u.RawQuery), http.StatusForbidden, "login_required")
}

// A provider that is down when the code arrives costs nothing: the same request
// works when it is back.
func TestCallbackLosesNothingWhileTheProviderIsDown(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	client := browser()
	code, state := a.authorize(client, "alice")
	provider.Down(true)
	got := a.get(client, callback("code", code, "state", state))
	requireError(t, got, http.StatusServiceUnavailable, "temporarily_unavailable")
	require.NotEmpty(t, got.Header.Get("Retry-After"))
	require.Empty(t, got.Cookies())
	provider.Down(false)
	a.clock.Add(time.Second)
	a.tokens(a.get(client, callback("code", code, "state", state)))
}

// An attacker who runs another application at the same operator must not end his
// own login in a victim's browser there.
func TestStatesOfOneProviderAreWorthNothingAtAnother(t *testing.T) {
	one := newApp(t, newProvider(t, oidctest.Options{}))
	two := newApp(t, newProvider(t, oidctest.Options{}))
	client := &http.Client{Jar: keptCookies{}, CheckRedirect: browser().CheckRedirect}
	code, state := one.authorize(client, "alice")
	got := two.get(client, callback("code", code, "state", state))
	requireError(t, got, http.StatusBadRequest, "invalid_grant")
	require.Zero(t, two.provider.Requests(oidctest.TokenPath))

	moved := newApp(t, one.provider) // the same provider and client, another callback
	got = moved.get(client, callback("code", code, "state", state))
	requireError(t, got, http.StatusBadRequest, "invalid_grant")
	require.Zero(t, one.provider.Requests(oidctest.TokenPath))
}

func TestAnErrorBesideACodeIsAnError(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	client := browser()
	code, state := a.authorize(client, "alice")
	requireError(t, a.get(client, callback("code", code, "state", state, "error", "access_denied")), http.StatusForbidden, "access_denied")
	require.Zero(t, a.provider.Requests(oidctest.TokenPath))
}
