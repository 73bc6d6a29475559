package core_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/store/memory"
	"github.com/stretchr/testify/require"
)

// ended gives the cookie of a session that has ended.
func (a *app) ended(end func(session string)) string {
	a.t.Helper()
	client := a.signedIn("bob")
	sessions, err := a.auth.Sessions(a.t.Context(), "user-bob")
	require.NoError(a.t, err)
	require.Len(a.t, sessions, 1)
	end(sessions[0].ID)
	return a.cookieOf(client).Value
}

// changed gives a cookie of which one byte is another.
func changed(t *testing.T, cookie string, at int) string {
	t.Helper()
	parts, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(cookie, "ogb1."))
	require.NoError(t, err)
	parts[at] ^= 1
	return "ogb1." + base64.RawURLEncoding.EncodeToString(parts)
}

// spliced gives a cookie with the secret's name of another one.
func spliced(t *testing.T, cookie, name string) string {
	t.Helper()
	parts, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(cookie, "ogb1."))
	require.NoError(t, err)
	other, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(name, "ogb1."))
	require.NoError(t, err)
	return "ogb1." + base64.RawURLEncoding.EncodeToString(append(other[:4:4], parts[4:]...))
}

// badCookies are values of a session's cookie that sign nobody in, most of them made of a
// good one.
func badCookies(t *testing.T, a *app, records *memory.Store, good string) map[string]string {
	elsewhere := newApp(t, a.provider, stored(records), browsing())
	otherClient := newApp(t, newProvider(t, oidctest.Options{ClientID: "other"}), browsing())
	renewed := a.replica(memory.New(), browsing(), secrets(secretB))
	onlyNewer := renewed.cookieOf(renewed.signedIn("alice")).Value
	last := len(good) - 1
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return map[string]string{
		"that is empty":               "",
		"that is none":                "x",
		"of the prefix alone":         "ogb1.",
		"of zeros":                    "ogb1." + strings.Repeat("A", 70),
		"cut":                         good[:last],
		"with more behind":            good + "A",
		"without its prefix":          strings.TrimPrefix(good, "ogb1."),
		"of another version":          "ogb2." + strings.TrimPrefix(good, "ogb1."),
		"in quotes":                   `"` + good + `"`,
		"in another case":             strings.ToUpper(good),
		"in the other base64":         "ogb1." + strings.Repeat("+", 70),
		"with other trailing bits":    good[:last] + string(alphabet[strings.IndexByte(alphabet, good[last])+1]),
		"with another secret's name":  changed(t, good, 0),
		"with another handle":         changed(t, good, 4),
		"with another MAC":            changed(t, good, 51),
		"of another PublicURL":        elsewhere.cookieOf(elsewhere.signedIn("alice")).Value,
		"of another client":           otherClient.cookieOf(otherClient.signedIn("alice")).Value,
		"of a secret that is gone":    onlyNewer,
		"spliced from two secrets":    spliced(t, good, onlyNewer),
		"spliced the other way round": spliced(t, onlyNewer, good),
		"that is a refresh token":     a.signIn("alice").RefreshToken,
		"that is an access token":     a.signIn("alice").AccessToken,
		"that is a state":             a.begin(browser()).Get("state"),
		"of 16 KiB":                   good + strings.Repeat("A", 16<<10),
		"of a revoked session": a.ended(func(id string) {
			_, err := a.auth.Revoke(t.Context(), core.Who{Session: id})
			require.NoError(t, err)
		}),
	}
}

func TestACookieThatIsNoneOfOursSignsNobodyIn(t *testing.T) {
	records := memory.New()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(records), browsing())
	a.guarded("/required", a.auth.Required())
	a.guarded("/optional", a.auth.Optional())
	a.guarded("/strict", a.auth.Optional(core.RefuseBadTokens))
	a.guarded("/page", a.auth.Pages())
	good := a.cookieOf(a.signedIn("alice"))
	name := good.Name
	require.Equal(t, "user-alice", a.get(browser(), "/required", "Cookie: "+name+"="+good.Value).body, "guards remember its session")
	for what, value := range badCookies(t, a, records, good.Value) {
		t.Run("a cookie "+what, func(t *testing.T) {
			cookie, code := "Cookie: "+name+"="+value, "invalid_token"
			if value == "" {
				code = "missing_token"
			}
			requireError(t, a.get(browser(), "/required", cookie), http.StatusUnauthorized, code)
			require.Equal(t, "anonymous", a.get(browser(), "/optional", cookie).body)
			if value != "" {
				requireError(t, a.get(browser(), "/strict", cookie), http.StatusUnauthorized, code)
			}
			requireError(t, a.get(browser(), sessionRoute, cookie), http.StatusUnauthorized, code)
			requireError(t, a.get(browser(), userinfoRoute, cookie), http.StatusUnauthorized, code)
			page := a.get(browser(), "/page?a=b", cookie, asBrowser)
			require.Equal(t, http.StatusFound, page.StatusCode)
			require.Equal(t, a.api+"/auth/v2/login?return_to=%2Fapi%2Fpage%3Fa%3Db", page.Header.Get("Location"))

			for _, got := range []answer{
				a.get(browser(), logoutRoute, cookie, asBrowser),
				a.send(browser(), http.MethodPost, logoutRoute, []string{cookie, sameOrigin}),
			} {
				require.Equal(t, http.StatusFound, got.StatusCode, got.body)
				require.NotContains(t, got.Header.Get("Location"), "id_token_hint")
			}
		})
	}
	sessions, err := a.auth.Sessions(t.Context(), "user-alice")
	require.NoError(t, err)
	require.NotEmpty(t, sessions, "no logout has ended one")
	require.Zero(t, a.revoked())
}

