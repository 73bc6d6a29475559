package core_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestDeviceLoginIsPendingThenApprovedOrRefused(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	for _, approve := range []bool{true, false} {
		got := a.post(browser(), deviceRoute)
		require.Equal(t, http.StatusOK, got.StatusCode, got.body)
		requireProtected(t, got)
		require.Contains(t, got.json["verification_uri"], a.provider.Issuer)
		code := got.json["device_code"].(string)
		a.log.keep(code)

		events := len(a.log.events)
		requireError(t, a.post(browser(), tokenRoute, "device-code", code), http.StatusBadRequest, "authorization_pending")
		require.Len(t, a.log.events, events, "polling is no event")
		a.provider.Device(t, got.json["user_code"].(string), "bob", approve)
		end := a.post(browser(), tokenRoute, "grant_type", deviceType, "device_code", code)
		require.Equal(t, core.EventLogin, a.log.last(t).Kind)
		if !approve {
			requireError(t, end, http.StatusBadRequest, "access_denied")
			continue
		}
		require.NotEmpty(t, a.tokens(end).RefreshToken)
		require.Equal(t, "user-bob", a.log.last(t).Subject)
		requireError(t, a.post(browser(), tokenRoute, "device_code", code), http.StatusBadRequest, "invalid_grant")
	}
}

func TestDevicePollingErrors(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	code := a.post(browser(), deviceRoute).json["device_code"].(string)
	for name, row := range map[string]struct {
		status int
		body   string
		want   int
		code   string // "" no error member
	}{
		"slow_down":                  {400, `{"error":"slow_down"}`, 400, "slow_down"},
		"expired_token":              {400, `{"error":"expired_token"}`, 400, "expired_token"},
		"overloaded":                 {503, ``, 503, ""},
		"rate limited":               {429, `{"error":"too_many_requests"}`, 503, ""},
		"slow_down as Auth0 says it": {429, `{"error":"slow_down"}`, 400, "slow_down"},
		"pending as Auth0 says it":   {429, `{"error":"authorization_pending"}`, 400, "authorization_pending"},
		"nonsense":                   {500, `oops`, 502, "server_error"},
	} {
		t.Run(name, func(t *testing.T) {
			fail(provider, oidctest.TokenPath, row.status, row.body)
			got := a.post(browser(), tokenRoute, "device_code", code)
			requireError(t, got, row.want, row.code)
			require.Equal(t, row.want == 503, got.Header.Get("Retry-After") != "")
		})
	}
	provider.Answer(oidctest.TokenPath, nil)
	provider.Down(true)
	requireError(t, a.post(browser(), tokenRoute, "device_code", code), http.StatusServiceUnavailable, "")
	fresh := newApp(t, provider)
	requireError(t, fresh.post(browser(), tokenRoute, "device_code", code), http.StatusServiceUnavailable, "")
}

func TestDevicePollingIsNotEndedByKeysThatCannotBeHad(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	require.NoError(t, a.auth.Start(t.Context()))
	got := a.post(browser(), deviceRoute)
	provider.Device(t, got.json["user_code"].(string), "bob", true)
	provider.RotateKeys()
	fail(provider, oidctest.KeysPath, http.StatusServiceUnavailable, "")
	requireError(t, a.post(browser(), tokenRoute, "device_code", got.json["device_code"].(string)), http.StatusServiceUnavailable, "")
}

