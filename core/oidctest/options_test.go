package oidctest_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/oidcgate/oidcgate/core/oidctest"
)

func TestUsersBringTheirOwnNamesAndClaims(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{Users: []oidctest.User{
		{Username: "carol", Password: "secret", Subject: "0b7e", Claims: map[string]any{
			"tenant": "acme", "email_verified": false, "preferred_username": "c.arol",
			"iss": "https://elsewhere.example", "sub": "other", "exp": 1,
		}},
		{Username: "dave"},
	}})
	got := tokens(t, p, "carol", nil)
	_, info := userinfo(t, p, got.AccessToken)
	for name, claims := range map[string]map[string]any{"access": claims(t, got.AccessToken), "id": claims(t, got.IDToken), "userinfo": info} {
		t.Log(name)
		subset(t, map[string]any{"sub": "0b7e", "tenant": "acme", "email_verified": false, "preferred_username": "c.arol"}, claims)
	}
	assert.Equal(t, p.Issuer, claims(t, got.AccessToken)["iss"], "claims of the protocol cannot be replaced")
	assert.Greater(t, claims(t, got.AccessToken)["exp"], float64(time.Now().Unix()))

	// Defaults: SignIn uses the password, so this holds it too.
	dave := tokens(t, p, "dave", nil)
	subset(t, map[string]any{"sub": "user-dave", "preferred_username": "dave"}, claims(t, dave.AccessToken))
}

func TestAPublicClientHasNoSecretAndMustUsePKCE(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{Public: true})
	assert.Empty(t, p.ClientSecret)
	assert.NotEmpty(t, p.SignIn(t, application(t, p), "alice").AccessToken)

	back := p.Authorize(t, nil, authorizeURL(p, nil), "alice")
	assert.Equal(t, "invalid_request", back.Query().Get("error"))
	assert.Equal(t, []any{"none"}, discovery(t, p)["token_endpoint_auth_methods_supported"])
	assert.NotContains(t, discovery(t, p), "introspection_endpoint")
}

func TestRedirectURIs(t *testing.T) {
	t.Parallel()
	allowed := func(p *oidctest.Provider, uri string) bool {
		t.Helper()
		r, err := http.NewRequest(http.MethodGet, authorizeURL(p, map[string]string{"redirect_uri": uri, "prompt": "none"}), nil)
		require.NoError(t, err)
		response, err := http.DefaultTransport.RoundTrip(r)
		require.NoError(t, err)
		response.Body.Close()
		return response.StatusCode == http.StatusSeeOther && strings.HasPrefix(response.Header.Get("Location"), uri+"?")
	}

	any := oidctest.New(t, oidctest.Options{})
	for _, uri := range []string{callback, "http://app.example/cb", "com.example.app:/callback"} {
		assert.True(t, allowed(any, uri), uri)
	}
	for _, uri := range []string{"", "/callback", callback + "#fragment"} {
		assert.False(t, allowed(any, uri), uri)
	}

	registered := oidctest.New(t, oidctest.Options{RedirectURIs: []string{callback, "http://127.0.0.1/cb", "http://localhost:1/cb"}})
	for _, uri := range []string{callback, "http://127.0.0.1/cb", "http://127.0.0.1:4711/cb", "http://localhost:4711/cb"} {
		assert.True(t, allowed(registered, uri), uri)
	}
	for _, uri := range []string{callback + "/", callback + "?a=b", "http://app.example/callback", "https://app.example:444/callback",
		"http://127.0.0.1:4711/other", "https://127.0.0.1/cb", "http://127.0.0.2/cb", "http://127.0.0.1.example/cb"} {
		assert.False(t, allowed(registered, uri), uri)
	}
}

