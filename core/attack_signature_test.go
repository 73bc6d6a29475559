package core_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// Wherever one bit of a token is another, be it of what is sent or of what that
// stands for, the token is not good any more.
func TestATokenWithOneOtherBitIsRefused(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	flip := func(t *testing.T, a *app, good string) {
		_, err := a.auth.Verify(t.Context(), good)
		require.NoError(t, err)
		asked := a.provider.Requests("")
		for i := range len(good) {
			for bit := range 8 {
				others := []byte{good[i] ^ 1<<bit}
				if value := strings.IndexByte(alphabet, good[i]); value >= 0 && bit < 6 {
					others = append(others, alphabet[value^1<<bit])
				}
				for _, other := range others {
					_, err := a.auth.Verify(t.Context(), good[:i]+string([]byte{other})+good[i+1:])
					require.ErrorIs(t, err, core.ErrInvalidToken, "%q in the place of %q, at %d", other, good[i], i)
				}
			}
		}
		require.LessOrEqual(t, a.provider.Requests("")-asked, 1, "another kid is worth one fetch, and another signature none")
	}
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		t.Run("of a provider, "+alg, func(t *testing.T) {
			x := newTarget(t, alg)
			flip(t, x.app, x.good())
		})
	}
	t.Run("of a broker", func(t *testing.T) {
		a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
		flip(t, a, a.signIn("alice").AccessToken)
	})
}

// otherSignature gives the token with another signature, made of its own.
func otherSignature(t *testing.T, raw string, change func(signature []byte) []byte) string {
	end := strings.LastIndexByte(raw, '.') + 1
	return raw[:end] + encode(string(change([]byte(decode(t, raw[end:])))))
}

func TestSignaturesOfECDSAHaveTheFormOfJOSE(t *testing.T) {
	for alg, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		t.Run(alg, func(t *testing.T) {
			x := newTarget(t, alg)
			good := x.good()
			x.requireAccepted(t, good)
			n := curve.Params().N
			size := (n.BitLen() + 7) / 8
			// with gives a signature of r and s, each changed.
			with := func(change func(r, s *big.Int) (*big.Int, *big.Int)) func([]byte) []byte {
				return func(signature []byte) []byte {
					r, s := change(new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:]))
					bytes := func(i *big.Int) []byte { return i.FillBytes(make([]byte, max(size, (i.BitLen()+7)/8))) }
					return append(bytes(r), bytes(s)...)
				}
			}
			zero, one := new(big.Int), big.NewInt(1)
			for name, change := range map[string]func([]byte) []byte{
				"r 0":         with(func(_, s *big.Int) (*big.Int, *big.Int) { return zero, s }),
				"s 0":         with(func(r, _ *big.Int) (*big.Int, *big.Int) { return r, zero }),
				"both 0":      with(func(_, _ *big.Int) (*big.Int, *big.Int) { return zero, zero }),
				"both 1":      with(func(_, _ *big.Int) (*big.Int, *big.Int) { return one, one }),
				"r the order": with(func(_, s *big.Int) (*big.Int, *big.Int) { return n, s }),
				"s the order": with(func(r, _ *big.Int) (*big.Int, *big.Int) { return r, n }),
				"both the order, as at psychic signatures": with(func(_, _ *big.Int) (*big.Int, *big.Int) { return n, n }),
				"s and the order":                          with(func(r, s *big.Int) (*big.Int, *big.Int) { return r, new(big.Int).Add(s, n) }),
				"r and the order":                          with(func(r, s *big.Int) (*big.Int, *big.Int) { return new(big.Int).Add(r, n), s }),
				"r and s exchanged":                        with(func(r, s *big.Int) (*big.Int, *big.Int) { return s, r }),
				"the order less r":                         with(func(r, s *big.Int) (*big.Int, *big.Int) { return new(big.Int).Sub(n, r), s }),
				"DER": func(signature []byte) []byte {
					der, err := asn1.Marshal([]*big.Int{new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])})
					require.NoError(t, err)
					return der
				},
				"a byte less": func(signature []byte) []byte { return signature[:2*size-1] },
				"a byte more": func(signature []byte) []byte { return append(signature, 0) },
				"leading zeros": func(signature []byte) []byte {
					return slices.Concat([]byte{0}, signature[:size], []byte{0}, signature[size:])
				},
				"r alone":          func(signature []byte) []byte { return signature[:size] },
				"of another curve": func([]byte) []byte { return make([]byte, 2*size+2) },
				"of ASN.1's zeros": func([]byte) []byte { return []byte{0x30, 6, 2, 1, 0, 2, 1, 0} },
			} {
				t.Run(name, func(t *testing.T) { x.requireRefused(t, otherSignature(t, good, change)) })
			}
		})
	}
}

