package core_test

import (
	"context"
	"fmt"
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

func TestARefreshIsThreeStoreCallsAndOneProviderCall(t *testing.T) {
	for name, opaque := range map[string]bool{"JWT access tokens": false, "opaque access tokens": true} {
		t.Run(name, func(t *testing.T) {
			spy := newSpyStore()
			provider := newProvider(t, oidctest.Options{StrictRefresh: true, OpaqueTokens: opaque})
			a := newApp(t, provider, stored(spy))
			token := a.signIn("alice").RefreshToken
			expected := []string{"get session", "put session", "put session"}
			if opaque {
				// The provider's new token is saved before userinfo is asked.
				expected = append(expected, "put session")
			}
			for range 3 {
				before := provider.Requests(oidctest.TokenPath)
				require.Equal(t, expected, spy.during(func() { token = a.tokens(a.refresh(token)).RefreshToken }))
				require.Equal(t, before+1, provider.Requests(oidctest.TokenPath))
			}
		})
	}
}

// A provider fails to refresh in many ways, before it has used the token up or after.
func TestARefreshThatFailsLeavesTheSessionAsItWas(t *testing.T) {
	lost := func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		real.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	status := func(code int, body string) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, row := range map[string]struct {
		trouble func(http.ResponseWriter, *http.Request, http.Handler)
		status  int
		code    string
		used    bool // a strict provider won't take the token again
		sure    bool // the provider has said that it used nothing up
	}{
		"the connection breaks":                 {func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }, 503, "temporarily_unavailable", false, false},
		"the answer is lost":                    {lost, 503, "temporarily_unavailable", true, false},
		"it is overloaded":                      {status(503, ""), 503, "temporarily_unavailable", false, false},
		"it limits us":                          {status(429, ""), 503, "temporarily_unavailable", false, false},
		"it answers 500":                        {status(500, "oops"), 502, "server_error", false, false},
		"it answers 500, as a framework does":   {status(500, `{"error":"Internal Server Error","status":500}`), 502, "server_error", false, false},
		"it does not accept us":                 {status(401, `{"error":"invalid_client"}`), 502, "server_error", false, true},
		"it doesn't like the request":           {status(400, `{"error":"invalid_request"}`), 503, "temporarily_unavailable", false, true},
		"its answer is no JSON":                 {status(200, "<html>"), 502, "server_error", false, false},
		"its answer has no token":               {status(200, "{}"), 502, "server_error", false, false},
		"its answer is of a type unknown to us": {status(200, `{"access_token":"x","token_type":"DPoP"}`), 502, "server_error", false, false},
	} {
		for _, strict := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, strict %t", name, strict), func(t *testing.T) {
				provider := newProvider(t, oidctest.Options{StrictRefresh: strict})
				a := newApp(t, provider, brokered())
				token := a.signIn("alice").RefreshToken
				provider.Answer(oidctest.TokenPath, row.trouble)
				for range 2 {
					requireError(t, a.refresh(token), row.status, row.code)
				}
				provider.Answer(oidctest.TokenPath, nil)
				require.Equal(t, !row.sure, strings.Contains(a.log.logged(), mayBeUsedUp), a.log.logged())
				require.LessOrEqual(t, strings.Count(a.log.logged(), mayBeUsedUp), 1, "it is said once")
				if row.used && strict {
					// The one loss that nobody can prevent, and it is called by its name.
					requireError(t, a.refresh(token), 400, "invalid_grant")
					require.Equal(t, []string{core.ReasonUnknown}, a.log.ends())
					return
				}
				next := a.tokens(a.refresh(token))
				a.tokens(a.refresh(next.RefreshToken))
				require.Empty(t, a.log.ends())
			})
		}
	}
}

func TestASessionEndsWhenTheProviderEndsIt(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, brokered())
	token := a.signIn("alice").RefreshToken
	provider.EndSessions()
	for range 2 {
		requireError(t, a.refresh(token), 400, "invalid_grant")
	}
	require.Equal(t, []string{core.ReasonRefused}, a.log.ends())
}

