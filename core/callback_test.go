package core_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func callback(fields ...string) string { return "/auth/v2/callback?" + form(fields...).Encode() }

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

func TestCallbackRefusesBadStates(t *testing.T) {
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
		wait time.Duration
		good bool
	}{{10*time.Minute - 2*time.Second, true}, {10*time.Minute + time.Second, false}} {
		client := &http.Client{Jar: keptCookies{}, CheckRedirect: browser().CheckRedirect}
		code, state := a.authorize(client, "alice")
		a.clock.Add(row.wait)
		got := a.get(client, callback("code", code, "state", state))
		if row.good {
			a.tokens(got)
		} else {
			requireError(t, got, http.StatusBadRequest, "invalid_grant")
		}
	}
}

// keptCookies is a jar that never lets a cookie expire.
type keptCookies map[string]*http.Cookie

func (j keptCookies) SetCookies(u *url.URL, cookies []*http.Cookie) {
	for _, c := range cookies {
		j[c.Name] = c
	}
}

func (j keptCookies) Cookies(*url.URL) (all []*http.Cookie) {
	for _, c := range j {
		all = append(all, &http.Cookie{Name: c.Name, Value: c.Value})
	}
	return all
}

func TestCallbackChecksTheIssuerOfTheAnswer(t *testing.T) {
	for _, promised := range []bool{false, true} {
		a := newApp(t, newProvider(t, oidctest.Options{IssParameter: promised}))
		for _, row := range []struct {
			iss  string
			good bool
		}{
			{a.provider.Issuer, true},
			{"", !promised},
			{"https://evil.example.org", false},
			{a.provider.Issuer + "/", false},
		} {
			client := browser()
			code, state := a.authorize(client, "alice")
			got := a.get(client, callback("code", code, "state", state, "iss", row.iss))
			if row.good {
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

// What the provider's ID token must satisfy, each broken in one way. The code
// and access token are real.
func TestCallbackChecksTheIDToken(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	now := time.Now()
	for name, row := range map[string]struct {
		header, claims map[string]any // merged; nil deletes
		status         int            // 0: good
		code           string
	}{
		"as it came":                       {nil, nil, 0, ""},
		"iss another":                      {nil, map[string]any{"iss": "https://evil.example.org"}, 502, "server_error"},
		"iss missing":                      {nil, map[string]any{"iss": nil}, 502, "server_error"},
		"aud another":                      {nil, map[string]any{"aud": "somebody"}, 502, "server_error"},
		"aud missing":                      {nil, map[string]any{"aud": nil}, 502, "server_error"},
		"aud several, azp ours":            {nil, map[string]any{"aud": []string{"x", "app"}, "azp": "app"}, 0, ""},
		"aud several, azp missing":         {nil, map[string]any{"aud": []string{"x", "app"}, "azp": nil}, 502, "server_error"},
		"azp another":                      {nil, map[string]any{"azp": "somebody"}, 502, "server_error"},
		"sub missing":                      {nil, map[string]any{"sub": nil}, 502, "server_error"},
		"exp missing":                      {nil, map[string]any{"exp": nil}, 502, "server_error"},
		"exp past":                         {nil, map[string]any{"exp": now.Add(-time.Minute).Unix()}, 502, "server_error"},
		"exp past within the leeway":       {nil, map[string]any{"exp": now.Add(-20 * time.Second).Unix()}, 0, ""},
		"iat missing":                      {nil, map[string]any{"iat": nil}, 502, "server_error"},
		"iat in the future":                {nil, map[string]any{"iat": now.Add(time.Minute).Unix()}, 502, "server_error"},
		"nonce missing":                    {nil, map[string]any{"nonce": nil}, 400, "invalid_grant"},
		"nonce another":                    {nil, map[string]any{"nonce": "another"}, 400, "invalid_grant"},
		"at_hash another":                  {nil, map[string]any{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, 502, "server_error"},
		"at_hash missing":                  {nil, map[string]any{"at_hash": nil}, 0, ""},
		"signed by a key nobody published": {map[string]any{"kid": "x"}, nil, 502, "server_error"},
		"exp a string":                     {nil, map[string]any{"exp": "4102444800"}, 502, "server_error"},
	} {
		t.Run(name, func(t *testing.T) {
			tamper(provider, oidctest.TokenPath, func(body map[string]any) {
				body["id_token"] = resign(t, provider, body["id_token"].(string), row.header, row.claims)
			})
			defer provider.Answer(oidctest.TokenPath, nil)
			client := browser()
			code, state := a.authorize(client, "alice")
			got := a.get(client, callback("code", code, "state", state))
			if row.status == 0 {
				a.tokens(got)
			} else {
				requireError(t, got, row.status, row.code)
			}
		})
	}
	t.Run("missing", func(t *testing.T) {
		tamper(provider, oidctest.TokenPath, func(body map[string]any) { delete(body, "id_token") })
		defer provider.Answer(oidctest.TokenPath, nil)
		client := browser()
		code, state := a.authorize(client, "alice")
		requireError(t, a.get(client, callback("code", code, "state", state)), http.StatusBadGateway, "server_error")
	})
	t.Run("alg none", func(t *testing.T) {
		tamper(provider, oidctest.TokenPath, func(body map[string]any) {
			parts := strings.Split(body["id_token"].(string), ".")
			body["id_token"] = "eyJhbGciOiJub25lIn0." + parts[1] + "."
		})
		defer provider.Answer(oidctest.TokenPath, nil)
		client := browser()
		code, state := a.authorize(client, "alice")
		requireError(t, a.get(client, callback("code", code, "state", state)), http.StatusBadGateway, "server_error")
	})
}

func TestMaxAgeIsCheckedWhenItWasAskedFor(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, brokered())
	verifier := strings.Repeat("v", 43)
	for _, row := range []struct {
		age    any // of auth_time, or nil for none
		status int
		code   string
	}{
		{10 * time.Second, 200, ""}, {80 * time.Second, 200, ""},
		{2 * time.Minute, 403, "access_denied"}, {nil, 502, "server_error"}, // the provider must tell
	} {
		tamper(provider, oidctest.TokenPath, func(body map[string]any) {
			claims := map[string]any{"auth_time": nil}
			if age, ok := row.age.(time.Duration); ok {
				claims["auth_time"] = a.clock.Now().Add(-age).Unix()
			}
			body["id_token"] = resign(t, provider, body["id_token"].(string), nil, claims)
		})
		require := func(got answer) {
			if row.status == http.StatusOK {
				a.tokens(got)
			} else {
				requireError(t, got, row.status, row.code)
			}
		}
		client := browser()
		code, state := a.authorize(client, "alice", "max_age", "60")
		require(a.get(client, callback("code", code, "state", state)))

		code, _ = a.authorize(client, "alice", "max_age", "60", "redirect_uri", native,
			"code_challenge", challengeOf(verifier), "code_challenge_method", "S256")
		require(a.post(client, "/auth/v2/token", "code", code, "redirect_uri", native, "code_verifier", verifier))
	}
	require.Contains(t, a.log.logged(), "The provider does not tell when the user signed in")
	require.Contains(t, a.log.logged(), "the ID token has no auth_time")
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

// What a provider has handed out can't be asked for again: it must not be
// thrown away because keys are missing.
func TestNothingIsLostWhileKeysCannotBeHad(t *testing.T) {
	provider := newProvider(t, oidctest.Options{StrictRefresh: true})
	fresh := func() *app {
		a := newApp(t, provider)
		fail(provider, oidctest.KeysPath, http.StatusInternalServerError, "")
		return a
	}
	refresh := newApp(t, provider).signIn("alice").RefreshToken
	for name, begin := range map[string]func(a *app) (form []string){
		"code": func(a *app) []string {
			code, state := a.authorize(browser(), "alice", "redirect_uri", native)
			return []string{"code", code, "redirect_uri", native, "code_verifier", state}
		},
		"refresh token": func(*app) []string { return []string{"refresh_token", refresh} },
		"device code": func(a *app) []string {
			got := a.post(browser(), deviceRoute)
			provider.Device(t, got.json["user_code"].(string), "bob", true)
			return []string{"device_code", got.json["device_code"].(string)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := fresh()
			fields := begin(a)
			got := a.post(browser(), tokenRoute, fields...)
			require.Contains(t, []int{http.StatusBadGateway, http.StatusServiceUnavailable}, got.StatusCode)
			provider.Answer(oidctest.KeysPath, nil)
			a.clock.Add(time.Second)
			a.tokens(a.post(browser(), tokenRoute, fields...))
		})
	}
}

func TestRefusedIDTokensAreLoggedAndObserved(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	tamper(provider, oidctest.TokenPath, func(body map[string]any) {
		body["id_token"] = resign(t, provider, body["id_token"].(string), nil, map[string]any{"aud": "somebody"})
	})
	code, state := a.authorize(browser(), "alice", "redirect_uri", native)
	requireError(t, a.post(browser(), tokenRoute, "code", code, "redirect_uri", native, "code_verifier", state), http.StatusBadGateway, "server_error")
	require.Equal(t, core.EventLogin, a.log.last(t).Kind)
	require.ErrorIs(t, a.log.last(t).Error, core.ErrProvider)
	require.Contains(t, a.log.logged(), `"at":"token","failures":1,"error":"server_error: The provider gave an ID token that can't be accepted. (the ID token is meant for another audience)"`)
}

func TestSecretsRollOver(t *testing.T) {
	const older, newer = "b2xkZXIgc2VjcmV0IGZvciB0ZXN0cywgMzIgYnl0ZXMgbG9uZw", "bmV3ZXIgc2VjcmV0IGZvciB0ZXN0cywgMzIgYnl0ZXMgbG9uZw"
	provider := newProvider(t, oidctest.Options{})
	announcesNoPKCE(provider)
	secrets := func(all ...string) func(*core.Config) {
		return func(c *core.Config) { c.Secrets = all; c.PublicURL = "" }
	}
	before := newApp(t, provider, secrets(older))
	after := newApp(t, provider, secrets(newer, older))
	gone := newApp(t, provider, secrets(newer))
	verifier := strings.Repeat("v", 43)
	for _, own := range []bool{false, true} {
		fields := []string{"redirect_uri", native}
		if own {
			fields = append(fields, "code_challenge", challengeOf(verifier), "code_challenge_method", "S256")
		}
		redeem := func(a *app) answer {
			code, proof := before.authorize(browser(), "alice", fields...)
			if own {
				proof = verifier
			}
			return a.post(browser(), "/auth/v2/token", "code", code, "redirect_uri", native, "code_verifier", proof)
		}
		after.tokens(redeem(after))
		requireError(t, redeem(gone), http.StatusBadRequest, "invalid_grant")
	}
}