func TestOpaqueTokensCanBeReadByTheProviderAlone(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{OpaqueTokens: true, Users: []oidctest.User{{Username: "eve", Subject: "urn:people:eve"}}})
	got := tokens(t, p, "eve", nil)
	assert.NotEqual(t, 2, strings.Count(got.AccessToken, "."), "it is no JWS")
	assert.Equal(t, "urn:people:eve", claims(t, got.IDToken)["sub"])
	status, info := userinfo(t, p, got.AccessToken)
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, "urn:people:eve", info["sub"])

	active := introspect(t, p, got.AccessToken)
	subset(t, map[string]any{"active": true, "sub": "urn:people:eve", "scope": "openid profile email", "client_id": "app"}, active)
	assert.Equal(t, http.StatusOK, post(t, p, oidctest.RevokePath, map[string]string{"token": got.AccessToken}).Status)
	assert.Equal(t, map[string]any{"active": false}, introspect(t, p, got.AccessToken))
}

func TestRefreshTokensStayTheSame(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	first := tokens(t, p, "alice", nil)
	for range 3 {
		got := refresh(t, p, first.RefreshToken)
		require.Equal(t, http.StatusOK, got.Status, got.Body)
		assert.Equal(t, first.RefreshToken, got.RefreshToken)
		assert.NotEqual(t, first.AccessToken, got.AccessToken)
		assert.Equal(t, claims(t, first.IDToken)["auth_time"], claims(t, got.IDToken)["auth_time"])
	}
	narrow := post(t, p, oidctest.TokenPath, map[string]string{"grant_type": "refresh_token", "refresh_token": first.RefreshToken, "scope": "email"})
	assert.Equal(t, "email", claims(t, narrow.AccessToken)["scope"])
	wide := post(t, p, oidctest.TokenPath, map[string]string{"grant_type": "refresh_token", "refresh_token": first.RefreshToken, "scope": "email orders"})
	assert.Equal(t, "invalid_scope", wide.Error)
	assert.Equal(t, "openid profile email", refresh(t, p, first.RefreshToken).Scope, "narrowing was for one token")
}

func TestStrictRefreshRotatesAndEndsTheFamilyOnReuse(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{StrictRefresh: true})
	first := tokens(t, p, "alice", nil)
	second := refresh(t, p, first.RefreshToken)
	third := refresh(t, p, second.RefreshToken)
	assert.Equal(t, http.StatusOK, third.Status)
	assert.NotEqual(t, first.RefreshToken, second.RefreshToken)
	other := tokens(t, p, "alice", nil)

	assert.Equal(t, "invalid_grant", refresh(t, p, first.RefreshToken).Error)
	assert.Equal(t, "invalid_grant", refresh(t, p, third.RefreshToken).Error, "the family has ended")
	assert.Equal(t, http.StatusOK, refresh(t, p, other.RefreshToken).Status, "other families have not")
}

func TestStrictRefreshLetsOneOfManyWin(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{StrictRefresh: true})
	token := tokens(t, p, "alice", nil).RefreshToken
	won := make(chan bool)
	for range 8 {
		go func() {
			answer, err := http.PostForm(p.Issuer+oidctest.TokenPath, url.Values{
				"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {p.ClientID}, "client_secret": {p.ClientSecret}})
			if err == nil {
				answer.Body.Close()
			}
			won <- err == nil && answer.StatusCode == http.StatusOK
		}()
	}
	winners := 0
	for range 8 {
		if <-won {
			winners++
		}
	}
	assert.Equal(t, 1, winners)
}

func TestLifetimes(t *testing.T) {
	t.Parallel()
	lives := func(token string) time.Duration {
		c := claims(t, token)
		return time.Duration(c["exp"].(float64)-c["iat"].(float64)) * time.Second
	}
	standard := tokens(t, oidctest.New(t, oidctest.Options{}), "alice", nil)
	assert.InDelta(t, 5*time.Minute, lives(standard.AccessToken), float64(time.Second))
	assert.InDelta(t, time.Hour, lives(standard.IDToken), float64(time.Second))
	assert.InDelta(t, 86400, standard.RefreshExpiresIn, 2)

	own := tokens(t, oidctest.New(t, oidctest.Options{
		AccessTokenLifetime: time.Minute, IDTokenLifetime: 1e5 * time.Hour, RefreshTokenLifetime: time.Hour,
	}), "alice", nil)
	assert.InDelta(t, time.Minute, lives(own.AccessToken), float64(time.Second))
	assert.InDelta(t, 1e5*time.Hour, lives(own.IDToken), float64(time.Second))
	assert.InDelta(t, 60, own.ExpiresIn, 2)
	assert.InDelta(t, 3600, own.RefreshExpiresIn, 2)

	expired := oidctest.New(t, oidctest.Options{AccessTokenLifetime: -time.Hour, IDTokenLifetime: -time.Hour, RefreshTokenLifetime: -time.Hour})
	got := tokens(t, expired, "alice", nil)
	assert.Zero(t, got.ExpiresIn)
	assert.Less(t, claims(t, got.IDToken)["exp"], float64(time.Now().Unix()))
	status, _ := userinfo(t, expired, got.AccessToken)
	assert.Equal(t, http.StatusUnauthorized, status)
	assert.Equal(t, map[string]any{"active": false}, introspect(t, expired, got.AccessToken))
	assert.Equal(t, "invalid_grant", refresh(t, expired, got.RefreshToken).Error)
}

func TestTheAudienceIsThatOfAccessTokensAlone(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{Audience: []string{"orders", "billing"}})
	got := tokens(t, p, "alice", nil)
	assert.Equal(t, []any{"orders", "billing"}, claims(t, got.AccessToken)["aud"])
	assert.Equal(t, []any{"app"}, claims(t, got.IDToken)["aud"])
}

