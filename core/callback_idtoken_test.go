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

// What the provider's ID token must satisfy, each broken in one way. The code
// and access token are real.
func TestCallbackChecksTheIDToken(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	now := time.Now()
	for name, row := range map[string]struct {
		header, claims map[string]any // merged; nil deletes
		status         int            // 0: valid
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
	require.Contains(t, a.log.logged(), "it has no auth_time")
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
	require.Contains(t, a.log.logged(), `"at":"token","failures":1,"error":"server_error: The provider gave an ID token that can't be accepted. (it is meant for another audience)"`)
}
