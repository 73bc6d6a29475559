package core_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/store/memory"
	"github.com/stretchr/testify/require"
)

// inTwoTabs gives another browser with the cookies of the application of a first, as
// another tab has them.
func (a *app) inTwoTabs(client *http.Client) *http.Client {
	a.t.Helper()
	c := a.cookieOf(client)
	return a.withCookies(&http.Cookie{Name: c.Name, Value: c.Value})
}

func TestASessionEndsHereAtOnceAndElsewhereWhenGuardsForgetIt(t *testing.T) {
	ends := map[string]struct {
		reason string // "": it is a logout
		end    func(t *testing.T, a *app, client *http.Client, sid string)
	}{
		"logout in another tab": {"", func(t *testing.T, a *app, client *http.Client, _ string) {
			require.Equal(t, http.StatusFound, a.send(client, http.MethodPost, logoutRoute, []string{sameOrigin}).StatusCode)
		}},
		"Auth.Revoke": {core.ReasonRevoked, func(t *testing.T, a *app, _ *http.Client, _ string) {
			count, err := a.auth.Revoke(t.Context(), core.Who{Subject: "user-alice"})
			require.NoError(t, err)
			require.Equal(t, 1, count)
		}},
		"a logout at the provider": {core.ReasonProviderLogout, func(t *testing.T, a *app, _ *http.Client, sid string) {
			requireLoggedOut(t, a.backchannel(a.logoutToken(map[string]any{"sid": sid, "sub": nil})))
		}},
		"a later login": {core.ReasonReplaced, func(t *testing.T, a *app, client *http.Client, _ string) {
			require.Equal(t, http.StatusSeeOther, a.opened(client, "alice").StatusCode)
		}},
	}
	for what, row := range ends {
		for name, check := range map[string]time.Duration{"remembered for half a minute": 0, "for CheckSession": 5 * time.Second} {
			t.Run(what+", "+name, func(t *testing.T) {
				records := memory.New()
				a := newApp(t, newProvider(t, oidctest.Options{}), stored(records), checking(check), browsing())
				b := a.replica(records, checking(check), browsing())
				for _, app := range []*app{a, b} {
					app.guarded("/me", app.auth.Required())
				}
				last := a.overhear(nil)
				client := a.signedIn("alice")
				tab, sid := a.inTwoTabs(client), claimsOf(t, last["id_token"].(string))["sid"].(string)
				require.Equal(t, "user-alice", a.get(tab, "/me").body)
				require.Equal(t, "user-alice", b.get(tab, "/me").body)
				row.end(t, a, client, sid)
				requireEnded(t, a.get(tab, "/me"))
				requireEnded(t, a.get(tab, sessionRoute))
				remembered := 30 * time.Second
				if check > 0 {
					remembered = check
				}
				a.clock.Add(remembered)
				requireEnded(t, b.get(tab, "/me"))
				reasons := a.log.ends()
				if row.reason == "" {
					require.Empty(t, reasons)
					require.Equal(t, core.EventLogout, a.log.last(t).Kind)
				} else {
					require.Equal(t, []string{row.reason}, reasons)
				}
				require.Empty(t, b.log.ends(), "an end is told once")
			})
		}
	}
}

// The refresh token of a browser's session never leaves, so that offline_access is not for
// access without the login. Some providers give none without that scope.
func TestALogoutAtTheProviderEndsABrowsersSessionWithOfflineAccess(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing(), func(c *core.Config) { c.Providers[0].Scopes = []string{"profile", "offline_access"} })
	client := a.signedIn("alice")
	program := a.signIn("alice")
	a.clock.Add(core.DefaultTokenLifetime)
	require.Contains(t, a.get(client, sessionRoute).json["scope"], "offline_access", "also after a refresh")
	requireLoggedOut(t, a.backchannel(a.logoutToken(nil)))
	requireEnded(t, a.get(client, sessionRoute))
	a.tokens(a.refresh(program.RefreshToken))
}

