package core_test

import (
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// fleet puts an application into broker mode, with the audience that all have in
// common.
func fleet(change ...func(*core.Broker)) func(*core.Config) {
	return brokered(append(change, func(b *core.Broker) { b.Audience = "fleet" })...)
}

// inFleet is fleet for a replica.
func inFleet(c *core.Config) { c.Broker.Audience = "fleet" }

// peerKeys is where brokers have their keys.
const peerKeys = "/auth/v2/.well-known/jwks.json"

// trusts gives an application these peers and no others.
func (a *app) trusts(peers ...core.Issuer) {
	a.t.Helper()
	require.NoError(a.t, a.auth.SetTrustedIssuers(peers))
}

// hostile is a peer that signs what it likes, and whose documents say what it
// likes. It is an OpenID provider, whose tokens are made to look like a broker's.
type hostile struct{ *oidctest.Provider }

func newHostile(t *testing.T) hostile {
	return hostile{newProvider(t, oidctest.Options{SigningAlgorithm: "ES256"})}
}

// token makes a token of the fleet with some claims and header fields changed.
func (h hostile) token(t *testing.T, header, claims map[string]any) string {
	all := map[string]any{"aud": "fleet"}
	for name, value := range claims {
		all[name] = value
	}
	return h.SignedToken(t, header, h.Claims("alice", all))
}

// further adds an issuer.
func further(issuer core.Issuer) func(*core.Config) {
	return func(c *core.Config) { c.TrustedIssuers = append(c.TrustedIssuers, issuer) }
}

// asTheyAre is an Issuer.Roles that keeps the roles of its tokens.
func asTheyAre(roles []string) []string { return roles }
