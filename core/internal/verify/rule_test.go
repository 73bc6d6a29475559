package verify

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRules(t *testing.T) {
	token := tokenOf(t, members{
		"scope": "read write", "dept": "sales", "level": 3, "staff": true, "groups": []any{"a", "b", 1},
		"org": members{"unit": "x"}, "roles": []any{"editor", "viewer"},
	})
	const (
		roles   = "The token's claims do not contain the required roles."
		noScope = "The token lacks the scope "
	)
	holds := func(path string, values ...any) Rule { return Rule{Kind: ClaimRule, Path: path, Values: values} }
	all := func(r Rule) Rule { r.All = true; return r }
	minted := func(r Rule) Rule { r.Minted = true; return r }
	scopes := func(names ...string) Rule { return Rule{Kind: ScopeRule, Names: names} }
	role := func(names ...string) Rule { return Rule{Kind: RoleRule, Names: names} }
	claim := func(path string) string {
		return "The token's claims do not allow this: " + path + " does not have the required value."
	}
	for name, row := range map[string]struct {
		rules  []Rule
		scopes string
		reason string
	}{
		"none":                           {nil, "", ""},
		"one that demands nothing":       {[]Rule{{}}, "", ""},
		"a scope":                        {[]Rule{scopes("read")}, "", ""},
		"both scopes":                    {[]Rule{scopes("read", "write")}, "", ""},
		"a scope that is missing":        {[]Rule{scopes("read", "delete")}, "read delete", noScope + "delete."},
		"several scopes that are":        {[]Rule{scopes("delete", "read"), role("nobody"), scopes("delete", "admin")}, "delete read admin", noScope + "delete admin."},
		"scopes before the rest":         {[]Rule{role("nobody"), scopes("delete")}, "delete", noScope + "delete."},
		"any role":                       {[]Rule{role("nobody", "viewer")}, "", ""},
		"none of the roles":              {[]Rule{role("nobody", "admin")}, "", roles},
		"no role at all":                 {[]Rule{role()}, "", roles},
		"all roles":                      {[]Rule{all(role("editor", "viewer"))}, "", ""},
		"all roles, one is missing":      {[]Rule{all(role("editor", "admin"))}, "", roles},
		"the first failure is told":      {[]Rule{role("nobody"), holds("dept", "it")}, "", roles},
		"a claim before roles":           {[]Rule{holds("dept", "it"), role("nobody")}, "", claim("dept")},
		"a claim, then another":          {[]Rule{holds("dept", "it"), holds("level", 4.0)}, "", claim("dept")},
		"a claim after roles that pass":  {[]Rule{role("viewer"), holds("dept", "it")}, "", claim("dept")},
		"a text":                         {[]Rule{holds("dept", "it", "sales")}, "", ""},
		"a number":                       {[]Rule{holds("level", 3.0)}, "", ""},
		"a bool":                         {[]Rule{holds("staff", true)}, "", ""},
		"a text for a number":            {[]Rule{holds("level", "3")}, "", claim("level")},
		"one of a list":                  {[]Rule{holds("groups", "c", "b")}, "", ""},
		"a number of a list":             {[]Rule{holds("groups", 1.0)}, "", ""},
		"none of a list":                 {[]Rule{holds("groups", "c")}, "", claim("groups")},
		"all of a list":                  {[]Rule{all(holds("groups", "a", "b"))}, "", ""},
		"all of a list, one is missing":  {[]Rule{all(holds("groups", "a", "c"))}, "", claim("groups")},
		"a path":                         {[]Rule{holds("org.unit", "x")}, "", ""},
		"an object":                      {[]Rule{holds("org", "x")}, "", claim("org")},
		"a claim that is missing":        {[]Rule{holds("nowhere", "x")}, "", claim("nowhere")},
		"a missing claim, minted":        {[]Rule{minted(holds("nowhere", "x"))}, "", ""},
		"another value, minted":          {[]Rule{minted(holds("dept", "it"))}, "", claim("dept")},
		"the name of a claim, as a text": {[]Rule{holds("no\"\n\\where", "x")}, "", claim("nowhere")},
	} {
		t.Run(name, func(t *testing.T) {
			var want *Failure
			if row.reason != "" {
				want = &Failure{Scopes: row.scopes, Reason: row.reason}
			}
			require.Equal(t, want, Judge(token, row.rules))
			require.Equal(t, want, Judge(token, nil, row.rules), "in whichever list")
		})
	}
	require.Equal(t, &Failure{"delete read", noScope + "delete."}, Judge(token, []Rule{scopes("delete")}, []Rule{scopes("read", "delete")}))
}

func TestNeededScopesAreNamedOnce(t *testing.T) {
	require.Empty(t, NeededScopes(nil, []Rule{{Kind: RoleRule, Names: []string{"a"}}}))
	require.Equal(t, []string{"a", "b", "c"}, NeededScopes(
		[]Rule{{Kind: ScopeRule, Names: []string{"a", "b", "a"}}},
		[]Rule{{Kind: RoleRule, Names: []string{"x"}}, {Kind: ScopeRule, Names: []string{"b", "c"}}}))
}

func TestAsMintedChangesACopy(t *testing.T) {
	rules := []Rule{{Kind: ClaimRule, Path: "a"}, {Kind: RoleRule}}
	require.Equal(t, []Rule{{Kind: ClaimRule, Path: "a", Minted: true}, {Kind: RoleRule, Minted: true}}, AsMinted(rules))
	require.False(t, rules[0].Minted)
}
