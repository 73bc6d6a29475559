package core_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// Browsers ask for pages in advance, and fetch the scripts of workers. None of that is a
// person who wants to sign in.
func TestWhatNobodyWaitsForBeginsNoLogin(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	a.guarded("/page", a.auth.Pages())
	client := browser()
	got := a.get(client, "/page", asBrowser, "Sec-Fetch-Mode: navigate", "Sec-Purpose: prefetch;prerender")
	require.Equal(t, http.StatusFound, got.StatusCode)
	login := strings.TrimPrefix(got.Header.Get("Location"), a.api)
	got = a.get(client, login, asBrowser, "Sec-Purpose: prefetch;prerender")
	require.Equal(t, http.StatusServiceUnavailable, got.StatusCode, "which the browser throws away")
	require.Empty(t, got.Cookies())

	for what, headers := range map[string][]string{
		"a worker":        {"Sec-Fetch-Mode: same-origin", "Sec-Fetch-Dest: serviceworker", "Service-Worker: script", "Accept: */*"},
		"a fetch":         {"Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty", asBrowser},
		"an image":        {"Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image", "Accept: image/*,*/*;q=0.8"},
		"an event source": {"Sec-Fetch-Mode: cors", "Accept: text/event-stream"},
		"a websocket":     {"Sec-Fetch-Mode: websocket", "Connection: Upgrade", "Upgrade: websocket"},
		"a program":       {"Accept: */*"},
	} {
		got := a.get(browser(), "/page", headers...)
		requireError(t, got, http.StatusUnauthorized, "missing_token")
		require.Empty(t, got.Header.Get("Location"), what)
	}
	for _, dest := range []string{"iframe", "frame", "embed", "object", "fencedframe"} {
		framed := a.get(browser(), "/page", asBrowser, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: "+dest)
		requirePage(t, framed, http.StatusUnauthorized, `target="_top"`)
	}
}

func TestGuardsOfAllKindsCanStandBehindEachOther(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	client := a.signedIn("alice")
	for name, guards := range map[string][2]*core.Guard{
		"Optional, Pages": {a.auth.Optional(), a.auth.Pages()}, "Pages, Optional": {a.auth.Pages(), a.auth.Optional()}, "Pages, Required": {a.auth.Pages(), a.auth.Required()},
	} {
		path := "/" + strings.ReplaceAll(strings.ToLower(name), ", ", "-")
		a.mux.Handle("/api"+path, guards[0].Handler(guards[1].Handler(http.HandlerFunc(whoami))))
		require.Equal(t, "user-alice", a.get(client, path, asBrowser).body, name)
		require.Equal(t, http.StatusFound, a.get(browser(), path, asBrowser).StatusCode, name)
	}
}

// A page that is outside of PublicURL's path has the cookie as well.
func TestTheCookieIsGoodOutsideOfPublicURLsPath(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	a.mux.Handle("/orders", a.auth.Pages().Handler(http.HandlerFunc(whoami)))
	root := *a
	root.api = strings.TrimSuffix(a.api, "/api")
	got := root.get(browser(), "/orders?a=b", asBrowser)
	require.Equal(t, a.api+"/auth/v2/login?return_to=%2Forders%3Fa%3Db", got.Header.Get("Location"))
	client := browser()
	ledBack(t, a.opened(client, "alice", "return_to", "/orders?a=b"), "/orders?a=b")
	require.Equal(t, "user-alice", root.get(client, "/orders?a=b", asBrowser).body)
}

func TestAPageCanStreamAndSayHowItMayBeKept(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	release := make(chan struct{})
	a.mux.Handle("/api/events", a.auth.Pages().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "data: one\n\n")
		require.NoError(t, http.NewResponseController(w).Flush())
		<-release
	})))
	a.mux.Handle("/api/kept", a.auth.Pages().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private, max-age=60")
	})))
	client := a.signedIn("alice")
	require.Equal(t, "private, max-age=60", a.get(client, "/kept", asBrowser).Header.Get("Cache-Control"))
	res, err := client.Get(a.api + "/events")
	require.NoError(t, err)
	require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
	first := make([]byte, 11)
	_, err = io.ReadFull(res.Body, first)
	require.NoError(t, err, "before the stream is over")
	close(release)
	require.NoError(t, res.Body.Close())
}

// An address that a stranger has written into a link is text, in pages and in the log.
func TestAStrangersAddressIsTextInPagesAndNotInTheLog(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy), browsing(), quick)
	cookie := a.cookieOf(a.signedIn("alice"))
	pages := a.auth.Pages(core.AnyRole("nobody"))
	for _, target := range []string{
		`/x"><script>alert(1)</script>`, `/x'onmouseover='alert(1)`, `/x?a=</a><svg/onload=alert(1)>`, `/x?a="style="background:url(//evil.example)`, `/x?a={{.}}`, `/x?javascript:alert(1)`,
	} {
		spy.fail(nil)
		for _, request := range []core.Request{
			{Method: "GET", URL: target, FetchMode: "navigate", Cookie: []string{cookie.Name + "=" + cookie.Value}},
			{Method: "GET", URL: target, FetchMode: "navigate", FetchDest: "iframe"},
		} {
			for _, down := range []bool{false, true} {
				if down {
					spy.unplug()
					a.clock.Add(time.Minute) // guards have forgotten the session
				}
				_, err := pages.Check(t.Context(), request)
				w := httptest.NewRecorder()
				core.WriteError(w, err)
				got := newAnswer(w)
				requirePage(t, got, got.StatusCode)
				require.Equal(t, 1, strings.Count(got.body, "<a "), got.body)
				for _, markup := range []string{"<svg", "'onmouse", `"style`, "{{"} {
					require.NotContains(t, got.body, markup)
				}
			}
		}
		_ = a.opened(browser(), "alice", "return_to", "/secret-page?text=%0aFAKE%20LINE")
	}
	for line := range strings.Lines(a.log.logged()) {
		if strings.HasPrefix(line, "<") {
			continue // of the page of a login that failed, whose link leads back
		}
		require.NotContains(t, line, "secret-page")
		require.NotContains(t, line, "FAKE")
		require.NotContains(t, line, "alert(1)")
	}
}
