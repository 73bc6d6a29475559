package core_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestAUsedRefreshTokenGivesTheSameSuccessorWithinTheGracePeriod(t *testing.T) {
	for name, strict := range map[string]bool{"strict provider": true, "lax provider": false} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{StrictRefresh: strict})
			a := newApp(t, provider, brokered())
			first := a.signIn("alice")
			second := a.tokens(a.refresh(first.RefreshToken))
			require.NotEqual(t, first.RefreshToken, second.RefreshToken)
			calls := provider.Requests(oidctest.TokenPath)
			a.clock.Add(45*time.Second - time.Millisecond)
			again := a.tokens(a.refresh(first.RefreshToken))
			require.Equal(t, second.RefreshToken, again.RefreshToken)
			require.NotEqual(t, second.AccessToken, again.AccessToken)
			require.Equal(t, calls, provider.Requests(oidctest.TokenPath), "the provider is not asked again")
			third := a.tokens(a.refresh(second.RefreshToken))
			require.NotEqual(t, second.RefreshToken, third.RefreshToken)
			require.Empty(t, a.log.ends())
		})
	}
}

func TestAReplayedRefreshTokenEndsTheSession(t *testing.T) {
	for name, row := range map[string]struct {
		refreshes int
		wait      time.Duration
	}{
		"the last one, when the grace period is over":         {1, 45 * time.Second},
		"an older one, though it is within the grace period ": {2, 0},
		"a much older one": {3, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{StrictRefresh: true})
			a := newApp(t, provider, brokered())
			stolen := a.signIn("alice").RefreshToken
			last := stolen
			for range row.refreshes {
				last = a.tokens(a.refresh(last)).RefreshToken
			}
			a.clock.Add(row.wait)
			calls := provider.Requests(oidctest.TokenPath)
			requireError(t, a.refresh(stolen), 400, "invalid_grant")
			require.Equal(t, []string{core.ReasonReplayed}, a.log.ends())
			requireError(t, a.refresh(last), 400, "invalid_grant")
			require.Equal(t, calls, provider.Requests(oidctest.TokenPath))
			require.Zero(t, a.revoked(), "the user may have other sessions")
		})
	}
}

func TestAReplayIsOnlyRefusedWhenThatIsConfigured(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(func(b *core.Broker) { b.InsecureTolerateReplay = true }))
	first := a.signIn("alice")
	second := a.tokens(a.refresh(first.RefreshToken))
	a.clock.Add(time.Minute)
	requireError(t, a.refresh(first.RefreshToken), 400, "invalid_grant")
	require.Empty(t, a.log.ends())
	a.tokens(a.refresh(second.RefreshToken))
}

// A forged token must not even cost a look into the store.
func TestAForgedRefreshTokenIsRefusedWithoutAskingTheStore(t *testing.T) {
	spy := newSpyStore()
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, stored(spy))
	valid := a.signIn("alice").RefreshToken
	other := newApp(t, provider, brokered(), func(c *core.Config) {
		c.Secrets = []string{base64.StdEncoding.EncodeToString([]byte("another secret of thirty-two bytes"))}
	}).signIn("alice")
	elsewhere := newApp(t, newProvider(t, oidctest.Options{}), brokered()).signIn("alice")

	forged := map[string]string{
		"another instance's":                   other.RefreshToken,
		"of the same secret, another provider": elsewhere.RefreshToken,
		"an access token":                      other.AccessToken,
		"nonsense":                             "nonsense",
		"only the prefix":                      "ogr1.",
		"without the prefix":                   strings.TrimPrefix(valid, "ogr1."),
		"with padding":                         valid + "==",
		"another spelling of the last bits":    valid[:len(valid)-1] + "_",
		"twice":                                valid + valid,
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(valid, "ogr1."))
	require.NoError(t, err)
	for i := range raw {
		changed := append([]byte(nil), raw...)
		changed[i] ^= 0x10
		forged[fmt.Sprintf("byte %d changed", i)] = "ogr1." + base64.RawURLEncoding.EncodeToString(changed)
		forged[fmt.Sprintf("cut to %d bytes", i)] = "ogr1." + base64.RawURLEncoding.EncodeToString(raw[:i])
	}
	for name, token := range forged {
		calls := spy.during(func() { requireError(t, a.refresh(token), 400, "invalid_grant") })
		require.Empty(t, calls, name)
	}
	require.Empty(t, a.log.ends())
	a.tokens(a.refresh(valid))
}

// One client of the provider may serve two applications with one store.
func TestARefreshTokenIsOfOnePublicURL(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
	b := newApp(t, a.provider, stored(spy)) // on another port
	require.NoError(t, b.auth.Start(t.Context()))
	token := a.signIn("alice").RefreshToken
	calls := spy.during(func() {
		requireError(t, b.refresh(token), 400, "invalid_grant")
		require.Empty(t, b.hint(b.logoutWith("", "refresh_token", token)))
	})
	require.Empty(t, calls)
	require.Empty(t, b.log.ends())
	c := a.replica(spy) // elsewhere, by the same name
	c.tokens(c.refresh(token))
}

// A database that was restored from a backup knows older salts only. It must not
// give the sessions of then to whoever has the tokens of then, nor mistake the
// tokens of now for its own.
func TestARestoredStoreRevivesNothing(t *testing.T) {
	for name, refreshesSince := range map[string]int{"by one refresh": 1, "by three": 3} {
		t.Run(name, func(t *testing.T) {
			spy := newSpyStore()
			a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
			token := a.signIn("alice").RefreshToken
			backup := spy.all(t)
			for range refreshesSince {
				token = a.tokens(a.refresh(token)).RefreshToken
			}
			for _, record := range spy.all(t) {
				require.NoError(t, spy.Delete(t.Context(), record.Kind, record.ID, record.Version))
			}
			for _, record := range backup {
				record.Version = 0
				_, err := spy.Put(t.Context(), record)
				require.NoError(t, err)
			}
			requireError(t, a.refresh(token), 400, "invalid_grant")
			require.Equal(t, []string{core.ReasonForeign}, a.log.ends())
		})
	}
}
