package jose

import (
	"crypto/ed25519"
	"fmt"
	"hash/maphash"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// keysFrom gives so many keys as JSON, each with a kid.
func keysFrom(n int) []string {
	var keys []string
	for i := range n {
		seed := make([]byte, ed25519.SeedSize)
		seed[0] = byte(i)
		public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
		keys = append(keys, fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":"k%d","x":"%s"}`, i, strict.EncodeToString(public)))
	}
	return keys
}

func TestASetHasAtMostAHundredKeys(t *testing.T) {
	keys, err := ParseKeySet(keySet(keysFrom(MaxKeys)...), MaxRSABits)
	require.NoError(t, err)
	require.Len(t, keys, MaxKeys)
	_, err = ParseKeySet(keySet(keysFrom(MaxKeys+1)...), MaxRSABits)
	require.ErrorIs(t, err, ErrTooManyKeys)
}

func TestMarshalKeepsNamesAndAlgorithms(t *testing.T) {
	keys, err := ParseKeySet(keySet(rfc7515Key+`,"kid":"a"}`, rfc7515Key+`,"alg":"ES256"}`), MaxRSABits)
	require.NoError(t, err)
	document, err := keys.Marshal()
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(document), `"kid"`), "a key without a name gets none")
	require.Equal(t, 2, strings.Count(string(document), `"alg":"ES256"`))
	again, err := ParseKeySet(document, MaxRSABits)
	require.NoError(t, err)
	require.Len(t, again, 2)
	for i := range keys {
		require.True(t, keys[i].equal(again[i]))
	}
}

func TestReplaceWithdrawsTheKeysThatAreGone(t *testing.T) {
	parse := func(keys ...string) KeySet {
		set, err := ParseKeySet(keySet(keys...), MaxRSABits)
		require.NoError(t, err)
		return set
	}
	all := keysFrom(3)
	older := parse(all[0], all[1])
	next := parse(all[1], all[2]).Replace(older)
	require.True(t, older[0].Withdrawn())
	require.False(t, older[1].Withdrawn())
	require.Same(t, older[1], next[0], "it stays what it was")
	require.Len(t, next, 2)
	KeySet(nil).Replace(next)
	require.True(t, next[0].Withdrawn() && next[1].Withdrawn())
	require.False(t, next.Clone()[0].Withdrawn())
}

func TestNamesLooksForTheKid(t *testing.T) {
	named, err := ParseKeySet(keySet(keysFrom(1)...), MaxRSABits)
	require.NoError(t, err)
	unnamed, err := ParseKeySet(keySet(rfc7515Key+"}"), MaxRSABits)
	require.NoError(t, err)
	require.True(t, named.Names(Header{Algorithm: "EdDSA", KeyID: "k0"}))
	require.True(t, named.Names(Header{Algorithm: "EdDSA"}))
	require.False(t, named.Names(Header{Algorithm: "EdDSA", KeyID: "k1"}))
	require.False(t, unnamed.Names(Header{Algorithm: "ES256", KeyID: "k1"}), "it may be the key, and does not say so")
	require.True(t, unnamed.Names(Header{Algorithm: "ES256"}))
}

func TestATokenDoesNotBeginWithALineBreak(t *testing.T) {
	for _, blank := range []string{"\r", "\n"} {
		_, err := Cut(blank + rfc7515ES256)
		require.ErrorIs(t, err, ErrEncoding)
	}
}

func TestOnlyShortHeadersAreRemembered(t *testing.T) {
	for _, bytes := range []int{maxKnown * 3 / 4, maxKnown*3/4 + 1} {
		header := `{"alg":"ES256","kid":"` + strings.Repeat("k", bytes-len(`{"alg":"ES256","kid":""}`)) + `"}`
		encoded := strict.EncodeToString([]byte(header))
		_, err := readHeader(encoded)
		require.NoError(t, err)
		known := knownHeaders[maphash.String(headerSeed, encoded)%uint64(len(knownHeaders))].Load()
		require.Equal(t, len(encoded) <= maxKnown, known != nil && known.encoded == encoded, "%d bytes", len(encoded))
	}
}
