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

func TestLoginSendsTheBrowserToTheProviderWithPKCEAndNonce(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	got := a.get(browser(), "/auth/v2/login")
	require.Equal(t, http.StatusFound, got.StatusCode)
	requireProtected(t, got)
	require.Empty(t, got.body)

	location, err := url.Parse(got.Header.Get("Location"))
	require.NoError(t, err)
	require.Equal(t, a.provider.Issuer+oidctest.AuthorizePath, "http://"+location.Host+location.Path)
	q := location.Query()
	require.Equal(t, "code", q.Get("response_type"))
	require.Equal(t, a.provider.ClientID, q.Get("client_id"))
	require.Equal(t, a.api+"/auth/v2/callback", q.Get("redirect_uri"))
	require.Equal(t, "openid profile email", q.Get("scope"))
	require.Equal(t, "S256", q.Get("code_challenge_method"))
	require.Len(t, q.Get("code_challenge"), 43)
	require.NotEmpty(t, q.Get("nonce"))
	require.True(t, strings.HasPrefix(q.Get("state"), "og1."))
	require.NotContains(t, q.Get("state"), "|")
	require.NotContains(t, q, "prompt")
}

func TestLoginStatesNoncesAndChallengesNeverRepeat(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	seen := map[string]bool{}
	for range 20 {
		q := a.begin(browser())
		for _, name := range []string{"state", "nonce", "code_challenge"} {
			require.False(t, seen[q.Get(name)], name)
			seen[q.Get(name)] = true
		}
	}
}

func TestLoginScopes(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	free := newApp(t, provider)
	bounded := newApp(t, provider, func(c *core.Config) { c.Providers[0].AllowedScopes = []string{"orders", "email"} })
	for _, row := range []struct {
		app  *app
		ask  []string
		want string // "" refused
	}{
		{free, nil, "openid profile email"},
		{free, []string{"scope", "b a b openid"}, "openid b a"},
		{free, []string{"offline_access", "true"}, "openid profile email offline_access"},
		{free, []string{"offline_access", "True", "scope", "offline_access x"}, "openid offline_access x"},
		{free, []string{"offline_access", "false"}, "openid profile email"},
		{free, []string{"scope", `a"b`}, ""},
		{free, []string{"scope", "ä"}, ""},
		{free, []string{"scope", "a\tb  c"}, "openid a b c"},
		{free, []string{"scope", "a\u00a0b"}, ""}, // to a provider that is one scope, or two
		{free, []string{"scope", "a\u2003b"}, ""},
		{bounded, []string{"scope", "orders"}, "openid orders"},
		{bounded, []string{"scope", "orders openid"}, "openid orders"},
		{bounded, nil, "openid profile email"}, // what is configured is the application's own choice
		{bounded, []string{"scope", "admin"}, ""},
		{bounded, []string{"offline_access", "true"}, ""},
		{bounded, []string{"scope", "orders\u00a0admin"}, ""},
	} {
		got := row.app.get(browser(), "/auth/v2/login?"+form(row.ask...).Encode())
		if row.want == "" {
			requireError(t, got, http.StatusBadRequest, "invalid_scope")
			continue
		}
		require.Equal(t, http.StatusFound, got.StatusCode, got.body)
		location, _ := url.Parse(got.Header.Get("Location"))
		require.Equal(t, row.want, location.Query().Get("scope"), row.ask)
	}
}

func TestLoginHandsOnWhatOnlyTheProviderUnderstands(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), func(c *core.Config) {
		c.Providers[0].AuthParams = url.Values{"audience": {"orders"}, "prompt": {"consent"}, "resource": {"a", "b"}}
	})
	q := a.begin(browser(), "login_hint", "älice@example.org", "max_age", "060", "ui_locales", "de en", "acr_values", "gold", "unknown", "x")
	require.Equal(t, []string{"a", "b"}, q["resource"])
	require.Equal(t, "consent", q.Get("prompt"))
	require.Equal(t, "älice@example.org", q.Get("login_hint"))
	require.Equal(t, "60", q.Get("max_age"))
	require.Equal(t, "de en", q.Get("ui_locales"))
	require.Equal(t, "gold", q.Get("acr_values"))
	require.Equal(t, "orders", q.Get("audience"))
	require.NotContains(t, q, "unknown")
}

func TestLoginHandsOnEveryPrompt(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	for _, prompt := range []string{"none", "login", "consent", "select_account", "create", "login select_account"} {
		require.Equal(t, []string{prompt}, a.begin(browser(), "prompt", prompt)["prompt"])
	}
	require.NotContains(t, a.begin(browser()), "prompt")
}

