package trust

import (
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// refusesGCM is the standard library with GODEBUG=fips140=only.
func refusesGCM(cipher.Block) (cipher.AEAD, error) { return nil, errors.New("not allowed") }

// An attacker has one token that is remembered, and changes it in every way that makes
// weak hashes meet.
func TestNoTextHasTheNameOfAnother(t *testing.T) {
	valid := strings.Repeat("eyJhbGciOiJSUzI1NiJ9.", 60)
	texts := map[string]bool{"": true, valid: true}
	for i := range len(valid) { // a changed bit, a missing byte, a shorter text
		flipped := []byte(valid)
		flipped[i] ^= 1
		texts[string(flipped)] = true
		texts[valid[:i]+valid[i+1:]] = true
		texts[valid[:i]] = true
	}
	for n := 1; n <= 64; n++ { // padding, as the hash itself adds it to the last block
		texts[valid+strings.Repeat("\x00", n)] = true
		texts[strings.Repeat("\x00", n)+valid] = true
		texts[strings.Repeat("\x00", n)] = true
	}
	for i := 0; i+48 <= len(valid); i += 16 { // blocks of the cipher in another order, or gone
		block, rest := valid[i:i+16], valid[i+16:]
		texts[valid[:i]+rest[:16]+block+rest[16:]] = true
		texts[valid[:i]+rest] = true
		texts[valid[:i]+block+block+rest] = true
	}
	for what, n := range map[string]namer{"GCM": newNamer(cipher.NewGCM), "SHA-256": newNamer(refusesGCM)} {
		names := map[tokenName]string{}
		for text := range texts {
			name := n.name(text)
			require.NotContains(t, names, name, "%s: %q and %q", what, text, names[name])
			names[name] = text
		}
	}
}

// Who knows the names in one process, from a dump say, knows nothing of those in another.
func TestNamesAreOfOneProcess(t *testing.T) {
	one, other := newNamer(cipher.NewGCM), newNamer(cipher.NewGCM)
	require.Equal(t, one.name("a"), one.name("a"))
	require.NotEqual(t, one.name("a"), other.name("a"))
}

func TestANameIsMadeWithoutAllocating(t *testing.T) {
	token := strings.Repeat("a", 1200)
	var name tokenName
	require.Zero(t, testing.AllocsPerRun(100, func() { name = nameOf(token) }))
	require.NotZero(t, name)
}

// TestNamesWhereFIPSIsEnforced runs in a process of its own, since the mode is one of the
// process.
func TestNamesWhereFIPSIsEnforced(t *testing.T) {
	const inside = "OIDCGATE_TEST_FIPS"
	if os.Getenv(inside) != "" {
		require.Equal(t, tokenName(sha256.Sum256([]byte("token"))), nameOf("token"))
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestNamesWhereFIPSIsEnforced$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1", "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS")
}

func BenchmarkName(b *testing.B) {
	token := strings.Repeat("a", 1200)
	for name, n := range map[string]namer{"GCM": newNamer(cipher.NewGCM), "SHA-256": newNamer(refusesGCM)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				n.name(token)
			}
		})
	}
}
