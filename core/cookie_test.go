package core_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

const ownCookie = "oidcgate-login-of-the-application"

// loginCookies are the names of a browser's cookies for us.
func loginCookies(t *testing.T, a *app, client *http.Client) []string {
	u, err := url.Parse(a.api)
	require.NoError(t, err)
	var names []string
	for _, c := range client.Jar.Cookies(u) {
		if strings.HasPrefix(c.Name, "oidcgate-") {
			names = append(names, c.Name)
		}
	}
	return names
}

func TestABrowserRemembersEightLoginsAndForgetsTheOldest(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	client := browser()
	u, err := url.Parse(a.api)
	require.NoError(t, err)
	client.Jar.SetCookies(u, []*http.Cookie{{Name: ownCookie, Value: "x", Path: "/"}})
	first, firstState := a.authorize(client, "alice")
	a.clock.Add(time.Second)
	second, secondState := a.authorize(client, "alice")
	for range 6 {
		a.clock.Add(time.Second)
		require.Len(t, a.get(client, "/auth/v2/login").Cookies(), 1)
	}
	require.Len(t, loginCookies(t, a, client), 9)

	a.clock.Add(time.Second)
	got := a.get(client, "/auth/v2/login")
	require.Len(t, got.Cookies(), 2)
	require.Negative(t, got.Cookies()[0].MaxAge)
	require.Len(t, loginCookies(t, a, client), 9, "eight logins, and the application's own cookie")
	require.Contains(t, loginCookies(t, a, client), ownCookie)
	requireError(t, a.get(client, callback("code", first, "state", firstState)), http.StatusBadRequest, "invalid_grant")
	a.tokens(a.get(client, callback("code", second, "state", secondState)))
}

// A jar that another version of the program, or an attacker, has filled is emptied at
// the next login, whatever the cookies say of their age.
func TestTooManyLoginCookiesAreAllCleared(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	client := browser()
	u, err := url.Parse(a.api)
	require.NoError(t, err)
	for i := range 30 {
		client.Jar.SetCookies(u, []*http.Cookie{{
			Name: "oidcgate-login-00000000000000" + string("0123456789abcdef"[i/16]) + string("0123456789abcdef"[i%16]), Path: "/",
			Value: []string{"", "nonsense", "99999999999999999999.x", "-1.x"}[i%4],
		}})
	}
	code, state := a.authorize(client, "alice")
	require.Len(t, loginCookies(t, a, client), 8)
	a.tokens(a.get(client, callback("code", code, "state", state)))
}

func TestAPrefetchUsesNothingUp(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	client := browser()
	code, state := a.authorize(client, "alice")
	signedIn := a.signIn("alice")
	for _, purpose := range []string{"prefetch", "prefetch;prerender", "prefetch;anonymous-client-ip", "Prefetch", "x, prefetch"} {
		for _, path := range []string{"/auth/v2/login", callback("code", code, "state", state), logoutRoute} {
			got := a.get(client, path, "Sec-Purpose: "+purpose, bearer(signedIn.AccessToken))
			requireError(t, got, http.StatusServiceUnavailable, "temporarily_unavailable")
			require.Empty(t, got.Cookies())
			require.Empty(t, got.Header.Get("Location"))
		}
	}
	require.Empty(t, a.log.lines(`"level":"WARN"`), "it is no outage")
	a.tokens(a.get(client, callback("code", code, "state", state), "Sec-Purpose: something-else"))
	a.tokens(a.refresh(signedIn.RefreshToken))
	require.Equal(t, "alice", a.get(client, userinfoRoute, "Sec-Purpose: prefetch", bearer(signedIn.AccessToken)).json["username"], "what changes nothing may be fetched in advance")
}

func TestTheCookiesValueIsCompared(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	jar := keptCookies{}
	client := &http.Client{Jar: jar, CheckRedirect: browser().CheckRedirect}
	code, state := a.authorize(client, "alice")
	for name, cookie := range jar {
		if strings.HasPrefix(name, "oidcgate-") {
			other := "x"
			if cookie.Value[:1] == other {
				other = "y"
			}
			jar[name] = &http.Cookie{Name: name, Value: other + cookie.Value[1:]}
		}
	}
	requireError(t, a.get(client, callback("code", code, "state", state)), http.StatusBadRequest, "invalid_grant")
}
