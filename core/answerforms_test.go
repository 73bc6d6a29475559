package core_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// Providers write one thing in many ways. NOW in an answer is the Unix time.
func TestTokenAnswersAreReadInAllFormsInUse(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	now := a.clock.Now().Unix()
	const month = 30 * 24 * 3600
	for name, row := range map[string]struct {
		status                  int
		members                 string
		expires, refreshExpires int64 // from now
		scope                   any
	}{
		"nothing":                            {200, ``, 180, month, nil},
		"status 201":                         {201, `"expires_in":60`, 60, month, nil},
		"nulls":                              {200, `"expires_in":null,"refresh_expires_in":null,"scope":null,"id_token":null,"token_type":null,"error":null`, 180, month, nil},
		"expires_in, a number":               {200, `"expires_in":60`, 60, month, nil},
		"expires_in, a string":               {200, `"expires_in":"60"`, 60, month, nil},
		"expires_in, a fraction":             {200, `"expires_in":60.9`, 60, month, nil},
		"expires_in, with an exponent":       {200, `"expires_in":6e1`, 60, month, nil},
		"expires_in 0":                       {200, `"expires_in":0,"refresh_expires_in":0`, 180, month, nil},
		"expires_in, a word":                 {200, `"expires_in":"soon"`, 180, month, nil},
		"expires_in, less than nothing":      {200, `"expires_in":-1`, 180, month, nil},
		"expires_at, in no year there is":    {200, `"expires_at":253402300800`, 180, month, nil},
		"expires":                            {200, `"expires":NOW60`, 60, month, nil},
		"exp":                                {200, `"exp":"NOW60"`, 60, month, nil},
		"expires_at":                         {200, `"expires_at":NOW60`, 60, month, nil},
		"expires_on (Entra's first)":         {200, `"expires_in":"60","expires_on":"NOW60"`, 60, month, nil},
		"expires_on alone":                   {200, `"expires_on":"NOW60"`, 60, month, nil},
		"refresh_expires_in (Keycloak)":      {200, `"refresh_expires_in":600`, 180, 600, nil},
		"refresh_expires":                    {200, `"refresh_expires":NOW60`, 180, 60, nil},
		"refresh_exp":                        {200, `"refresh_exp":NOW60`, 180, 60, nil},
		"refresh_expires_at":                 {200, `"refresh_expires_at":"NOW60"`, 180, 60, nil},
		"refresh_expires_on":                 {200, `"refresh_expires_on":NOW60`, 180, 60, nil},
		"refresh_token_expires_in (Azure)":   {200, `"refresh_token_expires_in":600`, 180, 600, nil},
		"refresh_token_expires_at":           {200, `"refresh_token_expires_at":NOW60`, 180, 60, nil},
		"refresh_token_expires":              {200, `"refresh_token_expires":NOW60`, 180, 60, nil},
		"x_refresh_token_expires_in (QBO)":   {200, `"x_refresh_token_expires_in":"600"`, 180, 600, nil},
		"0 in one form, a number in another": {200, `"refresh_expires_in":0,"refresh_token_expires_in":600`, 180, 600, nil},
		"scope, a string":                    {200, `"scope":"a b"`, 180, month, "a b"},
		"scope, a list (Twitch)":             {200, `"scope":["a","b"]`, 180, month, "a b"},
		"scope, an empty list":               {200, `"scope":[]`, 180, month, nil},
		"token_type bearer":                  {200, `"token_type":"bearer"`, 180, month, nil},
		"error, empty":                       {200, `"error":""`, 180, month, nil},
	} {
		t.Run(name, func(t *testing.T) {
			members := `"access_token":"an-access-token","refresh_token":"a-refresh-token"`
			if row.members != "" {
				members += "," + strings.ReplaceAll(row.members, "NOW60", fmt.Sprint(now+60))
			}
			fail(provider, oidctest.TokenPath, row.status, "{"+members+"}")
			got := a.post(browser(), tokenRoute, "refresh_token", "x")
			require.Equal(t, http.StatusOK, got.StatusCode, got.body)
			require.EqualValues(t, now+row.expires, got.json["expires"])
			require.EqualValues(t, now+row.refreshExpires, got.json["refresh_expires"])
			if row.scope != nil {
				require.Equal(t, row.scope, got.json["scope"])
			} else {
				require.Empty(t, got.json["scope"])
			}
		})
	}
}

