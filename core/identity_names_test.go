package core_test

import (
	"net/http"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestEmailVerifiedInBothSpellings(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	for _, row := range []struct{ says, want any }{
		{true, true}, {"true", true}, {false, false}, {"false", false}, {nil, false}, {1, false}, {"yes", false},
	} {
		a.overhear(func(body map[string]any) {
			says := map[string]any{"email_verified": row.says}
			a.resigned(body, says, says)
		})
		require.Equal(t, row.want, claimsOf(t, a.signIn("alice").AccessToken)["email_verified"], "%#v", row.says)
	}
}

func TestNamesComeFromTheConfiguredPaths(t *testing.T) {
	provider := newProvider(t, oidctest.Options{Users: []oidctest.User{{Username: "x", Claims: map[string]any{
		"ident": map[string]any{"person": map[string]any{"given_name": "Ada", "surname": "Lovelace", "mail": "ada@example.org"}},
	}}}})
	a := newApp(t, provider, brokered(), func(c *core.Config) { c.Providers[0].ProfilePaths = []string{"ident.person"} })
	got := a.signIn("x")
	info := a.get(browser(), userinfoRoute, bearer(got.AccessToken))
	require.Equal(t, `{"sub":"user-x","username":"x","first_name":"Ada","last_name":"Lovelace","pw_name":"x","email":"ada@example.org","preferred_username":"x","given_name":"Ada","family_name":"Lovelace","email_verified":false}`+"\n", info.body)
	require.Equal(t, "ada@example.org", claimsOf(t, got.AccessToken)["email"])
}

// Whoever vouches for one address has said nothing about another.
func TestEmailVerifiedCountsForTheEmailOfItsSourceOnly(t *testing.T) {
	type claims = map[string]any
	const address = "ceo@example.org"
	says := claims{"email": address, "email_verified": true}
	unsaid := claims{"email": nil, "email_verified": nil}
	for name, row := range map[string]struct {
		access   claims // nil: the access token is opaque
		id       claims
		userinfo string
		email    string
		verified any
	}{
		"the access token's own":             {says, unsaid, "", address, true},
		"of the ID token alone":              {claims{"email": address, "email_verified": nil}, claims{"email": "alice@example.com", "email_verified": true}, "", address, false},
		"of the ID token, of the same":       {claims{"email": address, "email_verified": nil}, says, "", address, false},
		"the ID token's own":                 {unsaid, says, "", address, true},
		"of the access token, ID token's":    {claims{"email": nil, "email_verified": true}, claims{"email": address, "email_verified": nil}, "", address, false},
		"userinfo's own":                     {nil, unsaid, `{"sub":"user-alice","email":"ceo@example.org","email_verified":true}`, address, true},
		"userinfo's, which does not vouch":   {nil, claims{"email": "alice@example.com", "email_verified": true}, `{"sub":"user-alice","email":"ceo@example.org"}`, address, false},
		"the ID token's, userinfo has none":  {nil, says, `{"sub":"user-alice","email_verified":false}`, address, true},
		"of the claim email, not of mail":    {claims{"email": nil, "mail": address, "email_verified": true}, unsaid, "", address, false},
		"of the claim email, not of a path":  {claims{"email": nil, "person": claims{"email": address}, "email_verified": true}, unsaid, "", address, false},
		"of the claim email, of a path, too": {claims{"email": nil, "person": claims{"email": address, "email_verified": true}}, unsaid, "", address, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{OpaqueTokens: row.access == nil}), brokered(),
				func(c *core.Config) { c.Providers[0].ProfilePaths = []string{"person"} })
			a.overhear(func(body map[string]any) {
				if row.access != nil {
					a.resigned(body, row.access, row.id)
					return
				}
				body["id_token"] = resign(t, a.provider, body["id_token"].(string), nil, row.id)
			})
			fail(a.provider, oidctest.UserinfoPath, http.StatusOK, row.userinfo)
			said := claimsOf(t, a.signIn("alice").AccessToken)
			require.Equal(t, row.email, said["email"])
			require.Equal(t, row.verified, said["email_verified"])
		})
	}
}
