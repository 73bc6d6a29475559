package core_test

import (
	"crypto/sha512"
	"encoding/json"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// A signature costs more with a larger key, and much more with a larger exponent. A
// further issuer, who chooses both, must not slow down everybody else's requests.
func TestLargeKeysOfAFurtherIssuerAreNotUsed(t *testing.T) {
	home, other, named := newProvider(t, oidctest.Options{}), newProvider(t, oidctest.Options{}), newProvider(t, oidctest.Options{})
	peer := newPythonPeer(t, "fleet") // whose keys are where peers have them
	a := newApp(t, home, further(core.Issuer{URL: other.Issuer}), further(core.Issuer{URL: named.Issuer, JWKSURL: named.Issuer + oidctest.KeysPath}))
	broker := newApp(t, home, fleet(), further(core.Issuer{URL: peer.url}))
	rsaKey := func(kid string, bits int, exponent string) json.RawMessage {
		n := make([]byte, bits/8)
		n[0], n[len(n)-1] = 0x80, 1
		return json.RawMessage(`{"kty":"RSA","kid":"` + kid + `","e":"` + exponent + `","n":"` + encode(string(n)) + `"}`)
	}
	for _, p := range []*oidctest.Provider{home, other, named, peer.signer} {
		publish(t, p, rsaKey("usual", 2048, "AQAB"), rsaKey("large", 4096, "AQAB"), rsaKey("larger", 8192, "AQAB"),
			rsaKey("largest", 8200, "AQAB"), rsaKey("exponent", 2048, "f____w"), rsaKey("even", 2048, "AQAA"), rsaKey("one", 2048, "AQ"))
	}
	const tried, leftOut = "The signature does not match.", "The token is signed with a key that the issuer does not publish."
	for kid, said := range map[string][2]string{
		"usual": {tried, tried}, "large": {tried, tried}, "larger": {tried, leftOut}, "largest": {leftOut, leftOut},
		"exponent": {leftOut, leftOut}, "even": {leftOut, leftOut}, "one": {leftOut, leftOut},
	} {
		for i, p := range []*oidctest.Provider{home, other, named} {
			_, err := a.auth.Verify(t.Context(), p.SignedToken(t, map[string]any{"kid": kid}, p.Claims("alice", nil)))
			require.ErrorContains(t, err, said[min(i, 1)], kid)
		}
		peer.kid = kid
		require.ErrorContains(t, broker.verifies(peer.token(nil)), said[1], kid)
	}
}

// RFC 9864 2.2: Ed25519 is the name that EdDSA with this curve has now.
func TestEd25519IsTakenByBothOfItsNames(t *testing.T) {
	for _, named := range []string{"EdDSA", "Ed25519"} { // in the key set
		x := newTarget(t, "EdDSA")
		x.forger = x.named("kid", named)
		publish(t, x.provider, x.jwk())
		for _, algorithms := range [][]string{nil, {"EdDSA"}, {"Ed25519"}, {"RS256"}} {
			a := newApp(t, newProvider(t, oidctest.Options{}), further(core.Issuer{URL: x.provider.Issuer, Algorithms: algorithms}))
			for _, alg := range []string{"EdDSA", "Ed25519"} { // in the token
				_, err := a.auth.Verify(t.Context(), x.token(t, x.named("kid", alg).header(), x.claims(nil)))
				if len(algorithms) > 0 && algorithms[0] == "RS256" {
					require.ErrorContains(t, err, "The token's algorithm is not accepted.")
				} else {
					require.NoError(t, err, "%s by a key for %s where %v may sign", alg, named, algorithms)
				}
			}
		}
	}
	// An ID token's at_hash is by the same hash, whatever the name.
	provider := newProvider(t, oidctest.Options{})
	signer := newForger(t, "EdDSA").named("kid", "Ed25519")
	publish(t, provider, signer.jwk())
	a := newApp(t, provider)
	tamper(provider, oidctest.TokenPath, func(body map[string]any) {
		var claims map[string]any
		require.NoError(t, json.Unmarshal([]byte(decode(t, strings.Split(body["id_token"].(string), ".")[1])), &claims))
		hash := sha512.Sum512([]byte(body["access_token"].(string)))
		claims["at_hash"] = encode(string(hash[:32]))
		payload, err := json.Marshal(claims)
		require.NoError(t, err)
		body["id_token"] = signer.token(t, signer.header(), string(payload))
	})
	require.NotEmpty(t, a.signIn("alice").IDToken)
}
