package core_test

import (
	"net/http"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestConstraintsCopyTheirArguments(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	scopes, roles := []string{"openid"}, []string{"admin"}
	guard := a.auth.Required(core.Scopes(scopes...), core.AnyRole(roles...))
	scopes[0], roles[0] = "changed", "changed"
	require.Equal(t, http.StatusOK, serve(guard, bearer(provider.AccessToken(t, "alice"))).StatusCode)
}

func TestScopesInWhicheverForm(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	for _, claims := range []map[string]any{
		{"scope": "a b"}, {"scope": []string{"a", "b"}}, {"scope": []string{"a b"}}, {"scope": nil, "scp": "a b"}, {"scope": nil, "scp": []string{"a", "b"}}, {"scope": "", "scp": []string{"a", "b"}},
	} {
		token, err := a.auth.Verify(t.Context(), provider.SignedToken(t, nil, provider.Claims("alice", claims)))
		require.NoError(t, err)
		require.Equal(t, []string{"a", "b"}, token.Scopes(), claims)
	}
}

func TestGuardAudiences(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	named := newApp(t, provider, func(c *core.Config) { c.Providers[0].Audiences = []string{"orders", "stock"} })
	anybody := newApp(t, provider, func(c *core.Config) { c.Providers[0].InsecureAcceptAnyAudience = true })
	for _, row := range []struct {
		app   *app
		aud   any
		valid bool
	}{
		{named, "orders", true}, {named, []string{"x", "stock"}, true},
		{named, "app", false}, {named, nil, false}, {named, "account", false},
		{anybody, "somebody", true}, {anybody, nil, true},
	} {
		raw := provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"aud": row.aud, "azp": "app"}))
		_, err := row.app.auth.Verify(t.Context(), raw)
		require.Equal(t, row.valid, err == nil, "%v: %v", row.aud, err)
	}
}

