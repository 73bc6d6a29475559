package core_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// A token of the provider is exchanged after a restart while the provider is down,
// by the keys that the last process had fetched.
func TestKeysAreKeptForARestartDuringAnOutage(t *testing.T) {
	provider := newProvider(t, oidctest.Options{AccessTokenLifetime: 100 * time.Hour})
	spy := newSpyStore()
	exchanging := brokered(func(b *core.Broker) { b.Store, b.Exchange = spy, true })
	first := newApp(t, provider, exchanging)
	require.NoError(t, first.auth.Start(t.Context()))
	record := spy.kept(t, 1)[0]
	require.NotContains(t, string(record.Data), provider.KeyID(t), "what is kept is sealed")
	require.NotContains(t, record.ID, "127.0.0.1")

	provider.Down(true)
	second := first.replica(spy, func(c *core.Config) { c.Broker.Exchange = true })
	subject := provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"exp": 4e9, "name": "Alice Liddell"}))
	exchange := func(a *app) answer {
		return a.post(browser(), "/auth/v2/token", "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token", subject)
	}
	require.Equal(t, 200, exchange(second).StatusCode)
	require.Equal(t, core.StateStale, second.auth.Health().Keys.State)

	// A day after they were fetched they are too old, kept or not.
	first.clock.Add(24 * time.Hour)
	third := first.replica(spy, func(c *core.Config) { c.Broker.Exchange = true })
	requireError(t, exchange(third), 503, "temporarily_unavailable")

	provider.Down(false)
	first.clock.Add(time.Minute)
	require.Equal(t, 200, exchange(third).StatusCode)
	require.Eventually(t, func() bool { return spy.kept(t, 1)[0].Version > record.Version }, 10*time.Second, time.Millisecond)
}

// An issuer that has withdrawn its keys and goes down then does not get them back.
func TestKeptKeysThatWereWithdrawnStayWithdrawn(t *testing.T) {
	spy := newSpyStore()
	home := newApp(t, newProvider(t, oidctest.Options{}), fleet(func(b *core.Broker) { b.Store = spy }))
	peer := newHostile(t)
	list := core.Issuer{URL: peer.Issuer}
	home.trusts(list)
	raw := peer.token(t, nil, map[string]any{"exp": 4e9})
	require.NoError(t, home.verify(raw))
	spy.kept(t, 1)
	publish(t, peer.Provider)
	version := spy.keptOf(t, peer.Issuer).Version
	home.clock.Add(time.Second)
	require.ErrorIs(t, home.verify(peer.token(t, map[string]any{"kid": "unknown"}, nil)), core.ErrUnavailable)
	require.Eventually(t, func() bool { return spy.keptOf(t, peer.Issuer).Version > version }, 10*time.Second, time.Millisecond)
	peer.Down(true)
	again := home.replica(spy, inFleet)
	again.trusts(list)
	require.ErrorIs(t, again.verify(raw), core.ErrUnavailable)
	for range 5 {
		home.clock.Add(time.Minute)
		require.ErrorIs(t, home.verify(raw), core.ErrUnavailable)
		home.trusts(list)
		require.ErrorIs(t, home.verify(raw), core.ErrUnavailable)
	}
	peer.Down(false)
	peer.Answer(oidctest.KeysPath, nil)
	home.clock.Add(time.Minute)
	require.NoError(t, home.verify(raw))
}

func TestKeptKeysThatCannotBeUsedAreReplaced(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	spy := newSpyStore()
	first := newApp(t, provider, brokered(), stored(spy))
	require.NoError(t, first.auth.Start(t.Context()))
	record := spy.kept(t, 1)[0]
	record.Data = []byte("tampered with")
	_, err := spy.Put(t.Context(), record)
	require.NoError(t, err)

	provider.Down(true)
	second := first.replica(spy)
	require.ErrorIs(t, second.auth.Start(t.Context()), core.ErrUnavailable)
	provider.Down(false)
	first.clock.Add(time.Minute)
	require.NoError(t, second.auth.Start(t.Context()))
	require.Eventually(t, func() bool { return string(spy.kept(t, 1)[0].Data) != "tampered with" }, 10*time.Second, time.Millisecond)
}

