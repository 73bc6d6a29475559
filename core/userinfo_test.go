package core_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestUserinfoComesFromTheTokenWhenItNamesTheUser(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	raw := a.provider.AccessToken(t, "alice")
	got := a.get(browser(), userinfoRoute, "Authorization: Bearer "+raw)
	require.Equal(t, http.StatusOK, got.StatusCode, got.body)
	requireProtected(t, got)
	require.Equal(t, `{"sub":"user-alice","username":"alice","first_name":"Alice","last_name":"Liddell","pw_name":"alice","email":"alice@example.com","preferred_username":"alice","given_name":"Alice","family_name":"Liddell","name":"Alice Liddell","email_verified":true}`+"\n", got.body)
	require.Zero(t, a.provider.Requests(oidctest.UserinfoPath))

	req, err := http.NewRequest(http.MethodHead, a.api+userinfoRoute, nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+raw)
	require.Equal(t, http.StatusOK, a.do(browser(), req).StatusCode)
	requireError(t, a.get(browser(), userinfoRoute), http.StatusUnauthorized, "missing_token")
}

func TestUserinfoAsksTheProviderWhenTheTokenNamesNobody(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	raw := a.bare("alice")
	ask := func() answer { return a.get(browser(), userinfoRoute, "Authorization: Bearer "+raw) }
	got := ask()
	require.Equal(t, http.StatusOK, got.StatusCode, got.body)
	require.Equal(t, `{"sub":"user-alice","username":"alice","first_name":"Alice","last_name":"Liddell","pw_name":"alice","email":"alice@example.com","preferred_username":"alice","given_name":"Alice","family_name":"Liddell","name":"Alice Liddell","email_verified":true}`+"\n", got.body)
	require.Equal(t, 1, provider.Requests(oidctest.UserinfoPath))

	for name, row := range map[string]struct {
		status int
		body   string
		want   int
		code   string
	}{
		"another subject":   {200, `{"sub":"user-bob","preferred_username":"bob"}`, 502, "server_error"},
		"no subject":        {200, `{"preferred_username":"bob"}`, 502, "server_error"},
		"no username":       {200, `{"sub":"user-alice"}`, 404, "not_found"},
		"no JSON":           {200, `<html>`, 502, "server_error"},
		"a list":            {200, `[]`, 502, "server_error"},
		"revoked":           {401, `{"error":"invalid_token"}`, 401, "invalid_token"},
		"without the scope": {403, `{"error":"insufficient_scope"}`, 403, "insufficient_scope"},
		"gone":              {404, ``, 502, "server_error"},
		"overloaded":        {503, ``, 503, "temporarily_unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			fail(provider, oidctest.UserinfoPath, row.status, row.body)
			requireError(t, ask(), row.want, row.code)
		})
	}
	t.Run("no such endpoint", func(t *testing.T) {
		tamper(provider, oidctest.DiscoveryPath, func(body map[string]any) { delete(body, "userinfo_endpoint") })
		fresh := newApp(t, provider)
		requireError(t, fresh.get(browser(), userinfoRoute, "Authorization: Bearer "+raw), http.StatusNotFound, "not_found")
	})
}

