package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestAnOutageIsLoggedWhenItBeginsAndWhenItIsOver(t *testing.T) {
	provider := newProvider(t, oidctest.Options{OpaqueTokens: true})
	a := newApp(t, provider, func(c *core.Config) { c.Providers[0].Introspection, c.CacheSize = true, -1 })
	opaque := bearer(provider.AccessToken(t, "alice"))
	refresh := a.signIn("alice").RefreshToken
	guard := a.auth.Required()
	for at, ask := range map[string]func() answer{
		"token":  func() answer { return a.post(browser(), tokenRoute, "refresh_token", refresh) },
		"guards": func() answer { return serve(guard, opaque) },
	} {
		t.Run(at, func(t *testing.T) {
			fails, over := `"requests fail","at":"`+at, `"requests succeed again","at":"`+at
			for outage := 1; outage <= 2; outage++ {
				provider.Down(true)
				for range 20 {
					require.Equal(t, http.StatusServiceUnavailable, ask().StatusCode)
				}
				require.Len(t, a.log.lines(fails), outage)
				require.Contains(t, a.log.lines(fails)[0], `"level":"WARN"`)
				require.Contains(t, a.log.lines(fails)[0], "EOF", "the cause")
				provider.Down(false)
				require.Equal(t, http.StatusOK, ask().StatusCode)
				require.Len(t, a.log.lines(over), outage-1, "it may come back at once")
				a.clock.Add(time.Minute)
				require.Equal(t, http.StatusOK, ask().StatusCode)
				require.Len(t, a.log.lines(over), outage)
				require.Contains(t, a.log.lines(over)[0], `"failures":20`)
			}
		})
	}
}

// One that fails now and then, or for some users, is one trouble.
func TestSuccessesBetweenFailuresAreNoEndOfAnOutage(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	refresh := a.signIn("alice").RefreshToken
	for range 20 {
		fail(provider, oidctest.TokenPath, http.StatusInternalServerError, "")
		requireError(t, a.post(browser(), tokenRoute, "refresh_token", refresh), http.StatusBadGateway, "server_error")
		provider.Answer(oidctest.TokenPath, nil)
		a.tokens(a.post(browser(), tokenRoute, "refresh_token", refresh))
		a.clock.Add(50 * time.Second)
	}
	require.Len(t, a.log.lines("requests fail"), 1)
	require.Contains(t, a.log.lines("requests fail")[0], `"level":"ERROR"`, "it doesn't mend itself")
	require.Empty(t, a.log.lines("requests succeed again"))

	fail(provider, oidctest.TokenPath, http.StatusServiceUnavailable, "")
	require.Equal(t, http.StatusServiceUnavailable, a.post(browser(), tokenRoute, "refresh_token", refresh).StatusCode)
	require.Len(t, a.log.lines("requests fail"), 2, "another reason is told by itself")
}

func TestACallerWhoGoesAwayIsNoOutage(t *testing.T) {
	provider := newProvider(t, oidctest.Options{OpaqueTokens: true})
	a := newApp(t, provider, func(c *core.Config) { c.Providers[0].Introspection, c.CacheSize, c.Timeout = true, -1, time.Hour })
	require.NoError(t, a.auth.Start(t.Context()))
	opaque := bearer(provider.AccessToken(t, "alice"))
	for name, row := range map[string]struct {
		path string
		ask  func(*http.Request)
	}{
		"route": {oidctest.TokenPath, func(r *http.Request) {
			a.mux.ServeHTTP(httptest.NewRecorder(), r)
		}},
		"guard": {oidctest.IntrospectPath, func(r *http.Request) {
			a.auth.Required().Handler(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, hangUp := context.WithCancel(t.Context())
			release := make(chan struct{})
			provider.Answer(row.path, func(http.ResponseWriter, *http.Request, http.Handler) {
				hangUp()
				<-release
			})
			defer provider.Answer(row.path, nil)
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/api"+tokenRoute, strings.NewReader(form("refresh_token", "x").Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			name, value, _ := strings.Cut(opaque, ": ")
			r.Header.Set(name, value)
			row.ask(r)
			close(release)
			require.Empty(t, a.log.lines("requests fail"))
			require.Equal(t, core.StateGood, a.auth.Health().Provider.State)
		})
	}
}

func TestAnIdentifyThatFailsIsLoggedOnce(t *testing.T) {
	var broken error
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(context.Context, *core.Identity) error { return broken }))
	for _, broken = range []error{errors.New("the directory is down"), core.ErrInvalidRequest, core.ErrUnavailable} {
		before := len(a.log.lines(`"requests fail","at":"Broker.Identify`))
		for range 5 {
			require.GreaterOrEqual(t, a.codeLogin("alice").StatusCode, 400)
		}
		require.Len(t, a.log.lines(`"requests fail","at":"Broker.Identify`), before+1, "%v", broken)
		a.clock.Add(time.Minute)
		broken = core.Refuse("Only our staff may sign in.") // which it can tell again
		require.Equal(t, http.StatusForbidden, a.codeLogin("alice").StatusCode)
		require.Len(t, a.log.lines(`"requests succeed again","at":"Broker.Identify`), before+1)
	}
}