func TestTwoSessionCookiesAreNone(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	a.guarded("/required", a.auth.Required())
	a.guarded("/optional", a.auth.Optional())
	a.guarded("/page", a.auth.Pages())
	good := a.cookieOf(a.signedIn("alice"))
	pair := good.Name + "=" + good.Value
	for what, headers := range map[string][]string{
		"the same twice":            {"Cookie: " + pair + "; " + pair},
		"a planted one first":       {"Cookie: " + good.Name + "=x; " + pair},
		"a planted one last":        {"Cookie: " + pair + "; a=b; " + good.Name + "="},
		"a planted one on its line": {"Cookie: " + pair, "Cookie: " + good.Name + "=x"},
	} {
		t.Run(what, func(t *testing.T) {
			requireError(t, a.get(browser(), "/required", headers...), http.StatusBadRequest, "invalid_request")
			require.Equal(t, "anonymous", a.get(browser(), "/optional", headers...).body)
			requireError(t, a.get(browser(), sessionRoute, headers...), http.StatusBadRequest, "invalid_request")
			page := a.get(browser(), "/page", append(headers, asBrowser)...)
			requirePage(t, page, http.StatusBadRequest, "Delete the cookies of this site")
			require.Empty(t, page.Header.Get("Location"), "a login would lead here again")
			requireError(t, a.get(browser(), logoutRoute, headers...), http.StatusBadRequest, "invalid_request")
			requirePage(t, a.send(browser(), http.MethodPost, logoutRoute, append(headers, asBrowser, sameOrigin)), http.StatusBadRequest, "You are not signed out")
		})
	}
	require.Equal(t, "user-alice", a.get(browser(), "/required", "Cookie: "+pair).body, "nothing has ended")
}

// The cookie names a session, and is worth nothing anywhere else.
func TestTheCookieIsNoToken(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	a.guarded("/me", a.auth.Required())
	client := a.signedIn("alice")
	value := a.cookieOf(client).Value
	requireError(t, a.get(browser(), "/me", bearer(value)), http.StatusUnauthorized, "invalid_token")
	requireError(t, a.get(client, "/me", bearer(value)), http.StatusUnauthorized, "invalid_token")
	requireError(t, a.get(browser(), userinfoRoute, bearer(value)), http.StatusUnauthorized, "invalid_token")
	requireError(t, a.refresh(value), http.StatusBadRequest, "invalid_grant")
	requirePage(t, a.get(browser(), callback("code", "c", "state", value)), http.StatusBadRequest, "Begin again.")
	require.Error(t, a.verify(value))
	got := a.post(browser(), "/auth/v2/revoke", "token", value)
	require.Equal(t, http.StatusOK, got.StatusCode, "as for any token that is none of ours (RFC 7009 2.2)")
	require.Equal(t, http.StatusFound, a.logoutWith(value).StatusCode)
	require.Equal(t, http.StatusFound, a.logoutWith("", "refresh_token", value).StatusCode)
	require.Equal(t, "user-alice", a.get(client, "/me").body, "none of that ends the session")
}

func TestACookieOutlivesAChangeOfTheSecretsWhileItsSecretIsListed(t *testing.T) {
	records := memory.New()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(records), browsing())
	old := a.cookieOf(a.signedIn("alice"))
	pair := "Cookie: " + old.Name + "=" + old.Value
	both := a.replica(records, browsing(), secrets(secretB, secret))
	without := a.replica(records, browsing(), secrets(secretB))
	for _, b := range []*app{a, both, without} {
		b.guarded("/me", b.auth.Required())
	}
	require.Equal(t, "user-alice", both.get(browser(), "/me", pair).body)
	a.clock.Add(core.DefaultTokenLifetime)
	require.Equal(t, "user-alice", both.get(browser(), "/me", pair).body, "also after a refresh")
	requireError(t, without.get(browser(), "/me", pair), http.StatusUnauthorized, "invalid_token")
	require.Equal(t, "user-alice", both.get(browser(), "/me", pair).body)
}

