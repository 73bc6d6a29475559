package core_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestALoginEndsOnAPageWithACookieAndNoToken(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	a.guarded("/me", a.auth.Required())
	client := browser()
	got := a.opened(client, "alice")
	require.Equal(t, http.StatusSeeOther, got.StatusCode)
	require.Equal(t, "/", got.Header.Get("Location"))
	require.Empty(t, got.body)
	requireProtected(t, got)
	require.Equal(t, "user-alice", a.get(client, "/me").body)

	got = a.opened(browser(), "alice", "return_to", "/orders?page=2")
	require.Equal(t, "/orders?page=2", got.Header.Get("Location"))
}

func TestTheCookieCanBeReadByNobodyAndSentByNobodyElse(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	for name, row := range map[string]struct {
		change func(*core.Browser)
		want   string
	}{
		"for the browser's time": {func(*core.Browser) {}, `^oidcgate-session-[0-9a-f]{8}=ogb1\.[A-Za-z0-9_-]{70}; Path=/; HttpOnly; SameSite=Lax$`},
		"persistent":             {func(b *core.Browser) { b.Persistent = true }, `^oidcgate-session-[0-9a-f]{8}=ogb1\.[A-Za-z0-9_-]{70}; Path=/; Max-Age=7776000; HttpOnly; SameSite=Lax$`},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, provider, browsing(row.change))
			got := a.opened(browser(), "alice")
			require.Len(t, got.Header.Values("Set-Cookie"), 2, "one ends the login, one is the session")
			require.Contains(t, got.Header.Values("Set-Cookie")[0], "oidcgate-login-")
			require.Regexp(t, regexp.MustCompile(row.want), got.Header.Values("Set-Cookie")[1])
		})
	}
}

func TestTheSessionRouteTellsWhoIsSignedInAndGivesNoToken(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	requireError(t, a.get(browser(), sessionRoute), http.StatusUnauthorized, "missing_token")
	client := a.signedIn("alice")
	got := a.get(client, sessionRoute)
	require.Equal(t, http.StatusOK, got.StatusCode, got.body)
	requireProtected(t, got)
	expires := got.json["expires"].(float64)
	delete(got.json, "expires")
	require.InDelta(t, a.clock.Now().Add(day).Unix(), expires, 2, "when the provider's refresh token expires")
	require.Equal(t, map[string]any{
		"sub": "user-alice", "username": "alice", "name": "Alice Liddell", "email": "alice@example.com",
		"roles": []any{"admin", "user", "users"}, "scope": "openid profile email",
	}, got.json)
}

func TestALogoutByCookieIsAPostOfOnesOwnPage(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	a.guarded("/me", a.auth.Required())
	client := a.signedIn("alice")
	cookie := a.cookieOf(client)

	got := a.get(client, logoutRoute+"?state=s", asBrowser)
	require.Equal(t, http.StatusOK, got.StatusCode)
	require.Contains(t, got.body, `<form method="post" action="`+a.api+logoutRoute+`">`)
	require.Contains(t, got.body, `<input type="hidden" name="state" value="s">`)
	require.NotContains(t, got.Header.Get("Content-Security-Policy"), "form-action", "the form leads on to the provider")
	require.Equal(t, http.StatusOK, a.get(client, "/me").StatusCode, "nothing has ended")

	require.Equal(t, http.StatusForbidden, a.send(client, http.MethodPost, logoutRoute, []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}).StatusCode)
	require.Equal(t, http.StatusOK, a.get(client, "/me").StatusCode)

	got = a.send(client, http.MethodPost, logoutRoute, []string{sameOrigin, asBrowser})
	require.Equal(t, http.StatusFound, got.StatusCode, got.body)
	u, err := url.Parse(got.Header.Get("Location"))
	require.NoError(t, err)
	require.NotEmpty(t, u.Query().Get("id_token_hint"))
	require.Equal(t, []string{cookie.Name + "=; Path=/; Max-Age=1; HttpOnly; SameSite=Lax"}, got.Header.Values("Set-Cookie"), "Chromium must notice")
	requireError(t, a.get(client, "/me"), http.StatusUnauthorized, "missing_token")
	requireError(t, a.get(a.withCookies(cookie), "/me"), http.StatusUnauthorized, "invalid_token")
	got = a.get(a.withCookies(cookie), logoutRoute, asBrowser)
	require.Equal(t, http.StatusFound, got.StatusCode, "there is nothing to confirm any more")
}

func TestALoginEndsTheSessionThatTheBrowserHad(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	a.guarded("/me", a.auth.Required())
	client := a.signedIn("alice")
	before := a.cookieOf(client)
	require.Equal(t, http.StatusSeeOther, a.opened(client, "bob", "prompt", "login").StatusCode)
	require.Equal(t, "user-bob", a.get(client, "/me").body)
	requireError(t, a.get(a.withCookies(before), "/me"), http.StatusUnauthorized, "invalid_token")
	end := a.log.last(t)
	require.Equal(t, core.ReasonReplaced, end.Reason)
	require.Equal(t, "user-alice", end.Subject)
}

