package oidctest_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oidcgate/oidcgate/core/oidctest"
)

func introspect(t *testing.T, p *oidctest.Provider, token string) map[string]any {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, p.Issuer+oidctest.IntrospectPath+"?token="+url.QueryEscape(token), nil)
	require.NoError(t, err)
	r.SetBasicAuth(p.ClientID, p.ClientSecret)
	got := send(t, r)
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	var answer map[string]any
	require.NoError(t, json.Unmarshal([]byte(got.Body), &answer))
	return answer
}

func TestDiscoveryAnnouncesWhatIsThereAndNoMore(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	document := discovery(t, p)
	subset(t, map[string]any{
		"issuer":                                p.Issuer,
		"authorization_endpoint":                p.Issuer + oidctest.AuthorizePath,
		"token_endpoint":                        p.Issuer + oidctest.TokenPath,
		"userinfo_endpoint":                     p.Issuer + oidctest.UserinfoPath,
		"jwks_uri":                              p.Issuer + oidctest.KeysPath,
		"introspection_endpoint":                p.Issuer + oidctest.IntrospectPath,
		"revocation_endpoint":                   p.Issuer + oidctest.RevokePath,
		"end_session_endpoint":                  p.Issuer + oidctest.EndSessionPath,
		"device_authorization_endpoint":         p.Issuer + oidctest.DeviceAuthorizationPath,
		"response_types_supported":              []any{"code"},
		"response_modes_supported":              []any{"query"},
		"grant_types_supported":                 []any{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"},
		"code_challenge_methods_supported":      []any{"S256"},
		"token_endpoint_auth_methods_supported": []any{"client_secret_basic", "client_secret_post"},
	}, document)
	assert.NotContains(t, document, "check_session_iframe")
	assert.NotContains(t, document, "registration_endpoint")
}

func TestUserinfoRefusesTokensThatWillNotDo(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	r, err := http.NewRequest(http.MethodGet, p.Issuer+oidctest.UserinfoPath, nil)
	require.NoError(t, err)
	missing := send(t, r)
	assert.Equal(t, http.StatusUnauthorized, missing.Status)
	assert.Equal(t, `Bearer realm="oidctest"`, missing.Header.Get("WWW-Authenticate"))

	foreign := oidctest.New(t, oidctest.Options{})
	for name, token := range map[string]string{
		"no token":      "nonsense",
		"another's":     foreign.AccessToken(t, "alice"),
		"never issued":  p.SignedToken(t, nil, p.Claims("alice", nil)),
		"wrongly so":    foreign.SignedToken(t, map[string]any{"kid": p.KeyID(t)}, p.Claims("alice", nil)),
		"not signed":    p.SignedToken(t, map[string]any{"alg": "none"}, p.Claims("alice", nil)),
		"without an id": p.SignedToken(t, nil, p.Claims("alice", map[string]any{"jti": nil})),
	} {
		r.Header.Set("Authorization", "Bearer "+token)
		got := send(t, r)
		assert.Equal(t, http.StatusUnauthorized, got.Status, name)
		assert.Contains(t, got.Header.Get("WWW-Authenticate"), `error="invalid_token"`, name)
	}
}

func TestRevocationEndsARefreshTokenAndWhatCameOfIt(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	got, other := tokens(t, p, "alice", nil), tokens(t, p, "alice", nil)
	later := refresh(t, p, got.RefreshToken)
	require.Equal(t, true, introspect(t, p, later.AccessToken)["active"])
	assert.Equal(t, http.StatusOK, post(t, p, oidctest.RevokePath, map[string]string{"token": got.RefreshToken}).Status)
	assert.Equal(t, "invalid_grant", refresh(t, p, got.RefreshToken).Error)
	for _, token := range []string{got.AccessToken, later.AccessToken} {
		assert.Equal(t, map[string]any{"active": false}, introspect(t, p, token))
	}
	assert.Equal(t, true, introspect(t, p, other.AccessToken)["active"])

	// An access token alone, and one that is none.
	assert.Equal(t, http.StatusOK, post(t, p, oidctest.RevokePath, map[string]string{"token": other.AccessToken, "token_type_hint": "access_token"}).Status)
	status, _ := userinfo(t, p, other.AccessToken)
	assert.Equal(t, http.StatusUnauthorized, status)
	assert.Equal(t, http.StatusOK, refresh(t, p, other.RefreshToken).Status)
	assert.Equal(t, http.StatusOK, post(t, p, oidctest.RevokePath, map[string]string{"token": "nonsense"}).Status)
	assert.Equal(t, "invalid_client", post(t, p, oidctest.RevokePath, map[string]string{"token": "nonsense", "client_secret": "wrong"}).Error)
}

func TestLogoutEndsTheSessionAndItsRefreshTokens(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	client, elsewhere := browser(t), browser(t)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	signIn := func(client *http.Client) reply {
		return redeem(t, p, p.Authorize(t, client, authorizeURL(p, nil), "alice").Query().Get("code"))
	}
	signedIn := func(client *http.Client) bool {
		back := p.Authorize(t, client, authorizeURL(p, map[string]string{"prompt": "none"}), "alice")
		return back.Query().Has("code")
	}
	logout := func(client *http.Client, query url.Values) *http.Response {
		response, err := client.Get(p.Issuer + oidctest.EndSessionPath + "?" + query.Encode())
		require.NoError(t, err)
		response.Body.Close()
		return response
	}
	here, there := signIn(client), signIn(elsewhere)

	response := logout(client, url.Values{"client_id": {p.ClientID}, "post_logout_redirect_uri": {"https://app.example/bye?a=b"}, "state": {"the state"}})
	assert.Equal(t, "https://app.example/bye?a=b&state=the+state", response.Header.Get("Location"))
	assert.False(t, signedIn(client))
	assert.Equal(t, "invalid_grant", refresh(t, p, here.RefreshToken).Error)
	assert.True(t, signedIn(elsewhere))
	assert.Equal(t, http.StatusOK, refresh(t, p, there.RefreshToken).Status)

	// The hint alone will do: no cookie comes along.
	response = logout(client, url.Values{"id_token_hint": {there.IDToken}})
	assert.Equal(t, http.StatusOK, response.StatusCode)
	assert.False(t, signedIn(elsewhere))
	assert.Equal(t, "invalid_grant", refresh(t, p, there.RefreshToken).Error)

	for name, query := range map[string]url.Values{
		"nobody's redirect": {"post_logout_redirect_uri": {"https://app.example/bye"}},
		"no URI":            {"post_logout_redirect_uri": {"/bye"}, "client_id": {p.ClientID}},
		"unknown client":    {"client_id": {"other"}},
		"bad hint":          {"id_token_hint": {"e30.e30.e30"}},
	} {
		assert.Equal(t, http.StatusBadRequest, logout(client, query).StatusCode, name)
	}
}
