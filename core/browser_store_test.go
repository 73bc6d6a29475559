package core_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// unplug has every call to the store fail.
func (s *spyStore) unplug() {
	s.fail(func(context.Context, string, bool) error { return errors.New("unplugged") })
}

func TestWhileTheStoreIsDownBrowsersAreToldAndNothingIsLost(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{StrictRefresh: true}), stored(spy), browsing(), quick)
	a.guarded("/required", a.auth.Required())
	a.guarded("/optional", a.auth.Optional())
	a.guarded("/page", a.auth.Pages())
	client, visitor := a.signedIn("alice"), browser()
	code, state := a.authorize(visitor, "bob", "return_to", "/orders")
	link := callback("code", code, "state", state)
	require.Equal(t, "user-alice", a.get(client, "/page").body)

	spy.unplug()
	require.Equal(t, "user-alice", a.get(client, "/page").body, "a guard remembers the session")
	for _, due := range []bool{false, true} {
		a.clock.Add(core.DefaultTokenLifetime / 2)
		requireError(t, a.get(client, "/required"), http.StatusServiceUnavailable, "temporarily_unavailable")
		requireError(t, a.get(client, "/optional"), http.StatusServiceUnavailable, "temporarily_unavailable")
		requireError(t, a.get(client, sessionRoute), http.StatusServiceUnavailable, "temporarily_unavailable")
		requirePage(t, a.get(client, "/page", asBrowser), http.StatusServiceUnavailable, "You are still signed in.", `<a href="/api/page">`)
		form := a.send(client, http.MethodPost, "/page", []string{asBrowser, sameOrigin}, "a", "b")
		requirePage(t, form, http.StatusServiceUnavailable, "You are still signed in.")
		require.NotContains(t, form.body, "<a ", "a link would not send the form again")
		requirePage(t, a.get(client, logoutRoute, asBrowser), http.StatusServiceUnavailable, "You are not signed out")
		got := a.send(client, http.MethodPost, logoutRoute, []string{asBrowser, sameOrigin})
		requirePage(t, got, http.StatusServiceUnavailable, "You are not signed out")
		require.Empty(t, got.Cookies(), "the session is not over, due %t", due)
		requirePage(t, a.get(client, link, asBrowser), http.StatusServiceUnavailable, "Sign-in failed") // the back button
	}
	require.Equal(t, http.StatusFound, a.get(browser(), "/page", asBrowser).StatusCode, "who has no session is asked to sign in")
	require.Equal(t, "anonymous", a.get(browser(), "/optional").body)
	a.begin(browser())
	require.Zero(t, a.revoked())

	spy.fail(nil)
	require.Equal(t, "user-alice", a.get(client, "/page", asBrowser).body)
	require.Equal(t, http.StatusOK, a.get(client, logoutRoute, asBrowser).StatusCode)
	require.Equal(t, http.StatusFound, a.send(client, http.MethodPost, logoutRoute, []string{sameOrigin}).StatusCode)
	require.Empty(t, a.log.ends())
}

// A code can't be had again. Where it is known that its session can't be kept, it is not
// used up, and reloading the callback ends the login.
func TestACallbackUsesNoCodeUpWhileTheStoreIsDown(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy), browsing(), quick)
	signedIn, client := a.signedIn("alice"), browser()
	code, state := a.authorize(client, "bob", "return_to", "/orders")
	link := callback("code", code, "state", state)
	asked := a.provider.Requests(oidctest.TokenPath)
	spy.unplug()
	a.clock.Add(core.DefaultTokenLifetime / 2)
	requireError(t, a.get(signedIn, sessionRoute), http.StatusServiceUnavailable, "temporarily_unavailable")
	for range 2 {
		got := a.get(client, link, asBrowser)
		requirePage(t, got, http.StatusServiceUnavailable, "temporarily_unavailable")
		require.Empty(t, got.Cookies(), "the login is not over")
	}
	require.Equal(t, asked, a.provider.Requests(oidctest.TokenPath))
	spy.fail(nil)
	ledBack(t, a.get(client, link, asBrowser), "/orders")
	require.Equal(t, "user-bob", a.get(client, sessionRoute).json["sub"])
}

// A login goes on without the end of the session that the browser had.
func TestAStoreThatFailsToEndTheSessionBeforeCostsNoLogin(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy), browsing(), quick)
	client := a.signedIn("alice")
	spy.fail(func(_ context.Context, call string, _ bool) error {
		if call == "delete session" {
			return errors.New("unplugged")
		}
		return nil
	})
	ledBack(t, a.opened(client, "bob", "prompt", "login"), "/")
	require.Equal(t, "user-bob", a.get(client, sessionRoute).json["sub"])
	require.NotEmpty(t, a.log.lines("ending the session that a browser had before a login"))
}

// The provider's metadata may be unknown when somebody signs out.
func TestALogoutThatCanNotReachTheProviderSaysThatItEndedTheSession(t *testing.T) {
	spy := newSpyStore()
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, stored(spy), browsing(), quick)
	client := a.signedIn("alice")
	cookie := a.cookieOf(client)
	provider.Down(true)
	b := a.replica(spy, browsing(), quick)
	got := b.send(client, http.MethodPost, logoutRoute, []string{asBrowser, sameOrigin})
	requirePage(t, got, http.StatusServiceUnavailable, "You are signed out here", "You may still be signed in there.")
	require.Empty(t, a.cookieOf(client).Value)
	requireError(t, b.get(a.withCookies(cookie), sessionRoute), http.StatusUnauthorized, "invalid_token")
	requireError(t, b.send(browser(), http.MethodPost, logoutRoute, []string{sameOrigin}), http.StatusServiceUnavailable, "temporarily_unavailable")
}
