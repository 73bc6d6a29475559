package core_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

func TestTokenRedeemsACodeWithTheClientsOwnVerifier(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	verifier := oauth2.GenerateVerifier()
	begin := func() string {
		code, state := a.authorize(browser(), "alice", "redirect_uri", native, "state", "its own state",
			"code_challenge", challengeOf(verifier), "code_challenge_method", "S256")
		require.Equal(t, "its own state", state)
		return code
	}
	body := a.tokens(a.post(browser(), tokenRoute, "grant_type", "authorization_code", "client_id", "app",
		"code", begin(), "redirect_uri", native, "code_verifier", verifier))
	require.NotEmpty(t, body.AccessToken)

	for name, row := range map[string]struct {
		fields []string // besides the code
		code   string
	}{
		"another verifier":     {[]string{"redirect_uri", native, "code_verifier", oauth2.GenerateVerifier()}, "invalid_grant"},
		"another redirect_uri": {[]string{"redirect_uri", native + "2", "code_verifier", verifier}, "invalid_grant"},
		"our own callback":     {[]string{"redirect_uri", a.api + "/auth/v2/callback", "code_verifier", verifier}, "invalid_grant"},
		"redirect not allowed": {[]string{"redirect_uri", "https://evil.example.org/", "code_verifier", verifier}, "invalid_request"},
		"redirect_uri missing": {[]string{"code_verifier", verifier}, "invalid_request"},
		"verifier missing":     {[]string{"redirect_uri", native}, "invalid_request"},
		"verifier empty":       {[]string{"redirect_uri", native, "code_verifier", ""}, "invalid_request"},
		"verifier too short":   {[]string{"redirect_uri", native, "code_verifier", "abc"}, "invalid_request"},
		"verifier too long":    {[]string{"redirect_uri", native, "code_verifier", strings.Repeat("a", 129)}, "invalid_request"},
		"verifier malformed":   {[]string{"redirect_uri", native, "code_verifier", strings.Repeat("a", 43) + "!"}, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			requireError(t, a.post(browser(), tokenRoute, append(row.fields, "code", begin())...), http.StatusBadRequest, row.code)
		})
	}
}

// The provider checks PKCE too; here one that doesn't is tricked by a code of
// another login, and the nonce still finds it out.
func TestTokenRefusesAnotherLoginsCodeAtAProviderWithoutPKCE(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	announcesNoPKCE(provider)
	a := newApp(t, provider)
	verifier, injected := oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	code, _ := a.authorize(browser(), "alice", "redirect_uri", native, "code_challenge", challengeOf(verifier), "code_challenge_method", "S256")
	provider.Answer(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		_ = r.ParseForm()
		r.Form.Set("code_verifier", verifier)
		r.PostForm.Set("code_verifier", verifier)
		real.ServeHTTP(w, r)
	})
	got := a.post(browser(), tokenRoute, "code", code, "redirect_uri", native, "code_verifier", injected)
	requireError(t, got, http.StatusBadRequest, "invalid_grant")
	require.Contains(t, got.body, "another login")
}

func TestTokenRedeemsASealedStateAsThePythonClientDoes(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	code, state := a.authorize(browser(), "alice", "redirect_uri", native)
	_, verifier, found := strings.Cut("|"+state, "|")
	require.True(t, found)
	body := a.tokens(a.post(browser(), tokenRoute, "code", code, "redirect_uri", native, "code_verifier", verifier))
	require.Equal(t, "Bearer", body.TokenType)
}

func TestTokenRefusesASealedStateThatIsNotThisLogins(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	client := browser()
	code, state := a.authorize(client, "alice", "redirect_uri", native)
	_, callbackState := a.authorize(client, "alice")
	for name, row := range map[string]struct{ verifier, redirect string }{
		"another redirect_uri":                    {state, native + "2"},
		"a callback's state":                      {callbackState, native},
		"at the callback itself":                  {callbackState, a.api + "/auth/v2/callback"},
		"a client's own verifier at the callback": {strings.Repeat("v", 43), a.api + "/auth/v2/callback"},
		"a forged state":                          {"og1." + strings.Repeat("A", 200), native},
		"a state cut short":                       {state[:len(state)-1], native},
	} {
		t.Run(name, func(t *testing.T) {
			got := a.post(client, tokenRoute, "code", code, "redirect_uri", row.redirect, "code_verifier", row.verifier)
			requireError(t, got, http.StatusBadRequest, "invalid_grant")
		})
	}
	require.Zero(t, a.provider.Requests(oidctest.TokenPath), "no sealed state reached the provider, and the code is not spent")
	a.tokens(a.post(client, tokenRoute, "code", code, "redirect_uri", native, "code_verifier", state))

	code, state = a.authorize(client, "alice", "redirect_uri", native)
	a.clock.Add(10*time.Minute + time.Second)
	requireError(t, a.post(client, tokenRoute, "code", code, "redirect_uri", native, "code_verifier", state), http.StatusBadRequest, "invalid_grant")
}

