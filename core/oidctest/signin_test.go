package oidctest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/oidcgate/oidcgate/core/oidctest"
)

func TestSignInWalksThroughTheLoginOfAnApplication(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	got := p.SignIn(t, application(t, p), "alice")

	assert.Equal(t, "Bearer", got.TokenType)
	assert.NotEmpty(t, got.RefreshToken, "without offline_access too")
	assert.Equal(t, "openid profile email", got.Scope)
	assert.InDelta(t, 300, got.ExpiresIn, 2)
	assert.InDelta(t, time.Now().Unix()+300, got.Expires, 5)
	assert.True(t, signed(t, p, got.AccessToken))
	assert.True(t, signed(t, p, got.IDToken))
	subset(t, map[string]any{
		"iss": p.Issuer, "sub": "user-alice", "aud": []any{"app"}, "client_id": "app", "azp": "app", "typ": "Bearer",
		"scope": "openid profile email", "preferred_username": "alice", "email": "alice@example.com", "email_verified": true,
		"realm_access": map[string]any{"roles": []any{"admin", "user"}}, "groups": []any{"admin", "users"},
	}, claims(t, got.AccessToken))
	assert.Equal(t, p.KeyID(t), header(t, got.AccessToken)["kid"])
}

func TestSignInSaysWhatWentWrongAndWhere(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	answers := func(h http.HandlerFunc) string {
		app := httptest.NewServer(h)
		t.Cleanup(app.Close)
		return app.URL
	}
	login := application(t, p)
	signIn := func(login, user string) string {
		return failure(t, func(tb testing.TB) { p.SignIn(tb, login, user) })
	}

	assert.Contains(t, signIn(login, "carol"), `there is no user "carol", only alice, bob`)
	missing := signIn(answers(http.NotFound)+"/login", "alice")
	assert.Contains(t, missing, "/login answers 404: 404 page not found, where a redirect to the provider was expected")
	assert.Contains(t, signIn(p.Issuer+oidctest.AuthorizePath+"?client_id=other", "alice"), "There is no client with this client_id. other")
	back := answers(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/callback" {
			http.Error(w, "no session", http.StatusForbidden)
			return
		}
		http.Redirect(w, r, authorizeURL(p, map[string]string{"redirect_uri": "http://" + r.Host + "/callback"}), http.StatusFound)
	})
	assert.Contains(t, signIn(back, "alice"), "answers 403: no session, where a token answer was expected")
	around := answers(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) })
	assert.Contains(t, signIn(around, "alice"), "no end after 20 requests")
	assert.Contains(t, failure(t, func(tb testing.TB) { p.Authorize(tb, &http.Client{}, login, "alice") }), "no cookie jar")
}

func TestAuthorizeStopsBeforeTheRedirectURI(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	back := p.Authorize(t, nil, authorizeURL(p, map[string]string{"redirect_uri": callback + "?tenant=7"}), "bob")
	assert.Equal(t, "https://app.example/callback", back.Scheme+"://"+back.Host+back.Path)
	assert.Equal(t, "7", back.Query().Get("tenant"), "what the redirect URI had stays")
	assert.Equal(t, "the state", back.Query().Get("state"))
	assert.NotEmpty(t, back.Query().Get("code"))
	assert.False(t, back.Query().Has("iss"))

	// The client carries the application's cookies to the callback.
	client := browser(t)
	back = p.Authorize(t, client, application(t, p), "bob")
	response, err := client.Get(back.String())
	require.NoError(t, err)
	response.Body.Close()
	assert.Equal(t, http.StatusOK, response.StatusCode)
}

func TestCodesAreForOneUseByTheirClientWithTheirRedirectURI(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	code := func() string { return p.Authorize(t, nil, authorizeURL(p, nil), "alice").Query().Get("code") }

	once := code()
	assert.Equal(t, http.StatusOK, redeem(t, p, once).Status)
	assert.Equal(t, "invalid_grant", redeem(t, p, once).Error)
	assert.Equal(t, "invalid_grant", redeem(t, p, "no code").Error)
	exchange := func(more map[string]string) reply {
		form := map[string]string{"grant_type": "authorization_code", "code": code(), "redirect_uri": callback}
		for name, value := range more {
			form[name] = value
		}
		return post(t, p, oidctest.TokenPath, form)
	}
	assert.Equal(t, "invalid_grant", exchange(map[string]string{"redirect_uri": callback + "/other"}).Error)
	wrong := exchange(map[string]string{"client_secret": "wrong"})
	assert.Equal(t, "invalid_client", wrong.Error)
	assert.Equal(t, http.StatusUnauthorized, wrong.Status)
	assert.Equal(t, "invalid_client", exchange(map[string]string{"client_id": "other"}).Error)
	assert.Equal(t, "unsupported_grant_type", exchange(map[string]string{"grant_type": "password"}).Error)
	assert.Equal(t, "invalid_request", exchange(map[string]string{"grant_type": ""}).Error)
}

