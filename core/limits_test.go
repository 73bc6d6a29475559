package core_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

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
		require.NoError(t, a.verify(long(pad)), "%d characters", len(long(pad)))
		require.ErrorContains(t, a.verify(long(pad+3)), "too long")
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
