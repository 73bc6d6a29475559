package core_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// operations asks for the page of an application: a GET of a query, or a POST of a form
// that the page itself sends.
func operations(a *app, method, query string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	target, body := "https://shop.example.org/operations", ""
	if method == http.MethodPost {
		body = query
	} else {
		target += "?" + query
	}
	r := httptest.NewRequestWithContext(a.t.Context(), method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	core.Admin(a.auth).ServeHTTP(w, r)
	a.log.add(w.Body.String())
	return w
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Del(name)
		if value != "" {
			r.Header.Set(name, value)
		}
	}
}

func TestThePageForOperatorsShowsHealthKeysAndTheSessionsOfAUser(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	tokens := a.signIn("alice")
	token, err := a.auth.Verify(t.Context(), tokens.AccessToken)
	require.NoError(t, err)

	page := operations(a, "GET", "")
	require.Equal(t, http.StatusOK, page.Code)
	require.Contains(t, page.Body.String(), `Store: <span class="state good">good</span>`)
	require.Contains(t, page.Body.String(), a.keyID())
	require.NotContains(t, page.Body.String(), token.SessionID())

	page = operations(a, "GET", "subject=user-alice")
	require.Contains(t, page.Body.String(), token.SessionID())
	require.Contains(t, operations(a, "GET", "subject=nobody").Body.String(), "There is no session of this user.")

	header := page.Header()
	require.Equal(t, "no-store", header.Get("Cache-Control"))
	require.Contains(t, header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
	require.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'")
	require.NotContains(t, page.Body.String(), "<script")
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(page.Body.String())
	require.Len(t, style, 2)
	hash := sha256.Sum256([]byte(style[1]))
	require.Contains(t, header.Get("Content-Security-Policy"), "style-src 'sha256-"+base64.StdEncoding.EncodeToString(hash[:])+"'; base-uri 'none'; form-action 'self';")
	require.Equal(t, "same-origin", header.Get("Referrer-Policy"), "with no-referrer, the Origin of a form is null")
	require.Empty(t, operations(a, "HEAD", "").Body.String())
	put := operations(a, "PUT", "")
	require.Equal(t, http.StatusMethodNotAllowed, put.Code)
	require.Equal(t, "GET, HEAD, POST", put.Header().Get("Allow"))
}

func TestThePageForOperatorsEndsSessionsAndRotatesKeys(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	first, second, other := a.signIn("alice"), a.signIn("alice"), a.signIn("bob")
	token, err := a.auth.Verify(t.Context(), first.AccessToken)
	require.NoError(t, err)
	do := func(fields ...string) string {
		t.Helper()
		done := operations(a, "POST", form(fields...).Encode())
		require.Equal(t, http.StatusSeeOther, done.Code, done.Body.String())
		location := done.Header().Get("Location")
		return operations(a, "GET", strings.TrimPrefix(location, "?")).Body.String()
	}
	refused := func(refreshToken string) {
		t.Helper()
		requireError(t, a.refresh(refreshToken), http.StatusBadRequest, "invalid_grant")
	}
	page := do("do", "end", "subject", "user-alice", "session", token.SessionID())
	require.Contains(t, page, "Done.")
	refused(first.RefreshToken)
	second = a.tokens(a.refresh(second.RefreshToken))

	require.Contains(t, do("do", "end", "subject", "user-alice"), "There is no session of this user.")
	refused(second.RefreshToken)

	require.Contains(t, do("do", "rotate"), `<span class="state">coming</span>`)
	require.NoError(t, a.verify(other.AccessToken))
	require.Equal(t, http.StatusBadRequest, operations(a, "POST", form("do", "compromised").Encode()).Code, "nobody has said so")
	require.NoError(t, a.verify(other.AccessToken))
	do("do", "compromised", "sure", "on")
	require.ErrorIs(t, a.verify(other.AccessToken), core.ErrInvalidToken)
	a.tokens(a.refresh(other.RefreshToken))
}

func TestNoOtherSiteAndNoGETChangesAnythingOnThePageForOperators(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(), func(c *core.Config) { c.PublicURL = "https://shop.example.org/api" })
	keys := func() int {
		keys, err := a.auth.SigningKeys(t.Context())
		require.NoError(t, err)
		return len(keys)
	}
	require.NoError(t, a.auth.Start(t.Context()))
	before := keys()
	rotate := form("do", "rotate").Encode()
	for name, change := range map[string][]func(*http.Request){
		"another site":                 {header("Sec-Fetch-Site", "cross-site"), header("Origin", "https://evil.example")},
		"another subdomain":            {header("Sec-Fetch-Site", "same-site"), header("Origin", "https://evil.example.org")},
		"an old browser":               {header("Sec-Fetch-Site", ""), header("Origin", "https://evil.example")},
		"a page without an origin":     {header("Sec-Fetch-Site", ""), header("Origin", "null")},
		"a request that tells nothing": {header("Sec-Fetch-Site", "")},
	} {
		got := operations(a, "POST", rotate, change...)
		require.Equal(t, http.StatusForbidden, got.Code, name)
		require.Contains(t, got.Body.String(), "Error: cross_site", name)
		require.Equal(t, "text/html; charset=utf-8", got.Header().Get("Content-Type"), name)
	}
	operations(a, "GET", rotate)
	operations(a, "HEAD", rotate)
	require.Equal(t, before, keys())

	own := operations(a, "POST", rotate, header("Sec-Fetch-Site", ""), header("Origin", "https://shop.example.org"), func(r *http.Request) { r.Host = "10.0.0.7" })
	require.Equal(t, http.StatusSeeOther, own.Code, "an old browser, behind a proxy")
	require.Equal(t, before+1, keys())
}

