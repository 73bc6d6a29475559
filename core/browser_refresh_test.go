package core_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/store/memory"
	"github.com/stretchr/testify/require"
)

func TestAThousandRequestsAtTheEndOfTheAccessLifetimeCostOneProviderCallForEachBrowser(t *testing.T) {
	const browsers, requests = 100, 10
	for _, instances := range []int{1, 2} {
		provider := newProvider(t, oidctest.Options{StrictRefresh: true})
		records := memory.New()
		apps := []*app{newApp(t, provider, stored(records), browsing())}
		for len(apps) < instances {
			apps = append(apps, apps[0].replica(records, browsing()))
		}
		guards := make([]*core.Guard, instances)
		for i, a := range apps {
			guards[i] = a.auth.Pages()
			require.NoError(t, a.auth.Start(t.Context()))
		}
		cookies := make([]string, browsers)
		for i := range cookies {
			c := apps[0].cookieOf(apps[0].signedIn("alice"))
			cookies[i] = c.Name + "=" + c.Value
		}
		apps[0].clock.Add(core.DefaultTokenLifetime)
		asked := provider.Requests(oidctest.TokenPath)
		var done sync.WaitGroup
		for i := range browsers * requests {
			done.Go(func() {
				request := core.Request{Method: "GET", URL: "/", Cookie: []string{cookies[i%browsers]}}
				if token, err := guards[i/browsers%instances].Check(t.Context(), request); err != nil || token.Subject() != "user-alice" {
					t.Error(token, err)
				}
			})
		}
		done.Wait()
		require.Equal(t, asked+browsers, provider.Requests(oidctest.TokenPath), "%d instances", instances)
		require.Empty(t, apps[0].log.ends())
	}
}

func TestAGuardRemembersABrowsersSession(t *testing.T) {
	for name, row := range map[string]struct {
		check time.Duration // Broker.CheckSession
		keep  time.Duration
	}{"for half a minute": {0, 30 * time.Second}, "for CheckSession": {10 * time.Second, 10 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			spy := newSpyStore()
			a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy), checking(row.check), browsing())
			guard := a.auth.Required()
			cookie := a.cookieOf(a.signedIn("alice"))
			request := core.Request{Method: "GET", Cookie: []string{"a=b; " + cookie.Name + "=" + cookie.Value}}
			ask := func() []string {
				return spy.during(func() {
					for range 20 {
						_, err := guard.Check(t.Context(), request)
						require.NoError(t, err)
					}
				})
			}
			require.Equal(t, []string{"get session"}, ask())
			a.clock.Add(row.keep - 1)
			require.Empty(t, ask())
			a.clock.Add(1)
			require.Equal(t, []string{"get session"}, ask())
			check := func() {
				if _, err := guard.Check(t.Context(), request); err != nil {
					t.Fatal(err)
				}
			}
			require.Zero(t, testing.AllocsPerRun(100, check))
		})
	}
}

func TestABrowsersSessionGoesOnForAWhileWithoutTheProvider(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	a.guarded("/me", a.auth.Required())
	client := a.signedIn("alice")
	a.provider.Down(true)
	a.clock.Add(core.DefaultTokenLifetime + core.DefaultStaleFor - 1)
	require.Equal(t, "user-alice", a.get(client, "/me").body)
	require.Contains(t, a.log.logged(), "without being refreshed")
	a.clock.Add(time.Second)
	requireError(t, a.get(client, "/me"), http.StatusServiceUnavailable, "temporarily_unavailable")
	a.provider.Down(false)
	require.Equal(t, "user-alice", a.get(client, "/me").body, "nobody is signed out by an outage")
	require.Empty(t, a.log.ends())
}

func TestAPageDoesNotWaitForAProviderThatHangs(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{StrictRefresh: true}), browsing())
	a.guarded("/me", a.auth.Required())
	client := a.signedIn("alice")
	release := make(chan struct{})
	a.provider.Answer(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		<-release
		real.ServeHTTP(w, r)
	})
	asked := a.provider.Requests(oidctest.TokenPath)
	a.clock.Add(core.DefaultTokenLifetime)
	require.Equal(t, "user-alice", a.get(client, "/me").body)
	close(release)
	a.clock.Add(30 * time.Second)
	require.Equal(t, "user-alice", a.get(client, "/me").body)
	require.Equal(t, asked+1, a.provider.Requests(oidctest.TokenPath), "the refresh was brought to its end")
	require.Empty(t, a.log.ends())
}

func TestABrowsersSessionEndsWhenTheProviderSaysSo(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	a.guarded("/me", a.auth.Required())
	client := a.signedIn("alice")
	a.provider.EndSessions()
	a.clock.Add(core.DefaultTokenLifetime)
	requireError(t, a.get(client, "/me"), http.StatusUnauthorized, "invalid_token")
	require.Equal(t, []string{core.ReasonRefused}, a.log.ends())
}

func TestABrowsersSessionIsAsOldAsTheBrokerAllows(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(func(b *core.Broker) {
		b.SessionIdle, b.SessionLifetime = time.Hour, 100*time.Minute
	}), browsing())
	a.guarded("/me", a.auth.Required())
	idle, busy := a.signedIn("alice"), a.signedIn("alice")
	for range 9 {
		a.clock.Add(10 * time.Minute)
		require.Equal(t, "user-alice", a.get(busy, "/me").body)
	}
	requireError(t, a.get(idle, "/me"), http.StatusUnauthorized, "invalid_token")
	a.clock.Add(10 * time.Minute)
	requireError(t, a.get(busy, "/me"), http.StatusUnauthorized, "invalid_token")
}
