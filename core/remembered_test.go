package core_test

import (
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestARememberedTokenEndsWhenItExpires(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	raw := provider.AccessToken(t, "alice")
	token, err := a.auth.Verify(t.Context(), raw)
	require.NoError(t, err)
	a.clock.Add(token.Expiry().Add(core.DefaultLeeway).Sub(a.clock.Now()) - 1)
	require.NoError(t, a.verify(raw))
	a.clock.Add(1)
	require.ErrorIs(t, a.verify(raw), core.ErrInvalidToken)
}

func TestARememberedTokenEndsWithItsKey(t *testing.T) {
	provider := newProvider(t, oidctest.Options{AccessTokenLifetime: 1000 * time.Hour})
	a := newApp(t, provider)
	raw := provider.AccessToken(t, "alice")
	require.NoError(t, a.verify(raw))

	// The key is fetched again and is the same: nothing changes.
	a.clock.Add(time.Hour)
	require.NoError(t, a.verify(raw))
	require.Eventually(t, func() bool {
		return provider.Requests(oidctest.KeysPath) == 2 && a.auth.Health().Keys.LastGood.Equal(a.clock.Now())
	}, 10*time.Second, time.Millisecond)
	require.NoError(t, a.verify(raw))

	provider.RotateKeys()
	require.NoError(t, a.verify(provider.AccessToken(t, "bob")))
	require.ErrorIs(t, a.verify(raw), core.ErrInvalidToken)
}

// The keys may be too old to go by, and the request that finds so waits for newer ones,
// in which that of its own token is missing.
func TestARememberedTokenEndsWithTheFetchThatItsOwnRequestMakes(t *testing.T) {
	provider := newProvider(t, oidctest.Options{AccessTokenLifetime: 1000 * time.Hour})
	a := newApp(t, provider)
	raw := provider.AccessToken(t, "alice")
	require.NoError(t, a.verify(raw))
	provider.RotateKeys()
	a.clock.Add(25 * time.Hour)
	require.ErrorIs(t, a.verify(raw), core.ErrInvalidToken)
}

// What is remembered is worth no more than the keys that it was verified by.
func TestARememberedTokenOutlivesAnOutageForADay(t *testing.T) {
	provider := newProvider(t, oidctest.Options{AccessTokenLifetime: 1000 * time.Hour})
	a := newApp(t, provider)
	raw := provider.AccessToken(t, "alice")
	require.NoError(t, a.verify(raw))
	provider.Down(true)
	a.clock.Add(24*time.Hour - time.Minute)
	require.NoError(t, a.verify(raw))
	a.clock.Add(time.Minute)
	require.ErrorIs(t, a.verify(raw), core.ErrUnavailable)
}

func TestConstraintsAreJudgedForRememberedTokensToo(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	header := []string{"Bearer " + provider.AccessToken(t, "bob")}
	for range 2 {
		_, err := a.auth.Required().Check(t.Context(), core.Request{Authorization: header})
		require.NoError(t, err)
		_, err = a.auth.Required(core.AnyRole("admin")).Check(t.Context(), core.Request{Authorization: header})
		require.ErrorIs(t, err, core.ErrInsufficientClaims)
	}
}

func TestWhatOneAuthRemembersAnotherDoesNotKnow(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	ours := newApp(t, provider)
	theirs := newApp(t, provider, func(c *core.Config) { c.Providers[0].Audiences = []string{"theirs"} })
	raw := provider.AccessToken(t, "alice")
	for range 2 {
		require.NoError(t, ours.verify(raw))
		require.ErrorIs(t, theirs.verify(raw), core.ErrInvalidToken)
	}
}