func TestThePageForOperatorsShowsTextsAsTexts(t *testing.T) {
	evil := `"><script>alert(1)</script>`
	a := newApp(t, newProvider(t, oidctest.Options{ClientID: evil}), brokered(func(b *core.Broker) {
		b.Device = func(*http.Request) core.Device { return core.Device{Address: "from" + evil, UserAgent: "with" + evil} }
	}))
	a.signIn("alice")
	ofAlice := operations(a, "GET", "subject=user-alice").Body.String()
	for _, before := range []string{"<li>", "from", "with"} {
		require.Contains(t, ofAlice, before+"&#34;&gt;&lt;script&gt;", "the client, and the device")
	}
	require.NotContains(t, ofAlice, "<script")
	page := operations(a, "GET", url.Values{"subject": {evil}, "done": {evil}}.Encode()).Body.String()
	require.NotContains(t, page, "<script")
	require.Equal(t, http.StatusBadRequest, operations(a, "POST", form("do", evil).Encode()).Code)
	require.Equal(t, http.StatusBadRequest, operations(a, "POST", form("do", "end").Encode()).Code, "nobody is named")
}

func TestThePageForOperatorsTellsOfAStoreThatIsDownAndOfNoBroker(t *testing.T) {
	store := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(store), quick)
	a.signIn("alice")
	store.fail(func(context.Context, string, bool) error { return errors.New("the disk is on fire") })
	for _, page := range []*httptest.ResponseRecorder{
		operations(a, "GET", "subject=user-alice"), operations(a, "POST", form("do", "rotate").Encode()),
	} {
		require.Equal(t, http.StatusServiceUnavailable, page.Code)
		require.Contains(t, page.Body.String(), `role="alert"`)
		require.Contains(t, page.Body.String(), "Error: temporarily_unavailable")
		require.NotEmpty(t, page.Header().Get("Retry-After"))
	}
	require.Len(t, a.log.lines("the page for operators"), 1)
	store.fail(nil)
	a.clock.Add(time.Minute)
	require.Equal(t, http.StatusOK, operations(a, "GET", "").Code)
	require.Len(t, a.log.lines("the page for operators"), 2, "that it is over")

	without := newApp(t, a.provider)
	page := operations(without, "GET", "")
	require.Equal(t, http.StatusOK, page.Code)
	require.NotContains(t, page.Body.String(), "<form")
	require.Equal(t, http.StatusBadRequest, operations(without, "POST", form("do", "rotate").Encode()).Code)
}