func TestTheSecretMayBeInTheHeaderOrInTheForm(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{ClientID: "web client", ClientSecret: "päss&word+ %"})
	for name, style := range map[string]oauth2.AuthStyle{"header": oauth2.AuthStyleInHeader, "form": oauth2.AuthStyleInParams} {
		c := config(p, callback)
		c.Endpoint.AuthStyle = style
		verifier := oauth2.GenerateVerifier()
		back := p.Authorize(t, nil, c.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier)), "alice")
		token, err := c.Exchange(t.Context(), back.Query().Get("code"), oauth2.VerifierOption(verifier))
		require.NoError(t, err, name)
		assert.Equal(t, "web client", claims(t, token.AccessToken)["azp"], name)

		// The foreign client refreshes too, by itself.
		token.Expiry = time.Now().Add(-time.Hour)
		fresh, err := c.TokenSource(t.Context(), token).Token()
		require.NoError(t, err, name)
		assert.NotEqual(t, token.AccessToken, fresh.AccessToken, name)
	}
}

func TestThePKCEVerifierMustFitItsChallenge(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	c := config(p, callback)
	back := p.Authorize(t, nil, c.AuthCodeURL("state", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())), "alice")
	_, err := c.Exchange(t.Context(), back.Query().Get("code"), oauth2.VerifierOption(oauth2.GenerateVerifier()))
	var refused *oauth2.RetrieveError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, "invalid_grant", refused.ErrorCode)

	plain := p.Authorize(t, nil, authorizeURL(p, map[string]string{"code_challenge": "plain-challenge-of-no-great-length-at-all-1234", "code_challenge_method": "plain"}), "alice")
	assert.Equal(t, "invalid_request", plain.Query().Get("error"))
}

func TestIDTokensTellTheNonceTheAccessTokenAndTheTime(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	got := tokens(t, p, "alice", nil)
	digest := sha256.Sum256([]byte(got.AccessToken))
	id := claims(t, got.IDToken)
	subset(t, map[string]any{
		"iss": p.Issuer, "sub": "user-alice", "aud": []any{"app"}, "azp": "app", "nonce": "the nonce",
		"at_hash": base64.RawURLEncoding.EncodeToString(digest[:16]),
		"email":   "alice@example.com", "name": "Alice Liddell", "preferred_username": "alice",
	}, id)
	assert.InDelta(t, time.Now().Unix(), id["auth_time"], 5)
	assert.NotEmpty(t, id["sid"])

	assert.Empty(t, tokens(t, p, "alice", map[string]string{"scope": "orders"}).IDToken, "openid was not asked for")
}

func TestWhoeverIsSignedInAtTheProviderIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	client := browser(t)
	asked := func(more map[string]string, user string) (back *url.URL, pages int) {
		before := p.Requests(oidctest.LoginPath)
		back = p.Authorize(t, client, authorizeURL(p, more), user)
		return back, p.Requests(oidctest.LoginPath) - before
	}
	const onePage = 2 // a GET and a POST

	back, pages := asked(map[string]string{"prompt": "none"}, "alice")
	assert.Equal(t, "login_required", back.Query().Get("error"), "nobody is signed in yet")
	assert.Equal(t, "the state", back.Query().Get("state"))
	assert.Zero(t, pages)

	_, pages = asked(nil, "alice")
	assert.Equal(t, onePage, pages)
	back, pages = asked(nil, "bob")
	assert.Zero(t, pages)
	first := redeem(t, p, back.Query().Get("code"))
	assert.Equal(t, "user-alice", claims(t, first.IDToken)["sub"], "it is alice's browser")
	back, _ = asked(map[string]string{"prompt": "none", "max_age": "3600"}, "alice")
	silent := redeem(t, p, back.Query().Get("code"))
	assert.Equal(t, claims(t, first.IDToken)["sid"], claims(t, silent.IDToken)["sid"])

	_, pages = asked(map[string]string{"max_age": "0"}, "alice")
	assert.Equal(t, onePage, pages, "max_age is exceeded")
	back, _ = asked(map[string]string{"max_age": "0", "prompt": "none"}, "alice")
	assert.Equal(t, "login_required", back.Query().Get("error"))
	back, pages = asked(map[string]string{"prompt": "login"}, "alice")
	assert.Equal(t, onePage, pages)
	again := redeem(t, p, back.Query().Get("code"))
	assert.Equal(t, claims(t, first.IDToken)["sid"], claims(t, again.IDToken)["sid"], "the same person's session goes on")

	back, _ = asked(map[string]string{"prompt": "none", "id_token_hint": first.IDToken}, "alice")
	assert.Empty(t, back.Query().Get("error"))
	_, pages = asked(map[string]string{"prompt": "select_account"}, "bob")
	assert.Equal(t, onePage, pages)
	back, _ = asked(map[string]string{"prompt": "none", "id_token_hint": first.IDToken}, "bob")
	assert.Equal(t, "login_required", back.Query().Get("error"), "the hint is of somebody else")
	back, _ = asked(map[string]string{"prompt": "none login"}, "bob")
	assert.Equal(t, "invalid_request", back.Query().Get("error"))
}