// With (r, s) a token's signature is (r, n-s), and anybody can compute it. RFC
// 7518 3.4 allows both, and many signers make either, so that a verifier can
// refuse neither. Hence no two spellings of an ECDSA token may differ in what
// they are good for, and nothing may know a token that was called back by its
// text alone.
func TestTheSecondSpellingOfAnECDSASignatureIsTheSameToken(t *testing.T) {
	n := elliptic.P256().Params().N
	mirrored := func(signature []byte) []byte {
		s := new(big.Int).SetBytes(signature[32:])
		new(big.Int).Sub(n, s).FillBytes(signature[32:])
		return signature
	}
	t.Run("of a provider", func(t *testing.T) {
		x := newTarget(t, "ES256")
		good := x.good()
		twin := otherSignature(t, good, mirrored)
		require.NotEqual(t, good, twin)
		for _, raw := range []string{good, twin, good, twin} {
			require.Equal(t, "user-alice", x.requireAccepted(t, raw).Subject())
		}
		x.clock.Add(330 * 1e9)
		x.requireRefused(t, good)
		x.requireRefused(t, twin)
	})
	t.Run("of a broker, whose session has ended", func(t *testing.T) {
		a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
		good := a.signIn("alice").AccessToken
		twin := otherSignature(t, good, mirrored)
		for _, raw := range []string{good, twin} {
			require.Equal(t, "alice", a.get(browser(), userinfoRoute, bearer(raw)).json["username"])
		}
		a.get(browser(), logoutRoute, bearer(twin))
		for _, raw := range []string{good, twin} {
			requireError(t, a.get(browser(), userinfoRoute, bearer(raw)), 401, "invalid_token")
		}
	})
}

func TestSignaturesOfRSAHaveOneForm(t *testing.T) {
	for _, alg := range []string{"RS256", "PS256"} {
		t.Run(alg, func(t *testing.T) {
			x := newTarget(t, alg)
			key := x.private.(*rsa.PrivateKey)
			// signedLike signs until the signature is like that.
			signedLike := func(fits func(signature *big.Int) bool) string {
				for i := 0; ; i++ {
					raw := x.token(t, x.header(), x.claims(map[string]any{"i": i}))
					if fits(new(big.Int).SetBytes([]byte(decode(t, raw[strings.LastIndexByte(raw, '.')+1:])))) {
						return raw
					}
				}
			}
			room := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 2048), key.N)
			small := signedLike(func(signature *big.Int) bool { return signature.Cmp(room) < 0 })
			short := signedLike(func(signature *big.Int) bool { return signature.BitLen() <= 2040 })
			x.requireAccepted(t, small)
			x.requireAccepted(t, short)
			good := x.good()
			x.requireAccepted(t, good)
			plus := func(i *big.Int) func([]byte) []byte {
				return func(signature []byte) []byte { return new(big.Int).Add(new(big.Int).SetBytes(signature), i).Bytes() }
			}
			for name, raw := range map[string]string{
				"a leading zero more":    otherSignature(t, good, func(signature []byte) []byte { return append([]byte{0}, signature...) }),
				"many leading zeros":     otherSignature(t, good, func(signature []byte) []byte { return append(make([]byte, 256), signature...) }),
				"plus n":                 otherSignature(t, good, plus(key.N)),
				"plus n, no byte longer": otherSignature(t, small, plus(key.N)),
				"a leading zero less":    otherSignature(t, short, plus(new(big.Int))),
				"its complement": otherSignature(t, good, func(signature []byte) []byte {
					return new(big.Int).Sub(key.N, new(big.Int).SetBytes(signature)).FillBytes(make([]byte, 256))
				}),
				"0":       otherSignature(t, good, func([]byte) []byte { return make([]byte, 256) }),
				"1":       otherSignature(t, good, func([]byte) []byte { return big.NewInt(1).FillBytes(make([]byte, 256)) }),
				"n":       otherSignature(t, good, func([]byte) []byte { return key.N.Bytes() }),
				"n - 1":   otherSignature(t, good, func([]byte) []byte { return new(big.Int).Sub(key.N, big.NewInt(1)).Bytes() }),
				"too big": otherSignature(t, good, func([]byte) []byte { return slices.Repeat([]byte{0xff}, 256) }),
			} {
				t.Run(name, func(t *testing.T) { x.requireRefused(t, raw) })
			}
		})
	}
	t.Run("PKCS1 for PSS, and PSS for PKCS1", func(t *testing.T) {
		x := newTarget(t, "RS256")
		publish(t, x.provider, json.RawMessage(`{"kty":"RSA","kid":"any","e":"AQAB","n":"`+encode(string(rsaKeys()[0].N.Bytes()))+`"}`))
		a := newApp(t, x.provider)
		rs, ps := x.named("any", "RS256"), x.named("any", "PS256")
		for _, header := range []string{rs.header(), ps.header()} {
			for _, signer := range []forger{rs, ps} {
				_, err := a.auth.Verify(t.Context(), signer.token(t, header, x.claims(nil)))
				require.Equal(t, header == signer.header(), err == nil, "%s: %v", header, err)
			}
		}
	})
}