func TestALoginLeadsNowhereElse(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing(), func(c *core.Config) { c.RedirectURIs = []string{"https://app.example.org/done"} })
	a.guarded("/page", a.auth.Pages())
	for _, target := range []string{
		"//evil.example", "///evil.example", "////evil.example", `/\evil.example`, `\\evil.example`, `\/evil.example`, `/\/evil.example`,
		"https://evil.example", "https:evil.example", "https:/evil.example", "//evil.example@app.example.org", "javascript:alert(1)", "data:text/html,x",
		"/\t/evil.example", "/\n/evil.example", "/\r\nSet-Cookie: a=b", "\t//evil.example", " //evil.example", "/ /evil.example", "/\x00/evil.example",
		"/／evil.example", "／／evil.example", "/\u2028", "/\u202e", "/café", "evil.example", "@evil.example", ".evil.example", ":80", "?a", "#a", "*",
		"/%", "/%zz", "/%u2215evil.example", "/" + strings.Repeat("a", 4<<10), "/" + strings.Repeat("%41", 1<<10),
	} {
		got := a.get(browser(), "/auth/v2/login?"+form("return_to", target).Encode())
		requireError(t, got, http.StatusBadRequest, "invalid_request")
		require.Empty(t, got.Header.Values("Set-Cookie"))
		require.NotContains(t, got.body, "evil")
		requirePage(t, a.get(browser(), "/auth/v2/login?"+form("return_to", target).Encode(), asBrowser), http.StatusBadRequest)
	}
	for _, query := range []string{
		"return_to=/a&return_to=/b", "return_to=/a&return_to=//evil.example", "return_to=%zz",
		form("return_to", "/a", "redirect_uri", native).Encode(), form("return_to", "/a", "redirect_uri", "https://app.example.org/done").Encode(),
		form("return_to", "/a", "redirect_uri", "https://evil.example/").Encode(),
	} {
		requireError(t, a.get(browser(), "/auth/v2/login?"+query), http.StatusBadRequest, "invalid_request")
	}
	// What looks like an attack and is none comes back as it was, byte for byte.
	for _, target := range []string{"/%2F%2Fevil.example", "/%5Cevil.example", "/a//evil.example", "/..//evil.example", "/a?next=//evil.example", "/%0d%0aSet-Cookie:a=b", "/@evil.example", "/%25", "/?q=100%"} {
		got := a.opened(browser(), "alice", "return_to", target)
		require.Equal(t, http.StatusSeeOther, got.StatusCode, got.body)
		require.Equal(t, target, got.Header.Get("Location"))
		u, err := url.Parse(a.api + "/auth/v2/callback")
		require.NoError(t, err)
		to, err := u.Parse(got.Header.Get("Location"))
		require.NoError(t, err)
		require.Equal(t, u.Host, to.Host)
	}
}

// What a browser asks for is where a login leads back to, so that a link must not have it lead elsewhere.
func TestAPageWithAStrangeAddressLeadsToALoginThatStaysHere(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), browsing())
	guard, login := a.auth.Pages(), a.api+"/auth/v2/login"
	for target, back := range map[string]string{
		"//evil.example/a": "", `/\evil.example`: "", "http://evil.example/a": "", "*": "", "": "", "evil.example:443": "", "/\tevil": "", "/\r\nSet-Cookie: a=b": "",
		"/%zz": "", "/caf\xc3\xa9": "", "/" + strings.Repeat("a", 4<<10): "",
		"/a?b=\xff": "?return_to=%2Fa", "/a?b=" + strings.Repeat("c", 4<<10): "?return_to=%2Fa", "/a?q=100%": "?return_to=%2Fa%3Fq%3D100%25",
		"/a?b=//evil.example&return_to=x": "?return_to=%2Fa%3Fb%3D%2F%2Fevil.example%26return_to%3Dx",
	} {
		_, err := guard.Check(t.Context(), core.Request{Method: "GET", URL: target, FetchMode: "navigate"})
		got := record(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { core.WriteError(w, err) }))
		require.Equal(t, http.StatusFound, got.StatusCode, target)
		require.Equal(t, login+back, got.Header.Get("Location"), target)
	}
}
