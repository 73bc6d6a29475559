package core_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// Each limit of the routes: what is as long as that is taken and goes on to the
// next check, one byte more is refused as too long.
func TestLimitsHoldAtTheByte(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	x := func(n int) string { return strings.Repeat("x", n) }
	verifier := x(43)
	uri := func(n int) string { return native + "/" + x(n-len(native)-1) }
	for name, row := range map[string]struct {
		limit int
		send  func(n int) answer
	}{
		"refresh token": {16 << 10, func(n int) answer { return a.post(browser(), tokenRoute, "refresh_token", x(n)) }},
		"device code":   {16 << 10, func(n int) answer { return a.post(browser(), tokenRoute, "device_code", x(n)) }},
		"code": {4 << 10, func(n int) answer {
			return a.post(browser(), tokenRoute, "code", x(n), "redirect_uri", native, "code_verifier", verifier)
		}},
		"sealed state": {4 << 10, func(n int) answer {
			return a.post(browser(), tokenRoute, "code", "c", "redirect_uri", native, "code_verifier", "og1."+x(n-4))
		}},
		"redirect_uri at token": {2 << 10, func(n int) answer {
			return a.post(browser(), tokenRoute, "code", "c", "redirect_uri", uri(n), "code_verifier", verifier)
		}},
		"state at callback":     {4 << 10, func(n int) answer { return a.get(browser(), callback("state", x(n))) }},
		"redirect_uri at login": {2 << 10, func(n int) answer { return a.get(browser(), "/auth/v2/login?redirect_uri="+uri(n)) }},
		"scope at login":        {2 << 10, func(n int) answer { return a.get(browser(), "/auth/v2/login?scope="+x(n)) }},
		"scope at device":       {2 << 10, func(n int) answer { return a.post(browser(), deviceRoute, "scope", x(n)) }},
		"state at logout":       {4 << 10, func(n int) answer { return a.get(browser(), logoutRoute+"?state="+x(n)) }},
		"post-logout URI": {2 << 10, func(n int) answer {
			return a.get(browser(), logoutRoute+"?post_logout_redirect_uri="+a.api+"/"+x(n-len(a.api)-1))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			require.NotContains(t, row.send(row.limit).body, "too long")
			got := row.send(row.limit + 1)
			requireError(t, got, http.StatusBadRequest, "invalid_request")
			require.Contains(t, got.body, "too long")
		})
	}
	t.Run("bearer token", func(t *testing.T) {
		long := func(pad int) string {
			return provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"pad": x(pad)}))
		}
		pad := 11000
		for len(long(pad+3)) <= 16<<10 {
			pad += 3
		}
		_, err := a.auth.Verify(t.Context(), long(pad))
		require.NoError(t, err, "%d characters", len(long(pad)))
		_, err = a.auth.Verify(t.Context(), long(pad+3))
		require.ErrorContains(t, err, "too long")
	})
	t.Run("a verifier has 43 to 128 characters", func(t *testing.T) {
		for n, code := range map[int]string{42: "invalid_request", 43: "invalid_grant", 128: "invalid_grant", 129: "invalid_request"} {
			requireError(t, a.post(browser(), tokenRoute, "code", "c", "redirect_uri", native, "code_verifier", x(n)), http.StatusBadRequest, code)
		}
		requireError(t, a.post(browser(), tokenRoute, "code", "c", "redirect_uri", native, "code_verifier", "-._~"+x(43)), http.StatusBadRequest, "invalid_grant")
	})
}

// The provider's text is not passed on when it repeats any of what was sent.
func TestNothingThatWasSentIsRepeated(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	provider.Answer(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_ = r.ParseForm()
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_grant", "error_description": "no good: " + r.PostForm.Get(r.Header.Get("X-Echo"))})
	})
	verifier := strings.Repeat("v3r1f13r-", 5)
	for field, fields := range map[string][]string{
		"code":          {"code", "c0de-c0de-c0de-c0de", "redirect_uri", native, "code_verifier", verifier},
		"code_verifier": {"code", "c0de-c0de-c0de-c0de", "redirect_uri", native, "code_verifier", verifier},
		"redirect_uri":  {"code", "c0de-c0de-c0de-c0de", "redirect_uri", native, "code_verifier", verifier},
		"refresh_token": {"refresh_token", "r3fr3sh-r3fr3sh-r3fr3sh"},
		"device_code":   {"device_code", ""},
	} {
		a := newApp(t, provider, func(c *core.Config) {
			c.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				r.Header.Set("X-Echo", field)
				return http.DefaultTransport.RoundTrip(r)
			})}
		})
		if field == "device_code" {
			fields[1] = a.post(browser(), deviceRoute).json["device_code"].(string)
		}
		got := a.post(browser(), tokenRoute, fields...)
		requireError(t, got, http.StatusBadRequest, "invalid_grant")
		require.Equal(t, "The provider refused with invalid_grant.", got.json["detail"], field)
	}
}

func TestEndpointsOfTheProviderMayHaveAQuery(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	tamper(provider, oidctest.DiscoveryPath, func(body map[string]any) {
		body["authorization_endpoint"] = provider.Issuer + "/authorize?tenant=a"
		body["end_session_endpoint"] = provider.Issuer + "/out?tenant=a"
	})
	a := newApp(t, provider, func(c *core.Config) { c.Providers[0].AuthParams = url.Values{"audience": {"x"}} })
	for range 2 { // a login changes nothing of the configuration
		q := a.begin(browser(), "login_hint", "alice")
		require.Equal(t, []string{"a"}, q["tenant"])
		require.Equal(t, []string{"x"}, q["audience"])
		require.Equal(t, []string{"code"}, q["response_type"])
	}
	require.NotContains(t, a.begin(browser()), "login_hint")
	require.Equal(t, provider.Issuer+"/out?tenant=a&client_id=app", a.get(browser(), logoutRoute).Header.Get("Location"))
}

