package core_test

import (
	"net/http"
	"strings"
	"testing"

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
func TestAnAccessTokenWithoutRoleClaimsTakesNoRoleAway(t *testing.T) {
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

func TestOnlyTheConfiguredRoleClaimsTellWhetherATokenHasRoles(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(), func(c *core.Config) { c.Providers[0].RoleClaims = []string{"permissions"} })
	a.overhear(func(body map[string]any) { a.resigned(body, nil, map[string]any{"permissions": "read"}) })
	require.Equal(t, []any{"read"}, claimsOf(t, a.signIn("alice").AccessToken)["roles"])
	a.overhear(func(body map[string]any) {
		a.resigned(body, map[string]any{"permissions": []string{}}, map[string]any{"permissions": "read"})
	})
	require.Equal(t, []any{}, claimsOf(t, a.signIn("alice").AccessToken)["roles"])
}

func TestRolesAreGatheredFromWhereProvidersPutThem(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	a.overhear(func(body map[string]any) {
		a.resigned(body, map[string]any{
			"realm_access": map[string]any{"roles": []any{"b", "a", 1, ""}},
			"resource_access": map[string]any{
				"app": map[string]any{"roles": []string{"c", "a"}}, "other": map[string]any{"roles": []string{"d"}}, "odd": "e",
			},
			"groups": []string{"/staff", "a"}, "roles": []string{"z"}, "friends": map[string]any{"roles": []string{"not mine"}},
		}, nil)
	})
	require.Equal(t, []any{"/staff", "a", "b", "c", "z"}, claimsOf(t, a.signIn("alice").AccessToken)["roles"])
}

// What a user may do is said by one source: the provider's access token, if it
// can be read and is about the user, else the ID token and userinfo.
func TestRolesComeFromOneSource(t *testing.T) {
	type claims = map[string]any
	none := claims{"groups": nil, "realm_access": nil}
	for name, row := range map[string]struct {
		access, id claims
		userinfo   string
		want       []any
	}{
		"the access token's, though the ID token has others": {
			claims{"groups": nil, "realm_access": claims{"roles": []string{"user"}}}, claims{"groups": []string{"admin"}}, "", []any{"user"}},
		"none of the access token's, which has an empty list, though the ID token has some": {
			claims{"groups": []string{}, "realm_access": nil}, claims{"groups": []string{"admin"}}, "", nil},
		"the ID token's, when the access token is silent": {none, claims{"groups": []string{"admin"}, "realm_access": nil}, `{"sub":"user-alice"}`, []any{"admin"}},
		"userinfo's, when both tokens are silent":         {none, none, `{"sub":"user-alice","groups":["writer"]}`, []any{"writer"}},
		"those of both, when the access token is silent": {
			none, claims{"groups": []string{"admin"}, "realm_access": nil}, `{"sub":"user-alice","roles":["writer"]}`, []any{"admin", "writer"}},
		"the access token's, though userinfo was asked for a name": {
			claims{"groups": []string{"user"}, "realm_access": nil, "preferred_username": nil}, claims{"groups": nil, "realm_access": nil, "preferred_username": nil},
			`{"sub":"user-alice","preferred_username":"alice","roles":["admin"]}`, []any{"user"}},
		"the ID token's, when the access token is of another subject": {
			claims{"sub": "pairwise", "groups": []string{"admin"}}, claims{"groups": []string{"user"}, "realm_access": nil},
			`{"sub":"user-alice"}`, []any{"user"}},
		"the ID token's and userinfo's, when the access token is of another subject": {
			claims{"sub": "pairwise", "groups": []string{"admin"}}, claims{"groups": []string{"user"}, "realm_access": nil},
			`{"sub":"user-alice","roles":["writer"]}`, []any{"user", "writer"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
			a.overhear(func(body map[string]any) { a.resigned(body, row.access, row.id) })
			if row.userinfo != "" {
				fail(a.provider, oidctest.UserinfoPath, http.StatusOK, row.userinfo)
			}
			first := a.signIn("alice")
			for _, got := range []tokens{first, a.tokens(a.refresh(first.RefreshToken))} {
				said := claimsOf(t, got.AccessToken)
				require.ElementsMatch(t, row.want, said["roles"])
				require.Equal(t, "alice", said["preferred_username"], "names come from whoever says them")
				require.Equal(t, "Alice Liddell", said["name"])
			}
		})
	}
}

// Where userinfo tells the roles, an ID token of the first day does not bring
// back those that were taken away.
func TestRolesThatUserinfoNoLongerTellsAreGoneAtTheNextRefresh(t *testing.T) {
	for name, trouble := range map[string]func(p *oidctest.Provider){
		"it leaves them out": func(p *oidctest.Provider) {
			tamper(p, oidctest.UserinfoPath, func(body map[string]any) {
				delete(body, "groups")
				delete(body, "realm_access")
			})
		},
		"it refuses the token": func(p *oidctest.Provider) { fail(p, oidctest.UserinfoPath, http.StatusUnauthorized, "") },
	} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{OpaqueTokens: true})
			a := newApp(t, provider, brokered())
			got := a.signIn("alice")
			require.Contains(t, claimsOf(t, got.AccessToken)["roles"], "admin")
			tamper(provider, oidctest.TokenPath, func(body map[string]any) { delete(body, "id_token") })
			got = a.tokens(a.refresh(got.RefreshToken))
			require.Contains(t, claimsOf(t, got.AccessToken)["roles"], "admin", "userinfo still tells it")
			trouble(provider)
			got = a.tokens(a.refresh(got.RefreshToken))
			require.Empty(t, claimsOf(t, got.AccessToken)["roles"])
		})
	}
}
