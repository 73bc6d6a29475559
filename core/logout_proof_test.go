package core_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// The attack: an access token of weeks ago, from a log, ends a session, and shows the
// user's ID token to whoever has it.
func TestAnExpiredAccessTokenEndsNoSessionAndIsShownNoIDToken(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	got := a.signIn("alice")
	a.clock.Add(15*time.Minute + 29*time.Second)
	still := a.signIn("bob")
	a.clock.Add(2 * time.Second)
	for _, later := range []time.Duration{0, 20 * day} {
		a.clock.Add(later)
		require.Empty(t, a.hint(a.logoutWith(got.AccessToken)))
		require.Empty(t, a.log.last(t).Session)
	}
	require.Zero(t, a.revoked())
	a.tokens(a.refresh(got.RefreshToken))
	a.tokens(a.refresh(still.RefreshToken))
}

// A used-up refresh token is in the hands of a thief, or its successor is.
func TestAUsedUpRefreshTokenAtLogoutIsAReplay(t *testing.T) {
	older := func(a *app) (used, current tokens) {
		used = a.signIn("alice")
		return used, a.tokens(a.refresh(a.tokens(a.refresh(used.RefreshToken)).RefreshToken))
	}
	late := func(a *app) (used, current tokens) {
		used = a.signIn("alice")
		current = a.tokens(a.refresh(used.RefreshToken))
		a.clock.Add(time.Minute)
		return used, current
	}
	for name, begin := range map[string]func(a *app) (used, current tokens){"an older one": older, "the one before, after the grace period": late} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
			used, current := begin(a)
			require.Empty(t, a.hint(a.logoutWith("", "refresh_token", used.RefreshToken)))
			require.Equal(t, []string{core.ReasonReplayed}, a.log.ends())
			require.Zero(t, a.revoked(), "a thief must not sign out the user's other devices")
			requireError(t, a.refresh(current.RefreshToken), http.StatusBadRequest, "invalid_grant")

			tolerant := newApp(t, a.provider, brokered(func(b *core.Broker) { b.InsecureTolerateReplay = true }))
			used, current = begin(tolerant)
			require.Empty(t, tolerant.hint(tolerant.logoutWith("", "refresh_token", used.RefreshToken)))
			require.Empty(t, tolerant.log.ends())
			tolerant.tokens(tolerant.refresh(current.RefreshToken))
		})
	}
}
