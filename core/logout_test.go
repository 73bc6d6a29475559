package core_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestLogoutLeadsToTheProvidersEndSession(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	back := strings.TrimSuffix(a.api, "/api") + "/bye?x=1"
	for name, got := range map[string]answer{
		"query":          a.get(browser(), logoutRoute+"?"+form("post_logout_redirect_uri", back, "state", "s").Encode()),
		"form":           a.post(browser(), logoutRoute, "post_logout_redirect_uri", back, "state", "s"),
		"query and form": a.post(browser(), logoutRoute+"?state=s", "post_logout_redirect_uri", back),
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, http.StatusFound, got.StatusCode, got.body)
			requireProtected(t, got)
			u, err := url.Parse(got.Header.Get("Location"))
			require.NoError(t, err)
			require.Equal(t, a.provider.Issuer+oidctest.EndSessionPath, "http://"+u.Host+u.Path)
			require.Equal(t, form("client_id", "app", "post_logout_redirect_uri", back, "state", "s"), u.Query())
		})
	}
	got := a.get(browser(), logoutRoute)
	require.Equal(t, a.provider.Issuer+oidctest.EndSessionPath+"?client_id=app", got.Header.Get("Location"))
	require.Equal(t, core.EventLogout, a.log.last(t).Kind)
	require.Equal(t, http.StatusFound, a.post(browser(), logoutRoute).StatusCode)
}

func TestLogoutLeadsBackWhereTheProviderHasNoEndSession(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	tamper(provider, oidctest.DiscoveryPath, func(body map[string]any) { delete(body, "end_session_endpoint") })
	a := newApp(t, provider)
	require.Equal(t, "/", a.get(browser(), logoutRoute).Header.Get("Location"))
	got := a.get(browser(), logoutRoute+"?"+form("post_logout_redirect_uri", a.api+"/bye?x=1", "state", "s").Encode())
	require.Equal(t, a.api+"/bye?x=1&state=s", got.Header.Get("Location"))
	for _, exact := range []string{a.api + "/bye?z=1&a=2&flag&x=a;b", a.api + "/bye"} {
		got = a.get(browser(), logoutRoute+"?"+form("post_logout_redirect_uri", exact).Encode())
		require.Equal(t, exact, got.Header.Get("Location"))
	}
}

func TestLogoutLeadsNowhereElse(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), func(c *core.Config) {
		c.PublicURL = "https://app.example.org/api"
		c.PostLogoutURIs = []string{"https://www.example.org/bye"}
	})
	for uri, allowed := range map[string]bool{
		"https://www.example.org/bye":              true,
		"https://app.example.org/":                 true,
		"https://app.example.org:443/anything?x#":  false,
		"https://app.example.org:443/anything?x":   true,
		"https://APP.example.org/":                 true,
		"https://app.example.org:444/":             false,
		"http://app.example.org/":                  false,
		"https://www.example.org/bye/":             false,
		"https://www.example.org/":                 false,
		"https://app.example.org.evil.example.org": false,
		"https://app.example.org@evil.example.org": false,
		"//app.example.org/":                       false,
		"/bye":                                     false,
		`https://app.example.org\@evil.org/`:       false,
		"javascript:alert(1)":                      false,
	} {
		got := a.get(browser(), logoutRoute+"?"+form("post_logout_redirect_uri", uri).Encode())
		if allowed {
			require.Equal(t, http.StatusFound, got.StatusCode, uri)
		} else {
			requireError(t, got, http.StatusBadRequest, "invalid_request")
		}
	}
	nowhere := newApp(t, a.provider, func(c *core.Config) { c.PublicURL = "" })
	requireError(t, nowhere.get(browser(), logoutRoute+"?post_logout_redirect_uri=https://app.example.org/"), http.StatusBadRequest, "invalid_request")
	requireError(t, a.post(browser(), logoutRoute+"?state=a", "state", "b"), http.StatusBadRequest, "invalid_request")
	requireError(t, a.get(browser(), logoutRoute+"?state="+strings.Repeat("a", 4097)), http.StatusBadRequest, "invalid_request")
	requireError(t, a.postBody(browser(), logoutRoute, "{}", "application/json"), http.StatusUnsupportedMediaType, "invalid_request")
}
