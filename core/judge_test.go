package core_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// Judge is what Check does with a token that is valid.
func TestJudgeAppliesAllConstraints(t *testing.T) {
	provider, other := newProvider(t, oidctest.Options{}), newProvider(t, oidctest.Options{})
	a := newApp(t, provider, further(core.Issuer{
		URL: other.Issuer, Require: []core.Constraint{core.Claim("loa", 2)}, Roles: func(asserted []string) []string { return asserted },
	}),
		func(c *core.Config) { c.Require = []core.Constraint{core.Claim("tenant", "acme")} })
	token := func(p *oidctest.Provider, claims map[string]any) core.Token {
		t.Helper()
		token, err := a.auth.Verify(t.Context(), p.SignedToken(t, nil, p.Claims("alice", claims)))
		require.NoError(t, err)
		return token
	}
	constraints := []core.Constraint{core.Scopes("orders:read"), core.AnyRole("admin")}
	for name, row := range map[string]struct {
		token core.Token
		want  error
	}{
		"all hold":           {token(provider, map[string]any{"tenant": "acme", "scope": "orders:read"}), nil},
		"a scope is missing": {token(provider, map[string]any{"tenant": "acme"}), core.ErrInsufficientScope},
		"a role is missing":  {token(provider, map[string]any{"tenant": "acme", "scope": "orders:read", "realm_access": nil, "groups": nil}), core.ErrInsufficientClaims},
		"Config.Require":     {token(provider, map[string]any{"tenant": "evil", "scope": "orders:read"}), core.ErrInsufficientClaims},
		"Issuer.Require":     {token(other, map[string]any{"tenant": "acme", "scope": "orders:read", "loa": 1}), core.ErrInsufficientClaims},
		"of that issuer":     {token(other, map[string]any{"tenant": "acme", "scope": "orders:read", "loa": 2}), nil},
	} {
		t.Run(name, func(t *testing.T) {
			for what, guard := range map[string]*core.Guard{
				"Required": a.auth.Required(constraints...), "Optional": a.auth.Optional(constraints...),
				"Optional, strict": a.auth.Optional(append(constraints, core.RefuseBadTokens)...),
			} {
				if err := guard.Judge(row.token); row.want == nil {
					require.NoError(t, err, what)
				} else {
					require.ErrorIs(t, err, row.want, what)
				}
			}
		})
	}
	t.Run("the error is Check's", func(t *testing.T) {
		claims := map[string]any{"tenant": "acme"}
		var judged *core.Error
		require.ErrorAs(t, a.auth.Required(constraints...).Judge(token(provider, claims)), &judged)
		checked := serve(a.auth.Required(constraints...), bearer(provider.SignedToken(t, nil, provider.Claims("alice", claims))))
		require.Equal(t, checked.Header["Www-Authenticate"], judged.Header()["Www-Authenticate"])
		require.Equal(t, checked.json["detail"], judged.Description)
	})
	t.Run("nobody", func(t *testing.T) {
		var e *core.Error
		require.ErrorAs(t, a.auth.Required(constraints...).Judge(core.Token{}), &e)
		require.ErrorIs(t, e, core.ErrMissingToken)
		require.Equal(t, `Bearer realm="`+a.api+`", scope="orders:read"`, e.Header().Get("WWW-Authenticate"))
		require.NoError(t, a.auth.Optional(constraints...).Judge(core.Token{}), "visitors have nothing to satisfy")
	})
}

func TestAGuardTellsItsScopes(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, func(c *core.Config) { c.Require = []core.Constraint{core.Scopes("base")} })
	guard := a.auth.Required(core.Scopes("orders:read", "base"), core.AnyRole("users"), core.Scopes("orders:write"))
	require.Equal(t, []string{"base", "orders:read", "orders:write"}, guard.Scopes())
	guard.Scopes()[0] = "none"
	require.Equal(t, []string{"base", "orders:read", "orders:write"}, guard.Scopes(), "a copy")
	require.Equal(t, []string{"base"}, a.auth.Optional().Scopes())
	require.Nil(t, newApp(t, provider).auth.Required(core.AnyRole("users")).Scopes())
}

// A stream that ends at GoodUntil ends when its token would be refused.
func TestATokenIsValidUntilGuardsRefuseIt(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	for name, leeway := range map[string]time.Duration{"the default leeway": 0, "none": -1, "a minute": time.Minute} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, provider, func(c *core.Config) { c.Leeway = leeway })
			raw := provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"exp": a.clock.Now().Add(time.Hour).Unix()}))
			token, err := a.auth.Verify(t.Context(), raw)
			require.NoError(t, err)
			a.clock.Add(token.GoodUntil().Sub(a.clock.Now()) - time.Nanosecond)
			require.NoError(t, a.verify(raw))
			a.clock.Add(time.Nanosecond)
			require.ErrorIs(t, a.verify(raw), core.ErrInvalidToken)
		})
	}
	t.Run("nobody says", func(t *testing.T) {
		require.True(t, core.Token{}.GoodUntil().IsZero())
		opaque := newProvider(t, oidctest.Options{OpaqueTokens: true})
		a := newApp(t, opaque, introspecting)
		fail(opaque, oidctest.IntrospectPath, http.StatusOK, `{"active":true,"sub":"user-alice","aud":"app","scope":"openid"}`)
		token, err := a.auth.Verify(t.Context(), opaque.AccessToken(t, "alice"))
		require.NoError(t, err)
		require.True(t, token.GoodUntil().IsZero())
	})
}

func TestAnAuthTellsItsPublicURL(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	require.Equal(t, a.api, a.auth.PublicURL())
	require.Empty(t, newApp(t, a.provider, func(c *core.Config) { c.PublicURL = "" }).auth.PublicURL())
}
