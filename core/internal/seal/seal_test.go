package seal

import (
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"
)

var older, newer = []byte("older secret of thirty-two bytes"), []byte("newer secret of thirty-two bytes")

func TestOpenTakesWhatAnyOfTheSecretsSealedForThePurpose(t *testing.T) {
	before, after := New("x", [][]byte{older}), New("x", [][]byte{newer, older})
	sealed, err := before.Seal(rand.Reader, []byte("plain"), "kind", "id")
	require.NoError(t, err)
	require.NotContains(t, string(sealed), "plain")
	plain, err := after.Open(sealed, "kind", "id")
	require.NoError(t, err)
	require.Equal(t, "plain", string(plain))
	again, err := before.Seal(rand.Reader, []byte("plain"), "kind", "id")
	require.NoError(t, err)
	require.NotEqual(t, sealed, again)
	require.True(t, before.SealedByFirst(sealed))
	require.False(t, after.SealedByFirst(sealed), "a secret was rolled over: seal it again")

	_, err = New("y", [][]byte{older}).Open(sealed, "kind", "id")
	require.ErrorIs(t, err, ErrUnknownSecret, "another purpose")
	resealed, err := after.Seal(rand.Reader, []byte("plain"), "kind", "id")
	require.NoError(t, err)
	require.True(t, after.SealedByFirst(resealed), "the first secret seals")
	_, err = before.Open(resealed, "kind", "id")
	require.ErrorIs(t, err, ErrUnknownSecret)
	for _, elsewhere := range [][]string{nil, {"kind"}, {"kind", "id2"}, {"kindi", "d"}, {"kind", "id", ""}} {
		_, err = before.Open(sealed, elsewhere...)
		require.ErrorIs(t, err, ErrOpen, "sealed for another place than %q", elsewhere)
	}
	for i := range sealed {
		broken := append([]byte(nil), sealed...)
		broken[i] ^= 1
		_, err = before.Open(broken, "kind", "id")
		require.Error(t, err)
		_, err = before.Open(sealed[:i], "kind", "id")
		require.Error(t, err)
	}
}

func TestMACFramesItsParts(t *testing.T) {
	before, after := New("x", [][]byte{older}), New("x", [][]byte{newer, older})
	mac := before.MAC("ab", "c")
	require.True(t, before.CheckMAC(mac, "ab", "c"))
	require.True(t, after.CheckMAC(mac, "ab", "c"))
	require.Equal(t, mac, after.MACBy(before.First(), "ab", "c"), "the name of a secret is the same wherever it stands")
	require.NotEqual(t, mac, after.MACBy(after.First(), "ab", "c"))
	require.Nil(t, before.MACBy(after.First(), "ab", "c"))
	require.False(t, New("x", [][]byte{newer}).CheckMAC(mac, "ab", "c"))
	require.False(t, New("y", [][]byte{older}).CheckMAC(mac, "ab", "c"))
	for _, parts := range [][]string{{"a", "bc"}, {"abc"}, {"ab", "c", ""}, {"", "ab", "c"}} {
		require.False(t, before.CheckMAC(mac, parts...), parts)
	}
}

func TestWhatIsTooShortWasNotSealed(t *testing.T) {
	keys := New("x", [][]byte{older})
	id := keys.First()
	require.False(t, keys.SealedByFirst(id[:]), "nothing but the name of a secret")
	_, err := keys.Open(id[:])
	require.ErrorIs(t, err, ErrOpen)
	_, err = keys.Open(id[:3])
	require.ErrorIs(t, err, ErrOpen)
	unknown := New("x", [][]byte{newer}).First()
	_, err = keys.Open(unknown[:])
	require.ErrorIs(t, err, ErrUnknownSecret)
}