func TestTokensAreSignedWithTheAlgorithmThatWasChosen(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"RS256", "ES256"} {
		p := oidctest.New(t, oidctest.Options{SigningAlgorithm: algorithm})
		got := tokens(t, p, "alice", nil)
		for _, token := range []string{got.AccessToken, got.IDToken} {
			assert.Equal(t, algorithm, header(t, token)["alg"])
			assert.True(t, signed(t, p, token), algorithm)
		}
		assert.Equal(t, []any{algorithm}, discovery(t, p)["id_token_signing_alg_values_supported"])
		status, _ := userinfo(t, p, got.AccessToken)
		assert.Equal(t, http.StatusOK, status, algorithm)
		back := p.Authorize(t, nil, authorizeURL(p, map[string]string{"id_token_hint": got.IDToken}), "alice")
		assert.NotEmpty(t, back.Query().Get("code"), algorithm)
	}
}

func TestTheIssuerMayBeAnotherAddress(t *testing.T) {
	t.Parallel()
	// A proxy that people reach the provider through.
	var target *url.URL
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }})
	t.Cleanup(proxy.Close)
	p := oidctest.New(t, oidctest.Options{Issuer: proxy.URL + "/realms/test/"})
	var err error
	target, err = url.Parse(p.URL())
	require.NoError(t, err)

	assert.Equal(t, proxy.URL+"/realms/test", p.Issuer)
	assert.NotEqual(t, p.Issuer, p.URL())
	assert.Equal(t, p.Issuer, discovery(t, p)["issuer"])
	assert.Equal(t, p.Issuer+oidctest.TokenPath, discovery(t, p)["token_endpoint"])
	assert.Equal(t, p.Issuer, claims(t, p.SignIn(t, application(t, p), "alice").IDToken)["iss"])
	assert.Equal(t, p.Issuer, fetch(t, p.URL()+oidctest.DiscoveryPath)["issuer"], "a proxy may leave the path off")
	assert.Equal(t, 3, p.Requests(oidctest.DiscoveryPath))
}

func TestTheIssuerNeedNotBeReachable(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{Issuer: "https://login.example"})
	back := p.Authorize(t, nil, authorizeURL(p, nil), "alice")
	r, err := http.NewRequest(http.MethodPost, p.URL()+oidctest.TokenPath, strings.NewReader(url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {callback}}.Encode()))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(p.ClientID, p.ClientSecret)
	assert.Equal(t, "https://login.example", claims(t, send(t, r).IDToken)["iss"])
}

func TestAnIssuerThatIsAPathIsBelowTheAddress(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{Issuer: "/realms/test"})
	assert.Equal(t, p.URL()+"/realms/test", p.Issuer)
	assert.NotEmpty(t, p.SignIn(t, application(t, p), "alice").IDToken)
	device := post(t, p, oidctest.DeviceAuthorizationPath, nil)
	assert.Contains(t, device.Body, p.Issuer+oidctest.DevicePath)
}

