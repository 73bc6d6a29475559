package core_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestTokensOfAFurtherIssuerAreTaken(t *testing.T) {
	home := newProvider(t, oidctest.Options{})
	other := newProvider(t, oidctest.Options{SigningAlgorithm: "ES256"})
	a := newApp(t, home, further(core.Issuer{URL: other.Issuer, Roles: func(asserted []string) []string {
		require.Equal(t, []string{"admin", "user", "users"}, asserted)
		return []string{"guest", "friend", "guest"}
	}}))
	require.Zero(t, other.Requests(""), "nobody is asked before he is needed")
	for range 2 {
		token, err := a.auth.Verify(t.Context(), other.AccessToken(t, "alice"))
		require.NoError(t, err)
		require.Equal(t, other.Issuer, token.Issuer())
		require.Equal(t, "user-alice", token.Subject())
		require.Equal(t, []string{"friend", "guest"}, token.Roles())
	}
	require.Equal(t, 1, other.Requests(oidctest.KeysPath))
	token, err := a.auth.Verify(t.Context(), home.AccessToken(t, "alice"))
	require.NoError(t, err)
	require.Equal(t, []string{"admin", "user", "users"}, token.Roles())

	// Userinfo tells what the token says, and hands it to nobody.
	raw := other.SignedToken(t, nil, other.Claims("alice", map[string]any{"preferred_username": nil}))
	requireError(t, a.get(browser(), "/auth/v2/userinfo", "Authorization: Bearer "+raw), http.StatusNotFound, "not_found")
	require.Zero(t, home.Requests(oidctest.UserinfoPath)+other.Requests(oidctest.UserinfoPath))
	got := a.get(browser(), "/auth/v2/userinfo", "Authorization: Bearer "+other.AccessToken(t, "alice"))
	require.Equal(t, "alice", got.json["username"])
}

func TestRolesOfAFurtherIssuerCountOnlyWhenThatIsConfigured(t *testing.T) {
	home, other := newProvider(t, oidctest.Options{}), newProvider(t, oidctest.Options{})
	a := newApp(t, home, further(core.Issuer{URL: other.Issuer}))
	token, err := a.auth.Verify(t.Context(), other.AccessToken(t, "alice"))
	require.NoError(t, err)
	require.Empty(t, token.Roles())
	require.False(t, token.HasRole("admin"))
}

func TestAKeyVerifiesTheTokensOfItsOwnIssuerAlone(t *testing.T) {
	home, one, two := newProvider(t, oidctest.Options{}), newProvider(t, oidctest.Options{}), newProvider(t, oidctest.Options{})
	a := newApp(t, home, further(core.Issuer{URL: one.Issuer}), further(core.Issuer{URL: two.Issuer}))
	all := []*oidctest.Provider{home, one, two}
	for _, p := range all {
		require.NoError(t, a.verify(p.AccessToken(t, "alice")))
	}
	for i, signer := range all {
		for j, claimed := range all {
			if i == j {
				continue
			}
			for _, kid := range []any{signer.KeyID(t), claimed.KeyID(t), nil} {
				raw := signer.SignedToken(t, map[string]any{"kid": kid}, signer.Claims("alice", map[string]any{"iss": claimed.Issuer}))
				require.ErrorIs(t, a.verify(raw), core.ErrInvalidToken, "%d signs as %d with kid %v", i, j, kid)
			}
		}
	}
	stranger := newProvider(t, oidctest.Options{})
	require.ErrorContains(t, a.verify(stranger.AccessToken(t, "alice")), "it is from another issuer.")
	require.Zero(t, stranger.Requests(""))
}

