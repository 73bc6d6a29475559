package oidctest_test

import (
	"bytes"
	"context"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oidcgate/oidcgate/core/oidctest"
)

func TestDownCutsEveryConnection(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	get := func() error {
		response, err := client.Get(p.Issuer + oidctest.DiscoveryPath)
		if err == nil {
			response.Body.Close()
		}
		return err
	}
	require.NoError(t, get())
	p.Down(true)
	before := p.Requests("")
	assert.Error(t, get(), "the connection from before is no good either")
	_, err := client.PostForm(p.Issuer+oidctest.TokenPath, nil)
	assert.Error(t, err)
	assert.Greater(t, p.Requests(""), before, "the requests did arrive")
	assert.Contains(t, failure(t, func(tb testing.TB) { p.SignIn(tb, application(t, p), "alice") }), "EOF")
	p.Down(false)
	assert.NoError(t, get())
}

func TestDelayMakesAnswersLate(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	p.Delay(30 * time.Millisecond)
	start := time.Now()
	discovery(t, p)
	assert.GreaterOrEqual(t, time.Since(start), 30*time.Millisecond)

	p.Delay(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Issuer+oidctest.TokenPath, strings.NewReader("grant_type=refresh_token"))
	require.NoError(t, err)
	_, err = http.DefaultClient.Do(r)
	assert.ErrorIs(t, err, context.DeadlineExceeded)

	p.Delay(0)
	discovery(t, p)
	assert.Equal(t, 2, p.Requests(oidctest.DiscoveryPath))
	assert.Equal(t, 1, p.Requests(oidctest.TokenPath))
	assert.Equal(t, 3, p.Requests(""))
}

func TestARequestThatWaitsIsCutWhenTheProviderGoesDown(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	p.Delay(time.Hour)
	cut := make(chan error)
	go func() {
		_, err := http.Get(p.Issuer + oidctest.KeysPath)
		cut <- err
	}()
	require.Eventually(t, func() bool { return p.Requests(oidctest.KeysPath) > 0 }, 10*time.Second, time.Millisecond)
	p.Down(true)
	assert.Error(t, <-cut)
}

func TestCloseDoesNotWaitForADelay(t *testing.T) {
	t.Parallel()
	p, err := oidctest.Start("127.0.0.1:0", oidctest.Options{})
	require.NoError(t, err)
	p.Delay(time.Hour)
	cut := make(chan error)
	go func() {
		_, err := http.Get(p.Issuer + oidctest.KeysPath)
		cut <- err
	}()
	require.Eventually(t, func() bool { return p.Requests(oidctest.KeysPath) > 0 }, 10*time.Second, time.Millisecond)
	require.NoError(t, p.Close())
	assert.Error(t, <-cut)
}

func TestRotateKeysReplacesThePublishedKey(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"RS256", "ES256"} {
		p := oidctest.New(t, oidctest.Options{SigningAlgorithm: algorithm})
		old, kid := p.AccessToken(t, "alice"), p.KeyID(t)
		require.True(t, signed(t, p, old))
		p.RotateKeys()
		assert.NotEqual(t, kid, p.KeyID(t))
		assert.False(t, signed(t, p, old))
		assert.Len(t, fetch(t, p.Issuer+oidctest.KeysPath)["keys"], 1)
		assert.True(t, signed(t, p, p.AccessToken(t, "alice")))

		// The key itself is another, not just its id.
		assert.False(t, signed(t, p, resigned(t, old, p.KeyID(t))))
	}
}

func TestReplaceKeyKeepsTheNameOfTheKey(t *testing.T) {
	t.Parallel()
	for _, options := range []oidctest.Options{
		{}, {SigningAlgorithm: "ES256"}, {NoKeyIDs: true},
		{SigningAlgorithm: "ES256", Issuer: "http://127.0.0.1:1", Secret: "for this test"},
	} {
		p := oidctest.New(t, options)
		old, kid := p.AccessToken(t, "alice"), p.KeyID(t)
		p.ReplaceKey()
		assert.Equal(t, kid, p.KeyID(t))
		assert.Equal(t, options.NoKeyIDs, kid == "")
		_, named := header(t, p.AccessToken(t, "alice"))["kid"]
		assert.Equal(t, options.NoKeyIDs, !named)
		if options.Issuer == "" { // it can be asked
			assert.False(t, signed(t, p, old))
			assert.True(t, signed(t, p, p.AccessToken(t, "alice")))
			_, named = fetch(t, p.Issuer+oidctest.KeysPath)["keys"].([]any)[0].(map[string]any)["kid"]
			assert.Equal(t, options.NoKeyIDs, !named)
		}
		p.RotateKeys()
		assert.Equal(t, options.NoKeyIDs, kid == p.KeyID(t))
	}
}

// resigned is a token with another kid and its old signature.
func resigned(t *testing.T, token, kid string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	head := header(t, token)
	head["kid"] = kid
	return encode(t, head) + "." + parts[1] + "." + parts[2]
}

func TestProvidersDoNotShareKeys(t *testing.T) {
	t.Parallel()
	a, b := oidctest.New(t, oidctest.Options{}), oidctest.New(t, oidctest.Options{})
	key := func(p *oidctest.Provider) any {
		return fetch(t, p.Issuer+oidctest.KeysPath)["keys"].([]any)[0].(map[string]any)["n"]
	}
	seen := map[any]bool{}
	for range 3 {
		seen[key(a)], seen[key(b)] = true, true
		a.RotateKeys()
		b.RotateKeys()
	}
	assert.Len(t, seen, 6)
}