func TestAStreamOfABrowserCanBeAskedWhetherItsSessionGoesOn(t *testing.T) {
	for name, check := range map[string]time.Duration{"asking each time": 0, "CheckSession": 5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{}), brokered(), checking(check), browsing())
			client := a.signedIn("alice")
			c := a.cookieOf(client)
			token, err := a.auth.Pages().Check(t.Context(), core.Request{Method: "GET", URL: "/", Cookie: []string{c.Name + "=" + c.Value}})
			require.NoError(t, err)
			require.NoError(t, a.auth.Live(t.Context(), token))
			require.InDelta(t, core.DefaultTokenLifetime+core.DefaultLeeway, token.GoodUntil().Sub(a.clock.Now()), float64(time.Second))
			a.clock.Add(core.DefaultTokenLifetime / 2)
			require.NoError(t, a.auth.Live(t.Context(), token))
			require.Equal(t, http.StatusFound, a.send(client, http.MethodPost, logoutRoute, []string{sameOrigin}).StatusCode)
			require.ErrorIs(t, a.auth.Live(t.Context(), token), core.ErrInvalidToken)
		})
	}
}

func TestABrowsersSessionIsAmongTheSessionsOfItsUser(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(func(b *core.Broker) {
		b.Device = func(r *http.Request) core.Device { return core.Device{UserAgent: r.UserAgent()} }
	}), browsing())
	client := browser()
	code, state := a.authorize(client, "alice")
	require.Equal(t, http.StatusSeeOther, a.get(client, callback("code", code, "state", state), "User-Agent: Firefox").StatusCode)
	listed := func() core.Session {
		sessions, err := a.auth.Sessions(t.Context(), "user-alice")
		require.NoError(t, err)
		require.Len(t, sessions, 1)
		return sessions[0]
	}
	began := listed()
	require.Equal(t, "Firefox", began.Device.UserAgent)
	require.Equal(t, a.provider.ClientID, began.Client)
	require.Equal(t, began.Ends.Unix(), int64(a.get(client, sessionRoute).json["expires"].(float64)))
	a.clock.Add(core.DefaultTokenLifetime)
	require.Equal(t, http.StatusOK, a.get(client, sessionRoute, "User-Agent: curl").StatusCode)
	refreshed := listed()
	require.Equal(t, began.ID, refreshed.ID)
	require.Equal(t, "Firefox", refreshed.Device.UserAgent, "that of the login")
	require.True(t, refreshed.Refreshed.After(began.Refreshed))
	_, err := a.auth.Revoke(t.Context(), core.Who{Session: began.ID})
	require.NoError(t, err)
	requireEnded(t, a.get(client, sessionRoute))
}

// Who may sign in is decided at the login, and again at each refresh.
func TestABrowsersUserWhoLosesTheRightIsSignedOut(t *testing.T) {
	var allowed bool
	for name, change := range map[string]func(*core.Config){
		"by Identify": inBroker(func(b *core.Broker) {
			b.Identify = func(_ context.Context, who *core.Identity) error {
				if !allowed {
					return core.ErrAccessDenied
				}
				return nil
			}
		}),
		"by Config.Require": func(c *core.Config) {
			c.Require = []core.Constraint{core.AnyRole("member")}
			c.Broker.Identify = func(_ context.Context, who *core.Identity) error {
				if allowed {
					who.Roles = append(who.Roles, "member")
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{}), brokered(), change, browsing())
			a.guarded("/page", a.auth.Pages())
			allowed = false
			got := a.opened(browser(), "alice")
			requirePage(t, got, http.StatusForbidden, "access_denied", "Sign in again")
			require.Empty(t, sessionCookies(got))

			allowed = true
			client := a.signedIn("alice")
			require.Equal(t, "user-alice", a.get(client, "/page", asBrowser).body)
			allowed = false
			a.clock.Add(core.DefaultTokenLifetime - time.Second)
			require.Equal(t, "user-alice", a.get(client, "/page", asBrowser).body)
			a.clock.Add(time.Second)
			require.Equal(t, http.StatusFound, a.get(client, "/page", asBrowser).StatusCode)
			requireEnded(t, a.get(client, sessionRoute))
			require.Equal(t, []string{core.ReasonDenied}, a.log.ends())
			requirePage(t, a.opened(client, "alice"), http.StatusForbidden, "access_denied") // and no loop
		})
	}
}