func TestAnAuthorizationHeaderDecidesAlone(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	a.guarded("/me", a.auth.Required())
	client := a.signedIn("alice")
	require.Equal(t, "user-bob", a.get(client, "/me", bearer(a.signIn("bob").AccessToken)).body)
	requireError(t, a.get(client, "/me", bearer("e.e.e")), http.StatusUnauthorized, "invalid_token")
	requireError(t, a.get(client, "/me", "Authorization: Basic YTpi"), http.StatusUnauthorized, "missing_token")
	requireError(t, a.get(client, "/me", "Authorization: "), http.StatusUnauthorized, "missing_token")
}

func TestAPageSendsPeopleToSignInAndBack(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	a.guarded("/page", a.auth.Pages(core.AnyRole("admin")))
	got := a.get(browser(), "/page?a=b&c=%20d", asBrowser)
	require.Equal(t, http.StatusFound, got.StatusCode)
	requireProtected(t, got)
	require.Equal(t, a.api+"/auth/v2/login?return_to=%2Fapi%2Fpage%3Fa%3Db%26c%3D%2520d", got.Header.Get("Location"))
	require.Empty(t, got.Header.Get("WWW-Authenticate"))
	requireError(t, a.get(browser(), "/page", "Accept: application/json"), http.StatusUnauthorized, "missing_token")
	requireError(t, a.get(browser(), "/page", asBrowser, "Sec-Fetch-Mode: cors"), http.StatusUnauthorized, "missing_token")

	client := browser()
	back := a.opened(client, "alice", "return_to", "/api/page?a=b&c=%20d")
	require.Equal(t, "/api/page?a=b&c=%20d", back.Header.Get("Location"))
	page := a.get(client, "/page?a=b", asBrowser)
	require.Equal(t, "user-alice", page.body)
	require.Equal(t, "no-store", page.Header.Get("Cache-Control"), "nothing is left behind the back button")

	lost := a.send(browser(), http.MethodPost, "/page", []string{asBrowser, sameOrigin, "Sec-Fetch-Mode: navigate"}, "text", "long")
	requirePage(t, lost, http.StatusUnauthorized, "the form was not sent", `target="_blank"`)
	planted := a.send(browser(), http.MethodPost, "/page", []string{asBrowser, "Sec-Fetch-Site: cross-site", "Origin: https://evil.example", "Sec-Fetch-Mode: navigate"}, "text", "evil")
	requirePage(t, planted, http.StatusForbidden, "This was not done", "cross_site")
	require.NotContains(t, planted.body, "reload", "nobody is told to send the form of another site again")
	framed := a.get(browser(), "/page", asBrowser, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe")
	requirePage(t, framed, http.StatusUnauthorized, `target="_top"`)
	requirePage(t, a.get(a.signedIn("bob"), "/page", asBrowser), http.StatusForbidden, "No access", "insufficient_claims", "prompt=login")
	a.provider.Down(true)
	a.clock.Add(2 * time.Hour)
	requirePage(t, a.get(client, "/page", asBrowser), http.StatusServiceUnavailable, "still signed in")
	a.provider.Down(false)
	require.Equal(t, "user-alice", a.get(client, "/page", asBrowser).body, "nothing is lost")
}

// A user is signed in who has opened a link of another site: a GET changes nothing.
func TestARequestByCookieOfAnotherOriginIsRefused(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing(func(b *core.Browser) { b.AllowOrigins = []string{"https://spa.example.org"} }))
	a.guarded("/do", a.auth.Required())
	a.guarded("/maybe", a.auth.Optional())
	client := a.signedIn("alice")
	own := "Origin: " + strings.TrimSuffix(a.api, "/api")
	for _, row := range []struct {
		what    string
		method  string
		headers []string
		refused bool
	}{
		{"a form of one's own", "POST", []string{sameOrigin, own}, false},
		{"a form of one's own, in an old browser", "POST", []string{own}, false},
		{"a page of an allowed origin", "POST", []string{"Sec-Fetch-Site: same-site", "Origin: https://spa.example.org"}, false},
		{"a link of another site", "GET", []string{"Sec-Fetch-Site: cross-site"}, false},
		{"a form of another site", "POST", []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, true},
		{"a form of a sibling", "POST", []string{"Sec-Fetch-Site: same-site", "Origin: https://blog.example.org"}, true},
		{"a script of a sibling", "DELETE", []string{"Sec-Fetch-Site: same-site", "Origin: https://blog.example.org"}, true},
		{"a script that reads", "GET", []string{"Sec-Fetch-Site: same-site", "Origin: https://blog.example.org"}, true},
		{"a websocket of a sibling", "GET", []string{"Origin: https://blog.example.org", "Connection: Upgrade", "Upgrade: websocket"}, true},
		{"a sandboxed frame", "POST", []string{"Sec-Fetch-Site: cross-site", "Origin: null"}, true},
		{"a browser that tells nothing", "POST", nil, true},
	} {
		got := a.send(client, row.method, "/do", row.headers)
		if !row.refused {
			require.Equal(t, http.StatusOK, got.StatusCode, row.what)
			continue
		}
		requireError(t, got, http.StatusForbidden, "cross_site")
		require.Equal(t, core.ErrCrossSite.Code, a.log.last(t).Error.Code, row.what)
		require.Equal(t, "anonymous", a.send(client, row.method, "/maybe", row.headers).body, row.what)
	}
}
