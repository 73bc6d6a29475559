package core_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// The routes and types of the OAuth messages that tests send.
const (
	tokenRoute    = "/auth/v2/token"
	deviceRoute   = "/auth/v2/device"
	logoutRoute   = "/auth/v2/logout"
	userinfoRoute = "/auth/v2/userinfo"

	deviceType      = "urn:ietf:params:oauth:grant-type:device_code"
	exchangeType    = "urn:ietf:params:oauth:grant-type:token-exchange"
	accessTokenType = "urn:ietf:params:oauth:token-type:access_token"
)

// callback is the path of the callback route, with a query of these fields.
func callback(fields ...string) string { return "/auth/v2/callback?" + form(fields...).Encode() }

// begin begins a login and gives the parameters of the authorization request.
func (a *app) begin(client *http.Client, fields ...string) url.Values {
	a.t.Helper()
	got := a.get(client, "/auth/v2/login?"+form(fields...).Encode())
	require.Equal(a.t, http.StatusFound, got.StatusCode, got.body)
	u, err := url.Parse(got.Header.Get("Location"))
	require.NoError(a.t, err)
	return u.Query()
}

// authorize walks through a login as the user until the code is there.
func (a *app) authorize(client *http.Client, user string, fields ...string) (code, state string) {
	a.t.Helper()
	u := a.provider.Authorize(a.t, client, a.api+"/auth/v2/login?"+form(fields...).Encode(), user)
	code, state = u.Query().Get("code"), u.Query().Get("state")
	require.NotEmpty(a.t, code, u.String())
	a.log.keep(code, state)
	return code, state
}

// pkce are the fields of a login whose client does PKCE itself.
func pkce(verifier string, fields ...string) []string {
	return append(fields, "redirect_uri", native, "code_challenge", challengeOf(verifier), "code_challenge_method", "S256")
}

// challengeOf is the S256 challenge of a verifier.
func challengeOf(verifier string) string { return oauth2.S256ChallengeFromVerifier(verifier) }

// codeLogin logs in as the Python client does, and gives the answer of the token
// route: a native login, whose sealed state is posted as the verifier.
func (a *app) codeLogin(user string) answer {
	a.t.Helper()
	code, state := a.authorize(browser(), user, "redirect_uri", native)
	return a.post(browser(), tokenRoute, "code", code, "redirect_uri", native, "code_verifier", state)
}

// callbackLogin gives the answer of the callback.
func (a *app) callbackLogin(user string) answer {
	a.t.Helper()
	client := browser()
	code, state := a.authorize(client, user)
	return a.get(client, callback("code", code, "state", state))
}

// deviceLogin logs a device in and gives the answer to its last poll.
func (a *app) deviceLogin(user string) answer {
	a.t.Helper()
	got := a.post(browser(), deviceRoute)
	require.Equal(a.t, http.StatusOK, got.StatusCode, got.body)
	a.provider.Device(a.t, got.json["user_code"].(string), user, true)
	return a.post(browser(), tokenRoute, "device_code", got.json["device_code"].(string))
}

// tokens are the fields of the token body.
type tokens struct {
	AccessToken      string `json:"access_token"`
	TokenType        string `json:"token_type"`
	Expires          int64  `json:"expires"`
	ExpiresIn        int64  `json:"expires_in"`
	RefreshToken     string `json:"refresh_token"`
	RefreshExpires   int64  `json:"refresh_expires"`
	RefreshExpiresIn int64  `json:"refresh_expires_in"`
	Scope            string `json:"scope"`
	IDToken          string `json:"id_token"`
}

// tokens reads the token body of an answer, which has to be one.
func (a *app) tokens(got answer) tokens {
	a.t.Helper()
	require.Equal(a.t, http.StatusOK, got.StatusCode, got.body)
	requireProtected(a.t, got)
	var body tokens
	require.NoError(a.t, json.Unmarshal([]byte(got.body), &body))
	a.log.keep(body.AccessToken, body.RefreshToken, body.IDToken)
	return body
}

// signIn gets the tokens of a codeLogin.
func (a *app) signIn(user string) tokens {
	a.t.Helper()
	return a.tokens(a.codeLogin(user))
}

// refresh posts a refresh token.
func (a *app) refresh(token string, fields ...string) answer {
	a.t.Helper()
	a.log.keep(token)
	return a.post(a.server.Client(), tokenRoute, append(fields, "grant_type", "refresh_token", "refresh_token", token)...)
}

// exchange exchanges a token of the provider.
func (a *app) exchange(subjectToken string, fields ...string) answer {
	a.t.Helper()
	a.log.keep(subjectToken)
	return a.post(browser(), tokenRoute, append(fields, "grant_type", exchangeType, "subject_token", subjectToken)...)
}

// subjectToken is an access token of the provider for alice, with some claims
// changed, that is valid for ten minutes.
func (a *app) subjectToken(claims map[string]any) string {
	all := map[string]any{"exp": a.clock.Now().Add(10 * time.Minute).Unix()}
	for name, value := range claims {
		all[name] = value
	}
	return a.provider.SignedToken(a.t, nil, a.provider.Claims("alice", all))
}

// bare is an access token, accepted by the provider too, in which the claims
// that name a user are missing.
func (a *app) bare(user string) string {
	claims := map[string]any{}
	for _, name := range []string{"preferred_username", "name", "given_name", "family_name", "email"} {
		claims[name] = nil
	}
	raw := resign(a.t, a.provider, a.provider.AccessToken(a.t, user), nil, claims)
	a.log.keep(raw)
	return raw
}

// logoutWith posts to the logout route with an access token.
func (a *app) logoutWith(accessToken string, fields ...string) answer {
	a.t.Helper()
	req, err := http.NewRequest(http.MethodPost, a.api+logoutRoute, strings.NewReader(form(fields...).Encode()))
	require.NoError(a.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if accessToken != "" {
		req.Header.Set("Authorization", "Bearer "+accessToken)
	}
	return a.do(browser(), req)
}

// hint is the id_token_hint of a logout's redirect to the provider.
func (a *app) hint(got answer) string {
	a.t.Helper()
	require.Equal(a.t, http.StatusFound, got.StatusCode, got.body)
	requireProtected(a.t, got)
	u, err := url.Parse(got.Header.Get("Location"))
	require.NoError(a.t, err)
	require.Equal(a.t, a.provider.Issuer+oidctest.EndSessionPath, "http://"+u.Host+u.Path)
	require.Equal(a.t, a.provider.ClientID, u.Query().Get("client_id"))
	return u.Query().Get("id_token_hint")
}

// ownNonces are the applications in which the nonce of such a login is ours.
func ownNonces(t *testing.T) map[string]*app {
	silent := newProvider(t, oidctest.Options{})
	announcesNoPKCE(silent)
	plain := newProvider(t, oidctest.Options{})
	tamper(plain, oidctest.DiscoveryPath, func(body map[string]any) { body["code_challenge_methods_supported"] = []string{"plain"} })
	return map[string]*app{
		"broker":                           newApp(t, newProvider(t, oidctest.Options{}), brokered()),
		"passthrough, without PKCE":        newApp(t, silent),
		"passthrough, another method only": newApp(t, plain),
	}
}
