package core_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// Config.Require names claims of the provider, most of which our tokens do not have.
func TestRequireDecidesWhoGetsATokenOfTheBroker(t *testing.T) {
	staff := func(c *core.Config) {
		c.Broker.Exchange = true
		c.Require = []core.Constraint{core.Claim("realm_access.roles", "admin"), core.Claim("email_verified", true), core.Scopes("email"), core.AnyRole("users")}
	}
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(), staff)
	got := a.signIn("alice")
	require.NotContains(t, claimsOf(t, got.AccessToken), "realm_access")
	require.Equal(t, "user-alice", me(a.auth, got.AccessToken).body, "a guard trusts what was judged when the token was minted")
	got = a.tokens(a.refresh(got.RefreshToken))
	require.Equal(t, "user-alice", me(a.auth, a.tokens(a.exchange(a.subjectToken(nil))).AccessToken).body)

	for name, changed := range map[string]map[string]any{
		"a claim of the provider's": {"realm_access": map[string]any{"roles": []string{"user"}}},
		"no such claim":             {"realm_access": nil},
		"a claim of ours":           {"email_verified": false},
		"a role":                    {"groups": []string{"guests"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, a.provider, brokered(), staff)
			defer a.provider.Answer(oidctest.TokenPath, nil)
			session := a.signIn("alice")
			a.overhear(func(body map[string]any) { a.resigned(body, changed, changed) })
			for _, refused := range []answer{a.codeLogin("alice"), a.callbackLogin("alice"), a.exchange(a.subjectToken(changed))} {
				requireError(t, refused, http.StatusForbidden, "access_denied")
				require.Contains(t, refused.json["detail"], "claims")
			}
			requireError(t, a.deviceLogin("alice"), http.StatusBadRequest, "access_denied")
			requireError(t, a.refresh(session.RefreshToken), http.StatusBadRequest, "invalid_grant")
			require.Equal(t, []string{core.ReasonDenied}, a.log.ends())
		})
	}
	requireError(t, a.exchange(a.subjectToken(nil), "scope", "openid"), http.StatusForbidden, "access_denied")
	narrow := a.tokens(a.refresh(got.RefreshToken, "scope", "openid"))
	requireError(t, serve(a.auth.Required(), bearer(narrow.AccessToken)), http.StatusForbidden, "insufficient_scope")
}

// What Identify makes of a user counts where the token says it.
func TestRequireIsJudgedAfterIdentify(t *testing.T) {
	role := "guest"
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(_ context.Context, who *core.Identity) error {
		who.Roles, who.Username = []string{role}, role
		who.Extra["team"] = role
		who.Claims = map[string]any{"realm_access": map[string]any{"roles": []any{"root"}}} // which changes nothing
		return nil
	}), func(c *core.Config) {
		c.Require = []core.Constraint{core.AnyRole("member"), core.Claim("team", "member"), core.Claim("preferred_username", "member"), core.Claim("realm_access.roles", "admin")}
	})
	requireError(t, a.codeLogin("alice"), http.StatusForbidden, "access_denied")
	role = "member"
	require.Equal(t, "user-alice", me(a.auth, a.signIn("alice").AccessToken).body)
}

// Nobody has judged a peer's tokens for us.
func TestRequireIsCheckedForPeersTokensToo(t *testing.T) {
	demanding := func(c *core.Config) { c.Require = []core.Constraint{core.Claim("realm_access.roles", "admin")} }
	a := newApp(t, newProvider(t, oidctest.Options{}), fleet(), demanding)
	peer := newHostile(t)
	a.trusts(core.Issuer{URL: peer.Issuer})
	for name, row := range map[string]struct {
		claims map[string]any
		status int
	}{
		"it says so":      {map[string]any{"realm_access": map[string]any{"roles": []string{"admin"}}}, http.StatusOK},
		"it says nothing": {map[string]any{"realm_access": nil}, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, row.status, serve(a.auth.Required(), bearer(peer.token(t, nil, row.claims))).StatusCode)
		})
	}
}
