package core_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/binary"
	"encoding/json"
	"errors"
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
	const tried, leftOut = "its signature does not match.", "its issuer does not publish the key that signed it."
	for kid, said := range map[string][2]string{
		"usual": {tried, tried}, "large": {tried, tried}, "larger": {tried, leftOut}, "largest": {leftOut, leftOut},
		"exponent": {leftOut, leftOut}, "even": {leftOut, leftOut}, "one": {leftOut, leftOut},
	} {
		for i, p := range []*oidctest.Provider{home, other, named} {
			require.ErrorContains(t, a.verify(p.SignedToken(t, map[string]any{"kid": kid}, p.Claims("alice", nil))), said[min(i, 1)], kid)
		}
		peer.kid = kid
		require.ErrorContains(t, broker.verify(peer.token(nil)), said[1], kid)
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
					require.ErrorContains(t, err, "its algorithm is not accepted.")
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

// A key verifies what its own type is for, whatever a token or the key's own
// entry calls it.
func TestKeysOfAnIssuerAreUsedForWhatTheyAre(t *testing.T) {
	ec := newForger(t, "ES256")
	x := newTarget(t, "RS256")
	secret := []byte("a secret that the issuer published")
	private, err := json.Marshal(map[string]any{"kty": "EC", "crv": "P-256", "kid": "private", "x": encode(string(point(t, ec)[:32])), "y": encode(string(point(t, ec)[32:])), "d": encode(string(scalar(t, ec)))})
	require.NoError(t, err)
	small := []byte(fmt.Sprintf(`{"kty":"RSA","kid":"small","e":"AQAB","n":%q}`, encode(string(binary.BigEndian.AppendUint64(nil, 1<<63|1)))))
	publish(t, x.provider,
		map[string]any{"kty": "oct", "kid": "oct", "k": encode(string(secret)), "alg": "HS256"},
		map[string]any{"kty": "oct", "kid": x.kid, "k": encode(string(secret))},
		json.RawMessage(private), json.RawMessage(small), x.jwk(), newForger(t, "EdDSA").jwk(),
	)
	a := newApp(t, x.provider)
	guard := a.auth.Required()
	require.NoError(t, a.auth.Start(t.Context()))
	require.Equal(t, 200, serve(guard, bearer(x.valid())).StatusCode)
	payload := x.claims(nil)
	mac := func(header string) string { return authenticated(crypto.SHA256, header, payload, secret) }
	for name, raw := range map[string]string{
		"a published secret":                      mac(`{"alg":"HS256","kid":"oct"}`),
		"a published secret, without a kid":       mac(`{"alg":"HS256"}`),
		"a published secret with the key's kid":   mac(`{"alg":"HS256","kid":"` + x.kid + `"}`),
		"a published secret for RS256":            mac(`{"alg":"RS256","kid":"oct"}`),
		"the private half as a secret":            authenticated(crypto.SHA256, `{"alg":"HS256","kid":"private"}`, payload, scalar(t, ec)),
		"a key of another type by the kid":        ec.token(t, ec.named(x.kid, "ES256").header(), payload),
		"a key of another type by its alg":        ec.token(t, ec.named(x.kid, "RS256").header(), payload),
		"a key for another algorithm of its type": x.named(x.kid, "RS384").token(t, x.named(x.kid, "RS384").header(), payload),
		"a key for another padding":               x.named(x.kid, "PS256").token(t, x.named(x.kid, "PS256").header(), payload),
		"no signature, by the kid of the Ed25519": encode(`{"alg":"EdDSA","kid":"kid-of-EdDSA"}`) + "." + encode(payload) + "." + encode(strings.Repeat("\x00", ed25519.SignatureSize)),
	} {
		t.Run(name, func(t *testing.T) {
			requireError(t, serve(guard, bearer(raw)), 401, "invalid_token")
			require.ErrorIs(t, a.verify(raw), core.ErrInvalidToken)
		})
	}
	require.LessOrEqual(t, x.provider.Requests(oidctest.KeysPath), 3, "one at start of each, and one for kids that are unknown")
}

// An issuer that means harm may publish a hundred large keys, all of one name, and a
// stranger send tokens that nobody has signed.
func TestATokenIsTriedWithFewKeys(t *testing.T) {
	x := newTarget(t, "ES256")
	for others, accepted := range map[int]bool{7: true, 8: false, 90: false} {
		var keys []any
		for range others {
			keys = append(keys, newForger(t, "ES256").named(x.kid, "ES256").jwk())
		}
		publish(t, x.provider, append(keys, x.jwk())...)
		a := newApp(t, x.provider)
		for _, raw := range []string{x.valid(), x.named("", "ES256").token(t, x.named("", "ES256").header(), x.claims(nil))} {
			_, err := a.auth.Verify(t.Context(), raw)
			if accepted {
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, core.ErrInvalidToken)
			require.ErrorContains(t, err, "too many keys")
		}
	}
}

// An issuer that publishes no key any more has withdrawn them all. It is asked again soon.
func TestAnEmptyKeySetWithdrawsAllKeys(t *testing.T) {
	x := newTarget(t, "ES256")
	raw := x.token(t, x.header(), x.claims(map[string]any{"exp": 4e9}))
	x.requireAccepted(t, raw)
	for _, document := range []string{`{"keys":[]}`, `{"keys":[{"kty":"oct","k":"AAAA"}]}`} {
		x.provider.Answer(oidctest.KeysPath, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { _, _ = io.WriteString(w, document) })
		x.clock.Add(20 * time.Minute)
		require.Eventually(t, func() bool {
			_, err := x.auth.Verify(t.Context(), raw)
			return errors.Is(err, core.ErrUnavailable)
		}, 10*time.Second, time.Millisecond, document)
		require.Equal(t, core.StateDown, x.auth.Health().Keys.State)
		publish(t, x.provider, x.jwk())
		x.clock.Add(time.Second)
		x.requireAccepted(t, raw)
	}
	// Nonsense withdraws nothing.
	x.provider.Answer(oidctest.KeysPath, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { _, _ = io.WriteString(w, "<html>") })
	x.clock.Add(20 * time.Minute)
	require.Eventually(t, func() bool {
		x.requireAccepted(t, raw)
		return x.auth.Health().Keys.State == core.StateStale
	}, 10*time.Second, time.Millisecond)
}

// A key without a name may be any token's. It must not hide that a key is new.
func TestARotationIsFoundBesideAKeyWithoutAKid(t *testing.T) {
	x := newTarget(t, "ES256")
	unnamed, next := newForger(t, "ES256").named("", "ES256"), newForger(t, "ES256").named("next", "ES256")
	publish(t, x.provider, x.jwk(), unnamed.jwk())
	a := newApp(t, x.provider)
	for _, raw := range []string{x.valid(), unnamed.token(t, unnamed.header(), x.claims(nil)), unnamed.token(t, unnamed.named("any", "ES256").header(), x.claims(nil))} {
		require.NoError(t, a.verify(raw))
	}
	before := x.provider.Requests(oidctest.KeysPath)
	publish(t, x.provider, unnamed.jwk(), next.jwk())
	require.NoError(t, a.verify(next.token(t, next.header(), x.claims(nil))))
	for range 10 {
		require.ErrorIs(t, a.verify(next.token(t, next.named("made up", "ES256").header(), x.claims(nil))), core.ErrInvalidToken)
	}
	require.Equal(t, before+1, x.provider.Requests(oidctest.KeysPath))
}

func TestAKeySetIsReadUpTo256KiB(t *testing.T) {
	x := newTarget(t, "ES256")
	for size, accepted := range map[int]bool{256 << 10: true, 256<<10 + 1: false} {
		document, err := json.Marshal(map[string]any{"keys": []any{x.jwk()}})
		require.NoError(t, err)
		document = append(document, strings.Repeat(" ", size-len(document))...)
		x.provider.Answer(oidctest.KeysPath, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { _, _ = w.Write(document) })
		a := newApp(t, x.provider)
		_, err = a.auth.Verify(t.Context(), x.valid())
		if accepted {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, core.ErrUnavailable)
		require.Contains(t, a.auth.Health().Keys.Error, "larger than 256 KiB")
	}
}

func point(t *testing.T, f forger) []byte {
	bytes, err := f.private.Public().(*ecdsa.PublicKey).Bytes()
	require.NoError(t, err)
	return bytes[1:]
}

func scalar(t *testing.T, f forger) []byte {
	bytes, err := f.private.(*ecdsa.PrivateKey).Bytes()
	require.NoError(t, err)
	return bytes
}
