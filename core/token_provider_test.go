package core_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// Every way in which the provider can fail the token route, by the table of
// errors.
func TestTokenTranslatesTheProvidersErrors(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	sent := "a-refresh-token-that-was-sent"
	a.log.keep(sent)
	oauthError := func(code, description string) string {
		body, _ := json.Marshal(map[string]string{"error": code, "error_description": description})
		return string(body)
	}
	for name, row := range map[string]struct {
		status int
		body   string
		want   int
		code   string
		text   string // "" any
	}{
		"invalid_grant":                  {400, oauthError("invalid_grant", "Session not active"), 400, "invalid_grant", "Session not active"},
		"an error of the caller's":       {400, oauthError("invalid_target", "No"), 400, "invalid_target", "No"},
		"invalid_scope":                  {400, oauthError("invalid_scope", ""), 400, "invalid_scope", ""},
		"access_denied":                  {400, oauthError("access_denied", ""), 403, "access_denied", ""},
		"invalid_client":                 {401, oauthError("invalid_client", "who?"), 502, "server_error", ""},
		"unauthorized_client":            {400, oauthError("unauthorized_client", "who?"), 502, "server_error", ""},
		"server_error":                   {400, oauthError("server_error", ""), 502, "server_error", ""},
		"temporarily_unavailable":        {400, oauthError("temporarily_unavailable", ""), 503, "temporarily_unavailable", ""},
		"a code of 64 characters":        {400, oauthError(strings.Repeat("c", 64), "No"), 400, strings.Repeat("c", 64), "No"},
		"a code of 65 characters":        {400, oauthError(strings.Repeat("c", 65), "No"), 502, "server_error", ""},
		"429":                            {429, oauthError("invalid_grant", ""), 503, "temporarily_unavailable", ""},
		"502":                            {502, "<html>", 503, "temporarily_unavailable", ""},
		"503":                            {503, oauthError("invalid_grant", ""), 503, "temporarily_unavailable", ""},
		"504":                            {504, "", 503, "temporarily_unavailable", ""},
		"500 without a word":             {500, "<html>", 502, "server_error", ""},
		"400 without an error":           {400, "{}", 502, "server_error", ""},
		"a redirect":                     {302, "", 502, "server_error", ""},
		"200 that is no JSON":            {200, "access_token=" + sent, 502, "server_error", ""},
		"200 without a token":            {200, "{}", 502, "server_error", ""},
		"200 of another token type":      {200, `{"access_token":"at","token_type":"DPoP"}`, 502, "server_error", ""},
		"200 with a token of a number":   {200, `{"access_token":1}`, 502, "server_error", ""},
		"200 with a bad ID token":        {200, `{"access_token":"at","id_token":"x.y.z"}`, 502, "server_error", ""},
		"a text that repeats the token":  {400, oauthError("invalid_grant", "unknown token "+sent), 400, "invalid_grant", "The provider refused with invalid_grant."},
		"a text that repeats a part":     {400, oauthError("invalid_grant", "unknown token "+sent[3:20]), 400, "invalid_grant", "The provider refused with invalid_grant."},
		"a text that repeats the secret": {400, oauthError("invalid_grant", "not "+provider.ClientSecret), 400, "invalid_grant", "The provider refused with invalid_grant."},
		"a text with other characters":   {400, oauthError("invalid_grant", "a\"b\\c\nd\u00e4e"), 400, "invalid_grant", "abcde"},
		"an answer that never ends":      {200, strings.Repeat(" ", 2<<20), 502, "server_error", ""},
	} {
		t.Run(name, func(t *testing.T) {
			fail(provider, oidctest.TokenPath, row.status, row.body)
			got := a.post(browser(), tokenRoute, "refresh_token", sent)
			requireError(t, got, row.want, row.code)
			if row.text != "" {
				require.Equal(t, row.text, got.json["error_description"])
			}
			require.Equal(t, row.want == 503, got.Header.Get("Retry-After") != "")
		})
	}
	t.Run("a code that repeats what was sent", func(t *testing.T) {
		a.log.keep(base64.StdEncoding.EncodeToString([]byte("app:" + provider.ClientSecret)))
		for _, echo := range []string{sent, provider.ClientSecret, "x" + sent[2:18]} {
			fail(provider, oidctest.TokenPath, 400, oauthError(echo, ""))
			requireError(t, a.post(browser(), tokenRoute, "refresh_token", sent), http.StatusBadGateway, "server_error")
		}
		provider.Answer(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, oauthError("invalid_grant", "no good: "+r.Header.Get("Authorization")))
		})
		got := a.post(browser(), tokenRoute, "refresh_token", sent)
		require.Equal(t, "The provider refused with invalid_grant.", got.json["detail"])
	})
	t.Run("Retry-After is handed on within bounds", func(t *testing.T) {
		for sent, want := range map[string]string{"7": "7", "": "5", "0": "1", "86400": "60", "soon": "5"} {
			provider.Answer(oidctest.TokenPath, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
				w.Header().Set("Retry-After", sent)
				w.WriteHeader(http.StatusServiceUnavailable)
			})
			require.Equal(t, want, a.post(browser(), tokenRoute, "refresh_token", "x").Header.Get("Retry-After"))
		}
	})
	t.Run("no answer", func(t *testing.T) {
		provider.Answer(oidctest.TokenPath, nil)
		provider.Down(true)
		defer provider.Down(false)
		requireError(t, a.post(browser(), tokenRoute, "refresh_token", sent), http.StatusServiceUnavailable, "temporarily_unavailable")
	})
}

