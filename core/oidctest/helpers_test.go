package oidctest_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/oidcgate/oidcgate/core/oidctest"
)

const callback = "https://app.example/callback"

func config(p *oidctest.Provider, redirectURI string) *oauth2.Config {
	return &oauth2.Config{
		ClientID:     p.ClientID,
		ClientSecret: p.ClientSecret,
		RedirectURL:  redirectURI,
		Scopes:       []string{"openid", "profile", "email"},
		Endpoint: oauth2.Endpoint{
			AuthURL:       p.Issuer + oidctest.AuthorizePath,
			TokenURL:      p.Issuer + oidctest.TokenPath,
			DeviceAuthURL: p.Issuer + oidctest.DeviceAuthorizationPath,
			AuthStyle:     oauth2.AuthStyleInHeader,
		},
	}
}

// application is a web application that signs people in with x/oauth2. It
// returns the URL of its login route.
func application(t *testing.T, p *oidctest.Provider) string {
	t.Helper()
	var mu sync.Mutex
	verifiers := map[string]string{}
	mux := http.NewServeMux()
	app := httptest.NewServer(mux)
	t.Cleanup(app.Close)
	c := config(p, app.URL+"/callback")
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		verifier, state := oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
		mu.Lock()
		verifiers[state] = verifier
		mu.Unlock()
		http.SetCookie(w, &http.Cookie{Name: "state", Value: state, Path: "/"})
		http.Redirect(w, r, c.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier)), http.StatusFound)
	})
	mux.HandleFunc("/callback", func(w http.ResponseWriter, r *http.Request) {
		state := r.FormValue("state")
		mu.Lock()
		verifier := verifiers[state]
		mu.Unlock()
		if cookie, err := r.Cookie("state"); err != nil || cookie.Value != state {
			http.Error(w, "another browser's state", http.StatusBadRequest)
			return
		}
		token, err := c.Exchange(r.Context(), r.FormValue("code"), oauth2.VerifierOption(verifier))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"access_token": token.AccessToken, "refresh_token": token.RefreshToken, "token_type": token.TokenType,
			"expires_in": token.ExpiresIn, "expires": token.Expiry.Unix(), "id_token": token.Extra("id_token"), "scope": token.Extra("scope"),
		})
	})
	return app.URL + "/login"
}

// authorizeURL is an authorization request with these parameters added, or left
// out if they are empty.
func authorizeURL(p *oidctest.Provider, more map[string]string) string {
	query := url.Values{
		"client_id": {p.ClientID}, "redirect_uri": {callback}, "response_type": {"code"},
		"scope": {"openid profile email"}, "state": {"the state"}, "nonce": {"the nonce"},
	}
	for name, value := range more {
		if query.Set(name, value); value == "" {
			query.Del(name)
		}
	}
	return p.Issuer + oidctest.AuthorizePath + "?" + query.Encode()
}

// reply is an answer of a token endpoint or the like.
type reply struct {
	oidctest.Tokens
	Error            string      `json:"error"`
	ErrorDescription string      `json:"error_description"`
	Status           int         `json:"-"`
	Header           http.Header `json:"-"`
	Body             string      `json:"-"`
}

func send(t *testing.T, r *http.Request) reply {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	got := reply{Status: response.StatusCode, Header: response.Header, Body: string(body)}
	_ = json.Unmarshal(body, &got)
	return got
}

// post posts a form as the client of p, with the secret in the form.
func post(t *testing.T, p *oidctest.Provider, path string, form map[string]string) reply {
	t.Helper()
	values := url.Values{"client_id": {p.ClientID}}
	if p.ClientSecret != "" {
		values.Set("client_secret", p.ClientSecret)
	}
	for name, value := range form {
		values.Set(name, value)
	}
	r, err := http.NewRequest(http.MethodPost, p.Issuer+path, strings.NewReader(values.Encode()))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return send(t, r)
}

// tokens signs in and exchanges the code, with these parameters in the
// authorization request.
func tokens(t *testing.T, p *oidctest.Provider, user string, more map[string]string) reply {
	t.Helper()
	return redeem(t, p, p.Authorize(t, nil, authorizeURL(p, more), user).Query().Get("code"))
}