func TestDiscoveryMustNameWhatIsNeeded(t *testing.T) {
	for field, value := range map[string]any{
		"authorization_endpoint": nil, "token_endpoint": nil, "jwks_uri": nil,
	} {
		for _, bad := range []any{value, "http://id.example.org/x", "/relative", "https://"} {
			provider := newProvider(t, oidctest.Options{})
			tamper(provider, oidctest.DiscoveryPath, func(body map[string]any) {
				if body[field] = bad; bad == nil {
					delete(body, field)
				}
			})
			require.ErrorIs(t, newApp(t, provider).auth.Start(t.Context()), core.ErrProvider, "%s %v", field, bad)
			if field == "jwks_uri" {
				given := newApp(t, provider, func(c *core.Config) { c.Providers[0].JWKSURL = c.Providers[0].Issuer + oidctest.KeysPath })
				if bad == nil {
					require.NoError(t, given.auth.Start(t.Context()))
				}
			}
		}
	}
	for field, route := range map[string]string{"device_authorization_endpoint": "device", "userinfo_endpoint": "userinfo", "end_session_endpoint": "logout"} {
		provider := newProvider(t, oidctest.Options{})
		tamper(provider, oidctest.DiscoveryPath, func(body map[string]any) { body[field] = "http://id.example.org/x" })
		a := newApp(t, provider)
		require.NoError(t, a.auth.Start(t.Context()))
		switch route {
		case "device":
			requireError(t, a.post(browser(), deviceRoute), http.StatusBadRequest, "unsupported_grant_type")
		case "userinfo":
			requireError(t, a.get(browser(), userinfoRoute, bearer(a.bare("alice"))), http.StatusNotFound, "not_found")
		case "logout":
			require.Equal(t, "/", a.get(browser(), logoutRoute).Header.Get("Location"))
		}
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

func TestTheCookiesValueIsCompared(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	jar := keptCookies{}
	client := &http.Client{Jar: jar, CheckRedirect: browser().CheckRedirect}
	code, state := a.authorize(client, "alice")
	for name, cookie := range jar {
		if strings.HasPrefix(name, "oidcgate-") {
			other := "x"
			if cookie.Value[:1] == other {
				other = "y"
			}
			jar[name] = &http.Cookie{Name: name, Value: other + cookie.Value[1:]}
		}
	}
	requireError(t, a.get(client, callback("code", code, "state", state)), http.StatusBadRequest, "invalid_grant")
}

func TestAnErrorBesideACodeIsAnError(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	client := browser()
	code, state := a.authorize(client, "alice")
	requireError(t, a.get(client, callback("code", code, "state", state, "error", "access_denied")), http.StatusForbidden, "access_denied")
	require.Zero(t, a.provider.Requests(oidctest.TokenPath))
}

func TestGuardsObserveWhatTheyRefuse(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	guard := a.auth.Required(core.AnyRole("admin"))
	serve(guard)
	require.Empty(t, a.log.events, "a missing token is no event")
	serve(guard, bearer(a.provider.AccessToken(t, "alice")))
	require.Empty(t, a.log.events, "a valid token is no event")

	serve(guard, bearer("garbage"))
	event := a.log.last(t)
	require.Equal(t, core.EventToken, event.Kind)
	require.ErrorIs(t, event.Error, core.ErrInvalidToken)
	require.Equal(t, a.provider.Issuer, event.Issuer)
	require.Equal(t, a.clock.Now(), event.Time)

	serve(guard, bearer(a.provider.AccessToken(t, "bob")))
	event = a.log.last(t)
	require.ErrorIs(t, event.Error, core.ErrInsufficientClaims)
	require.Equal(t, "user-bob", event.Subject)

	a.provider.Down(true)
	events := len(a.log.events)
	a.clock.Add(25 * time.Hour)
	serve(guard, bearer(a.provider.SignedToken(t, nil, a.provider.Claims("alice", map[string]any{"exp": a.clock.Now().Add(time.Hour).Unix()}))))
	require.Len(t, a.log.events, events, "an outage is no event")
}

func TestGuardsShareNoConstraints(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), func(c *core.Config) {
		c.Require = append(make([]core.Constraint, 0, 8), core.Scopes("openid"))
	})
	first, second := a.auth.Required(core.AnyRole("admin")), a.auth.Required(core.AnyRole("user"))
	bob := bearer(a.provider.AccessToken(t, "bob"))
	require.Equal(t, http.StatusForbidden, serve(first, bob).StatusCode)
	require.Equal(t, http.StatusOK, serve(second, bob).StatusCode)
}

func TestAProviderThatSignsWithES256(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{SigningAlgorithm: "ES256"}))
	require.Equal(t, http.StatusOK, serve(a.auth.Required(), bearer(a.signIn("alice").AccessToken)).StatusCode)
}

func TestClientIDComesFromAzpWhereThereIsNoOther(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	for _, row := range []struct {
		client, party any
		want          string
	}{{"c", "p", "c"}, {nil, "p", "p"}, {nil, nil, ""}} {
		token, err := a.auth.Verify(t.Context(), provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"client_id": row.client, "azp": row.party})))
		require.NoError(t, err)
		require.Equal(t, row.want, token.ClientID())
	}
}