// withoutRefreshToken has a provider give none.
func withoutRefreshToken(provider *oidctest.Provider) {
	tamper(provider, oidctest.TokenPath, func(body map[string]any) { delete(body, "refresh_token") })
}

func TestASessionWithoutARefreshTokenLastsAsLongAsAStaleOne(t *testing.T) {
	for name, row := range map[string]struct{ stale, lasts time.Duration }{
		"by default":   {0, core.DefaultTokenLifetime + core.DefaultStaleFor},
		"not stale":    {-1, core.DefaultTokenLifetime},
		"half the day": {12 * time.Hour, core.DefaultTokenLifetime + 12*time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{})
			withoutRefreshToken(provider)
			a := newApp(t, provider, browsing(func(b *core.Browser) { b.StaleFor = row.stale }))
			a.guarded("/page", a.auth.Pages())
			client := a.signedIn("alice")
			a.signedIn("bob")
			require.InDelta(t, a.clock.Now().Add(row.lasts).Unix(), a.get(client, sessionRoute).json["expires"], 1)
			asked := provider.Requests(oidctest.TokenPath)
			a.clock.Add(row.lasts - time.Second)
			require.Equal(t, "user-alice", a.get(client, "/page", asBrowser).body)
			a.clock.Add(time.Second)
			require.Equal(t, http.StatusFound, a.get(client, "/page", asBrowser).StatusCode)
			require.Equal(t, asked, provider.Requests(oidctest.TokenPath), "there is nothing to ask for")
			told := a.log.lines("the provider gives no refresh token")
			require.Len(t, told, 1, "once, and not at each login")
			require.Contains(t, told[0], "offline_access")
			require.NotEmpty(t, a.opened(client, "alice").Cookies(), "a login helps")
		})
	}
}

func TestWhyABrowsersSessionEndedIsInAnEvent(t *testing.T) {
	for _, code := range []string{"invalid_grant", "access_denied", "login_required"} {
		a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
		client := a.signedIn("alice")
		fail(a.provider, oidctest.TokenPath, http.StatusBadRequest, `{"error":"`+code+`"}`)
		a.clock.Add(core.DefaultTokenLifetime)
		requireEnded(t, a.get(client, sessionRoute))
		end := a.log.last(t)
		require.Equal(t, core.EventEnd, end.Kind)
		require.Equal(t, core.ReasonRefused, end.Reason)
		require.Equal(t, "user-alice", end.Subject)
		require.NotEmpty(t, end.Session)
		requireEnded(t, a.get(client, sessionRoute))
		require.Len(t, a.log.ends(), 1, "told once")
	}
	// What the provider says of this application, or does not say, ends nobody's session.
	for _, status := range []int{http.StatusUnauthorized, http.StatusInternalServerError, http.StatusBadGateway} {
		a := newApp(t, newProvider(t, oidctest.Options{}), browsing(func(b *core.Browser) { b.StaleFor = -1 }))
		client := a.signedIn("alice")
		fail(a.provider, oidctest.TokenPath, status, `{"error":"invalid_client"}`)
		a.clock.Add(core.DefaultTokenLifetime)
		require.GreaterOrEqual(t, a.get(client, sessionRoute).StatusCode, 500)
		a.provider.Answer(oidctest.TokenPath, nil)
		require.Equal(t, http.StatusOK, a.get(client, sessionRoute).StatusCode)
		require.Empty(t, a.log.ends())
	}
}
