package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/stretchr/testify/require"
)

const rfc7515ES256 = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

const rfc7515Key = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"`

func keySet(keys ...string) []byte { return []byte(`{"keys":[` + strings.Join(keys, ",") + `]}`) }

// The example of RFC 7515 appendix A.3.
func TestVerifyTakesTheStandardsExample(t *testing.T) {
	token, err := Cut(rfc7515ES256)
	require.NoError(t, err)
	keys, err := ParseKeySet(keySet(rfc7515Key+"}"), MaxRSABits)
	require.NoError(t, err)
	found := find(keys, "", "ES256")
	require.Len(t, found, 1)
	require.NoError(t, found[0].Verify(token))

	token.Signature[0] ^= 1
	require.ErrorIs(t, found[0].Verify(token), ErrSignature)
}

func TestFindChoosesByKidAndAlgorithm(t *testing.T) {
	keys, err := ParseKeySet(keySet(
		rfc7515Key+`,"kid":"a"}`,
		rfc7515Key+`,"kid":"b","alg":"ES256","use":"sig"}`,
		rfc7515Key+`,"key_ops":["verify"]}`,
		rfc7515Key+`,"kid":"encryption","use":"enc"}`,
		rfc7515Key+`,"kid":"other operations","key_ops":["deriveKey"]}`,
		rfc7515Key+`,"kid":"alg of another type","alg":"RS256"}`,
		`{"kty":"oct","k":"c2VjcmV0","kid":"a","alg":"HS256"}`,
	), MaxRSABits)
	require.NoError(t, err)
	require.Len(t, keys, 3)
	for _, row := range []struct {
		kid, alg string
		found    int
	}{
		{"a", "ES256", 2}, {"b", "ES256", 2}, {"c", "ES256", 1}, {"", "ES256", 3},
		{"a", "RS256", 0}, {"a", "HS256", 0}, {"a", "ES384", 0}, {"a", "none", 0}, {"a", "", 0},
	} {
		require.Len(t, find(keys, row.kid, row.alg), row.found, row)
	}
}

func TestEachAlgorithmVerifiesWithItsOwnKeys(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	raw := map[string]any{"RS": rsaKey, "PS": rsaKey, "EdDSA": edKey}
	for name, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		raw[name], err = ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
	}
	var documents []string
	for _, name := range []string{"RS", "ES256", "ES384", "ES512", "EdDSA"} {
		key, err := jwk.FromRaw(raw[name])
		require.NoError(t, err)
		document, err := json.Marshal(key)
		require.NoError(t, err)
		documents = append(documents, string(document)) // private ones: only their public half is used
	}
	keys, err := ParseKeySet(keySet(documents...), MaxRSABits)
	require.NoError(t, err)
	require.Len(t, keys, 5)
	for _, algorithm := range Algorithms {
		private, ok := raw[algorithm]
		if !ok {
			private = raw[algorithm[:2]]
		}
		compact, err := jws.Sign([]byte("{}"), jws.WithKey(jwa.SignatureAlgorithm(algorithm), private))
		require.NoError(t, err)
		token, err := Cut(string(compact))
		require.NoError(t, err)
		found := find(keys, "", algorithm)
		require.Len(t, found, 1, algorithm)
		require.NoError(t, found[0].Verify(token), algorithm)
		token.Signed[len(token.Signed)-1] ^= 1
		require.ErrorIs(t, found[0].Verify(token), ErrSignature)
	}
}

func TestParseKeySetLeavesOutMalformedKeys(t *testing.T) {
	modulus := func(bits int) string {
		n := make([]byte, bits/8)
		n[0], n[len(n)-1] = 0x80, 1
		return strict.EncodeToString(n)
	}
	for name, key := range map[string]string{
		"an Ed25519 key of no bytes":       `{"kty":"OKP","crv":"Ed25519","x":""}`,
		"an Ed25519 key of 31 bytes":       `{"kty":"OKP","crv":"Ed25519","x":"` + strict.EncodeToString(make([]byte, 31)) + `"}`,
		"a point that is not on its curve": `{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}`,
		"a modulus of 1024 bits":           `{"kty":"RSA","e":"AQAB","n":"` + modulus(1024) + `"}`,
		"a modulus of 2040 bits":           `{"kty":"RSA","e":"AQAB","n":"` + modulus(2040) + `"}`,
		"a modulus of 100,000 bits":        `{"kty":"RSA","e":"AQAB","n":"` + modulus(100000) + `"}`,
		"an exponent of 1":                 `{"kty":"RSA","e":"AQ","n":"` + modulus(2048) + `"}`,
		"an even exponent":                 `{"kty":"RSA","e":"AQAA","n":"` + modulus(2048) + `"}`,
		"an exponent of 65539":             `{"kty":"RSA","e":"AQAD","n":"` + modulus(2048) + `"}`,
		"an exponent near 2^31":            `{"kty":"RSA","e":"f____w","n":"` + modulus(2048) + `"}`,
		"a curve nobody uses":              `{"kty":"EC","crv":"secp256k1","x":"AQ","y":"AQ"}`,
		"a key to agree on keys":           `{"kty":"OKP","crv":"X25519","x":"` + strict.EncodeToString(make([]byte, 32)) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseKeySet(keySet(key), MaxRSABits)
			require.ErrorIs(t, err, ErrNoKeys)
		})
	}
	keys, err := ParseKeySet(keySet(`{"kty":"RSA","e":"AQAB","n":"`+modulus(2048)+`"}`, `{"kty":"RSA","kid":"x","alg":"RS512","e":"AQAB","n":"`+modulus(2048)+`"}`), MaxRSABits)
	require.NoError(t, err)
	require.Len(t, keys, 2)
	require.Len(t, find(keys, "x", "RS512"), 2)
	require.Len(t, find(keys, "x", "RS256"), 1, "a key is good for the algorithm that it names")
}