// Anybody can write a link to the login route; it must not undo what the operator
// asks of the provider.
func TestALinkCannotOverrideAuthParams(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), func(c *core.Config) {
		c.Providers[0].AuthParams = url.Values{"acr_values": {"gold"}, "prompt": {"login"}, "login_hint": {"x"}, "ui_locales": {"de"}, "audience": {"orders"}}
		c.Providers[0].LoginParams = []string{"hd"}
	})
	q := a.begin(browser(), "acr_values", "bronze", "prompt", "none", "login_hint", "y", "ui_locales", "en", "audience", "admin")
	for name, want := range map[string]string{"acr_values": "gold", "prompt": "login", "login_hint": "x", "ui_locales": "de", "audience": "orders"} {
		require.Equal(t, []string{want}, q[name], name)
	}
}

func TestALinkMaySetTheLoginParamsThatAreListed(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), func(c *core.Config) { c.Providers[0].LoginParams = []string{"kc_idp_hint", "hd"} })
	q := a.begin(browser(), "kc_idp_hint", "google", "kc_action", "delete_account")
	require.Equal(t, []string{"google"}, q["kc_idp_hint"])
	require.NotContains(t, q, "hd")
	require.NotContains(t, q, "kc_action")
	for _, query := range []string{"hd=a%00b", "hd=%ff", "hd=a&hd=b", "hd=" + strings.Repeat("a", 2049)} {
		requireError(t, a.get(browser(), "/auth/v2/login?"+query), http.StatusBadRequest, "invalid_request")
	}
}

func TestLoginRefusesInvalidParameters(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	challenge := strings.Repeat("a", 43)
	for name, query := range map[string]string{
		"prompt unknown":                    "prompt=register",
		"prompt none with another":          "prompt=none+login",
		"prompt with another space":         "prompt=login%c2%a0consent",
		"scope with a control":              "scope=a%00b",
		"scope with a line break":           "scope=a%0d%0ab",
		"redirect_uri with a control":       "redirect_uri=http://localhost/%00",
		"acr_values with a control":         "acr_values=a%1fb",
		"max_age with a sign":               "max_age=%2b60",
		"max_age a fraction":                "max_age=60.5",
		"max_age beyond 31 bits":            "max_age=2147483648",
		"offline_access neither":            "offline_access=maybe",
		"max_age negative":                  "max_age=-1",
		"max_age huge":                      "max_age=99999999999999999999",
		"max_age text":                      "max_age=soon",
		"repeated":                          "prompt=login&prompt=login",
		"repeated, unknown to us":           "x=1&x=2",
		"redirect_uri too long":             "redirect_uri=http://localhost/" + strings.Repeat("a", 2048),
		"scope too long":                    "scope=" + strings.Repeat("a", 2049),
		"scope and redirect_uri too long":   "scope=" + strings.Repeat("a", 2000) + "&redirect_uri=http://localhost/" + strings.Repeat("a", 2000),
		"login_hint too long":               "login_hint=" + strings.Repeat("a", 2049),
		"login_hint with a control":         "login_hint=a%00b",
		"login_hint not UTF-8":              "login_hint=%ff",
		"query malformed":                   "prompt=%zz",
		"query with a semicolon":            "prompt=login;x=1",
		"response_type another":             "response_type=token",
		"response_mode another":             "response_mode=fragment",
		"client_id another":                 "client_id=somebody",
		"state without a challenge":         "state=mine&redirect_uri=" + native,
		"challenge plain":                   "code_challenge=" + challenge + "&code_challenge_method=plain&redirect_uri=" + native,
		"challenge without a method":        "code_challenge=" + challenge + "&redirect_uri=" + native,
		"method without a challenge":        "code_challenge_method=S256&redirect_uri=" + native,
		"challenge too short":               "code_challenge=abc&code_challenge_method=S256&redirect_uri=" + native,
		"challenge of other characters":     "code_challenge=" + strings.Repeat("+", 43) + "&code_challenge_method=S256&redirect_uri=" + native,
		"challenge for our callback":        "code_challenge=" + challenge + "&code_challenge_method=S256",
		"state of the client too long":      "code_challenge=" + challenge + "&code_challenge_method=S256&redirect_uri=" + native + "&state=" + strings.Repeat("a", 4097),
		"state of the client not printable": "code_challenge=" + challenge + "&code_challenge_method=S256&redirect_uri=" + native + "&state=%0d%0a",
	} {
		t.Run(name, func(t *testing.T) {
			got := a.get(browser(), "/auth/v2/login?"+strings.ReplaceAll(query, "+", "%20"))
			requireError(t, got, http.StatusBadRequest, "invalid_request")
			require.Empty(t, got.Header.Get("Location"))
			require.Empty(t, got.Header.Get("Set-Cookie"))
		})
	}
}