func TestTokenGivesUpOnASlowProvider(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, func(c *core.Config) { c.Timeout = 100 * time.Millisecond })
	require.NoError(t, a.auth.Start(t.Context()))
	provider.Delay(time.Minute)
	defer provider.Delay(0)
	requireError(t, a.post(browser(), tokenRoute, "refresh_token", "x"), http.StatusServiceUnavailable, "temporarily_unavailable")
}

func TestClientAuthenticationAtTheProvider(t *testing.T) {
	for name, row := range map[string]struct {
		options oidctest.Options
		auth    core.ClientAuth
		basic   bool
		form    string
	}{
		"client_secret_basic": {oidctest.Options{ClientID: "my app:1", ClientSecret: "s%cret +"}, "", true, ""},
		"client_secret_post":  {oidctest.Options{ClientID: "my app:1", ClientSecret: "s%cret +"}, core.ClientSecretPost, false, "my app:1 s%cret +"},
		"public":              {oidctest.Options{ClientID: "my app:1", Public: true}, "", false, "my app:1 "},
	} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t, row.options)
			a := newApp(t, provider, func(c *core.Config) { c.Providers[0].ClientAuth = row.auth })
			for _, path := range []string{oidctest.TokenPath, oidctest.DeviceAuthorizationPath} {
				provider.Answer(path, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
					_ = r.ParseForm()
					_, _, basic := r.BasicAuth()
					if basic != row.basic {
						http.Error(w, "wrong way", http.StatusInternalServerError)
						return
					}
					sent := strings.TrimPrefix(fmt.Sprint(r.PostForm.Get("client_id"), " ", r.PostForm.Get("client_secret")), " ")
					if row.basic && (r.PostForm.Has("client_id") || r.PostForm.Has("client_secret")) || !row.basic && sent != row.form {
						http.Error(w, "twice, or wrong", http.StatusInternalServerError)
						return
					}
					real.ServeHTTP(w, r)
				})
			}
			body := a.signIn("alice")
			a.tokens(a.post(browser(), tokenRoute, "refresh_token", body.RefreshToken))
			got := a.post(browser(), "/auth/v2/device")
			require.Equal(t, http.StatusOK, got.StatusCode, got.body)
			code := got.json["device_code"].(string)
			requireError(t, a.post(browser(), tokenRoute, "device_code", code), http.StatusBadRequest, "authorization_pending")
			provider.Device(t, got.json["user_code"].(string), "bob", true)
			a.tokens(a.post(browser(), tokenRoute, "device_code", code))
		})
	}
}
