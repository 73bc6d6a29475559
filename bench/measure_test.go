package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMedianAndRatioStandWhatIsFarOff(t *testing.T) {
	require.Equal(t, 2.0, times{1, 900, 2}.median())
	require.Equal(t, 2.5, times{1, 2, 3, 900}.median())
	// The second round was slow for both, the third for one.
	require.Equal(t, 2.0, times{2, 200, 900}.over(times{1, 100, 1}))
}

func TestMeasureTellsSlowFromFast(t *testing.T) {
	work := func(n int) func() {
		return func() {
			for i := range n {
				sink[i%len(sink)]++
			}
		}
	}
	found := measure(effort{rounds: 21, slice: time.Millisecond}, processor, []contestant{{"fast", 1, work(10000)}, {"slow", 1, work(100000)}})
	require.Len(t, found["fast"], 21)
	require.InDelta(t, 10, found["slow"].over(found["fast"]), 5)
}

// TestTheSummaryHasExactlyTheDocumentedMembers makes a run that is too short for its
// numbers to mean anything.
func TestTheSummaryHasExactlyTheDocumentedMembers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "summary.json")
	tiny := effort{rounds: 1, slice: 100 * time.Microsecond}
	p := plan{effort: tiny, crowds: []int{1, 3}, requests: 20, hang: 20 * time.Millisecond, trials: 1, tokens: 20, mints: 1, eachMints: "1x"}
	require.NoError(t, run(t.Context(), p, io.Discard, path))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var members map[string]float64
	require.NoError(t, json.Unmarshal(text, &members))
	var names []string
	for name := range members {
		names = append(names, name)
	}
	require.ElementsMatch(t, []string{
		"hit_vs_sha256", "hit_allocs", "hit_vs_fastest_peer",
		"miss_vs_crypto_rs256", "miss_vs_crypto_es256", "miss_vs_crypto_eddsa", "miss_allocs", "miss_vs_fastest_peer",
		"two_cores_hit_vs_crypto", "two_cores_miss_vs_crypto",
		"flood_fetches", "badsig_fetches", "stall_ms",
		"mint_over_signature_us_es256", "mint_over_signature_us_eddsa",
		"cookie_hit_vs_bearer",
		"guard_allocs_chi", "guard_allocs_std", "guard_allocs_fiber", "guard_allocs_gin", "guard_allocs_echo",
	}, names)
	documented, err := os.ReadFile("../docs/benchmarks.md")
	require.NoError(t, err)
	for _, name := range names {
		if !strings.HasPrefix(name, "guard_allocs_") {
			require.Contains(t, string(documented), "`"+name+"`")
		}
	}
}