func TestLoginAllowsOnlyKnownRedirectURIs(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), func(c *core.Config) {
		c.PublicURL = "https://app.example.org/api"
		c.RedirectURIs = []string{"https://app.example.org/done?x=1", "org.example.app:/done"}
	})
	for uri, allowed := range map[string]bool{
		"https://app.example.org/api/auth/v2/callback":  true,
		"https://app.example.org/done?x=1":              true,
		"org.example.app:/done":                         true,
		"http://localhost":                              true,
		"http://127.0.0.1:1234/a?b=c":                   true,
		"http://[::1]:65535/":                           true,
		"http://localhost:99999/":                       false,
		"http://127.0.0.1:65536/":                       false,
		"https://localhost:0/":                          false,
		"http://[::1]:4294967376/":                      false,
		"https://localhost:8443/x":                      true,
		"https://app.example.org/done":                  false,
		"https://app.example.org/done?x=1&y=2":          false,
		"https://app.example.org/done/?x=1":             false,
		"https://APP.example.org/done?x=1":              false,
		"https://app.example.org/api/auth/v2/callback/": false,
		"https://app.example.org/api/auth/v2/callback?": false,
		"http://app.example.org/api/auth/v2/callback":   false,
		"https://evil.example.org/":                     false,
		"http://localhost.evil.example.org/":            false,
		"http://localhost@evil.example.org/":            false,
		"http://127.0.0.1:80@evil.example.org/":         false,
		"http://user@localhost/":                        false,
		`http://localhost\@evil.example.org/`:           false,
		`http://evil.example.org\@localhost/`:           false,
		"http://localhost#@evil.example.org/":           false,
		"http://localhost/#":                            false,
		"http://127.0.0.2/":                             false,
		"http://0.0.0.0/":                               false,
		"http://[::1%25lo]/":                            false,
		"ftp://localhost/":                              false,
		"//localhost/":                                  false,
		"/done":                                         false,
		"localhost:1234":                                false,
		"javascript:alert(1)//localhost":                false,
		"http://localhost/ x":                           false,
		"http://localhost/\t":                           false,
		"http://lоcalhost/":                             false, // a Cyrillic о
		"http:localhost":                                false,
		"http:///localhost":                             false,
	} {
		got := a.get(browser(), "/auth/v2/login?redirect_uri="+url.QueryEscape(uri))
		if allowed {
			require.Equal(t, http.StatusFound, got.StatusCode, "%s: %s", uri, got.body)
		} else {
			requireError(t, got, http.StatusBadRequest, "invalid_request")
			require.Empty(t, got.Header.Get("Location"), uri)
		}
	}
}

func TestLoginWithoutPublicURLNeedsARedirectURI(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), func(c *core.Config) { c.PublicURL = "" })
	requireError(t, a.get(browser(), "/auth/v2/login"), http.StatusBadRequest, "invalid_request")
	require.Equal(t, native, a.begin(browser(), "redirect_uri", native).Get("redirect_uri"))
}

func TestLoginCookieBelongsToOneBrowserAndOneLogin(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	for name, row := range map[string]struct {
		public, prefix string
		secure         bool
	}{
		"https":              {"https://app.example.org/api", "__Host-oidcgate-", true},
		"http on loopback":   {"http://localhost:8080/api", "oidcgate-", false},
		"unknown, so secure": {"", "__Host-oidcgate-", true},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, provider, func(c *core.Config) {
				c.PublicURL = row.public
				c.RedirectURIs = []string{"https://app.example.org/done"}
			})
			names := map[string]bool{}
			for range 2 {
				cookies := a.get(browser(), "/auth/v2/login?redirect_uri=https://app.example.org/done").Cookies()
				require.Len(t, cookies, 1)
				c := cookies[0]
				require.True(t, strings.HasPrefix(c.Name, row.prefix), c.Name)
				require.Equal(t, row.secure, c.Secure)
				require.True(t, c.HttpOnly)
				require.Equal(t, http.SameSiteLaxMode, c.SameSite)
				require.Equal(t, "/", c.Path)
				require.Empty(t, c.Domain)
				require.Equal(t, 600, c.MaxAge)
				names[c.Name] = true
			}
			require.Len(t, names, 2, "each login has a cookie of its own")
			require.Empty(t, a.get(browser(), "/auth/v2/login?redirect_uri="+native).Cookies(), "a program has no cookies")
		})
	}
}

func TestAnEmptyListOfAllowedScopesAllowsNone(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), func(c *core.Config) { c.Providers[0].AllowedScopes = []string{} })
	requireError(t, a.get(browser(), "/auth/v2/login?scope=email"), http.StatusBadRequest, "invalid_scope")
	require.Equal(t, "openid profile email", a.begin(browser()).Get("scope"))
}

func TestAPageOnAnotherOriginDoesPKCEItself(t *testing.T) {
	const page = "https://www.example.org/done"
	a := newApp(t, newProvider(t, oidctest.Options{}), func(c *core.Config) { c.RedirectURIs = []string{page} })
	verifier := strings.Repeat("v", 43)
	code, _ := a.authorize(browser(), "alice", "redirect_uri", page, "code_challenge", challengeOf(verifier), "code_challenge_method", "S256")
	a.tokens(a.post(browser(), tokenRoute, "code", code, "redirect_uri", page, "code_verifier", verifier)) // no cookie
}