func TestTokenBodyIsGolden(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	a.clock.Add(time.Unix(2000000000, 0).Sub(a.clock.Now()))
	for _, row := range []struct{ name, answer, want string }{
		{"the usual spelling",
			`{"access_token":"at","token_type":"bearer","expires_in":300,"refresh_token":"rt","refresh_expires_in":1800,"scope":"openid a"}`,
			`{"access_token":"at","token_type":"Bearer","expires":2000000300,"expires_in":300,"refresh_token":"rt","refresh_expires":2000001800,"refresh_expires_in":1800,"scope":"openid a"}`},
		{"numeric strings",
			`{"access_token":"at","expires_in":"300","refresh_token":"rt","refresh_expires_in":"1800"}`,
			`{"access_token":"at","token_type":"Bearer","expires":2000000300,"expires_in":300,"refresh_token":"rt","refresh_expires":2000001800,"refresh_expires_in":1800}`},
		{"expires",
			`{"access_token":"at","expires":2000000300,"refresh_token":"rt","refresh_expires":2000001800}`,
			`{"access_token":"at","token_type":"Bearer","expires":2000000300,"expires_in":300,"refresh_token":"rt","refresh_expires":2000001800,"refresh_expires_in":1800}`},
		{"exp",
			`{"access_token":"at","exp":"2000000300","refresh_token":"rt","refresh_exp":2000001800.0}`,
			`{"access_token":"at","token_type":"Bearer","expires":2000000300,"expires_in":300,"refresh_token":"rt","refresh_expires":2000001800,"refresh_expires_in":1800}`},
		{"expires_at",
			`{"access_token":"at","expires_at":2000000300,"refresh_token":"rt","refresh_expires_at":"2000001800"}`,
			`{"access_token":"at","token_type":"Bearer","expires":2000000300,"expires_in":300,"refresh_token":"rt","refresh_expires":2000001800,"refresh_expires_in":1800}`},
		{"a refresh expiry of 0 means unknown: 30 days",
			`{"access_token":"at","expires_in":300,"refresh_token":"rt","refresh_expires_in":0}`,
			`{"access_token":"at","token_type":"Bearer","expires":2000000300,"expires_in":300,"refresh_token":"rt","refresh_expires":2002592000,"refresh_expires_in":2592000}`},
		{"no expiry at all",
			`{"access_token":"at","refresh_token":"rt"}`,
			`{"access_token":"at","token_type":"Bearer","expires":2000000180,"expires_in":180,"refresh_token":"rt","refresh_expires":2002592000,"refresh_expires_in":2592000}`},
		{"a refresh without a new refresh token keeps the old one",
			`{"access_token":"at","expires_in":300}`,
			`{"access_token":"at","token_type":"Bearer","expires":2000000300,"expires_in":300,"refresh_token":"old","refresh_expires":2002592000,"refresh_expires_in":2592000}`},
		{"two spellings at once: the standard's goes first",
			`{"access_token":"at","expires_in":300,"expires":2000000999,"refresh_token":"rt","refresh_expires_in":1800,"refresh_expires":2000009999}`,
			`{"access_token":"at","token_type":"Bearer","expires":2000000300,"expires_in":300,"refresh_token":"rt","refresh_expires":2000001800,"refresh_expires_in":1800}`},
		{"expiries that are no numbers",
			`{"access_token":"at","expires_in":"NaN","expires":"soon","refresh_token":"rt","refresh_expires_in":[1]}`,
			`{"access_token":"at","token_type":"Bearer","expires":2000000180,"expires_in":180,"refresh_token":"rt","refresh_expires":2002592000,"refresh_expires_in":2592000}`},
		{"expiries that can't be",
			`{"access_token":"at","expires_in":-5,"refresh_token":"rt","refresh_expires_in":1e300}`,
			`{"access_token":"at","token_type":"Bearer","expires":2000000180,"expires_in":180,"refresh_token":"rt","refresh_expires":2002592000,"refresh_expires_in":2592000}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			fail(provider, oidctest.TokenPath, http.StatusOK, row.answer)
			got := a.post(browser(), tokenRoute, "refresh_token", "old")
			require.Equal(t, http.StatusOK, got.StatusCode, got.body)
			require.Equal(t, row.want+"\n", got.body)
		})
	}
	t.Run("a device login without a refresh token", func(t *testing.T) {
		code := a.post(browser(), deviceRoute).json["device_code"].(string)
		fail(provider, oidctest.TokenPath, http.StatusOK, `{"access_token":"at","expires_in":300}`)
		got := a.post(browser(), tokenRoute, "device_code", code)
		require.Equal(t, `{"access_token":"at","token_type":"Bearer","expires":2000000300,"expires_in":300,"refresh_expires":2000000300,"refresh_expires_in":300,"scope":"openid profile email offline_access"}`+"\n", got.body)
	})
}

func TestTokenRefreshesInBothSpellings(t *testing.T) {
	provider := newProvider(t, oidctest.Options{StrictRefresh: true})
	a := newApp(t, provider)
	first := a.signIn("alice")
	var sent string
	provider.Answer(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		_ = r.ParseForm()
		sent = r.PostForm.Encode()
		real.ServeHTTP(w, r)
	})
	second := a.tokens(a.post(browser(), tokenRoute, "grant_type", "refresh_token", "refresh_token", first.RefreshToken))
	require.NotContains(t, sent, "scope", "the configured scopes would widen a narrower grant")
	third := a.tokens(a.post(browser(), tokenRoute, "refresh-token", second.RefreshToken))
	require.NotEqual(t, first.RefreshToken, second.RefreshToken)
	require.NotEqual(t, second.RefreshToken, third.RefreshToken)
	require.Equal(t, core.EventRefresh, a.log.last(t).Kind)
	require.Equal(t, "user-alice", a.log.last(t).Subject)

	requireError(t, a.post(browser(), tokenRoute, "refresh_token", first.RefreshToken), http.StatusBadRequest, "invalid_grant")
	require.NotNil(t, a.log.last(t).Error)
	requireError(t, a.post(browser(), tokenRoute, "refresh_token", "x", "refresh-token", "y"), http.StatusBadRequest, "invalid_request")
	requireError(t, a.post(browser(), tokenRoute, "refresh_token", strings.Repeat("x", 16<<10+1)), http.StatusBadRequest, "invalid_request")
	requireError(t, a.post(browser(), tokenRoute, "refresh_token", "nö"), http.StatusBadRequest, "invalid_request")
}

func TestTokenTellsTheGrantFromItsField(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	for name, row := range map[string]struct {
		fields []string
		code   string
	}{
		"nothing":                       {nil, "invalid_request"},
		"only a verifier":               {[]string{"code_verifier", "x"}, "invalid_request"},
		"two":                           {[]string{"code", "x", "refresh_token", "y"}, "invalid_request"},
		"two, of which one is empty":    {[]string{"code", "", "refresh_token", "y"}, "invalid_grant"},
		"three":                         {[]string{"code", "x", "refresh-token", "y", "device-code", "z"}, "invalid_request"},
		"grant_type unknown":            {[]string{"grant_type", "password", "code", "x"}, "unsupported_grant_type"},
		"token exchange":                {[]string{"grant_type", "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token", "x"}, "unsupported_grant_type"},
		"client credentials":            {[]string{"grant_type", "client_credentials"}, "unsupported_grant_type"},
		"code grant without a code":     {[]string{"grant_type", "authorization_code", "code_verifier", "x"}, "invalid_request"},
		"refresh without a token":       {[]string{"grant_type", "refresh_token"}, "invalid_request"},
		"polling without a code":        {[]string{"grant_type", deviceType}, "invalid_request"},
		"a grant, and another field":    {[]string{"grant_type", "refresh_token", "refresh_token", "x", "code", "y"}, "invalid_request"},
		"a grant, another one's field":  {[]string{"grant_type", "authorization_code", "code", "x", "redirect_uri", native, "code_verifier", strings.Repeat("v", 43), "device_code", "y"}, "invalid_request"},
		"code grant, a foreign field":   {[]string{"grant_type", "authorization_code", "refresh_token", "x"}, "invalid_request"},
		"grant_type repeated":           {[]string{"grant_type", "refresh_token", "grant_type", "refresh_token", "refresh_token", "x"}, "invalid_request"},
		"refresh token of nobody":       {[]string{"refresh_token", "x"}, "invalid_grant"},
		"refresh token, resource twice": {[]string{"refresh_token", "x", "resource", "a", "resource", "b"}, "invalid_grant"},
		"device code of nobody":         {[]string{"device_code", "x"}, "invalid_grant"},
		"code too long":                 {[]string{"code", strings.Repeat("x", 4097), "code_verifier", strings.Repeat("v", 43)}, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			requireError(t, a.post(browser(), tokenRoute, row.fields...), http.StatusBadRequest, row.code)
		})
	}
}

func TestTokenReadsTheFormBodyOnly(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	const form = "application/x-www-form-urlencoded"
	for name, row := range map[string]struct {
		path, body, contentType string
		status                  int
	}{
		"in the query":       {tokenRoute + "?refresh_token=x", "", "", 400},
		"JSON":               {tokenRoute, `{"refresh_token":"x"}`, "application/json", 415},
		"multipart":          {tokenRoute, "--x\r\n\r\n--x--", "multipart/form-data; boundary=x", 415},
		"no type":            {tokenRoute, "refresh_token=x", "", 415},
		"a type of nonsense": {tokenRoute, "refresh_token=x", ";;;", 415},
		"malformed":          {tokenRoute, "refresh_token=%zz", form, 400},
		"with a semicolon":   {tokenRoute, "refresh_token=x;y=z", form, 400},
		"64 KiB":             {tokenRoute, "x=" + strings.Repeat("a", 64<<10-2), form, 400},
		"more than 64 KiB":   {tokenRoute, "x=" + strings.Repeat("a", 64<<10-1), form, 413},
		"with a charset":     {tokenRoute, "refresh_token=x", form + "; charset=utf-8", 400},
	} {
		t.Run(name, func(t *testing.T) {
			got := a.postBody(browser(), row.path, row.body, row.contentType)
			code := "invalid_request"
			if name == "with a charset" {
				code = "invalid_grant"
			}
			requireError(t, got, row.status, code)
		})
	}
}

func TestTokenRefusesCredentialsOfAnotherClient(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{ClientID: "app:one", ClientSecret: "se cret&value"}))
	refresh := a.signIn("alice").RefreshToken
	for name, row := range map[string]struct {
		basic  []string // as the header carries them
		fields []string
		valid  bool
	}{
		"none":                     {nil, nil, true},
		"our id":                   {nil, []string{"client_id", "app:one"}, true},
		"our id and secret":        {nil, []string{"client_id", "app:one", "client_secret", "se cret&value"}, true},
		"Basic, our id":            {[]string{"app%3Aone", ""}, nil, true},
		"Basic, our id and secret": {[]string{"app%3Aone", "se+cret%26value"}, nil, true},
		"another id":               {nil, []string{"client_id", "other"}, false},
		"a wrong secret":           {nil, []string{"client_id", "app:one", "client_secret", "guess"}, false},
		"a wrong secret alone":     {nil, []string{"client_secret", "guess"}, false},
		"Basic, another id":        {[]string{"other", ""}, nil, false},
		"Basic, a wrong secret":    {[]string{"app%3Aone", "guess"}, nil, false},
		"Basic, malformed":         {[]string{}, nil, false},
		"Basic, not form-encoded":  {[]string{"%zz", ""}, nil, false},
		"Basic right, form wrong":  {[]string{"app%3Aone", ""}, []string{"client_id", "other"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			req := httptest.NewRequest(http.MethodPost, a.api+tokenRoute, strings.NewReader(form(append(row.fields, "refresh_token", refresh)...).Encode()))
			req.RequestURI = ""
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if row.basic != nil && len(row.basic) == 0 {
				req.Header.Set("Authorization", "basic !!!!")
			} else if row.basic != nil {
				req.SetBasicAuth(row.basic[0], row.basic[1])
			}
			got := a.do(browser(), req)
			if row.valid {
				a.tokens(got)
				return
			}
			requireError(t, got, http.StatusUnauthorized, "invalid_client")
			require.Equal(t, row.basic != nil && name != "Basic right, form wrong", got.Header.Get("WWW-Authenticate") == `Basic realm="oidcgate"`)
		})
	}
}
