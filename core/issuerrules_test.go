package core_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// Tokens of py-oidc-auth have no scope, and those of others may have too many.
func TestScopesOfAFurtherIssuerAreWhatTheApplicationMakesOfThem(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	var seen []string
	for name, row := range map[string]struct {
		mapping  func([]string) []string
		asserted any
		want     []string
	}{
		"as they are without a mapping": {nil, "b a", []string{"b", "a"}},
		"given to a token without any":  {func([]string) []string { return []string{"orders:read"} }, nil, []string{"orders:read"}},
		"taken away":                    {func([]string) []string { return nil }, "admin", nil},
		"mapped, each once, sorted": {func(asserted []string) []string {
			seen = slices.Clone(asserted)
			return []string{"b", "a", "b"}
		}, "x y", []string{"a", "b"}},
		"none after a panic": {func([]string) []string { panic("a mistake") }, "admin", nil},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{}), brokered(), further(core.Issuer{URL: provider.Issuer, Scopes: row.mapping}))
			raw := provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"aud": a.api, "scope": row.asserted}))
			for range 2 { // verified, and remembered
				token, err := a.auth.Verify(t.Context(), raw)
				require.NoError(t, err)
				require.Equal(t, row.want, token.Scopes())
				status := http.StatusForbidden
				if slices.Contains(row.want, "orders:read") {
					status = http.StatusOK
				}
				require.Equal(t, status, serve(a.auth.Required(core.Scopes("orders:read")), bearer(raw)).StatusCode)
				require.False(t, token.HasScope("admin"))
			}
		})
	}
	require.Equal(t, []string{"x", "y"}, seen)
	t.Run("its own tokens keep theirs", func(t *testing.T) {
		a := newApp(t, newProvider(t, oidctest.Options{}), further(core.Issuer{URL: provider.Issuer, Scopes: func([]string) []string { return nil }}))
		token, err := a.auth.Verify(t.Context(), a.provider.AccessToken(t, "alice"))
		require.NoError(t, err)
		require.True(t, token.HasScope("openid"))
	})
}

// AD FS has another iss in access tokens than in its discovery document, and http in it.
// Nobody fetches anything there.
func TestAnIssuersNameIsNoAddress(t *testing.T) {
	keys := newProvider(t, oidctest.Options{})
	for _, name := range []string{"http://fs.example.org/adfs/services/trust", "urn:example:issuer", "accounts.example.org"} {
		a := newApp(t, newProvider(t, oidctest.Options{}), further(core.Issuer{URL: name, JWKSURL: keys.Issuer + oidctest.KeysPath}))
		token, err := a.auth.Verify(t.Context(), keys.SignedToken(t, nil, keys.Claims("alice", map[string]any{"iss": name})))
		require.NoError(t, err)
		require.Equal(t, name, token.Issuer())
		require.ErrorIs(t, a.verify(keys.SignedToken(t, nil, keys.Claims("alice", map[string]any{"iss": name + "/"}))), core.ErrInvalidToken)

		require.ErrorContains(t, a.auth.SetTrustedIssuers([]core.Issuer{{URL: name}}), "Config.TrustedIssuers[0].URL", "without a JWKSURL it is an address")
		require.ErrorContains(t, a.auth.SetTrustedIssuers([]core.Issuer{{URL: name, JWKSURL: "http://fs.example.org/keys"}}), "JWKSURL", "keys come by https")
		require.ErrorContains(t, a.auth.SetTrustedIssuers([]core.Issuer{{URL: name + "\n", JWKSURL: "https://fs.example.org/keys"}}), "character")
	}
}

// A broker takes none of its provider's tokens: they are exchanged, and Identify is
// asked. A pattern must not be a way around that.
func TestAPatternMayNotCoverABrokersOwnProvider(t *testing.T) {
	const issuer = "https://login.example.org/tenant-1/v2.0"
	check := func(broker *core.Broker, url string) error {
		_, err := core.New(core.Config{
			Providers: []core.Provider{{Issuer: issuer, ClientID: "app"}}, PublicURL: "https://app.example.org/tenant-2/api", Broker: broker,
			TrustedIssuers: []core.Issuer{{URL: url, JWKSURL: "https://login.example.org/keys"}},
		})
		return err
	}
	for url, problem := range map[string]string{
		issuer: "URL is Provider.Issuer",
		"https://login.example.org/{tenantid}/v2.0":       "URL is Provider.Issuer, or a pattern of it",
		"https://app.example.org/{tenantid}/api":          "URL is PublicURL, or a pattern of it",
		"https://login.example.org/tenant-1/{tenantid}":   "URL is Provider.Issuer, or a pattern of it",
		"https://login.example.org/{tenantid}/v1.0":       "",
		"https://login.example.org/{tenantid}":            "",
		"https://other.example.org/{tenantid}/v2.0":       "",
		"https://app.example.org/tenant-2/api/{tenantid}": "",
	} {
		if err := check(&core.Broker{}, url); problem == "" {
			require.NoError(t, err, url)
		} else {
			require.ErrorContains(t, err, problem, url)
		}
	}
	require.NoError(t, check(nil, "https://login.example.org/{tenantid}/v2.0"), "guards that take the provider's tokens go by its own rules")
}
