package jose

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/stretchr/testify/require"
)

// RFC 7518 3.5: the salt is as long as the hash.
func TestASaltOfPSSIsAsLongAsItsHash(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	public, err := jwk.FromRaw(private.Public())
	require.NoError(t, err)
	document, err := json.Marshal(public)
	require.NoError(t, err)
	keys, err := ParseKeySet(keySet(string(document)), MaxRSABits)
	require.NoError(t, err)
	for algorithm, hash := range map[string]crypto.Hash{"PS256": crypto.SHA256, "PS384": crypto.SHA384, "PS512": crypto.SHA512} {
		signed := strict.EncodeToString([]byte(`{"alg":"`+algorithm+`"}`)) + ".e30"
		digest := hash.New()
		digest.Write([]byte(signed))
		for _, length := range []int{0, 8, 20, 32, 48, 64, 100} {
			signature, err := rsa.SignPSS(rand.Reader, private, hash, digest.Sum(nil), &rsa.PSSOptions{SaltLength: length + 1})
			require.NoError(t, err)
			requireVerdict(t, keys, signed, signature, false, length+1)
			if length == 0 {
				continue // SignPSS takes 0 for as much as there is room
			}
			signature, err = rsa.SignPSS(rand.Reader, private, hash, digest.Sum(nil), &rsa.PSSOptions{SaltLength: length})
			require.NoError(t, err)
			requireVerdict(t, keys, signed, signature, length == hash.Size(), length)
		}
	}
	// MGF1 with another hash than the signature's: as many bytes of salt, and no good.
	signed := strict.EncodeToString([]byte(`{"alg":"PS384"}`)) + ".e30"
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPSS(rand.Reader, private, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 48})
	require.NoError(t, err)
	requireVerdict(t, keys, signed, signature, false, "SHA-256 for PS384")
}

func requireVerdict(t *testing.T, keys KeySet, signed string, signature []byte, good bool, what any) {
	t.Helper()
	token, err := Cut(signed + "." + strict.EncodeToString(signature))
	require.NoError(t, err)
	found := find(keys, "", token.Header.Algorithm)
	require.Len(t, found, 1)
	if err = found[0].Verify(token); good {
		require.NoError(t, err, what)
	} else {
		require.ErrorIs(t, err, ErrSignature, what)
	}
}

func TestTheBoundOfRSAKeysIsTheCallers(t *testing.T) {
	modulus := make([]byte, 8192/8)
	modulus[0], modulus[len(modulus)-1] = 0x80, 1
	set := func(bits int, exponent string) []byte {
		n := append([]byte{0x80}, modulus[len(modulus)-bits/8+1:]...)
		return keySet(`{"kty":"RSA","e":"` + exponent + `","n":"` + strict.EncodeToString(n) + `"}`)
	}
	for bits, fits := range map[int]bool{2048: true, 4096: true, 4104: false, 8192: false} {
		_, err := ParseKeySet(set(bits, "AQAB"), 4096)
		require.Equal(t, fits, err == nil, "%d bits: %v", bits, err)
		_, err = ParseKeySet(set(bits, "Aw"), MaxRSABits)
		require.NoError(t, err, bits)
	}
}

// Another reader might take what comes last, and see other keys than we do.
func TestTextBehindAKeySetIsRefused(t *testing.T) {
	good := string(keySet(rfc7515Key + "}"))
	for _, blank := range []string{"", " ", "\n", "\r\n\t "} {
		_, err := ParseKeySet([]byte(blank+good+blank), MaxRSABits)
		require.NoError(t, err)
	}
	for _, rest := range []string{"x", "}", "null", "{}", good, "<!-- a proxy's -->", "\x00", "//"} {
		_, err := ParseKeySet([]byte(good+rest), MaxRSABits)
		require.Error(t, err, rest)
		require.NotErrorIs(t, err, ErrNoKeys, "it says nothing about the keys")
	}
}

// RFC 9864 2.2: Ed25519 is what EdDSA with this curve is called now.
func TestEd25519IsAnotherNameOfEdDSA(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for _, named := range []string{"", `,"alg":"EdDSA"`, `,"alg":"Ed25519"`} {
		keys, err := ParseKeySet(keySet(`{"kty":"OKP","crv":"Ed25519","x":"`+strict.EncodeToString(public)+`"`+named+`}`), MaxRSABits)
		require.NoError(t, err, named)
		again, err := keys.Marshal()
		require.NoError(t, err)
		keys, err = ParseKeySet(again, MaxRSABits)
		require.NoError(t, err)
		for _, algorithm := range []string{"EdDSA", "Ed25519"} {
			signed := strict.EncodeToString([]byte(`{"alg":"`+algorithm+`"}`)) + ".e30"
			requireVerdict(t, keys, signed, ed25519.Sign(private, []byte(signed)), true, algorithm)
		}
	}
	for _, other := range []string{"Ed448", "ed25519", "EDDSA", "Ed25519ph"} {
		require.NotContains(t, Algorithms, Canonical(other))
	}
}
