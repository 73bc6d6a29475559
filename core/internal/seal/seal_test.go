package seal

import (
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOpenTakesWhatAnyOfTheSecretsSealedForThePurpose(t *testing.T) {
	older, newer := []byte("older secret of thirty-two bytes"), []byte("newer secret of thirty-two bytes")
	before, after := New("x", [][]byte{older}), New("x", [][]byte{newer, older})
	sealed, err := before.Seal(rand.Reader, []byte("plain"))
	require.NoError(t, err)
	require.NotContains(t, string(sealed), "plain")
	plain, err := after.Open(sealed)
	require.NoError(t, err)
	require.Equal(t, "plain", string(plain))
	again, err := before.Seal(rand.Reader, []byte("plain"))
	require.NoError(t, err)
	require.NotEqual(t, sealed, again)

	_, err = New("y", [][]byte{older}).Open(sealed)
	require.ErrorIs(t, err, ErrOpen, "another purpose")
	resealed, err := after.Seal(rand.Reader, []byte("plain"))
	require.NoError(t, err)
	_, err = before.Open(resealed)
	require.ErrorIs(t, err, ErrOpen, "the first secret seals")
	for i := range sealed {
		broken := append([]byte(nil), sealed...)
		broken[i] ^= 1
		_, err = before.Open(broken)
		require.ErrorIs(t, err, ErrOpen)
		_, err = before.Open(sealed[:i])
		require.ErrorIs(t, err, ErrOpen)
	}
}

func TestMACFramesItsParts(t *testing.T) {
	older, newer := []byte("older secret of thirty-two bytes"), []byte("newer secret of thirty-two bytes")
	before, after := New("x", [][]byte{older}), New("x", [][]byte{newer, older})
	mac := before.MAC("ab", "c")
	require.True(t, before.CheckMAC(mac, "ab", "c"))
	require.True(t, after.CheckMAC(mac, "ab", "c"))
	require.False(t, New("x", [][]byte{newer}).CheckMAC(mac, "ab", "c"))
	require.False(t, New("y", [][]byte{older}).CheckMAC(mac, "ab", "c"))
	for _, parts := range [][]string{{"a", "bc"}, {"abc"}, {"ab", "c", ""}, {"", "ab", "c"}} {
		require.False(t, before.CheckMAC(mac, parts...), parts)
	}
}