func TestAFurtherIssuerHasRulesOfItsOwn(t *testing.T) {
	home, other := newProvider(t, oidctest.Options{}), newProvider(t, oidctest.Options{SigningAlgorithm: "ES256"})
	issuer := core.Issuer{
		URL: other.Issuer, Audiences: []string{"theirs"}, Algorithms: []string{"ES256"},
		Require: []core.Constraint{core.Claim("department", "physics")}, Roles: asTheyAre,
	}
	email := func(c *core.Config) { c.Require = []core.Constraint{core.Scopes("email")} }
	a := newApp(t, home, further(issuer), email)
	issuer.Algorithms = []string{"RS256", "ES384"}
	narrow := newApp(t, home, further(issuer), email)
	check := func(a *app, p *oidctest.Provider, claims map[string]any) error {
		_, err := a.auth.Required().Check(t.Context(), core.Request{Authorization: []string{"Bearer " + p.SignedToken(t, nil, p.Claims("alice", claims))}})
		return err
	}
	for range 2 { // remembered or not
		require.NoError(t, check(a, home, nil))
		require.NoError(t, check(a, other, map[string]any{"aud": "theirs", "department": "physics"}))
		require.ErrorIs(t, check(a, other, map[string]any{"aud": "theirs", "department": "law"}), core.ErrInsufficientClaims)
		require.ErrorIs(t, check(a, other, map[string]any{"aud": "theirs", "department": "physics", "scope": "openid"}), core.ErrInsufficientScope)
		require.ErrorContains(t, check(a, other, map[string]any{"department": "physics"}), "another audience", "whoever issued it")
		require.ErrorContains(t, check(a, home, map[string]any{"aud": "theirs", "client_id": "other", "azp": nil}), "another audience")
		require.ErrorContains(t, check(narrow, other, map[string]any{"aud": "theirs", "department": "physics"}), "algorithm is not accepted")
		require.NoError(t, check(narrow, home, nil))
	}
}

func TestAFurtherIssuerThatIsDownStopsNobodyElse(t *testing.T) {
	home, other := newProvider(t, oidctest.Options{}), newProvider(t, oidctest.Options{})
	other.Down(true)
	a := newApp(t, home, further(core.Issuer{URL: other.Issuer}))
	require.NoError(t, a.auth.Start(t.Context()))
	_, err := a.auth.Verify(t.Context(), other.AccessToken(t, "alice"))
	require.ErrorIs(t, err, core.ErrUnavailable)
	require.ErrorContains(t, err, "The issuer of the token can't be reached at the moment.")
	require.NoError(t, a.verify(home.AccessToken(t, "alice")))
	other.Down(false)
	a.clock.Add(time.Second)
	require.NoError(t, a.verify(other.AccessToken(t, "alice")))
}

func TestAFurtherIssuersDiscoveryDocumentMustBeItsOwn(t *testing.T) {
	home, other := newProvider(t, oidctest.Options{}), newProvider(t, oidctest.Options{})
	a := newApp(t, home, further(core.Issuer{URL: other.Issuer}))
	tamper(other, oidctest.DiscoveryPath, func(body map[string]any) { body["issuer"] = "https://evil.example.org" })
	require.ErrorIs(t, a.verify(other.AccessToken(t, "alice")), core.ErrUnavailable)
	require.Zero(t, other.Requests(oidctest.KeysPath))
	tamper(other, oidctest.DiscoveryPath, func(body map[string]any) { body["jwks_uri"] = "http://keys.example.org" })
	a.clock.Add(time.Minute)
	require.ErrorIs(t, a.verify(other.AccessToken(t, "alice")), core.ErrUnavailable)
}

// A document of another host must not lead to what this machine alone can reach.
func TestAFurtherIssuersKeysAreNotLookedForOnThisMachine(t *testing.T) {
	secret := newProvider(t, oidctest.Options{})
	const issuer = "https://other.example.org"
	a := newApp(t, newProvider(t, oidctest.Options{}), further(core.Issuer{URL: issuer}), func(c *core.Config) {
		c.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host != "other.example.org" {
				return http.DefaultTransport.RoundTrip(r)
			}
			body := fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, issuer, secret.Issuer+oidctest.KeysPath)
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		})}
	})
	require.ErrorIs(t, a.verify(secret.SignedToken(t, nil, secret.Claims("alice", map[string]any{"iss": issuer, "aud": "app"}))), core.ErrUnavailable)
	require.Contains(t, a.auth.Health().Issuers[issuer].Error, "is inside a private network")
	require.Zero(t, secret.Requests(""))
}

// Whoever runs the application wants to know whose tokens come, and for whom; clients
// need not be told.
func TestEventsTellWhoseTokenWasRefused(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	for raw, detail := range map[string]string{
		provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"iss": "https://other.example.org/" + strings.Repeat("x", 1000)})): `its iss is "https://other.example.org/xxx`,
		provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"aud": []string{"one", "two"}, "client_id": "other", "azp": nil})): `its aud is "one two"`,
	} {
		got := serve(a.auth.Required(), bearer(raw))
		requireError(t, got, 401, "invalid_token")
		require.NotContains(t, got.body+got.Header.Get("WWW-Authenticate"), "its ")
		why := a.log.last(t).Error.Error()
		require.Contains(t, why, detail)
		require.Less(t, len(why), 500)
	}
}

