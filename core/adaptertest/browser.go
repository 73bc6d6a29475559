package adaptertest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/store/memory"
)

const sessionRoute = "/auth/v2/session"

// sibling is an origin of the same site that may send requests by cookie.
const sibling = "https://spa.example.org"

// browsers has an application keep browsers signed in.
func browsers(c *core.Config) {
	broker(c)
	c.Browser = &core.Browser{AllowOrigins: []string{sibling}}
}

// pageRouteTable are the application's own routes where browsers have sessions.
var pageRouteTable = slices.Concat(ownRouteTable, []Route{
	{http.MethodGet, "/page", Pages, nil, whoami},
	{http.MethodPost, "/page", Pages, nil, whoami},
	{http.MethodGet, "/page/admin", Pages, []core.Constraint{core.AnyRole("admin")}, whoami},
})

// asBrowser is what a browser accepts for a page.
var asBrowser = []string{"Accept", "text/html,application/xhtml+xml,*/*;q=0.8"}

// origin is the application's own.
func (a *app) origin() string { return "http://" + a.address }

// open signs a user in from a login that the application leads to, and gives the answer of
// the callback. From then on, the client is that user's browser.
func (a *app) open(login, user string) answer {
	a.Helper()
	a.client = a.browser()
	back := a.provider.Authorize(a.T, a.client, login, user)
	got := a.ok(a.client, get(strings.TrimPrefix(back.RequestURI(), a.mount)), http.StatusSeeOther)
	if cookies := got.header.Values("Set-Cookie"); len(cookies) != 2 || a.sessionCookie() == "" {
		a.Fatalf("the callback sets the cookies %q: one ends the login, one is the session's", cookies)
	}
	return got
}

// sessionCookie is the client's, as the header Cookie has it; "" if there is none.
func (a *app) sessionCookie() string {
	return sessionCookie(a.client.Jar, &url.URL{Scheme: "http", Host: a.address, Path: "/"})
}

func sessionCookie(jar http.CookieJar, u *url.URL) string {
	for _, cookie := range jar.Cookies(u) {
		if strings.HasPrefix(cookie.Name, "oidcgate-session-") {
			return cookie.Name + "=" + cookie.Value
		}
	}
	return ""
}

// page is same for an answer that is a page for a person.
func (a *app) page(r request, status int, says string) {
	a.Helper()
	got := a.same(r, status)
	if got.header.Get("Content-Type") != "text/html; charset=utf-8" || got.header.Get("Content-Security-Policy") == "" || !strings.Contains(got.body, says) {
		a.Fatalf("%s %s: the answer is %v, not a page that says %q", r.method, r.path, got, says)
	}
}

// browserStaysSignedIn follows a browser from a page to the login, back and to the logout.
func browserStaysSignedIn(s suite) {
	a := s.start(options{prefix: "/a/b/api", configure: browsers, routes: pageRouteTable})
	deep := get("/page?q=%41+%2F&next=%2Fb", asBrowser...)
	login := a.same(deep, http.StatusFound).header.Get("Location")
	if want := a.base + loginRoute + "?return_to=" + url.QueryEscape(a.mount+deep.path); login != want {
		a.Fatalf("the page leads to %s, not to %s", login, want)
	}
	if back := a.open(login, "alice").header.Get("Location"); back != a.mount+deep.path {
		a.Fatalf("the login leads back to %s, not to %s", back, a.mount+deep.path)
	}
	form := post("/page", "text", "long").with("Origin", a.origin())
	for _, r := range []request{deep, form, get("/page/admin"), get("/mine"), get("/hello")} {
		if got := a.same(r, http.StatusOK); got.body != "user-alice" {
			a.Fatalf("%s %s: the answer is %v, not user-alice", r.method, r.path, got)
		}
	}
	if control := a.ask(deep).header.Get("Cache-Control"); control != "no-store" {
		a.Fatalf("a page may be kept: Cache-Control is %q", control)
	}
	if who := a.same(get(sessionRoute), http.StatusOK).field("username"); who != "alice" {
		a.Fatalf("the session is that of %q", who)
	}

	cookie := a.sessionCookie()
	a.page(get(logoutRoute+"?state=s", asBrowser...), http.StatusOK, "<form")
	out := a.ok(a.client, post(logoutRoute, "state", "s").with("Origin", a.origin()), http.StatusFound)
	if cleared := a.cookie(out); !strings.HasPrefix(cookie, cleared.Name+"=") || cleared.Value != "" {
		a.Fatalf("the logout leaves the cookie: %v", out)
	}
	a.client = a.browser()
	a.refused(get("/mine", "Cookie", cookie), http.StatusUnauthorized, "invalid_token")
	a.same(deep.with("Cookie", cookie), http.StatusFound)
}