// What can't be kept is fetched again after a restart: nothing hangs on it.
func TestAStoreThatCannotKeepKeysKeepsNobodyOut(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	spy := newSpyStore()
	spy.fail(func(_ context.Context, call string, _ bool) error {
		if strings.HasSuffix(call, "key-set") {
			return errors.New("no")
		}
		return nil
	})
	a := newApp(t, provider, brokered(), stored(spy))
	require.NoError(t, a.auth.Start(t.Context()))
	a.signIn("alice")
}

func TestKeptKeysOfOneIssuerAreOfNoUseForAnother(t *testing.T) {
	spy := newSpyStore()
	home := newApp(t, newProvider(t, oidctest.Options{}), fleet(func(b *core.Broker) { b.Store = spy }))
	peer, impostor := newHostile(t), newHostile(t)
	home.trusts(core.Issuer{URL: peer.Issuer})
	require.NoError(t, home.verify(peer.token(t, nil, nil)))
	// Somebody who can write to the store gives the record the other's name.
	spy.kept(t, 1)
	record := spy.keptOf(t, peer.Issuer)
	record.ID, record.Version = keptID(impostor.Issuer), 0
	_, err := spy.Put(t.Context(), record)
	require.NoError(t, err)
	impostor.Down(true)
	home.trusts(core.Issuer{URL: impostor.Issuer})
	require.ErrorIs(t, home.verify(peer.token(t, nil, map[string]any{"iss": impostor.Issuer})), core.ErrUnavailable)
	require.Contains(t, home.log.logged(), "a document that was kept can't be had")
}

// Who says where the keys are has a reason to say something else than before.
func TestKeptKeysAreThoseOfThePlaceThatIsConfigured(t *testing.T) {
	const issuer = "https://peer.example.org"
	spy := newSpyStore()
	home := newApp(t, newProvider(t, oidctest.Options{}), fleet(func(b *core.Broker) { b.Store = spy }))
	old, next := newHostile(t), newHostile(t)
	home.trusts(core.Issuer{URL: issuer, JWKSURL: old.Issuer + oidctest.KeysPath})
	raw := old.token(t, nil, map[string]any{"iss": issuer})
	require.NoError(t, home.verify(raw))
	spy.kept(t, 1)
	next.Down(true)
	home.trusts(core.Issuer{URL: issuer, JWKSURL: next.Issuer + oidctest.KeysPath})
	require.ErrorIs(t, home.verify(raw), core.ErrUnavailable)
	next.Down(false)
	home.clock.Add(time.Minute)
	require.ErrorIs(t, home.verify(raw), core.ErrInvalidToken)
	require.NoError(t, home.verify(next.token(t, nil, map[string]any{"iss": issuer})))
}

// Two writers may come in the wrong order, and then a key would be back after a
// restart that its issuer has withdrawn.
func TestKeysAreNotKeptInThePlaceOfLaterOnes(t *testing.T) {
	spy := newSpyStore()
	home := newApp(t, newProvider(t, oidctest.Options{}), fleet(func(b *core.Broker) { b.Store = spy }))
	peer := newHostile(t)
	home.trusts(core.Issuer{URL: peer.Issuer})
	waits, release := make(chan struct{}), make(chan struct{})
	var first sync.Once
	spy.fail(func(_ context.Context, call string, over bool) error {
		if call == "get key-set" && !over {
			isFirst := false
			first.Do(func() { isFirst = true })
			if isFirst {
				close(waits)
				<-release
			}
		}
		return nil
	})
	old := peer.token(t, nil, map[string]any{"exp": 4e9})
	require.NoError(t, home.verify(old))
	<-waits
	peer.RotateKeys()
	home.clock.Add(20 * time.Second)
	require.NoError(t, home.verify(peer.token(t, nil, nil)))
	kept := spy.kept(t, 1)[0]
	close(release)
	require.NoError(t, home.auth.Close()) // waits for what is being kept
	require.Equal(t, kept, spy.kept(t, 1)[0])

	peer.Down(true)
	second := home.replica(spy, inFleet)
	second.trusts(core.Issuer{URL: peer.Issuer})
	require.ErrorIs(t, second.verify(old), core.ErrUnavailable)
}