func TestSignaturesOfEd25519HaveOneForm(t *testing.T) {
	x := newTarget(t, "EdDSA")
	good := x.good()
	x.requireAccepted(t, good)
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	plus := func(times int64) func([]byte) []byte {
		return func(signature []byte) []byte {
			s := slices.Clone(signature[32:])
			slices.Reverse(s)
			sum := new(big.Int).SetBytes(s)
			s = sum.Add(sum, new(big.Int).Mul(order, big.NewInt(times))).FillBytes(make([]byte, 32))
			slices.Reverse(s)
			return append(signature[:32:32], s...)
		}
	}
	for name, change := range map[string]func([]byte) []byte{
		"S and the order": plus(1), "S and seven times the order": plus(7),
		"S 0":               func(signature []byte) []byte { return append(signature[:32:32], make([]byte, 32)...) },
		"R of no order":     func(signature []byte) []byte { return append(make([]byte, 32), signature[32:]...) },
		"R the neutral one": func(signature []byte) []byte { return slices.Concat([]byte{1}, make([]byte, 63)) },
		"R with a sign":     func(signature []byte) []byte { signature[31] ^= 0x80; return signature },
		"63 bytes":          func(signature []byte) []byte { return signature[:63] },
		"65 bytes":          func(signature []byte) []byte { return append(signature, 0) },
	} {
		t.Run(name, func(t *testing.T) { x.requireRefused(t, otherSignature(t, good, change)) })
	}
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
	require.Equal(t, 200, serve(guard, bearer(x.good())).StatusCode)
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
			_, err := a.auth.Verify(t.Context(), raw)
			require.ErrorIs(t, err, core.ErrInvalidToken)
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
		for _, raw := range []string{x.good(), x.named("", "ES256").token(t, x.named("", "ES256").header(), x.claims(nil))} {
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
	for _, raw := range []string{x.good(), unnamed.token(t, unnamed.header(), x.claims(nil)), unnamed.token(t, unnamed.named("any", "ES256").header(), x.claims(nil))} {
		_, err := a.auth.Verify(t.Context(), raw)
		require.NoError(t, err)
	}
	before := x.provider.Requests(oidctest.KeysPath)
	publish(t, x.provider, unnamed.jwk(), next.jwk())
	_, err := a.auth.Verify(t.Context(), next.token(t, next.header(), x.claims(nil)))
	require.NoError(t, err)
	for range 10 {
		_, err := a.auth.Verify(t.Context(), next.token(t, next.named("made up", "ES256").header(), x.claims(nil)))
		require.ErrorIs(t, err, core.ErrInvalidToken)
	}
	require.Equal(t, before+1, x.provider.Requests(oidctest.KeysPath))
}

// On fasthttp a token is a view of a buffer that the next request overwrites.
func TestHeadersThatAreRememberedAreNoViewsOfARequest(t *testing.T) {
	x := newTarget(t, "EdDSA")
	var keys []any
	var raws []string
	for i := range 90 {
		f := newForger(t, "EdDSA").named(fmt.Sprintf("kid-%02d", i), "EdDSA")
		keys = append(keys, f.jwk())
		raws = append(raws, f.token(t, f.header(), x.claims(nil)))
	}
	publish(t, x.provider, keys...)
	a := newApp(t, x.provider)
	buffer := []byte(raws[0])
	view := unsafe.String(&buffer[0], len(buffer))
	for _, raw := range append(raws, raws...) {
		require.Len(t, raw, len(buffer))
		copy(buffer, raw)
		_, err := a.auth.Verify(t.Context(), view)
		require.NoError(t, err)
	}
}

func TestAKeySetIsReadUpTo256KiB(t *testing.T) {
	x := newTarget(t, "ES256")
	for size, accepted := range map[int]bool{256 << 10: true, 256<<10 + 1: false} {
		document, err := json.Marshal(map[string]any{"keys": []any{x.jwk()}})
		require.NoError(t, err)
		document = append(document, strings.Repeat(" ", size-len(document))...)
		x.provider.Answer(oidctest.KeysPath, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { _, _ = w.Write(document) })
		a := newApp(t, x.provider)
		_, err = a.auth.Verify(t.Context(), x.good())
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
