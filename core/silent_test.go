package core_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// lightweight makes the access tokens of an application's provider as Keycloak makes its
// lightweight ones: without a subject, a name and a role.
func (a *app) lightweight(more map[string]any) {
	silent := map[string]any{"sub": nil, "preferred_username": nil, "name": nil, "email": nil, "groups": nil, "realm_access": nil}
	for name, value := range more {
		silent[name] = value
	}
	a.overhear(func(body map[string]any) { a.resigned(body, silent, nil) })
}

// An access token that says nothing of roles is no word about them.
func TestAnAccessTokenThatIsSilentTakesNoRoleAway(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(exchanging))
	a.lightweight(nil)
	first := a.signIn("alice")
	for _, got := range []tokens{first, a.tokens(a.refresh(first.RefreshToken))} {
		claims := claimsOf(t, got.AccessToken)
		require.Equal(t, "user-alice", claims["sub"])
		require.Equal(t, "alice", claims["preferred_username"])
		require.Equal(t, []any{"admin", "user", "users"}, claims["roles"])
	}
	require.Equal(t, 1, strings.Count(a.log.logged(), "roles of users come from"), "it is said once")
	require.Contains(t, a.log.logged(), `"from":"the ID token and userinfo"`)

	fail(a.provider, oidctest.UserinfoPath, http.StatusOK, `{"sub":"user-alice","groups":["writer"]}`)
	exchanged := a.tokens(a.exchange(a.subjectToken(map[string]any{"groups": nil, "realm_access": nil})))
	require.Equal(t, []any{"writer"}, claimsOf(t, exchanged.AccessToken)["roles"])
}

// Of an ID token of the first day nobody knows whether it is still true.
func TestRolesNeverComeFromAnOlderIDToken(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	a.lightweight(nil)
	fail(a.provider, oidctest.UserinfoPath, http.StatusOK, `{"sub":"user-alice"}`)
	first := a.signIn("alice")
	require.Contains(t, claimsOf(t, first.AccessToken)["roles"], "admin", "of the ID token of that answer")
	silent := map[string]any{"groups": nil, "realm_access": nil}
	a.overhear(func(body map[string]any) {
		body["access_token"] = resign(t, a.provider, body["access_token"].(string), nil, silent)
		delete(body, "id_token")
	})
	next := a.tokens(a.refresh(first.RefreshToken))
	require.Equal(t, []any{}, claimsOf(t, next.AccessToken)["roles"])
	require.Equal(t, "alice", claimsOf(t, next.AccessToken)["preferred_username"], "a name is no right")
	require.Contains(t, a.log.logged(), `"from":"nowhere: if this provider has roles, name their claims in Provider.RoleClaims"`)

	fail(a.provider, oidctest.UserinfoPath, http.StatusOK, `{"sub":"user-alice","groups":["writer"]}`)
	require.Equal(t, []any{"writer"}, claimsOf(t, a.tokens(a.refresh(next.RefreshToken)).AccessToken)["roles"])
}

func TestASilentAccessTokenIsJudgedByTheConfiguredRoleClaims(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(), func(c *core.Config) { c.Providers[0].RoleClaims = []string{"permissions"} })
	a.overhear(func(body map[string]any) { a.resigned(body, nil, map[string]any{"permissions": "read"}) })
	require.Equal(t, []any{"read"}, claimsOf(t, a.signIn("alice").AccessToken)["roles"])
	a.overhear(func(body map[string]any) {
		a.resigned(body, map[string]any{"permissions": []string{}}, map[string]any{"permissions": "read"})
	})
	require.Equal(t, []any{}, claimsOf(t, a.signIn("alice").AccessToken)["roles"])
}

// A userinfo endpoint that refuses or fails costs nothing that the tokens tell.
func TestUserinfoThatFailsEndsNoLogin(t *testing.T) {
	for name, row := range map[string]struct {
		status int
		body   string
	}{
		"400": {400, ""}, "400 and an error": {400, `{"error":"invalid_request"}`}, "401": {401, ""}, "403": {403, ""},
		"404": {404, "not found"}, "405": {405, ""}, "500": {500, "oops"}, "503": {503, ""}, "a page": {200, "<html>"}, "nobody": {200, "{}"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{OpaqueTokens: true}), brokered())
			fail(a.provider, oidctest.UserinfoPath, row.status, row.body)
			for _, got := range []answer{a.codeLogin("alice"), a.callbackLogin("alice"), a.deviceLogin("alice")} {
				body := a.tokens(got)
				body = a.tokens(a.refresh(body.RefreshToken))
				claims := claimsOf(t, body.AccessToken)
				require.Equal(t, []any{"admin", "user", "users"}, claims["roles"])
				require.Equal(t, "alice@example.com", claims["email"])
			}
			if row.status != 401 && row.status != 403 {
				require.Equal(t, 1, strings.Count(a.log.logged(), `"level":"ERROR"`)+strings.Count(a.log.logged(), `"level":"WARN"`), "an operator is told once: %s", a.log.logged())
				a.provider.Answer(oidctest.UserinfoPath, nil)
				a.clock.Add(time.Minute)
				a.signIn("alice")
				require.Contains(t, a.log.logged(), `"at":"the provider's userinfo endpoint`)
				require.Contains(t, a.log.logged(), "requests succeed again", "and when it is over")
			}
		})
	}
}

// What userinfo told at the login, and nobody tells now, may be what Identify or Require
// go by: neither a failure nor a refusal, of a firewall say, must end the session for it.
func TestUserinfoThatFailsAtARefreshEndsNoSession(t *testing.T) {
	judges := map[string]func(*core.Config){
		"Identify": identifying(func(_ context.Context, who *core.Identity) error {
			if who.Claims["department"] == nil {
				return core.Refuse("You are in no department.")
			}
			return nil
		}),
		"Require": func(c *core.Config) {
			brokered()(c)
			c.Require = []core.Constraint{core.Claim("department", "IT")}
		},
	}
	for name, judge := range judges {
		a := newApp(t, newProvider(t, oidctest.Options{OpaqueTokens: true, StrictRefresh: true}), judge)
		told := `{"sub":"user-alice","preferred_username":"alice","department":"IT"}`
		fail(a.provider, oidctest.UserinfoPath, http.StatusOK, told)
		token := a.signIn("alice").RefreshToken
		for _, status := range []int{400, 401, 403, 404, 500} {
			fail(a.provider, oidctest.UserinfoPath, status, "oops")
			for range 2 {
				got := a.refresh(token)
				require.Equal(t, http.StatusBadGateway, got.StatusCode, "%s: %d: %s", name, status, got.body)
				requireError(t, got, http.StatusBadGateway, "server_error")
			}
		}
		fail(a.provider, oidctest.UserinfoPath, http.StatusOK, told)
		a.tokens(a.refresh(token))
		require.Empty(t, a.log.ends())
	}
}