// guardsReadBrowsers sends what browsers tell of a request: whose page has sent it, and in
// which way.
func guardsReadBrowsers(s suite) {
	a := s.start(options{configure: browsers, routes: pageRouteTable})
	a.open(a.base+loginRoute, "alice")
	bob := bearer(a.signIn("bob").AccessToken)
	cookie := a.sessionCookie()
	socket := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}
	const evil = "https://evil.example"
	for _, row := range []struct {
		what         string
		method, path string
		header       []string
		status       int
		body         string // that the answer has
	}{
		{"a link of another site", "GET", "/mine", []string{"Sec-Fetch-Site", "cross-site"}, 200, "user-alice"},
		{"a script of another site", "GET", "/mine", []string{"Origin", evil}, 403, "cross_site"},
		{"a script of another site", "GET", "/hello", []string{"Origin", evil}, 200, "anonymous"},
		{"a script of another site", "GET", sessionRoute, []string{"Origin", evil}, 403, "cross_site"},
		{"a script of an allowed origin", "GET", "/mine", []string{"Origin", sibling, "Sec-Fetch-Site", "same-site"}, 200, "user-alice"},
		{"a script of one's own", "GET", "/mine", []string{"Origin", evil, "Sec-Fetch-Site", "same-origin"}, 200, "user-alice"},
		{"a form of another site", "POST", "/mine", []string{"Origin", evil, "Sec-Fetch-Site", "cross-site"}, 403, "cross_site"},
		{"a form of a sandboxed frame", "POST", "/mine", []string{"Origin", "null"}, 403, "cross_site"},
		{"a form of who knows whom", "POST", "/mine", nil, 403, "cross_site"},
		{"a request of who knows whom", "DELETE", "/mine/nested/thing", nil, 403, "cross_site"},
		{"a form of one's own", "POST", "/mine", []string{"Origin", a.origin()}, 201, "user-alice"},
		{"a form of one's own", "POST", "/mine", []string{"Origin", "null", "Sec-Fetch-Site", "same-origin"}, 201, "user-alice"},
		{"a page that the user reloads", "DELETE", "/mine/nested/thing", []string{"Sec-Fetch-Site", "none"}, 200, "user-alice"},
		{"a logout by another site", "POST", logoutRoute, []string{"Origin", evil}, 403, "cross_site"},
		{"a websocket of another site", "GET", "/mine", slices.Concat(socket, []string{"Origin", evil}), 403, "cross_site"},
		{"a websocket of one's own", "GET", "/mine", slices.Concat(socket, []string{"Origin", a.origin()}), 200, "user-alice"},
		{"a token besides the cookie", "GET", "/mine", []string{"Authorization", bob}, 200, "user-bob"},
		{"a token besides the cookie", "POST", "/mine", []string{"Authorization", bob, "Origin", evil}, 201, "user-bob"},
		{"other credentials besides the cookie", "GET", "/mine", []string{"Authorization", "Basic YTpi"}, 401, "missing_token"},
		{"no credentials besides the cookie", "GET", "/mine", []string{"Authorization", ""}, 401, "missing_token"},
	} {
		got := a.same(request{row.method, row.path, row.header, ""}, row.status)
		if !strings.Contains(got.body, row.body) {
			a.Fatalf("%s: %s %s: the answer is %v, not %s", row.what, row.method, row.path, got, row.body)
		}
	}
	a.client = a.browser()
	for _, header := range [][]string{{"Cookie", "first=1; " + cookie + "; last=2"}, {"Cookie", "first=1", "Cookie", cookie}} {
		a.same(get("/mine", header...), http.StatusOK)
	}
	for _, header := range [][]string{{"Cookie", cookie + "; " + cookie}, {"Cookie", cookie, "Cookie", cookie}} {
		a.refused(get("/mine", header...), http.StatusBadRequest, "invalid_request")
	}
}

// pagesSpeakToPeople looks at what is answered to navigations, and that nothing else is
// taken for one.
func pagesSpeakToPeople(s suite) {
	records := &failing{Store: memory.New()}
	a := s.start(options{routes: pageRouteTable, configure: func(c *core.Config) { browsers(c); c.Broker.Store = records }})
	html := func(path string, header ...string) request { return get(path, asBrowser...).with(header...) }
	for _, r := range []request{
		html("/page"), html("/page", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"), html("/page", "Origin", a.origin()),
		get("/page", "Accept", "*/*", "Sec-Fetch-Mode", "navigate"), get("/page", "Accept", "image/png", "Accept", "text/html"),
		html("/page/admin?" + strings.Repeat("long", 1000)),
	} {
		a.same(r, http.StatusFound)
	}
	for _, r := range []request{get("/page"), get("/page", "Accept", "application/json"), html("/page", "Sec-Fetch-Mode", "cors"), html("/mine")} {
		a.refused(r, http.StatusUnauthorized, "missing_token")
	}
	a.refused(html("/page", "Authorization", "Bearer garbage"), http.StatusUnauthorized, "invalid_token")
	a.page(html("/page", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"), http.StatusUnauthorized, "_top")
	a.page(post("/page", "text", "long").with(asBrowser...).with("Origin", a.origin()), http.StatusUnauthorized, "was not sent")
	a.page(html(callbackRoute+"?code=c&state=og1.AAAA"), http.StatusBadRequest, "invalid_grant")

	a.open(a.base+loginRoute, "bob")
	records.down.Store(true) // before any guard has looked the session up
	a.page(html("/page"), http.StatusServiceUnavailable, "temporarily_unavailable")
	a.refused(get("/page"), http.StatusServiceUnavailable, "temporarily_unavailable")
	records.down.Store(false)
	a.same(html("/page"), http.StatusOK)
	a.page(html("/page/admin"), http.StatusForbidden, "insufficient_claims")
	a.page(post("/page", "text", "long").with(asBrowser...), http.StatusForbidden, "cross_site")
}
