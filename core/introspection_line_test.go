package core_test

import (
	"cmp"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// Whoever is signed in is served while strangers send more made-up tokens than the
// provider is asked about at once, and it answers none of those.
func TestMadeUpTokensDoNotKeepOutThoseThatWereValidBefore(t *testing.T) {
	for name, turns := range map[string]int{"by default": 0, "with two turns": 2, "with an odd number": 5} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{OpaqueTokens: true, AccessTokenLifetime: 1000 * time.Hour})
			a := newApp(t, provider, introspecting, func(c *core.Config) { c.MaxIntrospections = turns })
			alice, bob, revoked := provider.AccessToken(t, "alice"), provider.AccessToken(t, "bob"), provider.AccessToken(t, "alice")
			for _, raw := range []string{alice, bob, revoked} {
				require.NoError(t, a.verify(raw))
			}
			half := cmp.Or(turns, core.DefaultMaxIntrospections) / 2
			taken, tokens := cmp.Or(turns, core.DefaultMaxIntrospections)-half, 330
			held, release, answered := make(chan struct{}, tokens), make(chan struct{}), make(chan error, tokens)
			answer := sync.OnceFunc(func() { close(release) })
			defer answer()
			provider.Answer(oidctest.IntrospectPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
				switch token := r.FormValue("token"); {
				case strings.HasPrefix(token, "made-up"):
					held <- struct{}{}
					<-release
					fallthrough
				case token == revoked:
					w.Header().Set("Content-Type", "application/json")
					_, _ = io.WriteString(w, `{"active":false}`)
				default:
					real.ServeHTTP(w, r)
				}
			})
			var all sync.WaitGroup
			for n := range tokens {
				all.Go(func() {
					_, err := a.auth.Verify(t.Context(), "made-up-"+decimal(int64(n)))
					answered <- err
				})
			}
			for range taken {
				<-held
			}
			for range tokens - taken - 8*half {
				require.ErrorIs(t, <-answered, core.ErrUnavailable)
			}
			require.NoError(t, a.verify(revoked), "it is remembered for a minute")
			for range 3 {
				a.clock.Add(time.Minute) // all have to be asked about again
				for _, raw := range []string{alice, bob} {
					require.NoError(t, a.verify(raw))
				}
			}
			require.ErrorIs(t, a.verify(revoked), core.ErrInvalidToken)
			// From now on it is a stranger's, and so is one that is new.
			a.clock.Add(time.Minute)
			for _, raw := range []string{revoked, provider.AccessToken(t, "alice")} {
				_, err := a.auth.Verify(t.Context(), raw)
				require.ErrorIs(t, err, core.ErrUnavailable)
				require.NotErrorIs(t, err, core.ErrInvalidToken)
			}
			answer()
			all.Wait()
		})
	}
}
