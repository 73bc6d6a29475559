package core_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// behindAProxy has an application be on https for the world, by a proxy that ends TLS.
func behindAProxy(c *core.Config) { c.PublicURL = "https://app.example.org/api" }

// stubborn gives a browser that sends every cookie with every request.
func stubborn() *http.Client {
	client := browser()
	client.Jar = keptCookies{}
	return client
}

// session is the session's cookie of a stubborn browser, nil if there is none.
func (j keptCookies) session() *http.Cookie {
	for _, c := range j.Cookies(nil) {
		if strings.Contains(c.Name, "oidcgate-session-") && c.Value != "" {
			return c
		}
	}
	return nil
}

// what changes from one run to the next, in headers.
var changing = []struct{ find, put string }{
	{`(session|login)-[0-9a-f]+=`, `$1-*=`}, {`=ogb1\.[\w-]{70};`, `=<cookie>;`}, {`=\d{13}\.[\w-]{43};`, `=<binding>;`},
	{`http://127\.0\.0\.1:\d+/(authorize|end_session)`, `https://id/$1`}, {`http://127\.0\.0\.1:\d+`, `http://loopback`}, {`127.0.0.1%3A\d+`, `loopback`},
	{`([?&](code_challenge|nonce|state|id_token_hint)=)[\w.-]+`, `$1*`},
}

// headers writes down the status and the headers of an answer.
func headers(got answer) string {
	var text strings.Builder
	fmt.Fprintln(&text, got.StatusCode)
	for _, name := range slices.Sorted(maps.Keys(got.Header)) {
		for _, value := range got.Header[name] {
			if name != "Date" && name != "Content-Length" {
				fmt.Fprintln(&text, name+": "+value)
			}
		}
	}
	all := text.String()
	for _, c := range changing {
		all = regexp.MustCompile(c.find).ReplaceAllString(all, c.put)
	}
	return all
}

func TestTheHeadersOfBrowserSessionsAreGolden(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	for name, row := range map[string]struct {
		change                []func(*core.Config)
		public, prefix, flags string
		encoded               string
	}{
		"https":             {[]func(*core.Config){behindAProxy}, "https://app.example.org", "__Host-", "HttpOnly; Secure; SameSite=Lax", "https%3A%2F%2Fapp.example.org"},
		"http on loopback":  {nil, "http://loopback", "", "HttpOnly; SameSite=Lax", "http%3A%2F%2Floopback"},
		"https, persistent": {[]func(*core.Config){behindAProxy, browsing(func(b *core.Browser) { b.Persistent = true })}, "https://app.example.org", "__Host-", "Max-Age=7776000; HttpOnly; Secure; SameSite=Lax", "https%3A%2F%2Fapp.example.org"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, provider, append([]func(*core.Config){browsing()}, row.change...)...)
			a.guarded("/page", a.auth.Pages())
			client := stubborn()
			protected := "Cache-Control: no-store\n"
			private := "Referrer-Policy: no-referrer\n"
			nosniff := "X-Content-Type-Options: nosniff\n"
			once := strings.Replace(row.flags, "Max-Age=7776000; ", "", 1)

			require.Equal(t, "302\n"+protected+"Location: "+row.public+"/api/auth/v2/login?return_to=%2Fapi%2Fpage%3Fa%3Db\n"+private+nosniff,
				headers(a.get(client, "/page?a=b", asBrowser)))
			require.Equal(t, "302\n"+protected+
				"Location: https://id/authorize?client_id=app&code_challenge=*&code_challenge_method=S256&nonce=*&redirect_uri="+row.encoded+"%2Fapi%2Fauth%2Fv2%2Fcallback&response_type=code&scope=openid+profile+email&state=*\n"+
				private+"Set-Cookie: "+row.prefix+"oidcgate-login-*=<binding>; Path=/; Max-Age=600; "+once+"\n"+nosniff,
				headers(a.get(client, "/auth/v2/login?return_to=/api/page")))
			require.Equal(t, "303\n"+protected+"Location: /api/page\n"+private+
				"Set-Cookie: "+row.prefix+"oidcgate-login-*=; Path=/; Max-Age=0; "+once+"\n"+
				"Set-Cookie: "+row.prefix+"oidcgate-session-*=<cookie>; Path=/; "+row.flags+"\n"+nosniff,
				headers(a.opened(client, "alice", "return_to", "/api/page")))
			require.Equal(t, "200\n"+protected+"Content-Type: text/plain; charset=utf-8\n", headers(a.get(client, "/page", asBrowser)))
			require.Equal(t, "302\n"+protected+"Location: https://id/end_session?client_id=app&id_token_hint=*\n"+private+
				"Set-Cookie: "+row.prefix+"oidcgate-session-*=; Path=/; Max-Age=1; "+once+"\n"+nosniff,
				headers(a.send(client, http.MethodPost, logoutRoute, []string{sameOrigin})))
		})
	}
}