func TestIssParameter(t *testing.T) {
	t.Parallel()
	without := oidctest.New(t, oidctest.Options{})
	assert.NotContains(t, discovery(t, without), "authorization_response_iss_parameter_supported")
	p := oidctest.New(t, oidctest.Options{IssParameter: true})
	assert.Equal(t, true, discovery(t, p)["authorization_response_iss_parameter_supported"])
	assert.Equal(t, p.Issuer, p.Authorize(t, nil, authorizeURL(p, nil), "alice").Query().Get("iss"))
	refused := p.Authorize(t, nil, authorizeURL(p, map[string]string{"prompt": "none"}), "alice")
	assert.Equal(t, p.Issuer, refused.Query().Get("iss"), "in errors too")
}

func TestStartSaysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := oidctest.Start("127.0.0.1:0", oidctest.Options{
		Public: true, ClientSecret: "secret", SigningAlgorithm: "HS256", RedirectURIs: []string{"/callback"}, Issuer: "login.example",
		Users: []oidctest.User{{}, {Username: "a"}, {Username: "a"}},
	})
	require.Error(t, err)
	for _, wrong := range []string{"ClientSecret", "HS256", "/callback", "login.example", "user 0 has no Username", `two users with the name "a"`} {
		assert.ErrorContains(t, err, wrong)
	}
	_, err = oidctest.Start("127.0.0.1:no", oidctest.Options{})
	assert.ErrorContains(t, err, "oidctest: ")
	assert.Contains(t, failure(t, func(tb testing.TB) { oidctest.New(tb, oidctest.Options{SigningAlgorithm: "HS256"}) }), "HS256")
}

func TestTheHostOfTheAddressIsThatOfTheIssuer(t *testing.T) {
	t.Parallel()
	for addr, host := range map[string]string{"127.0.0.1:0": "127.0.0.1", "localhost:0": "localhost", ":0": "localhost", "0.0.0.0:0": "localhost"} {
		p, err := oidctest.Start(addr, oidctest.Options{})
		require.NoError(t, err, addr)
		assert.True(t, strings.HasPrefix(p.Issuer, "http://"+host+":"), "%s: %s", addr, p.Issuer)
		assert.Equal(t, p.Issuer, p.URL())
		assert.Equal(t, p.Issuer, discovery(t, p)["issuer"])
		assert.NoError(t, p.Close())
		assert.NoError(t, p.Close(), "closing again does nothing")
	}
}

func TestDeviceIntervals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		interval  time.Duration
		announced int64
		second    string
	}{
		"standard": {0, 5, "slow_down"},
		"own":      {90 * time.Second, 90, "slow_down"},
		"short":    {time.Nanosecond, 1, "authorization_pending"},
		"none":     {-1, 1, "authorization_pending"},
	} {
		p := oidctest.New(t, oidctest.Options{Public: true, DeviceInterval: c.interval})
		device, err := config(p, "").DeviceAuth(t.Context())
		require.NoError(t, err, name)
		assert.Equal(t, c.announced, device.Interval, name)
		assert.Equal(t, "authorization_pending", poll(t, p, device).Error, name)
		assert.Equal(t, c.second, poll(t, p, device).Error, name)
	}
}

func TestDeviceLifetime(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{Public: true, DeviceLifetime: -time.Second})
	device, err := config(p, "").DeviceAuth(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "expired_token", poll(t, p, device).Error)
	said := failure(t, func(tb testing.TB) { p.Device(tb, device.UserCode, "alice", true) })
	assert.Contains(t, said, "No device waits with this code")

	p = oidctest.New(t, oidctest.Options{Public: true, DeviceLifetime: time.Minute})
	device, err = config(p, "").DeviceAuth(t.Context())
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now().Add(time.Minute), device.Expiry, 5*time.Second)
}

func poll(t *testing.T, p *oidctest.Provider, device *oauth2.DeviceAuthResponse) reply {
	t.Helper()
	return post(t, p, oidctest.TokenPath, map[string]string{
		"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": device.DeviceCode})
}
