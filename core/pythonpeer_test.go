package core_test

import (
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestBrokersInTwoLanguagesTakeEachOthersTokens(t *testing.T) {
	python := newPythonPeer(t, "fleet")
	ours := newApp(t, newProvider(t, oidctest.Options{}), fleet(pythonPeers))
	raw := ours.signIn("alice").AccessToken
	require.ErrorContains(t, python.verify(raw), "not trusted")
	require.ErrorIs(t, ours.verify(python.token(nil)), core.ErrInvalidToken)

	python.trusted = []string{ours.api}
	ours.trusts(core.Issuer{URL: python.url, Roles: asTheyAre})
	require.NoError(t, python.verify(raw))
	token, err := ours.auth.Verify(t.Context(), python.token(nil))
	require.NoError(t, err)
	require.Equal(t, [3]string{python.url, "alice", "alice"}, [3]string{token.Issuer(), token.Subject(), token.Username()})
	require.Equal(t, []string{"admin"}, token.Roles())
	require.Equal(t, "alice@example.com", ours.get(browser(), "/auth/v2/userinfo", "Authorization: Bearer "+python.token(nil)).json["email"])

	// Its clock may be 5 seconds behind ours.
	python.now = func() time.Time { return ours.clock.Now().Add(-5 * time.Second) }
	require.NoError(t, python.verify(ours.signIn("bob").AccessToken))

	// The same rules hold for its tokens as for all.
	for name, changed := range map[string]map[string]any{
		"another audience": {"aud": "others"}, "expired": {"exp": python.now().Unix() - 60}, "no expiry": {"exp": nil},
		"of the future": {"iat": python.now().Unix() + 120}, "ours": {"iss": ours.api}, "the provider's": {"iss": ours.provider.Issuer},
	} {
		require.ErrorIs(t, ours.verify(python.token(changed)), core.ErrInvalidToken, name)
	}
}

// Such a broker stops working at the first key of ours that is no RSA key, even one
// of long ago.
func TestOnlyRSAKeysArePublishedToPythonPeers(t *testing.T) {
	store := newSpyStore()
	before := newApp(t, newProvider(t, oidctest.Options{}), fleet(func(b *core.Broker) { b.Store = store }))
	before.rotate(core.RotateOptions{Algorithm: "RS256"})
	before.clock.Add(time.Minute)
	old := before.minted() // by ES256
	require.Contains(t, before.get(browser(), "/auth/v2/.well-known/jwks.json").body, `"EC"`)

	before.clock.Add(day)
	python := newPythonPeer(t, "fleet")
	python.now = before.clock.Now
	after := before.replica(store, func(c *core.Config) {
		c.Broker.Audience = "fleet"
		pythonPeers(c.Broker)
	})
	require.NotContains(t, after.get(browser(), "/auth/v2/.well-known/jwks.json").body, `"EC"`)
	require.NoError(t, after.verify(old), "we know the key ourselves")
	before.server.Config.Handler = after.server.Config.Handler // the new version takes over
	python.trusted = []string{before.api}
	require.NoError(t, python.verify(after.minted()))
	require.Equal(t, []any{"RS256"}, ask(after.auth, "metadata").json["id_token_signing_alg_values_supported"])

	_, err := core.New(core.Config{
		Providers: []core.Provider{{Issuer: "https://id.example.org", ClientID: "app"}}, PublicURL: "https://app.example.org/api",
		Routes: core.Routes{JWKS: core.Off}, Broker: &core.Broker{Algorithm: "ES256", PythonPeers: true},
	})
	require.ErrorContains(t, err, `Config.Broker.Algorithm "ES256" is none that Broker.PythonPeers can verify`)
	require.ErrorContains(t, err, `Config.Routes.JWKS is off: Broker.PythonPeers verify`)
	require.ErrorContains(t, err, `Config.Broker.Audience is missing: name the one audience`)
}

// A broker of py-oidc-auth can be told where an issuer's keys are.
func TestKeysForPythonPeersMayBeAtAnyPath(t *testing.T) {
	python := newPythonPeer(t, "fleet")
	ours := newApp(t, newProvider(t, oidctest.Options{}), fleet(pythonPeers), func(c *core.Config) { c.Routes.JWKS = "/keys" })
	python.trusted, python.keysPath = []string{ours.api}, "/keys"
	require.NoError(t, python.verify(ours.signIn("alice").AccessToken))
}