func TestDeviceAsksForScopes(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	var asked string
	provider.Answer(oidctest.DeviceAuthorizationPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		_ = r.ParseForm()
		asked = r.PostForm.Get("scope")
		real.ServeHTTP(w, r)
	})
	usual := newApp(t, provider)
	online := newApp(t, provider, func(c *core.Config) { c.Providers[0].OnlineDevices = true })
	bounded := newApp(t, provider, func(c *core.Config) { c.Providers[0].AllowedScopes = []string{"email"} })
	offline := newApp(t, provider, func(c *core.Config) { c.Providers[0].AllowedScopes = []string{"email", "offline_access"} })
	for _, row := range []struct {
		app       *app
		ask, want string
	}{
		{usual, "", "openid profile email offline_access"},
		{usual, "email", "openid email offline_access"},
		{online, "", "openid profile email"},
		{online, "offline_access", "openid offline_access"},
		{bounded, "email", "openid email"}, // offline_access is not among AllowedScopes
		{bounded, "", "openid profile email"},
		{offline, "email", "openid email offline_access"},
		{usual, "a\tb", "openid a b offline_access"},
	} {
		require.Equal(t, http.StatusOK, row.app.post(browser(), deviceRoute, "scope", row.ask).StatusCode)
		require.Equal(t, row.want, asked)
	}
	for _, refused := range []string{"admin", "offline_access", "email\u00a0admin"} {
		requireError(t, bounded.post(browser(), deviceRoute, "scope", refused), http.StatusBadRequest, "invalid_scope")
	}
	requireError(t, usual.post(browser(), deviceRoute, "scope", "a\x00b"), http.StatusBadRequest, "invalid_request")
	requireError(t, usual.post(browser(), deviceRoute, "scope", strings.Repeat("a", 2049)), http.StatusBadRequest, "invalid_request")
	requireError(t, usual.post(browser(), deviceRoute, "client_id", "other"), http.StatusUnauthorized, "invalid_client")
	requireError(t, usual.postBody(browser(), deviceRoute, "{}", "application/json"), http.StatusUnsupportedMediaType, "invalid_request")
}

func TestDeviceLoginsAreForTheConfiguredAudience(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	var sent url.Values
	provider.Answer(oidctest.DeviceAuthorizationPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		_ = r.ParseForm()
		sent = r.PostForm
		real.ServeHTTP(w, r)
	})
	a := newApp(t, provider, func(c *core.Config) {
		c.Providers[0].AuthParams = url.Values{"audience": {"orders"}, "resource": {"a", "b"}, "prompt": {"consent"}}
	})
	require.Equal(t, http.StatusOK, a.post(browser(), deviceRoute).StatusCode)
	for _, pkce := range []string{"code_challenge", "code_challenge_method"} {
		sent.Del(pkce)
	}
	require.Equal(t, url.Values{"scope": {"openid profile email offline_access"}, "audience": {"orders"}, "resource": {"a", "b"}}, sent)
}

// A provider that demands PKCE of a client may demand it of device logins too.
func TestDeviceLoginsHavePKCEWhereItIsAnnounced(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	sent := url.Values{}
	remember := func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		_ = r.ParseForm()
		for name, values := range r.PostForm {
			sent[name] = values
		}
		real.ServeHTTP(w, r)
	}
	provider.Answer(oidctest.DeviceAuthorizationPath, remember)
	provider.Answer(oidctest.TokenPath, remember)
	login := func() string {
		a := newApp(t, provider)
		code := a.post(browser(), deviceRoute).json["device_code"].(string)
		requireError(t, a.post(browser(), tokenRoute, "device_code", code), http.StatusBadRequest, "authorization_pending")
		return code
	}
	login()
	challenge := sha256.Sum256([]byte(sent.Get("code_verifier")))
	require.Equal(t, base64.RawURLEncoding.EncodeToString(challenge[:]), sent.Get("code_challenge"))
	require.Equal(t, "S256", sent.Get("code_challenge_method"))
	first := sent.Get("code_verifier")
	code := login()
	require.NotEqual(t, first, sent.Get("code_verifier"))
	require.NotContains(t, code, sent.Get("code_verifier"))

	clear(sent)
	tamper(provider, oidctest.DiscoveryPath, func(body map[string]any) { delete(body, "code_challenge_methods_supported") })
	login()
	for _, pkce := range []string{"code_challenge", "code_challenge_method", "code_verifier"} {
		require.NotContains(t, sent, pkce)
	}
}