// A client must not lose its session because its user has come to have too many
// roles: the operator mends that, and the same token works again.
func TestARefreshThatNoTokenCanBeMintedForUsesNothingUp(t *testing.T) {
	for name, size := range map[string]int{"more than guards accept": 16 << 10, "more than a record holds": 2 << 20} {
		t.Run(name, func(t *testing.T) {
			size, tooLarge := size, false
			provider := newProvider(t, oidctest.Options{StrictRefresh: true})
			a := newApp(t, provider, identifying(func(_ context.Context, who *core.Identity) error {
				if tooLarge {
					who.Roles = append(who.Roles, strings.Repeat("r", size))
				}
				return nil
			}))
			first := a.signIn("alice")
			last := a.overhear(nil)
			tooLarge = true
			for range 2 {
				requireError(t, a.refresh(first.RefreshToken), 500, "server_error")
				require.NotEmpty(t, last["refresh_token"], "the provider has rotated its token")
			}
			tooLarge = false
			a.clock.Add(time.Hour) // long after the grace period
			next := a.tokens(a.refresh(first.RefreshToken))
			a.tokens(a.refresh(next.RefreshToken))
			require.Empty(t, a.log.ends())
		})
	}
}

func TestWhatAProviderLeavesOutOfARefreshStaysAsItWas(t *testing.T) {
	for name, row := range map[string]struct {
		strict bool
		change func(body map[string]any)
	}{
		"the refresh token":      {false, func(body map[string]any) { delete(body, "refresh_token") }},
		"an empty refresh token": {false, func(body map[string]any) { body["refresh_token"] = "" }},
		"the scope":              {true, func(body map[string]any) { delete(body, "scope") }},
		"the ID token":           {true, func(body map[string]any) { delete(body, "id_token") }},
		"the refresh expiry":     {true, func(body map[string]any) { delete(body, "refresh_expires_in") }},
		"a refresh expiry of 0":  {true, func(body map[string]any) { body["refresh_expires_in"] = 0 }},
		"all of it, and the expiry": {false, func(body map[string]any) {
			for name := range body {
				if name != "access_token" && name != "token_type" {
					delete(body, name)
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{StrictRefresh: row.strict})
			a := newApp(t, provider, brokered())
			first := a.signIn("alice")
			tamper(provider, oidctest.TokenPath, row.change)
			last := first
			for range 3 {
				last = a.tokens(a.refresh(last.RefreshToken))
				require.Equal(t, first.Scope, last.Scope)
				require.Greater(t, last.RefreshExpires, a.clock.Now().Unix())
			}
			info := a.get(http.DefaultClient, "/auth/v2/userinfo", "Authorization: Bearer "+last.AccessToken)
			require.Equal(t, "alice", info.json["username"], info.body)
		})
	}
}

func TestASessionEndsWhenItIsIdleOrOld(t *testing.T) {
	provider := newProvider(t, oidctest.Options{RefreshTokenLifetime: 400 * day, IDTokenLifetime: 400 * day})
	a := newApp(t, provider, brokered())
	idle, used := a.signIn("alice").RefreshToken, a.signIn("alice").RefreshToken
	a.clock.Add(30*day - time.Second)
	used = a.tokens(a.refresh(used)).RefreshToken
	a.clock.Add(2 * time.Second)
	requireError(t, a.refresh(idle), 400, "invalid_grant")
	a.clock.Add(29 * day)
	used = a.tokens(a.refresh(used)).RefreshToken
	a.clock.Add(29 * day)
	last := a.tokens(a.refresh(used))
	require.Less(t, last.RefreshExpiresIn, int64((2*day + time.Minute).Seconds()), "the session ends 90 days after the login")
	a.clock.Add(2*day + time.Minute)
	requireError(t, a.refresh(last.RefreshToken), 400, "invalid_grant")
	require.Empty(t, a.log.ends(), "that sessions end in time is no event")
}