// GitHub and Slack answer errors with status 200, and others may. At each endpoint it
// is the error that counts.
func TestAnErrorWithStatus200IsThatErrorAtEachEndpoint(t *testing.T) {
	provider := newProvider(t, oidctest.Options{OpaqueTokens: true})
	a := newApp(t, provider, func(c *core.Config) { c.Providers[0].Introspection = true })
	device := a.post(browser(), deviceRoute).json["device_code"].(string)
	introspected := func() answer { return serve(a.auth.Required(), bearer("made-up")) }
	for name, row := range map[string]struct {
		path, body string
		ask        func() answer
		status     int
		code       string
	}{
		"device polling, pending": {oidctest.TokenPath, `{"error":"authorization_pending"}`,
			func() answer { return a.post(browser(), tokenRoute, "device_code", device) }, 400, "authorization_pending"},
		"device polling, refused": {oidctest.TokenPath, `{"error":"access_denied"}`,
			func() answer { return a.post(browser(), tokenRoute, "device_code", device) }, 400, "access_denied"},
		"refresh": {oidctest.TokenPath, `{"ok":false,"error":"invalid_grant"}`,
			func() answer { return a.post(browser(), tokenRoute, "refresh_token", "x") }, 400, "invalid_grant"},
		"a code of its own": {oidctest.TokenPath, `{"ok":false,"error":"bad_verification_code"}`,
			func() answer { return a.post(browser(), tokenRoute, "refresh_token", "x") }, 400, "bad_verification_code"},
		"device": {oidctest.DeviceAuthorizationPath, `{"error":"invalid_scope"}`,
			func() answer { return a.post(browser(), deviceRoute) }, 400, "invalid_scope"},
		"introspection": {oidctest.IntrospectPath, `{"error":"invalid_client"}`, introspected, 503, "temporarily_unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			fail(provider, row.path, http.StatusOK, row.body)
			requireError(t, row.ask(), row.status, row.code)
		})
	}
	t.Run("introspection names it in the log", func(t *testing.T) {
		require.Contains(t, a.log.logged(), "the provider says invalid_client")
	})
	t.Run("userinfo", func(t *testing.T) {
		provider := newProvider(t, oidctest.Options{})
		a := newApp(t, provider)
		raw := a.bare("alice")
		for code, want := range map[string]int{"invalid_token": 401, "insufficient_scope": 403, "server_error": 502, "temporarily_unavailable": 503, "not_allowed": 502} {
			fail(provider, oidctest.UserinfoPath, http.StatusOK, `{"error":"`+code+`"}`)
			require.Equal(t, want, a.get(browser(), userinfoRoute, bearer(raw)).StatusCode, code)
		}
	})
}

func TestAny2xxOfTheProviderIsASuccess(t *testing.T) {
	provider := newProvider(t, oidctest.Options{OpaqueTokens: true})
	for _, path := range []string{oidctest.DiscoveryPath, oidctest.KeysPath, oidctest.TokenPath, oidctest.DeviceAuthorizationPath, oidctest.IntrospectPath, oidctest.UserinfoPath, oidctest.RevokePath} {
		provider.Answer(path, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
			real.ServeHTTP(&created{ResponseWriter: w}, r)
		})
	}
	a := newApp(t, provider, func(c *core.Config) { c.Providers[0].Introspection = true })
	require.NoError(t, a.auth.Start(t.Context()))
	require.Equal(t, http.StatusOK, serve(a.auth.Required(), bearer(a.signIn("alice").AccessToken)).StatusCode)
	require.Equal(t, http.StatusOK, a.post(browser(), deviceRoute).StatusCode)
	broker := newApp(t, provider, brokered())
	session := broker.signIn("alice") // with userinfo, since its tokens are opaque
	require.Equal(t, "alice", broker.get(browser(), userinfoRoute, bearer(session.AccessToken)).json["username"])
}

// created answers 201 for 200.
type created struct {
	http.ResponseWriter
	begun bool
}

func (c *created) WriteHeader(status int) {
	if status == http.StatusOK {
		status = http.StatusCreated
	}
	c.begun = true
	c.ResponseWriter.WriteHeader(status)
}

func (c *created) Write(p []byte) (int, error) {
	if !c.begun {
		c.WriteHeader(http.StatusOK)
	}
	return c.ResponseWriter.Write(p)
}

func TestDeviceAnswersAreReadInAllFormsInUse(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	for name, answer := range map[string]string{
		"RFC 8628":        `"verification_uri":"https://v","verification_uri_complete":"https://v?u","expires_in":600,"interval":7`,
		"numeric strings": `"verification_uri":"https://v","verification_uri_complete":"https://v?u","expires_in":"600","interval":"7"`,
		"Google's names":  `"verification_url":"https://v","verification_url_complete":"https://v?u","expires_in":600,"interval":7`,
		"both, one null":  `"verification_uri":null,"verification_url":"https://v","verification_uri_complete":"https://v?u","expires_in":600,"interval":7`,
	} {
		t.Run(name, func(t *testing.T) {
			fail(provider, oidctest.DeviceAuthorizationPath, http.StatusCreated, `{"device_code":"d","user_code":"u",`+answer+`}`)
			got := a.post(browser(), deviceRoute)
			require.Equal(t, http.StatusOK, got.StatusCode, got.body)
			delete(got.json, "device_code") // which may be sealed
			require.Equal(t, map[string]any{"user_code": "u", "verification_uri": "https://v", "verification_uri_complete": "https://v?u", "expires_in": 600.0, "interval": 7.0}, got.json)
		})
	}
	for _, none := range []string{`-600`, `"NaN"`, `"Inf"`, `1e300`, `253402300800`, `true`, `[600]`, `null`, `"soon"`} {
		fail(provider, oidctest.DeviceAuthorizationPath, http.StatusOK, `{"device_code":"d","user_code":"u","verification_uri":"https://v","expires_in":`+none+`}`)
		got := a.post(browser(), deviceRoute)
		requireError(t, got, http.StatusBadGateway, "server_error")
		require.Contains(t, got.json["detail"], "lacks expires_in", none)
	}
}

// A value as short as "r" is in every error; and the registry's codes repeat nothing.
func TestAnErrorThatHoldsAShortValueThatWasSentIsStillThatError(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	for _, sent := range []string{"r", "invalid", "invalid_gran", "invalid_grant"} {
		provider.Answer(oidctest.TokenPath, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"invalid_grant","error_description":"over"}`)
		})
		got := a.post(browser(), tokenRoute, "refresh_token", sent)
		requireError(t, got, http.StatusBadRequest, "invalid_grant")
		require.Equal(t, "over", got.json["detail"])
	}
}