func TestUserinfoKnowsTheNamesInUse(t *testing.T) {
	provider := newProvider(t, oidctest.Options{Users: []oidctest.User{{Username: "x", Password: "x"}}})
	a := newApp(t, provider, func(c *core.Config) {
		c.Providers[0].ProfilePaths = []string{"ident.person", "https://example.org/person"}
	})
	for name, row := range map[string]struct {
		claims map[string]any
		want   string
	}{
		"user_name, first_name, last_name, mail": {
			map[string]any{"user_name": "u", "first_name": "F", "last_name": "L", "mail": "m@x"},
			`{"sub":"user-x","username":"u","first_name":"F","last_name":"L","pw_name":"u","email":"m@x","preferred_username":"u","given_name":"F","family_name":"L"}`},
		"uid, given_name, surname": {
			map[string]any{"uid": "u", "given_name": "F", "surname": "L"},
			`{"sub":"user-x","username":"u","first_name":"F","last_name":"L","pw_name":"u","preferred_username":"u","given_name":"F","family_name":"L"}`},
		"username, hyphens": {
			map[string]any{"username": "u", "given-name": "F", "family-name": "L"},
			`{"sub":"user-x","username":"u","first_name":"F","last_name":"L","pw_name":"u","preferred_username":"u","given_name":"F","family_name":"L"}`},
		"the first match wins": {
			map[string]any{"username": "later", "preferred-username": "first", "email": "e@x", "mail": "m@x"},
			`{"sub":"user-x","username":"first","pw_name":"first","email":"e@x","preferred_username":"first"}`},
		"the last word of the name": {
			map[string]any{"username": "u", "name": " Ada  Lovelace "},
			`{"sub":"user-x","username":"u","last_name":"Lovelace","pw_name":"u","preferred_username":"u","family_name":"Lovelace","name":" Ada  Lovelace "}`},
		"at a configured path": {
			map[string]any{"ident": map[string]any{"person": map[string]any{"uid": "u", "mail": "m@x"}}},
			`{"sub":"user-x","username":"u","pw_name":"u","email":"m@x","preferred_username":"u"}`},
		"at a configured path that is a URL": {
			map[string]any{"https://example.org/person": map[string]any{"uid": "u"}},
			`{"sub":"user-x","username":"u","pw_name":"u","preferred_username":"u"}`},
	} {
		t.Run(name, func(t *testing.T) {
			claims := map[string]any{"preferred_username": nil, "name": nil}
			for k, v := range row.claims {
				claims[k] = v
			}
			raw := provider.SignedToken(t, nil, provider.Claims("x", claims))
			require.Equal(t, row.want+"\n", a.get(browser(), userinfoRoute, "Authorization: Bearer "+raw).body)
		})
	}
	t.Run("nowhere else", func(t *testing.T) {
		fail(provider, oidctest.UserinfoPath, 200, `{"sub":"user-x","friend":{"username":"somebody else"},"username":["7"]}`)
		raw := provider.SignedToken(t, nil, provider.Claims("x", map[string]any{"preferred_username": nil, "manager": map[string]any{"username": "boss"}}))
		requireError(t, a.get(browser(), userinfoRoute, "Authorization: Bearer "+raw), http.StatusNotFound, "not_found")
	})
}

// The names that clients of py-oidc-auth read, and those of OpenID Connect Core 5.1, in
// both modes; what is unknown is left out.
func TestUserinfoIsGolden(t *testing.T) {
	provider := newProvider(t, oidctest.Options{Users: []oidctest.User{
		{Username: "known", Claims: map[string]any{"given_name": "Ada", "family_name": "Lovelace", "name": "Ada Lovelace", "email": "ada@example.org", "email_verified": true}},
		{Username: "unknown"},
	}})
	bodies := ""
	for _, mode := range []struct {
		name string
		app  *app
	}{{"passthrough", newApp(t, provider)}, {"broker", newApp(t, provider, brokered())}} {
		for _, user := range []string{"known", "unknown"} {
			got := mode.app.get(browser(), userinfoRoute, bearer(mode.app.signIn(user).AccessToken))
			require.Equal(t, http.StatusOK, got.StatusCode, got.body)
			bodies += fmt.Sprintf(",%q:%s", mode.name+", "+user, got.body)
		}
	}
	requireGolden(t, "userinfo.json", "{"+bodies[1:]+"}")
}

func TestUserinfoSaysOfAnAddressOnlyWhatWasSaidOfIt(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	for name, row := range map[string]struct {
		claims map[string]any
		want   any // nil: nothing
	}{
		"verified":               {map[string]any{"email_verified": true}, true},
		"not verified":           {map[string]any{"email_verified": false}, false},
		"as a text":              {map[string]any{"email_verified": "true"}, true},
		"nothing":                {map[string]any{"email_verified": nil}, nil},
		"a word of no meaning":   {map[string]any{"email_verified": "yes"}, nil},
		"of another claim":       {map[string]any{"email": nil, "mail": "m@example.org", "email_verified": true}, nil},
		"of an address not told": {map[string]any{"email": nil, "email_verified": true}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			raw := a.provider.SignedToken(t, nil, a.provider.Claims("alice", row.claims))
			require.Equal(t, row.want, a.get(browser(), userinfoRoute, bearer(raw)).json["email_verified"])
		})
	}
}

// OpenID Connect Core 5.3: clients may ask by POST; the token is in the header all the
// same.
func TestUserinfoTakesPOST(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	token := a.signIn("alice").AccessToken
	requireError(t, a.post(browser(), userinfoRoute, "access_token", token), http.StatusUnauthorized, "missing_token")
	for _, body := range []string{"", "access_token=ignored"} {
		req, err := http.NewRequest(http.MethodPost, a.api+userinfoRoute, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		require.Equal(t, "alice", a.do(browser(), req).json["username"])
	}
}
