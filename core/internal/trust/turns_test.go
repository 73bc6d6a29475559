package trust

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// However many tokens come, the latest ones are known, and the memory is bounded.
func TestTheLatestTokensThatWereGoodAreKnown(t *testing.T) {
	name := func(n int) (name tokenName) {
		binary.LittleEndian.PutUint64(name[:], uint64(n))
		return name
	}
	var good validBefore
	for n := range 3 * maxValid {
		good.add(name(n))
		require.True(t, good.has(name(n)))
		require.True(t, good.has(name(max(0, n-maxValid+1))), n)
		require.LessOrEqual(t, len(good.latest)+len(good.last), 2*maxValid)
	}
	require.False(t, good.has(name(0)))
	for _, n := range []int{3*maxValid - 1, 2*maxValid - 1} { // one of each generation
		require.True(t, good.has(name(n)))
		good.remove(name(n))
		require.False(t, good.has(name(n)))
	}
}
