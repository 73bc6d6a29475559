package trust

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// However many tokens come, the latest ones are known, and the memory is bounded.
func TestTheLatestValidTokensAreKnown(t *testing.T) {
	name := func(n int) (name tokenName) {
		binary.LittleEndian.PutUint64(name[:], uint64(n))
		return name
	}
	var valid validBefore
	for n := range 3 * maxValid {
		valid.add(name(n))
		require.True(t, valid.has(name(n)))
		require.True(t, valid.has(name(max(0, n-maxValid+1))), n)
		require.LessOrEqual(t, len(valid.latest)+len(valid.last), 2*maxValid)
	}
	require.False(t, valid.has(name(0)))
	for _, n := range []int{3*maxValid - 1, 2*maxValid - 1} { // one of each generation
		require.True(t, valid.has(name(n)))
		valid.remove(name(n))
		require.False(t, valid.has(name(n)))
	}
}