func TestGuardConstraints(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, func(c *core.Config) { c.Require = []core.Constraint{core.Claim("tenant", "acme")} })
	raw := provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{
		"tenant": "acme", "scope": "orders:read stock:read", "email_verified": true, "level": 3, "ratio": 0.5, "note": "true",
		"realm_access":                   map[string]any{"roles": []string{"chief"}},
		"resource_access":                map[string]any{"a": map[string]any{"roles": []string{"clerk"}}, "app": map[string]any{"roles": []any{"cook", 1}}, "c": "x"},
		"groups":                         []string{"/staff"},
		"roles":                          []string{"poet", ""},
		"https://example.org/department": "physics",
		"mixed":                          []any{1, "two", true, nil},
		"nothing":                        nil,
	}))
	for name, row := range map[string]struct {
		constraints []core.Constraint
		status      int
		missing     string // scopes
	}{
		"nothing more":            {nil, 200, ""},
		"a scope":                 {[]core.Constraint{core.Scopes("orders:read")}, 200, ""},
		"all scopes":              {[]core.Constraint{core.Scopes("orders:read", "stock:read")}, 200, ""},
		"a scope it lacks":        {[]core.Constraint{core.Scopes("orders:read", "orders:write")}, 403, "orders:write"},
		"scopes it lacks":         {[]core.Constraint{core.Scopes("b"), core.AnyRole("nobody"), core.Scopes("a", "b", "stock:read")}, 403, "b a"},
		"part of a scope's name":  {[]core.Constraint{core.Scopes("orders")}, 403, "orders"},
		"a realm role":            {[]core.Constraint{core.AnyRole("x", "chief")}, 200, ""},
		"a role at our client":    {[]core.Constraint{core.AnyRole("cook")}, 200, ""},
		"a role at another":       {[]core.Constraint{core.AnyRole("clerk")}, 403, ""},
		"a group":                 {[]core.Constraint{core.AnyRole("/staff")}, 200, ""},
		"a role":                  {[]core.Constraint{core.AnyRole("poet")}, 200, ""},
		"all roles":               {[]core.Constraint{core.AllRoles("chief", "poet")}, 200, ""},
		"all roles but one":       {[]core.Constraint{core.AllRoles("chief", "admin")}, 403, ""},
		"no scope":                {[]core.Constraint{core.Scopes()}, 200, ""},
		"a role it lacks":         {[]core.Constraint{core.AnyRole("admin", "ops")}, 403, ""},
		"a boolean":               {[]core.Constraint{core.Claim("email_verified", true)}, 200, ""},
		"a boolean, not its text": {[]core.Constraint{core.Claim("note", true)}, 403, ""},
		"a text, not the boolean": {[]core.Constraint{core.Claim("email_verified", "true")}, 403, ""},
		"an integer":              {[]core.Constraint{core.Claim("level", 1, 3)}, 200, ""},
		"a fraction":              {[]core.Constraint{core.Claim("ratio", 0.5)}, 200, ""},
		"a path":                  {[]core.Constraint{core.Claim("realm_access.roles", "chief")}, 200, ""},
		"a longer path":           {[]core.Constraint{core.Claim("resource_access.a.roles", "clerk")}, 200, ""},
		"a path that ends early":  {[]core.Constraint{core.Claim("realm_access.roles.chief", "chief")}, 403, ""},
		"a path to an object":     {[]core.Constraint{core.Claim("realm_access", "chief")}, 403, ""},
		"a claim that is a URL":   {[]core.Constraint{core.Claim("https://example.org/department", "physics")}, 200, ""},
		"a value it has not":      {[]core.Constraint{core.Claim("https://example.org/department", "chemistry")}, 403, ""},
		"a claim it has not":      {[]core.Constraint{core.Claim("department", "physics")}, 403, ""},
		"an unsigned integer":     {[]core.Constraint{core.Claim("level", uint8(3))}, 200, ""},
		"a claim that is null":    {[]core.Constraint{core.Claim("nothing", "")}, 403, ""},
		"one of several values":   {[]core.Constraint{core.Claim("mixed", "three", "two")}, 200, ""},
		"all values of a list":    {[]core.Constraint{core.ClaimAll("mixed", 1, "two", true)}, 200, ""},
		"not all values":          {[]core.Constraint{core.ClaimAll("mixed", 1, "three")}, 403, ""},
		"all of one value":        {[]core.Constraint{core.ClaimAll("level", 3)}, 200, ""},
		"all of one value, twice": {[]core.Constraint{core.ClaimAll("level", 3, 3)}, 200, ""},
		"two of one value":        {[]core.Constraint{core.ClaimAll("level", 3, 4)}, 403, ""},
		"all at a path":           {[]core.Constraint{core.ClaimAll("resource_access.a.roles", "clerk")}, 200, ""},
		"all of a claim it lacks": {[]core.Constraint{core.ClaimAll("department", "physics")}, 403, ""},
		"all of an object":        {[]core.Constraint{core.ClaimAll("realm_access", "chief")}, 403, ""},
		"a value in a list":       {[]core.Constraint{core.Claim("mixed", "two")}, 200, ""},
		"all of several":          {[]core.Constraint{core.Claim("level", 3), core.AnyRole("poet"), core.Scopes("stock:read")}, 200, ""},
		"one of several fails":    {[]core.Constraint{core.Claim("level", 3), core.AnyRole("nobody"), core.Scopes("stock:read")}, 403, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := serve(a.auth.Optional(row.constraints...), bearer(raw))
			require.Equal(t, http.StatusOK, got.StatusCode, "as itself or anonymous: %s", got.body)
			strict := append([]core.Constraint{core.RefuseBadTokens}, row.constraints...)
			for _, guard := range []*core.Guard{a.auth.Required(row.constraints...), a.auth.Optional(strict...)} {
				got := serve(guard, bearer(raw))
				switch {
				case row.status == http.StatusOK:
					require.Equal(t, http.StatusOK, got.StatusCode, got.body)
				case row.missing != "":
					requireError(t, got, http.StatusForbidden, "insufficient_scope")
					require.Equal(t, "The token lacks the scope "+row.missing+".", got.json["detail"])
					require.Contains(t, got.Header.Get("WWW-Authenticate"), `Bearer realm="`+a.api+`", error="insufficient_scope", error_description="The token lacks the scope `+row.missing+`.", scope="`)
				default:
					requireError(t, got, http.StatusForbidden, "insufficient_claims")
					require.Contains(t, got.json["detail"], "claims")
					require.Empty(t, got.Header.Get("WWW-Authenticate"))
				}
			}
		})
	}
	t.Run("Config.Require holds everywhere", func(t *testing.T) {
		other := provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"tenant": "evil"}))
		for _, guard := range []*core.Guard{a.auth.Required(), a.auth.Optional(core.RefuseBadTokens)} {
			requireError(t, serve(guard, bearer(other)), http.StatusForbidden, "insufficient_claims")
		}
		requireError(t, a.get(browser(), userinfoRoute, bearer(other)), http.StatusForbidden, "insufficient_claims")
		require.NoError(t, a.verify(other), "Verify applies no constraint")
	})
	t.Run("anonymous visitors have nothing to satisfy", func(t *testing.T) {
		require.Equal(t, http.StatusOK, serve(a.auth.Optional(core.Scopes("x"))).StatusCode)
	})
}

func TestMalformedConstraintsPanicAtStart(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	for name, c := range map[string]core.Constraint{
		"the zero value": {}, "an empty scope": core.Scopes(""), "two scopes in one": core.Scopes("a b"),
		"no role": core.AnyRole(), "none of all roles": core.AllRoles(), "an empty one of all roles": core.AllRoles("a", ""), "an empty role": core.AnyRole(""), "no path": core.Claim("", 1), "no value": core.Claim("a"), "none of all": core.ClaimAll("a"), "nil among all": core.ClaimAll("a", 1, nil),
		"a number that has neighbours": core.Claim("a", int64(1)<<53), "a large fraction": core.Claim("a", float64(1<<53)), "a large unsigned number": core.Claim("a", uint64(1)<<63),
		"a list as value": core.Claim("a", []string{"x"}), "nil as value": core.Claim("a", nil),
	} {
		require.Panics(t, func() { a.auth.Required(c) }, name)
		require.Panics(t, func() { a.auth.Optional(c) }, name)
	}
	require.PanicsWithValue(t, "oidcgate: core.RefuseBadTokens is for Optional: Required always refuses them", func() { a.auth.Required(core.RefuseBadTokens) })
	require.NotPanics(t, func() { a.auth.Required(core.Scopes()) }, "a list of scopes that is empty demands nothing")
}
