package core_test

import (
	"net/http"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// A client asks the provider for what the challenge names, and gets no more. Told only
// what is missing, it would ask for one scope and then for the other, for ever.
func TestAChallengeNamesAllScopesThatTheRouteNeeds(t *testing.T) {
	provider, other := newProvider(t, oidctest.Options{}), newProvider(t, oidctest.Options{})
	a := newApp(t, provider, further(core.Issuer{URL: other.Issuer, Require: []core.Constraint{core.Scopes("guest")}}),
		func(c *core.Config) { c.Require = []core.Constraint{core.Scopes("base")} })
	guard := a.auth.Required(core.Scopes("orders:read", "base"), core.AnyRole("users"), core.Scopes("orders:write"))
	with := func(p *oidctest.Provider, scope string) string {
		return bearer(p.SignedToken(t, nil, p.Claims("bob", map[string]any{"scope": scope})))
	}
	const all = `scope="base orders:read orders:write"`
	realm := `Bearer realm="` + a.api + `"`
	challenge := func(headers ...string) string { return serve(guard, headers...).Header.Get("WWW-Authenticate") }

	require.Equal(t, realm+", "+all, challenge())
	require.Equal(t, realm+`, error="invalid_token", error_description="The access token is invalid: it is not a JWT: three base64url parts separated by dots, the first of which is a JSON object.", `+all, challenge(bearer("x")))
	for scope, missing := range map[string]string{"base orders:read": "orders:write", "orders:write base": "orders:read", "openid": "base orders:read orders:write"} {
		require.Equal(t, realm+`, error="insufficient_scope", error_description="The token lacks the scope `+missing+`.", `+all, challenge(with(provider, scope)))
	}
	require.Equal(t, realm+`, error="insufficient_scope", error_description="The token lacks the scope guest orders:write.", scope="base guest orders:read orders:write"`,
		challenge(with(other, "base orders:read")), "those that are needed of this issuer's tokens as well")
	require.Equal(t, realm+`, error="invalid_request", error_description="The request has more than one Authorization header."`, challenge(bearer("x"), bearer("y")))
	require.Empty(t, challenge(with(provider, "base orders:read orders:write")))

	_, err := guard.Check(t.Context(), core.Request{})
	var e *core.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "base orders:read orders:write", e.Scope)
	require.Empty(t, core.ErrMissingToken.Scope, "the sentinel stays as it is")
}

func TestAChallengeHasARealm(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	require.Equal(t, `Bearer realm="`+a.api+`"`, serve(a.auth.Required()).Header.Get("WWW-Authenticate"))
	require.Equal(t, `Bearer realm="`+a.api+`"`, a.get(browser(), userinfoRoute).Header.Get("WWW-Authenticate"))
	fail(provider, oidctest.UserinfoPath, http.StatusForbidden, `{}`)
	require.Equal(t, `Bearer realm="`+a.api+`", error="insufficient_scope", error_description="The provider does not let this token read the user's profile.", scope="openid"`,
		a.get(browser(), userinfoRoute, bearer(a.bare("alice"))).Header.Get("WWW-Authenticate"))
	nowhere := newApp(t, provider, func(c *core.Config) { c.PublicURL = "" })
	require.Equal(t, `Bearer realm="oidcgate"`, serve(nowhere.auth.Required()).Header.Get("WWW-Authenticate"))
}

// A user without the rights is a visitor, where visitors are allowed.
func TestAnOptionalGuardTakesAFailedConstraintForAnonymous(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, func(c *core.Config) { c.Require = []core.Constraint{core.Claim("tenant", "acme")} })
	token := func(claims map[string]any) string {
		return bearer(provider.SignedToken(t, nil, provider.Claims("alice", claims)))
	}
	for name, row := range map[string]struct {
		constraint core.Constraint
		token      string
		code       string
	}{
		"a role":           {core.AnyRole("chief"), token(map[string]any{"tenant": "acme"}), "insufficient_claims"},
		"a scope":          {core.Scopes("orders"), token(map[string]any{"tenant": "acme"}), "insufficient_scope"},
		"a claim":          {core.ClaimAll("level", 1), token(map[string]any{"tenant": "acme"}), "insufficient_claims"},
		"one of Config":    {core.AnyRole("admin"), token(map[string]any{"tenant": "evil"}), "insufficient_claims"},
		"an invalid token": {core.AnyRole("admin"), bearer("x"), "invalid_token"},
	} {
		t.Run(name, func(t *testing.T) {
			a.guarded("/"+row.code+"/"+encode(name), a.auth.Optional(row.constraint))
			require.Equal(t, "anonymous", a.get(browser(), "/"+row.code+"/"+encode(name), row.token).body)
			require.Equal(t, core.EventToken, a.log.last(t).Kind, "the log of events has it all the same")
			require.Equal(t, row.code, a.log.last(t).Error.Code)
			got := serve(a.auth.Optional(row.constraint, core.RefuseBadTokens), row.token)
			require.Equal(t, row.code, got.json["error"])
			require.Equal(t, row.code, serve(a.auth.Required(row.constraint), row.token).json["error"])
		})
	}
}
