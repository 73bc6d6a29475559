package core_test

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// sessionCookies are the cookies of sessions that an answer sets.
func sessionCookies(got answer) (set []*http.Cookie) {
	for _, c := range got.Cookies() {
		if strings.Contains(c.Name, "oidcgate-session-") {
			set = append(set, c)
		}
	}
	return set
}

// ledBack holds that an answer leads to a page of the application, and tells nothing.
func ledBack(t *testing.T, got answer, location string) {
	t.Helper()
	require.Equal(t, http.StatusSeeOther, got.StatusCode, got.body)
	require.Equal(t, location, got.Header.Get("Location"))
	require.Empty(t, got.body)
	requireProtected(t, got)
}

func TestACallbackThatIsOpenedAgainLeadsWhereTheFirstLed(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing(func(b *core.Browser) { b.LandingPath = "/home" }))
	client := browser()
	code, state := a.authorize(client, "alice", "return_to", "/orders?a=b")
	link := callback("code", code, "state", state)
	ledBack(t, a.get(client, link, asBrowser), "/orders?a=b")
	cookie := a.cookieOf(client)
	require.Equal(t, core.EventLogin, a.log.last(t).Kind)
	asked := a.provider.Requests(oidctest.TokenPath)

	again := a.get(client, link, asBrowser)
	ledBack(t, again, "/orders?a=b")
	require.Empty(t, again.Cookies(), "the session is the same")
	ledBack(t, a.get(client, callback("error", "access_denied", "state", state), asBrowser), "/orders?a=b")
	a.clock.Add(10 * time.Minute)
	ledBack(t, a.get(client, link, asBrowser), "/home")
	require.Equal(t, asked, a.provider.Requests(oidctest.TokenPath), "a code is redeemed once")
	require.Equal(t, cookie.Value, a.cookieOf(client).Value)

	require.Equal(t, http.StatusFound, a.send(client, http.MethodPost, logoutRoute, []string{sameOrigin}).StatusCode)
	over := a.get(client, link, asBrowser)
	requirePage(t, over, http.StatusBadRequest, "Sign-in failed", "Begin again.", `/auth/v2/login?return_to=%2Forders%3Fa%3Db">`)
	require.Empty(t, sessionCookies(over))
}

// Somebody reloads a page that is slow: the browser gives the first request up. The second has
// the same code, which is used up by then.
func TestACallbackThatIsReloadedWhileItIsSlowSignsIn(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{StrictRefresh: true}), browsing())
	client := browser()
	code, state := a.authorize(client, "alice", "return_to", "/orders")
	link := callback("code", code, "state", state)
	redeemed, held := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	defer release()
	var waits atomic.Bool
	a.provider.Answer(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		real.ServeHTTP(w, r)
		if waits.CompareAndSwap(false, true) {
			close(redeemed)
			<-held
		}
	})
	asked := a.provider.Requests(oidctest.TokenPath)
	ctx, giveUp := context.WithCancel(t.Context())
	first, err := http.NewRequestWithContext(ctx, http.MethodGet, a.api+link, nil)
	require.NoError(t, err)
	var done sync.WaitGroup
	done.Go(func() {
		if _, err := client.Do(first); err == nil {
			t.Error("the first request was not given up")
		}
	})
	<-redeemed
	giveUp()
	done.Wait()
	const others = 3
	answers := make([]answer, others)
	for i := range answers {
		done.Go(func() { answers[i] = a.get(client, link, asBrowser) })
	}
	require.Eventually(t, func() bool { // all have joined the first
		stacks := make([]byte, 4<<20)
		return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "singleflight.(*Group).Do(") > others
	}, 10*time.Second, time.Millisecond)
	release()
	done.Wait()
	for _, got := range answers {
		ledBack(t, got, "/orders")
		require.Equal(t, sessionCookies(answers[0])[0].Value, sessionCookies(got)[0].Value)
	}
	require.Equal(t, "user-alice", a.get(client, sessionRoute).json["sub"])
	require.Equal(t, asked+1, a.provider.Requests(oidctest.TokenPath))
	sessions, err := a.auth.Sessions(t.Context(), "user-alice")
	require.NoError(t, err)
	require.Len(t, sessions, 1)
	logins := func() int { return strings.Count(a.log.logged(), `"Kind":"login"`) }
	require.Eventually(t, func() bool { return logins() > 0 }, 10*time.Second, time.Millisecond)
	require.Equal(t, 1, logins())
	require.Empty(t, a.log.ends())
}