func TestDeviceBodyIsGolden(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	for _, row := range []struct{ answer, want string }{
		{`{"device_code":"d","user_code":"u","verification_uri":"https://v","verification_uri_complete":"https://v?u","expires_in":600,"interval":7}`,
			`{"device_code":"d","user_code":"u","verification_uri":"https://v","verification_uri_complete":"https://v?u","expires_in":600,"interval":7}`},
		{`{"device_code":"d","user_code":"u","verification_uri":"https://v","expires_in":"600"}`,
			`{"device_code":"d","user_code":"u","verification_uri":"https://v","expires_in":600,"interval":5}`},
		{`{"device_code":"d","user_code":"u","verification_url":"https://v","verification_uri_complete":"","expires_in":600,"interval":0}`,
			`{"device_code":"d","user_code":"u","verification_uri":"https://v","expires_in":600,"interval":5}`},
	} {
		fail(provider, oidctest.DeviceAuthorizationPath, http.StatusOK, row.answer)
		got := a.post(browser(), deviceRoute)
		code := got.json["device_code"].(string)
		require.True(t, strings.HasPrefix(code, "ogd1."), code)
		require.Equal(t, row.want+"\n", strings.Replace(got.body, code, "d", 1))
	}
	for answer, named := range map[string]string{
		`{"user_code":"u","verification_uri":"https://v","expires_in":600}`:                      "device_code",
		`{"device_code":"d","verification_uri":"https://v","expires_in":600}`:                    "user_code",
		`{"device_code":"d","user_code":"u","expires_in":600}`:                                   "verification_uri",
		`{"device_code":"d","user_code":"u","verification_uri":"https://v"}`:                     "expires_in",
		`{"device_code":"d","user_code":"u","verification_uri":"https://v","expires_in":"soon"}`: "expires_in",
		`{"user_code":"u"}`:    "device_code and verification_uri and expires_in",
		`{"device_code":true}`: "device_code",
		`[]`:                   "can't be used",
	} {
		fail(provider, oidctest.DeviceAuthorizationPath, http.StatusOK, answer)
		got := a.post(browser(), deviceRoute)
		requireError(t, got, http.StatusBadGateway, "server_error")
		require.Contains(t, got.json["detail"], named)
	}
}

func TestDeviceLoginThatTheProviderDoesNotHave(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	tamper(provider, oidctest.DiscoveryPath, func(body map[string]any) { delete(body, "device_authorization_endpoint") })
	requireError(t, newApp(t, provider).post(browser(), deviceRoute), http.StatusBadRequest, "unsupported_grant_type")
}

// A device code is sealed, since it holds the scopes that were asked for. The
// provider's own is in nobody's hands, and is not taken from anybody.
func TestOnlyDeviceCodesOfOursArePolled(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	var raw string
	tamper(provider, oidctest.DeviceAuthorizationPath, func(body map[string]any) { raw = body["device_code"].(string) })
	ours := a.post(browser(), deviceRoute).json["device_code"].(string)
	require.NotContains(t, ours, raw)
	stranger := newApp(t, provider, func(c *core.Config) { c.Secrets = nil })
	for name, code := range map[string]string{
		"the provider's": raw, "cut short": ours[:len(ours)-1], "longer": ours + "A", "padded": ours + "=", "a state": a.begin(browser()).Get("state"),
		"of another secret": stranger.post(browser(), deviceRoute).json["device_code"].(string),
	} {
		t.Run(name, func(t *testing.T) {
			requireError(t, a.post(browser(), tokenRoute, "device_code", code), http.StatusBadRequest, "invalid_grant")
		})
	}
	require.Zero(t, provider.Requests(oidctest.TokenPath))
	requireError(t, a.post(browser(), tokenRoute, "device_code", ours), http.StatusBadRequest, "authorization_pending")

	fail(provider, oidctest.DeviceAuthorizationPath, http.StatusOK, `{"device_code":"`+strings.Repeat("d", 13<<10)+`","user_code":"u","verification_uri":"https://v","expires_in":600}`)
	requireError(t, a.post(browser(), deviceRoute), http.StatusBadGateway, "server_error")
}
