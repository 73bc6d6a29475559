package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestHealthTellsWhatIsDownAndWhatIsStillOfUse(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	store := newSpyStore()
	a := newApp(t, provider, brokered(func(b *core.Broker) { b.Store = store }), quick)
	states := func() [4]core.State {
		h := a.auth.Health()
		return [4]core.State{h.Provider.State, h.Keys.State, h.Store.State, h.SigningKeys.State}
	}
	const unknown, valid, stale, down = core.StateUnknown, core.StateGood, core.StateStale, core.StateDown
	require.Equal(t, [4]core.State{unknown, unknown, unknown, unknown}, states())

	provider.Down(true)
	require.Zero(t, a.auth.Health().SigningSince)
	require.ErrorIs(t, a.auth.Start(t.Context()), core.ErrUnavailable)
	require.Equal(t, [4]core.State{down, unknown, valid, valid}, states())
	require.Equal(t, a.clock.Now().Unix(), a.auth.Health().SigningSince.Unix())
	require.ErrorContains(t, a.auth.Health().Err(), "the provider: down since")

	provider.Down(false)
	a.clock.Add(time.Minute)
	started := a.clock.Now()
	require.NoError(t, a.auth.Start(t.Context()))
	require.Equal(t, [4]core.State{valid, valid, valid, valid}, states())
	require.NoError(t, a.auth.Health().Err())
	require.Equal(t, started, a.auth.Health().Provider.LastGood)
	require.Equal(t, started.Add(-time.Minute), a.auth.Health().Provider.LastBad)
	require.Empty(t, a.auth.Health().Provider.Error)

	session := a.signIn("alice")
	provider.Down(true)
	store.fail(func(context.Context, string, bool) error { return errors.New("the disk is on fire") })
	a.clock.Add(2 * time.Hour)
	// The document that is stale is served while somebody finds out that it can't be
	// had any more.
	require.Equal(t, http.StatusServiceUnavailable, a.refresh(session.RefreshToken).StatusCode)
	require.Equal(t, down, a.auth.Health().Store.State)
	require.Contains(t, a.auth.Health().Store.Error, "the disk is on fire")
	require.Eventually(t, func() bool {
		a.get(browser(), "/auth/v2/login")
		return states()[0] == stale
	}, 10*time.Second, time.Millisecond)
	require.NotContains(t, a.auth.Health().Err().Error(), "the provider:", "what is stale is not down")

	// A caller who goes away says nothing about the store.
	store.fail(nil)
	require.Equal(t, valid, func() core.State { a.auth.Reseal(t.Context()); return a.auth.Health().Store.State }())
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := a.auth.Reseal(gone)
	require.Error(t, err)
	require.Equal(t, valid, a.auth.Health().Store.State)

	body, err := json.Marshal(a.auth.Health())
	require.NoError(t, err)
	require.Contains(t, string(body), `"store":{"state":"good","last_good":"`)
}

func TestHealthOfPassthroughModeHasNoStore(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	require.Equal(t, core.StateUnused, a.auth.Health().Store.State)
	require.Equal(t, core.StateUnused, a.auth.Health().SigningKeys.State)
	require.Zero(t, a.auth.Health().SigningSince)
	require.NoError(t, a.auth.Health().Err())
}