func FuzzCutKnowsOneSpelling(f *testing.F) {
	for _, seed := range []string{"", ".", "..", "...", rfc7515ES256, rfc7515ES256 + "=", rfc7515ES256[:60] + "\n" + rfc7515ES256[60:], "e30.e30.AB", "bnVsbA.e30.AA", "W10.e30.AA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		token, err := Cut(raw)
		if err != nil {
			return
		}
		again := string(token.Signed) + "." + strict.EncodeToString(token.Signature)
		if again != raw {
			t.Fatalf("%q and %q are the same token", raw, again)
		}
	})
}

func FuzzKeySet(f *testing.F) {
	for _, seed := range []string{
		"", "null", "{}", `{"keys":[]}`, `{"keys":[1,null,{}]}`, string(keySet(rfc7515Key + "}")), `{"kty":"RSA","n":"AQAB","e":"AQAB"}`,
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`, `{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`,
		`{"keys":[{"kty":"OKP","crv":"X25519","x":"AA"}]}`, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":""}]}`, `{"keys":[{"kty":"RSA","n":"","e":""}]}`,
	} {
		f.Add([]byte(seed))
	}
	token, err := Cut(rfc7515ES256)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		keys, err := ParseKeySet(document, MaxRSABits)
		if err != nil {
			return
		}
		if !json.Valid(document) || len(keys) == 0 {
			t.Fatal("a text behind the set, or a set without keys, is an error")
		}
		for _, algorithm := range append([]string{"none", "HS256"}, Algorithms...) {
			for _, key := range find(keys, "", algorithm) {
				if algorithm == "none" || algorithm == "HS256" {
					t.Fatal("no key fits " + algorithm)
				}
				token.Header.Algorithm = algorithm
				if err := key.Verify(token); err != nil && !errors.Is(err, ErrSignature) {
					t.Fatal(err)
				}
			}
		}
	})
}

func TestWhatAPrivateKeySignsItsPublishedHalfVerifies(t *testing.T) {
	for _, algorithm := range SigningAlgorithms {
		t.Run(algorithm, func(t *testing.T) {
			generated, err := Generate(algorithm)
			require.NoError(t, err)
			stored, err := generated.Marshal()
			require.NoError(t, err)
			key, err := ParsePrivateKey(stored)
			require.NoError(t, err)
			public, err := key.Public()
			require.NoError(t, err)
			require.NotContains(t, string(public), `"d"`)
			require.Equal(t, key.ID, fmt.Sprintf("%v", key))
			require.Equal(t, key.ID, fmt.Sprintf("%#v", key))

			raw, err := key.Sign("at+jwt", []byte(`{"sub":"x"}`))
			require.NoError(t, err)
			token, err := Cut(raw)
			require.NoError(t, err)
			require.Equal(t, Header{Algorithm: algorithm, Type: "at+jwt", KeyID: key.ID}, token.Header)
			require.Equal(t, `{"sub":"x"}`, string(token.Payload))
			keys, err := ParseKeySet(keySet(string(public)), MaxRSABits)
			require.NoError(t, err)
			found := find(keys, key.ID, algorithm)
			require.Len(t, found, 1)
			require.NoError(t, found[0].Verify(token))

			_, err = ParsePrivateKey(public)
			require.Error(t, err, "a public key")
			_, err = ParsePrivateKey(stored[:len(stored)/2])
			require.Error(t, err)
			require.NotContains(t, err.Error(), string(stored[10:30]))
		})
	}
	_, err := Generate("HS256")
	require.Error(t, err)
}

// RFC 7638 3.
func TestKeyIDIsTheThumbprint(t *testing.T) {
	key, err := Generate("ES256")
	require.NoError(t, err)
	public, err := key.Public()
	require.NoError(t, err)
	parsed, err := jwk.ParseKey(public)
	require.NoError(t, err)
	thumbprint, err := parsed.Thumbprint(crypto.SHA256)
	require.NoError(t, err)
	require.Equal(t, strict.EncodeToString(thumbprint), key.ID)
}

func find(keys KeySet, keyID, algorithm string) []*Key {
	return slices.Collect(keys.For(Header{KeyID: keyID, Algorithm: algorithm}))
}
