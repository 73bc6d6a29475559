package core_test

import (
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// Wherever one bit of a token is another, be it of what is sent or of what that
// stands for, the token is no longer valid.
func TestATokenWithOneOtherBitIsRefused(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	flip := func(t *testing.T, a *app, valid string) {
		require.NoError(t, a.verify(valid))
		asked := a.provider.Requests("")
		for i := range len(valid) {
			for bit := range 8 {
				others := []byte{valid[i] ^ 1<<bit}
				if value := strings.IndexByte(alphabet, valid[i]); value >= 0 && bit < 6 {
					others = append(others, alphabet[value^1<<bit])
				}
				for _, other := range others {
					require.ErrorIs(t, a.verify(valid[:i]+string([]byte{other})+valid[i+1:]), core.ErrInvalidToken, "%q in the place of %q, at %d", other, valid[i], i)
				}
			}
		}
		require.LessOrEqual(t, a.provider.Requests("")-asked, 1, "another kid is worth one fetch, and another signature none")
	}
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		t.Run("of a provider, "+alg, func(t *testing.T) {
			x := newTarget(t, alg)
			flip(t, x.app, x.valid())
		})
	}
	t.Run("of a broker", func(t *testing.T) {
		a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
		flip(t, a, a.signIn("alice").AccessToken)
	})
}

func TestSignaturesOfECDSAHaveTheFormOfJOSE(t *testing.T) {
	for alg, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		t.Run(alg, func(t *testing.T) {
			x := newTarget(t, alg)
			valid := x.valid()
			x.requireAccepted(t, valid)
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
				t.Run(name, func(t *testing.T) { x.requireRefused(t, otherSignature(t, valid, change)) })
			}
		})
	}
}

// With (r, s) a token's signature is (r, n-s), and anybody can compute it. RFC
// 7518 3.4 allows both, and many signers make either, so that a verifier can
// refuse neither. Hence both spellings give the same access, and nothing may know
// a revoked token by its text alone.
func TestTheSecondSpellingOfAnECDSASignatureIsTheSameToken(t *testing.T) {
	n := elliptic.P256().Params().N
	mirrored := func(signature []byte) []byte {
		s := new(big.Int).SetBytes(signature[32:])
		new(big.Int).Sub(n, s).FillBytes(signature[32:])
		return signature
	}
	t.Run("of a provider", func(t *testing.T) {
		x := newTarget(t, "ES256")
		valid := x.valid()
		twin := otherSignature(t, valid, mirrored)
		require.NotEqual(t, valid, twin)
		for _, raw := range []string{valid, twin, valid, twin} {
			require.Equal(t, "user-alice", x.requireAccepted(t, raw).Subject())
		}
		x.clock.Add(330 * 1e9)
		x.requireRefused(t, valid)
		x.requireRefused(t, twin)
	})
	t.Run("of a broker, whose session has ended", func(t *testing.T) {
		a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
		valid := a.signIn("alice").AccessToken
		twin := otherSignature(t, valid, mirrored)
		for _, raw := range []string{valid, twin} {
			require.Equal(t, "alice", a.get(browser(), userinfoRoute, bearer(raw)).json["username"])
		}
		a.get(browser(), logoutRoute, bearer(twin))
		for _, raw := range []string{valid, twin} {
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
			valid := x.valid()
			x.requireAccepted(t, valid)
			plus := func(i *big.Int) func([]byte) []byte {
				return func(signature []byte) []byte { return new(big.Int).Add(new(big.Int).SetBytes(signature), i).Bytes() }
			}
			for name, raw := range map[string]string{
				"a leading zero more":    otherSignature(t, valid, func(signature []byte) []byte { return append([]byte{0}, signature...) }),
				"many leading zeros":     otherSignature(t, valid, func(signature []byte) []byte { return append(make([]byte, 256), signature...) }),
				"plus n":                 otherSignature(t, valid, plus(key.N)),
				"plus n, no byte longer": otherSignature(t, small, plus(key.N)),
				"a leading zero less":    otherSignature(t, short, plus(new(big.Int))),
				"its complement": otherSignature(t, valid, func(signature []byte) []byte {
					return new(big.Int).Sub(key.N, new(big.Int).SetBytes(signature)).FillBytes(make([]byte, 256))
				}),
				"0":       otherSignature(t, valid, func([]byte) []byte { return make([]byte, 256) }),
				"1":       otherSignature(t, valid, func([]byte) []byte { return big.NewInt(1).FillBytes(make([]byte, 256)) }),
				"n":       otherSignature(t, valid, func([]byte) []byte { return key.N.Bytes() }),
				"n - 1":   otherSignature(t, valid, func([]byte) []byte { return new(big.Int).Sub(key.N, big.NewInt(1)).Bytes() }),
				"too big": otherSignature(t, valid, func([]byte) []byte { return slices.Repeat([]byte{0xff}, 256) }),
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
	valid := x.valid()
	x.requireAccepted(t, valid)
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
		t.Run(name, func(t *testing.T) { x.requireRefused(t, otherSignature(t, valid, change)) })
	}
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
		require.NoError(t, a.verify(view))
	}
}