func TestRequestsThatTheProviderDoesNotServeAreRefusedAtTheRedirectURI(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	for want, more := range map[string]map[string]string{
		"unsupported_response_type": {"response_type": "id_token"},
		"request_not_supported":     {"request": "e30.e30."},
		"request_uri_not_supported": {"request_uri": "https://app.example/request"},
		"invalid_request":           {"response_mode": "form_post"},
		"login_required":            {"id_token_hint": "e30.e30.e30"},
	} {
		back := p.Authorize(t, nil, authorizeURL(p, more), "alice")
		assert.Equal(t, want, back.Query().Get("error"))
		assert.Equal(t, "the state", back.Query().Get("state"))
	}
	for _, missing := range []string{"response_type", "scope"} {
		back := p.Authorize(t, nil, authorizeURL(p, map[string]string{missing: ""}), "alice")
		assert.Equal(t, "invalid_request", back.Query().Get("error"), missing)
	}
}

func TestTheLoginPageIsForPeople(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	client := browser(t)
	client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Host == "app.example" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	read := func(response *http.Response, err error) (*http.Response, string) {
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response, string(body)
	}
	page, body := read(client.Get(authorizeURL(p, map[string]string{"login_hint": `bob"><script>`})))
	login := page.Request.URL.String()
	assert.Equal(t, oidctest.LoginPath, page.Request.URL.Path)
	assert.Contains(t, body, "wonderland", "the demonstration users are shown with their passwords")
	assert.Contains(t, body, `value="bob&#34;&gt;&lt;script&gt;"`, "the hint is filled in")
	assert.NotRegexp(t, `(src|href)=`, body, "nothing is loaded from elsewhere")
	assert.Contains(t, page.Header.Get("Content-Security-Policy"), "default-src 'none'")

	wrong, body := read(client.PostForm(login, url.Values{"username": {"alice"}, "password": {"builder"}}))
	assert.Equal(t, http.StatusUnauthorized, wrong.StatusCode)
	assert.Contains(t, body, "Wrong user name or password")
	assert.Contains(t, body, `value="alice"`)

	cancelled, _ := read(client.PostForm(login, url.Values{"decision": {"cancel"}}))
	back, err := cancelled.Location()
	require.NoError(t, err)
	assert.Equal(t, "access_denied", back.Query().Get("error"))
	assert.Equal(t, "the state", back.Query().Get("state"))

	gone, body := read(client.PostForm(login, url.Values{"username": {"alice"}, "password": {"wonderland"}}))
	assert.Equal(t, http.StatusBadRequest, gone.StatusCode)
	assert.Contains(t, body, "expired or been answered")
}

func TestAccessTokenNeedsNoBrowser(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	token := p.AccessToken(t, "bob")
	assert.True(t, signed(t, p, token))
	subset(t, map[string]any{"sub": "user-bob", "scope": "openid profile email", "iss": p.Issuer}, claims(t, token))
	status, info := userinfo(t, p, token)
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, "bob@example.com", info["email"])
	assert.Equal(t, "orders:read", claims(t, p.AccessToken(t, "bob", "orders:read"))["scope"])
	assert.Zero(t, p.Requests(oidctest.TokenPath))
	assert.Contains(t, failure(t, func(tb testing.TB) { p.AccessToken(tb, "carol") }), `no user "carol"`)
}