// Without a broker, any logout with a made-up refresh token asks the provider.
func TestNoStrangerFillsTheLogByRevocations(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	logout := func() {
		for range 20 {
			got := a.post(browser(), "/auth/v2/logout", "refresh_token", "one that somebody has made up")
			require.Equal(t, http.StatusFound, got.StatusCode, got.body)
		}
	}
	before := len(a.log.lines(""))
	fail(a.provider, oidctest.RevokePath, http.StatusBadRequest, `{"error":"invalid_request","error_description":"What is that?"}`)
	logout()
	require.Len(t, a.log.lines(""), before)
	fail(a.provider, oidctest.RevokePath, http.StatusInternalServerError, "")
	logout()
	require.Len(t, a.log.lines(""), before+1)
	require.Len(t, a.log.lines("the provider's revocation endpoint"), 1)
}

// What a callback says of the provider is in a URL that its browser may have made up.
func TestTheLogTellsWhatOnlyABrowserHasSaid(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	client := browser()
	state := a.begin(client).Get("state")
	got := a.get(client, "/auth/v2/callback?"+form("state", state, "error", "invalid_client", "error_description", "The secret has expired").Encode())
	requireError(t, got, http.StatusBadGateway, "server_error")
	require.Len(t, a.log.lines("from the URL of a browser, which any visitor can make up: the provider says invalid_client"), 1)
}

// The operator must learn why everybody is refused, and not once per request.
func TestTheLogTellsOfAValidTokenForAnotherAudience(t *testing.T) {
	provider := newProvider(t, oidctest.Options{AccessTokenLifetime: 24 * time.Hour})
	a := newApp(t, provider, func(c *core.Config) { c.Providers[0].Audiences = []string{"orders"} })
	const said = "a valid token was rejected: it is meant for another audience"
	raw := provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"aud": []string{"other", "account"}, "azp": "app"}))
	refuse := func(raw string) {
		requireError(t, serve(a.auth.Required(), bearer(raw)), http.StatusUnauthorized, "invalid_token")
	}
	refuse(raw[:len(raw)-8] + "AAAAAAAA")
	require.Empty(t, a.log.lines(said), "strangers can't use it up")
	for range 10 {
		refuse(raw)
	}
	require.Len(t, a.log.lines(said), 1)
	for _, part := range []string{"Provider.Audiences", "orders", "other account", "app"} {
		require.Contains(t, a.log.lines(said)[0], part)
	}
	a.clock.Add(time.Hour)
	refuse(raw)
	require.Len(t, a.log.lines(said), 2)

	opaque := newApp(t, provider, introspecting)
	introspects(provider, `{"active":true,"scope":"a","sub":"alice","aud":"other"}`)
	requireError(t, serve(opaque.auth.Required(), bearer("an-opaque-token")), http.StatusUnauthorized, "invalid_token")
	require.Len(t, opaque.log.lines(said), 1)
}

// A line of the log is as long as what it tells, whatever a stranger writes.
func TestAStrangersIssuerMakesNoLongLogLine(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	for _, iss := range []string{strings.Repeat("\x00", 230), strings.Repeat("🎉", 230), strings.Repeat(`\"`, 230), strings.Repeat("\u2028", 5000), strings.Repeat("<", 230)} {
		_, err := a.auth.Required().Check(t.Context(), core.Request{Authorization: []string{"Bearer " + provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"iss": iss}))}})
		require.ErrorIs(t, err, core.ErrInvalidToken)
		text, _ := json.Marshal(a.log.last(t).Error.Error())
		require.Less(t, len(text), 320+5*200*strings.Count(iss, "<")/230, "%s", text)
	}
}