// The attacker signs in, and has the victim's browser open the callback.
func TestACallbackOfAnotherBrowserSignsNobodyIn(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	code, state := a.authorize(browser(), "bob", "return_to", "/mine")
	link := callback("code", code, "state", state)
	asked := a.provider.Requests(oidctest.TokenPath)

	got := a.get(browser(), link, asBrowser, "Sec-Fetch-Site: cross-site")
	requirePage(t, got, http.StatusBadRequest, "did not begin in this browser")
	require.Empty(t, got.Cookies())

	victim := a.signedIn("alice")
	asked++
	before := a.cookieOf(victim).Value
	got = a.get(victim, link, asBrowser, "Sec-Fetch-Site: cross-site")
	ledBack(t, got, "/mine") // as any link would
	require.Empty(t, got.Cookies())
	require.Equal(t, before, a.cookieOf(victim).Value)
	require.Equal(t, "user-alice", a.get(victim, sessionRoute).json["sub"])

	// Nor does a login of the victim's own help the attacker's answer.
	a.begin(victim)
	ledBack(t, a.get(victim, link, asBrowser), "/mine")
	require.Equal(t, "user-alice", a.get(victim, sessionRoute).json["sub"])
	require.Equal(t, asked, a.provider.Requests(oidctest.TokenPath), "the code was not redeemed")
}

// The attacker signs in, plants the cookie in the victim's browser, and waits.
func TestACookieThatWasPlantedBeforeALoginIsDeadAfterIt(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	a.guarded("/me", a.auth.Required())
	attacker := a.signedIn("bob")
	planted := a.cookieOf(attacker)
	victim := a.withCookies(&http.Cookie{Name: planted.Name, Value: planted.Value})
	require.Equal(t, http.StatusSeeOther, a.opened(victim, "alice").StatusCode)
	require.NotEqual(t, planted.Value, a.cookieOf(victim).Value)
	require.Equal(t, "user-alice", a.get(victim, "/me").body)
	requireError(t, a.get(attacker, "/me"), http.StatusUnauthorized, "invalid_token")
	require.Equal(t, []string{core.ReasonReplaced}, a.log.ends())
}

// A sibling can plant cookies for the whole domain, but none with the prefix __Host-.
func TestOnHTTPSACookieOfASiblingIsNotRead(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing(), behindAProxy)
	a.guarded("/me", a.auth.Required())
	jar := keptCookies{}
	client := stubborn()
	client.Jar = jar
	require.Equal(t, http.StatusSeeOther, a.opened(client, "alice").StatusCode)
	good := jar.session()
	a.log.keep(good.Value)
	require.True(t, strings.HasPrefix(good.Name, "__Host-"))
	bare := strings.TrimPrefix(good.Name, "__Host-")
	for _, name := range []string{bare, "__Secure-" + bare, "__host-" + bare, "__Http-" + bare, " " + bare, "__Host-" + bare[:len(bare)-1], "__Host-oidcgate-session-00000000"} {
		requireError(t, a.get(browser(), "/me", "Cookie: "+name+"="+good.Value), http.StatusUnauthorized, "missing_token")
		require.Equal(t, "user-alice", a.get(client, "/me", "Cookie: "+name+"=x").body)
	}
	own := []string{"Origin: https://app.example.org", "Cookie: " + good.Name + "=" + good.Value}
	require.Equal(t, http.StatusOK, a.send(browser(), http.MethodPost, "/me", own).StatusCode, "PublicURL says what the browser sees")
	for _, origin := range []string{a.api, strings.TrimSuffix(a.api, "/api"), "http://app.example.org", "https://app.example.org:8443", "https://APP.example.org", "https://app.example.org/", "null", "https://evil.example"} {
		got := a.send(browser(), http.MethodPost, "/me", []string{"Origin: " + origin, own[1]})
		requireError(t, got, http.StatusForbidden, "cross_site")
	}
}

func TestNobodyElseCanSignAUserOut(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	client := a.signedIn("alice")
	cookie := a.cookieOf(client).Value
	sibling, stranger := "Origin: https://blog.example.org", "Origin: https://evil.example"
	for what, row := range map[string]struct {
		method  string
		headers []string
		status  int
	}{
		"a link or an image of another site":    {"GET", []string{"Sec-Fetch-Site: cross-site"}, 200},
		"a script of a sibling, by GET":         {"GET", []string{"Sec-Fetch-Site: same-site", sibling}, 200},
		"a form of another site":                {"POST", []string{"Sec-Fetch-Site: cross-site", stranger}, 403},
		"a form of a sibling":                   {"POST", []string{"Sec-Fetch-Site: same-site", sibling}, 403},
		"a form of a sandboxed frame":           {"POST", []string{"Sec-Fetch-Site: cross-site", "Origin: null"}, 403},
		"a form in a browser that tells little": {"POST", []string{stranger}, 403},
		"a browser that tells nothing":          {"POST", nil, 403},
		"a form with a token of somebody else":  {"POST", []string{stranger, bearer(a.signIn("bob").AccessToken)}, 403},
	} {
		got := a.send(client, row.method, logoutRoute+"?post_logout_redirect_uri="+url.QueryEscape(a.api), row.headers)
		require.Equal(t, row.status, got.StatusCode, what)
		require.Empty(t, got.Cookies(), what)
		require.Equal(t, http.StatusOK, a.get(client, sessionRoute).StatusCode, what)
	}
	require.Equal(t, cookie, a.cookieOf(client).Value)
}

// A page that sends no referrer has the Origin null in forms, which is nobody's.
func TestTheFormThatConfirmsALogoutHasAnOriginInOldBrowsers(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	client := a.signedIn("alice")
	got := a.get(client, logoutRoute, asBrowser)
	require.Equal(t, "same-origin", got.Header.Get("Referrer-Policy"), "not no-referrer")
	require.Equal(t, "no-store", got.Header.Get("Cache-Control"))
	require.Contains(t, got.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
	got = a.send(client, http.MethodPost, logoutRoute, []string{"Origin: " + strings.TrimSuffix(a.api, "/api")})
	require.Equal(t, http.StatusFound, got.StatusCode, got.body)
}
