package core_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

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

func TestMetadataNamesDeviceLoginsOnlyWhereTheProviderHasThem(t *testing.T) {
	const device = "urn:ietf:params:oauth:grant-type:device_code"
	for name, row := range map[string]struct {
		trouble func(p *oidctest.Provider)
		has     bool
	}{
		"it has": {func(*oidctest.Provider) {}, true},
		"it has not": {func(p *oidctest.Provider) {
			tamper(p, oidctest.DiscoveryPath, func(body map[string]any) { delete(body, "device_authorization_endpoint") })
		}, false},
		"it can't be reached": {func(p *oidctest.Provider) { p.Down(true) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{})
			row.trouble(provider)
			a := newApp(t, provider, brokered())
			got := a.get(browser(), "/.well-known/openid-configuration")
			require.Equal(t, http.StatusOK, got.StatusCode)
			require.Equal(t, row.has, got.json["device_authorization_endpoint"] != nil)
			if row.has {
				require.Contains(t, got.json["grant_types_supported"], device)
			} else {
				require.NotContains(t, got.json["grant_types_supported"], device)
			}
		})
	}
}

func TestMetadataNamesTheScopesThatMayBeAskedFor(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*core.Config)
		want   []any
	}{
		"any":          {func(*core.Config) {}, []any{"openid", "profile", "email"}},
		"some":         {func(c *core.Config) { c.Providers[0].AllowedScopes = []string{"orders", "openid"} }, []any{"openid", "orders"}},
		"openid alone": {func(c *core.Config) { c.Providers[0].AllowedScopes = []string{} }, []any{"openid"}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, row.want, ask(wellKnown(t, row.change), "metadata").json["scopes_supported"])
		})
	}
}