func TestEndSessionsEndsRefreshTokensAndSignsEverybodyOut(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	client := browser(t)
	got := redeem(t, p, p.Authorize(t, client, authorizeURL(p, nil), "alice").Query().Get("code"))
	unused := p.Authorize(t, client, authorizeURL(p, nil), "alice").Query().Get("code")
	p.EndSessions()
	assert.Equal(t, "invalid_grant", refresh(t, p, got.RefreshToken).Error)
	assert.Equal(t, "invalid_grant", redeem(t, p, unused).Error)
	back := p.Authorize(t, client, authorizeURL(p, map[string]string{"prompt": "none"}), "alice")
	assert.Equal(t, "login_required", back.Query().Get("error"))
	status, _ := userinfo(t, p, got.AccessToken)
	assert.Equal(t, http.StatusOK, status, "access tokens live on")
	assert.Equal(t, http.StatusOK, refresh(t, p, tokens(t, p, "alice", nil).RefreshToken).Status)
}

func TestAnswerTakesAnEndpointOver(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{Issuer: "/realms/test"})
	p.Answer(oidctest.DiscoveryPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		assert.Equal(t, oidctest.DiscoveryPath, r.URL.Path)
		recorded := httptest.NewRecorder()
		real.ServeHTTP(recorded, r)
		body := strings.Replace(recorded.Body.String(), `"issuer":"`+p.Issuer, `"issuer":"https://elsewhere.example`, 1)
		_, _ = w.Write([]byte(body))
	})
	p.Answer(oidctest.KeysPath, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(http.StatusTeapot) })
	document := discovery(t, p)
	assert.Equal(t, "https://elsewhere.example", document["issuer"])
	assert.Equal(t, p.Issuer+oidctest.TokenPath, document["token_endpoint"])
	r, err := http.NewRequest(http.MethodGet, p.Issuer+oidctest.KeysPath, nil)
	require.NoError(t, err)
	assert.Equal(t, http.StatusTeapot, send(t, r).Status)
	assert.Equal(t, 1, p.Requests(oidctest.KeysPath))

	p.Answer(oidctest.DiscoveryPath, nil)
	assert.Equal(t, p.Issuer, discovery(t, p)["issuer"])
	assert.Equal(t, http.StatusTeapot, send(t, r).Status, "the other stays")
}

func TestAProviderCanBeServedByAnotherServer(t *testing.T) {
	t.Parallel()
	var p *oidctest.Provider
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.ServeHTTP(w, r) }))
	t.Cleanup(secure.Close)
	p = oidctest.New(t, oidctest.Options{Issuer: secure.URL})
	response, err := secure.Client().Get(p.Issuer + oidctest.DiscoveryPath)
	require.NoError(t, err)
	response.Body.Close()
	assert.Equal(t, http.StatusOK, response.StatusCode)
	p.Down(true)
	_, err = secure.Client().Get(p.Issuer + oidctest.DiscoveryPath)
	assert.Error(t, err)
}

// Not parallel: it looks at all goroutines.
func TestNothingRunsOnAfterClose(t *testing.T) {
	p, err := oidctest.Start("127.0.0.1:0", oidctest.Options{})
	require.NoError(t, err)
	idle := &http.Transport{}
	response, err := (&http.Client{Transport: idle}).Get(p.Issuer + oidctest.KeysPath)
	require.NoError(t, err)
	response.Body.Close()
	p.Authorize(t, nil, authorizeURL(p, nil), "alice")
	p.Down(true)
	_, err = (&http.Client{Transport: idle}).Get(p.Issuer + oidctest.KeysPath)
	require.Error(t, err)
	require.NoError(t, p.Close())

	idle.CloseIdleConnections()
	var running string
	assert.Eventually(t, func() bool {
		stacks := make([]byte, 1<<20)
		running = string(stacks[:runtime.Stack(stacks, true)])
		return !strings.Contains(running, "net/http.")
	}, 10*time.Second, 5*time.Millisecond)
	if t.Failed() {
		t.Log("still running:\n", running)
	}
}

// Not parallel: it replaces the logger of the process.
func TestNothingIsLogged(t *testing.T) {
	var logged bytes.Buffer
	before, writer, flags := slog.Default(), log.Writer(), log.Flags()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer func() {
		slog.SetDefault(before)
		log.SetOutput(writer) // which slog has taken over
		log.SetFlags(flags)
	}()

	p := oidctest.New(t, oidctest.Options{StrictRefresh: true})
	got := tokens(t, p, "alice", nil)
	refresh(t, p, got.RefreshToken)
	refresh(t, p, got.RefreshToken)
	redeem(t, p, "no code")
	post(t, p, oidctest.TokenPath, map[string]string{"client_id": "other", "grant_type": "refresh_token"})
	post(t, p, oidctest.DeviceAuthorizationPath, map[string]string{"client_secret": "wrong"})
	post(t, p, oidctest.RevokePath, map[string]string{"client_secret": "wrong"})
	post(t, p, oidctest.IntrospectPath, nil)
	post(t, p, oidctest.EndSessionPath, map[string]string{"id_token_hint": "nonsense"})
	userinfo(t, p, "nonsense")
	p.Authorize(t, nil, authorizeURL(p, map[string]string{"prompt": "none"}), "alice")
	p.Authorize(t, nil, authorizeURL(p, map[string]string{"response_type": "token"}), "alice")
	assert.Empty(t, logged.String())
}