func redeem(t *testing.T, p *oidctest.Provider, code string) reply {
	t.Helper()
	return post(t, p, oidctest.TokenPath, map[string]string{"grant_type": "authorization_code", "code": code, "redirect_uri": callback})
}

func refresh(t *testing.T, p *oidctest.Provider, token string) reply {
	t.Helper()
	return post(t, p, oidctest.TokenPath, map[string]string{"grant_type": "refresh_token", "refresh_token": token})
}

func userinfo(t *testing.T, p *oidctest.Provider, token string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, p.Issuer+oidctest.UserinfoPath, nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	got := send(t, r)
	var claims map[string]any
	_ = json.Unmarshal([]byte(got.Body), &claims)
	return got.Status, claims
}

func discovery(t *testing.T, p *oidctest.Provider) map[string]any {
	t.Helper()
	return fetch(t, p.Issuer+oidctest.DiscoveryPath)
}

func fetch(t *testing.T, address string) map[string]any {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, address, nil)
	require.NoError(t, err)
	got := send(t, r)
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	var document map[string]any
	require.NoError(t, json.Unmarshal([]byte(got.Body), &document))
	return document
}

func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &http.Client{Jar: jar}
}

func part(t *testing.T, token string, n int) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3, "%q is no JWS", token)
	plain, err := base64.RawURLEncoding.DecodeString(parts[n])
	require.NoError(t, err)
	var object map[string]any
	require.NoError(t, json.Unmarshal(plain, &object))
	return object
}

func header(t *testing.T, token string) map[string]any { t.Helper(); return part(t, token, 0) }
func claims(t *testing.T, token string) map[string]any { t.Helper(); return part(t, token, 1) }

// signed tells whether a token is signed with a key that p publishes, by the
// standard library alone.
func signed(t *testing.T, p *oidctest.Provider, token string) bool {
	t.Helper()
	number := func(jwk map[string]any, name string) *big.Int {
		plain, err := base64.RawURLEncoding.DecodeString(jwk[name].(string))
		require.NoError(t, err)
		return new(big.Int).SetBytes(plain)
	}
	input := token[:strings.LastIndex(token, ".")]
	signature, err := base64.RawURLEncoding.DecodeString(token[len(input)+1:])
	require.NoError(t, err)
	digest := sha256.Sum256([]byte(input))
	for _, key := range fetch(t, p.Issuer+oidctest.KeysPath)["keys"].([]any) {
		jwk := key.(map[string]any)
		if jwk["kid"] != header(t, token)["kid"] {
			continue
		}
		if jwk["kty"] == "EC" {
			point := slices.Concat([]byte{4}, number(jwk, "x").FillBytes(make([]byte, 32)), number(jwk, "y").FillBytes(make([]byte, 32)))
			public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
			require.NoError(t, err)
			return len(signature) == 64 && ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
		}
		public := rsa.PublicKey{N: number(jwk, "n"), E: int(number(jwk, "e").Int64())}
		return rsa.VerifyPKCS1v15(&public, crypto.SHA256, digest[:], signature) == nil
	}
	return false
}

// failing is a test that the helpers of a provider may fail.
type failing struct {
	testing.TB
	message string
}

func (f *failing) Helper() {}
func (f *failing) Fatalf(format string, args ...any) {
	f.Fatal(fmt.Sprintf(format, args...))
}
func (f *failing) Fatal(args ...any) {
	f.message = fmt.Sprint(args...)
	panic(f)
}

// failure runs a helper that must fail, and returns what it says.
func failure(t *testing.T, run func(tb testing.TB)) string {
	t.Helper()
	f := &failing{TB: t}
	func() {
		defer func() {
			if r := recover(); r != nil && r != any(f) {
				panic(r)
			}
		}()
		run(f)
	}()
	require.NotEmpty(t, f.message, "the helper did not fail")
	return f.message
}

func subset(t *testing.T, want, got map[string]any) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		assert.Equal(t, want[name], got[name], name)
	}
}
