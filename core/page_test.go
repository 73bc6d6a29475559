package core_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// asBrowser is what browsers send when a person opens a page.
const asBrowser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"

// requirePage looks at a page for an error: what it says, and what keeps it harmless.
func requirePage(t *testing.T, got answer, status int, says ...string) {
	t.Helper()
	require.Equal(t, status, got.StatusCode, got.body)
	requireProtected(t, got)
	require.Equal(t, "text/html; charset=utf-8", got.Header.Get("Content-Type"))
	for _, text := range says {
		require.Contains(t, got.body, text)
	}
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(got.body)
	require.Len(t, style, 2)
	hash := sha256.Sum256([]byte(style[1]))
	require.Equal(t, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(hash[:])+"'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
		got.Header.Get("Content-Security-Policy"))
	require.NotContains(t, got.body, "<script")
	require.Contains(t, style[1], "color-scheme: light dark")
}

func TestAFailedLoginIsAPageInABrowser(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	client := browser()
	_, state := a.authorize(client, "alice")
	back := `<a href="` + a.api + `/auth/v2/login">`
	denied := a.get(client, callback("error", "access_denied", "error_description", "The user said no.", "state", state), asBrowser)
	requirePage(t, denied, http.StatusForbidden, "The user said no.", "access_denied", back)
	require.Len(t, denied.Cookies(), 1, "the login is over, as without a page")
	requirePage(t, a.get(client, callback("code", "c", "state", "og1.AAAA"), asBrowser), http.StatusBadRequest, "Begin again.", "invalid_grant", back)
	requirePage(t, a.get(client, "/auth/v2/login?redirect_uri=https://evil.example.org/", asBrowser), http.StatusBadRequest, "invalid_request", back)
	req, err := http.NewRequest(http.MethodPost, a.api+"/auth/v2/callback", nil)
	require.NoError(t, err)
	req.Header.Set("Accept", "text/html")
	requirePage(t, a.do(client, req), http.StatusMethodNotAllowed)

	_, state = a.authorize(client, "alice")
	a.provider.Down(true)
	down := a.get(client, callback("code", "c", "state", state), asBrowser)
	requirePage(t, down, http.StatusServiceUnavailable, "temporarily_unavailable", back)
	require.NotEmpty(t, down.Header.Get("Retry-After"))
}

func TestAPageHasNoWayBackWhereNoLoginLeadsToTheCallback(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	for name, change := range map[string]func(*core.Config){
		"no callback":   func(c *core.Config) { c.Routes.Callback = core.Off },
		"no public URL": func(c *core.Config) { c.PublicURL = "" },
	} {
		t.Run(name, func(t *testing.T) {
			got := newApp(t, provider, change).get(browser(), "/auth/v2/login?prompt=maybe", asBrowser)
			requirePage(t, got, http.StatusBadRequest)
			require.NotContains(t, got.body, "<a ")
		})
	}
}

// Whoever can make the provider, or the browser, say something must not get it into
// the page as markup.
func TestAPageShowsMarkupAsText(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), func(c *core.Config) { c.Providers[0].LoginParams = []string{"hd"} })
	for _, attack := range []string{
		`<script>alert(1)</script>`, `<img src=x onerror=alert(1)>`, `</p></main><svg/onload=alert(1)>`, `"><a href=javascript:alert(1)>x</a>`, `&lt;script&gt;`, `'--><b>`, `</style><b>`,
	} {
		client := browser()
		_, state := a.authorize(client, "alice")
		for _, got := range []answer{
			a.get(client, callback("error", "access_denied", "error_description", attack, "state", state), asBrowser),
			a.get(client, callback("error", "x"+attack, "error_description", attack, "state", a.begin(client).Get("state")), asBrowser),
			a.get(client, callback("error", "access_denied", "state", attack), asBrowser),
			a.get(client, "/auth/v2/login?"+form("redirect_uri", attack).Encode(), asBrowser),
			a.get(client, "/auth/v2/login?"+form("prompt", attack, "hd", attack, "scope", attack).Encode(), asBrowser),
		} {
			requirePage(t, got, got.StatusCode)
			require.GreaterOrEqual(t, got.StatusCode, 400)
			for _, tag := range []string{"<b>", "<svg", "<img", "<script", "<a href=javascript"} {
				require.NotContains(t, got.body, tag)
			}
			require.Equal(t, 1, strings.Count(got.body, "<a "))
		}
	}
}

// Programs go on getting JSON: whatever does not ask for HTML first.
func TestAProgramGetsJSON(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	for accept, page := range map[string]bool{
		"": false, "*/*": false, "application/json": false, "application/json, text/plain, */*": false, "text/*": false, "application/json, text/html": false,
		"text/html;q=0": false, "text/html;q=0.5, application/json": false, "text/html;q=x": false, "text/html;q=2": false, "text/htmlx": false,
		"application/*, text/html;q=0.9": false, "application/json;q=0.9, text/html": true, "TEXT/HTML": true, "text/html; charset=utf-8; q=0.8": true, "text/html, */*": true,
	} {
		got := a.get(browser(), "/auth/v2/login?prompt=maybe", "Accept: "+accept)
		if page {
			requirePage(t, got, http.StatusBadRequest)
		} else {
			requireError(t, got, http.StatusBadRequest, "invalid_request")
		}
	}
	for _, route := range []string{userinfoRoute, logoutRoute + "?post_logout_redirect_uri=https://evil.example.org/"} {
		require.Equal(t, "application/json", a.get(browser(), route, asBrowser).Header.Get("Content-Type"), "only where people come back from the provider")
	}
}