// Entra signs the tokens of all its tenants with the same keys, and each has an
// issuer of its own.
func TestAPatternTakesEveryTenantThatItsConstraintsAllow(t *testing.T) {
	home, entra := newProvider(t, oidctest.Options{}), newProvider(t, oidctest.Options{})
	a := newApp(t, home, further(core.Issuer{
		URL: "https://login.example.org/{tenantid}/v2.0", JWKSURL: entra.Issuer + oidctest.KeysPath,
		Require: []core.Constraint{core.Claim("tid", "one", "two")},
	}))
	guard := a.auth.Required()
	check := func(iss string, tid any) error {
		raw := entra.SignedToken(t, nil, entra.Claims("alice", map[string]any{"iss": iss, "tid": tid}))
		_, err := guard.Check(t.Context(), core.Request{Authorization: []string{"Bearer " + raw}})
		return err
	}
	require.NoError(t, check("https://login.example.org/one/v2.0", "one"))
	require.NoError(t, check("https://login.example.org/two/v2.0", "two"))
	require.ErrorIs(t, check("https://login.example.org/three/v2.0", "three"), core.ErrInsufficientClaims)
	for iss, tid := range map[string]any{
		"https://login.example.org/one/v2.0":          "two",
		"https://login.example.org/two/v2.0":          nil,
		"https://login.example.org//v2.0":             "",
		"https://login.example.org/one/x/v2.0":        "one/x",
		"https://login.example.org/one%2fx/v2.0":      "one%2fx",
		"https://login.example.org/one?/v2.0":         "one?",
		"https://login.example.org/{tenantid}/v2.0":   "one",
		"https://login.example.org/one/v2.0/":         "one",
		"https://login.example.org.evil.org/one/v2.0": "one",
		"https://login.example.org/7/v2.0":            7,
	} {
		require.ErrorContains(t, check(iss, tid), "another issuer", iss)
	}
}

func TestMistakesInTrustedIssuersAreExplained(t *testing.T) {
	for explained, issuer := range map[string]core.Issuer{
		"URL is missing":                     {},
		"must be https":                      {URL: "http://id.example.org"},
		"URL is Provider.Issuer":             {URL: "https://home.example.org"},
		"JWKSURL is missing":                 {URL: "https://id.example.org/{tenantid}/v2.0"},
		"as a whole part of the path":        {URL: "https://id.example.org/x{tenantid}/v2.0", JWKSURL: "https://id.example.org/keys"},
		"{tenantid} once":                    {URL: "https://id.example.org/{tenantid}/{tenantid}/v2.0", JWKSURL: "https://id.example.org/keys"},
		"{tenantid} once, as":                {URL: "https://{tenantid}.example.org/x", JWKSURL: "https://id.example.org/keys"},
		`"https://{tenantid}/x": a`:          {URL: "https://{tenantid}/x", JWKSURL: "https://id.example.org/keys"},
		"Audiences is empty":                 {URL: "https://id.example.org", Audiences: []string{}},
		`Algorithms holds "HS256"`:           {URL: "https://id.example.org", Algorithms: []string{"HS256"}},
		"Require holds a constraint":         {URL: "https://id.example.org", Require: []core.Constraint{{}}},
		"Require holds core.RefuseBadTokens": {URL: "https://id.example.org", Require: []core.Constraint{core.RefuseBadTokens}},
		`JWKSURL "ftp://x"`:                  {URL: "https://id.example.org", JWKSURL: "ftp://x"},
		`"https://id.example.org" is there`:  {URL: "https://id.example.org"},
	} {
		config := core.Config{Providers: []core.Provider{{Issuer: "https://home.example.org", ClientID: "app"}}, PublicURL: "https://app.example.org/api", TrustedIssuers: []core.Issuer{issuer}}
		if issuer.URL == "https://id.example.org" && issuer.Audiences == nil && issuer.Algorithms == nil && issuer.Require == nil && issuer.JWKSURL == "" {
			config.TrustedIssuers = append(config.TrustedIssuers, issuer)
		}
		_, err := core.New(config)
		require.ErrorContains(t, err, explained, fmt.Sprint(issuer))
	}
	_, err := core.New(core.Config{Providers: []core.Provider{{Issuer: "https://login.example.org/{tenantid}/v2.0", ClientID: "app"}}})
	require.ErrorContains(t, err, "users sign in at one tenant")
}