// The code of somebody else's login, while that ends, is worth nothing with a login of one's own.
func TestACodeOfAnotherLoginJoinsNothing(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	victim, attacker := browser(), browser()
	code, state := a.authorize(victim, "alice")
	own := a.begin(attacker).Get("state")
	redeemed, held := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	defer release()
	var waits atomic.Bool
	a.provider.Answer(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		real.ServeHTTP(w, r)
		if waits.CompareAndSwap(false, true) {
			close(redeemed)
			<-held
		}
	})
	var done sync.WaitGroup
	var got answer
	done.Go(func() { got = a.get(victim, callback("code", code, "state", state), asBrowser) })
	<-redeemed
	stolen := a.get(attacker, callback("code", code, "state", own), asBrowser)
	release()
	done.Wait()
	requirePage(t, stolen, http.StatusBadRequest, "invalid_grant")
	require.Empty(t, sessionCookies(stolen))
	ledBack(t, got, "/")
}

func TestACallbackHelpsWhoeverCanNotBeSignedIn(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	for what, row := range map[string]struct {
		wait  time.Duration
		other bool
		says  string
	}{
		"after ten minutes":         {wait: 10 * time.Minute, says: "not finished within ten minutes"},
		"in another browser":        {other: true, says: "did not begin in this browser"},
		"in a browser that is slow": {wait: 10*time.Minute - time.Second},
	} {
		t.Run(what, func(t *testing.T) {
			client := browser()
			code, state := a.authorize(client, "alice")
			a.clock.Add(row.wait)
			if row.other {
				client = browser() // as well one that keeps no cookies
			}
			got := a.get(client, callback("code", code, "state", state), asBrowser)
			if row.says == "" {
				ledBack(t, got, "/")
				return
			}
			requirePage(t, got, http.StatusBadRequest, row.says, "invalid_grant", "Sign in again", `<a href="`+a.api+`/auth/v2/login">`)
			require.Empty(t, sessionCookies(got))
			require.Empty(t, got.Header.Get("Location"), "nothing leads to the provider and here again")
			require.Equal(t, core.EventLogin, a.log.last(t).Kind)
			require.Equal(t, "invalid_grant", a.log.last(t).Error.Code)
		})
	}
}

func TestWhoeverSignsInAgainComesToThePageThatTheyWanted(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	again := `<a href="` + a.api + `/auth/v2/login?return_to=%2Forders%3Fpage%3D2">Sign in again</a>`
	client := browser()
	state := a.begin(client, "return_to", "/orders?page=2").Get("state")
	requirePage(t, a.get(client, callback("error", "access_denied", "state", state), asBrowser), http.StatusForbidden, again)
	code, state := a.authorize(client, "alice", "return_to", "/orders?page=2")
	a.clock.Add(time.Hour)
	requirePage(t, a.get(client, callback("code", code, "state", state), asBrowser), http.StatusBadRequest, "ten minutes", again)
	requirePage(t, a.get(client, "/auth/v2/login?max_age=x&return_to=/orders%3Fpage%3D2", asBrowser), http.StatusBadRequest, again)
	bad := a.get(client, "/auth/v2/login?return_to=//evil.example", asBrowser)
	requirePage(t, bad, http.StatusBadRequest, `<a href="`+a.api+`/auth/v2/login">`)
}

