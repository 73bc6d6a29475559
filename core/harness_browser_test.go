package core_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"github.com/oidcgate/oidcgate/core"
	"github.com/stretchr/testify/require"
)

const sessionRoute = "/auth/v2/session"

// browsing puts an application into broker mode with browser sessions.
func browsing(change ...func(*core.Browser)) func(*core.Config) {
	return func(c *core.Config) {
		if c.Broker == nil {
			c.Broker = &core.Broker{Algorithm: "ES256"} // RS256 is slow to make keys for
		}
		c.Browser = &core.Browser{}
		for _, f := range change {
			f(c.Browser)
		}
	}
}

// sameOrigin are headers of a request that a page of the application sends.
const sameOrigin = "Sec-Fetch-Site: same-origin"

// opened signs a browser in, and gives the answer of the callback.
func (a *app) opened(client *http.Client, user string, fields ...string) answer {
	a.t.Helper()
	code, state := a.authorize(client, user, fields...)
	got := a.get(client, callback("code", code, "state", state), asBrowser)
	if cookie := a.cookieOf(client); cookie != nil {
		a.log.keep(cookie.Value)
	}
	return got
}

// signedIn gives a browser in which a user is signed in.
func (a *app) signedIn(user string) *http.Client {
	a.t.Helper()
	client := browser()
	got := a.opened(client, user)
	require.Equal(a.t, http.StatusSeeOther, got.StatusCode, got.body)
	return client
}

// cookieOf is the cookie of a browser's session, nil if there is none.
func (a *app) cookieOf(client *http.Client) *http.Cookie {
	u, err := url.Parse(a.api)
	require.NoError(a.t, err)
	for _, c := range client.Jar.Cookies(u) {
		if strings.Contains(c.Name, "oidcgate-session-") {
			return c
		}
	}
	return nil
}

// withCookies gives a browser that has these cookies of the application.
func (a *app) withCookies(cookies ...*http.Cookie) *http.Client {
	jar, _ := cookiejar.New(nil)
	u, err := url.Parse(a.api)
	require.NoError(a.t, err)
	for _, c := range cookies {
		c.Path = "/"
	}
	jar.SetCookies(u, cookies)
	client := browser()
	client.Jar = jar
	return client
}

// send sends a request with headers and a form, if there is one.
func (a *app) send(client *http.Client, method, path string, headers []string, fields ...string) answer {
	a.t.Helper()
	req, err := http.NewRequest(method, a.api+path, strings.NewReader(form(fields...).Encode()))
	require.NoError(a.t, err)
	if len(fields) > 0 {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	addHeaders(req, headers)
	return a.do(client, req)
}
