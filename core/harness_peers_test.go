package core_test

import (
	"crypto/sha256"
	"encoding/base64"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/store"
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

// verifies reports whether an application takes a token.
func (a *app) verifies(raw string) error {
	_, err := a.auth.Verify(a.t.Context(), raw)
	return err
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

func asTheyAre(roles []string) []string { return roles }

// kept waits until the store holds an issuer's keys that were fetched at this time.
func (s *spyStore) kept(t *testing.T, count int) []store.Record {
	t.Helper()
	var found []store.Record
	require.Eventually(t, func() bool {
		var err error
		found, err = s.Store.Find(t.Context(), "key-set", "", "", 10)
		return err == nil && len(found) == count
	}, 10*time.Second, time.Millisecond)
	return found
}

// keptID is the id of the record of an issuer's keys.
func keptID(issuer string) string {
	hash := sha256.Sum256([]byte(issuer))
	return base64.RawURLEncoding.EncodeToString(hash[:])
}

// keptOf gives the record of an issuer's keys.
func (s *spyStore) keptOf(t *testing.T, issuer string) store.Record {
	t.Helper()
	record, err := s.Store.Get(t.Context(), "key-set", keptID(issuer))
	require.NoError(t, err)
	return record
}