func TestALoginThatFailedEndsOnAPage(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	denied := []string{"error", "access_denied", "error_description", `No <b>&way`}
	plain := newApp(t, provider, browsing())
	client := browser()
	got := plain.get(client, callback(append(denied, "state", plain.begin(client).Get("state"))...), "Accept: application/json")
	requirePage(t, got, http.StatusForbidden, "Sign-in failed", "No &lt;b&gt;&amp;way", "access_denied")

	for path, location := range map[string]string{
		"/failed":     `/failed?error=access_denied&error_description=No+%3Cb%3E%26way`,
		"/failed?a=b": `/failed?a=b&error=access_denied&error_description=No+%3Cb%3E%26way`,
	} {
		a := newApp(t, provider, browsing(func(b *core.Browser) { b.ErrorPath = path }))
		state := a.begin(client).Get("state")
		got := a.get(client, callback(append(denied, "state", state)...), asBrowser)
		ledBack(t, got, location)
		require.Len(t, got.Cookies(), 1, "the login is over")
		got = a.get(client, callback(append(denied, "state", state)...), asBrowser)
		require.Equal(t, http.StatusSeeOther, got.StatusCode)
		require.Contains(t, got.Header.Get("Location"), "error=invalid_grant")
	}
}

// A page that only tries whether the user is signed in at the provider goes on without a
// session. Whatever else goes wrong is an error.
func TestASilentSignInThatNeedsTheUserLeadsBackWithoutASession(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	for code, led := range map[string]bool{
		"login_required": true, "interaction_required": true, "consent_required": true, "account_selection_required": true,
		"access_denied": false, "invalid_request": false, "server_error": false, "temporarily_unavailable": false, "LOGIN_REQUIRED": false, "": false,
	} {
		for prompt, silent := range map[string]bool{"none": true, "login": false, "": false} {
			client := browser()
			state := a.begin(client, "prompt", prompt, "return_to", "/page").Get("state")
			got := a.get(client, callback("error", code, "state", state), asBrowser)
			require.Empty(t, sessionCookies(got))
			if led && silent {
				ledBack(t, got, "/page")
				require.Len(t, got.Cookies(), 1, "the login is over")
				continue
			}
			require.GreaterOrEqual(t, got.StatusCode, 400, "%s, prompt %q", code, prompt)
			requirePage(t, got, got.StatusCode, "Sign-in failed")
		}
	}
	client := a.signedIn("alice")
	state := a.begin(client, "prompt", "none", "return_to", "/page").Get("state")
	ledBack(t, a.get(client, callback("error", "login_required", "state", state), asBrowser), "/page")
	require.Equal(t, http.StatusOK, a.get(client, sessionRoute).StatusCode, "the session here goes on")

	stranger := a.get(browser(), callback("error", "login_required", "state", state), asBrowser)
	requirePage(t, stranger, http.StatusBadRequest, "did not begin in this browser")
}

func TestTheSessionRoutesKnowNoOtherMethods(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	a.guarded("/page", a.auth.Pages())
	a.guarded("/api", a.auth.Required())
	client := a.signedIn("alice")
	for _, method := range []string{http.MethodPost, http.MethodHead, http.MethodOptions, http.MethodPut, "get"} {
		got := a.send(client, method, sessionRoute, []string{sameOrigin})
		require.Equal(t, http.StatusMethodNotAllowed, got.StatusCode, method)
		require.Equal(t, "GET", got.Header.Get("Allow"))
	}
	require.Equal(t, http.StatusOK, a.send(client, http.MethodHead, "/page", []string{asBrowser}).StatusCode)
	require.Equal(t, http.StatusFound, a.send(browser(), http.MethodHead, "/page", []string{asBrowser}).StatusCode)
	preflight := []string{"Origin: https://evil.example", "Access-Control-Request-Method: PUT", "Sec-Fetch-Mode: cors"}
	for _, path := range []string{"/page", "/api"} { // browsers send none with a cookie
		requireError(t, a.send(browser(), http.MethodOptions, path, preflight), http.StatusUnauthorized, "missing_token")
	}
	require.Equal(t, http.StatusSeeOther, a.opened(browser(), "alice").StatusCode)
	got := a.send(client, http.MethodPost, "/auth/v2/callback", []string{asBrowser}, "code", "c", "state", "s")
	requirePage(t, got, http.StatusMethodNotAllowed)
}
