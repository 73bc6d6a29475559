package core_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/stretchr/testify/require"
)

// every has a key sign for so long.
func every(lifetime time.Duration) func(*core.Config) {
	return inBroker(func(b *core.Broker) { b.KeyLifetime = lifetime })
}

// A year in which keys change every other day, seen by three instances that ask at odd
// times, may be idle for days, and have a store that fails now and then.
func TestKeysThatChangeByIntervalRefuseNoValidToken(t *testing.T) {
	spy := newSpyStore()
	all := replicas(t, spy, 3, every(2*day), algorithm("EdDSA"))
	random := rand.New(rand.NewPCG(1, 2))
	steps := []time.Duration{time.Second, time.Minute, refreshed, time.Hour, 5 * time.Hour, 11 * time.Hour, 23*time.Hour + 59*time.Minute, 3 * day}
	clock, live, signers := all[0].clock, map[string]time.Time{}, map[string]bool{}
	for end := clock.Now().Add(365 * day); clock.Now().Before(end); clock.Add(steps[random.IntN(len(steps))]) {
		spy.fail(nil)
		if random.IntN(4) == 0 {
			spy.fail(func(_ context.Context, call string, _ bool) error {
				if call != "find signing-key" { // reading alone works
					return errors.New("unplugged")
				}
				return nil
			})
		}
		for _, a := range all {
			live[a.minted()] = clock.Now().Add(day)
		}
		signers[all[0].signer()] = true
		require.Equal(t, []string{all[0].signer(), all[0].signer()}, []string{all[1].signer(), all[2].signer()})
		for raw, ends := range live {
			if !clock.Now().Before(ends) {
				delete(live, raw)
				continue
			}
			for _, a := range all {
				require.NoError(t, a.verify(raw))
			}
		}
	}
	require.Greater(t, len(signers), 60)
	spy.fail(nil)
	all[0].after(refreshed)
	require.LessOrEqual(t, len(spy.all(t)), 3, "the old ones are deleted")
}

func TestTheNextKeyIsPublishedADayBeforeTheLastHasSignedForItsLifetime(t *testing.T) {
	spy := newSpyStore()
	all := replicas(t, spy, 2, every(0)) // 90 days
	a, b := all[0], all[1]
	began := a.signingKeys()[0].Signs
	a.after(began.Add(core.DefaultKeyLifetime - day - time.Second).Sub(a.clock.Now()))
	require.Len(t, a.published(), 1)
	a.after(time.Second)
	require.Len(t, a.published(), 2)
	b.reread()
	require.Equal(t, a.published(), b.published())
	require.Equal(t, began.Add(core.DefaultKeyLifetime), a.signingKeys()[1].Signs)
	a.rotate(core.RotateOptions{})
	require.Len(t, a.published(), 2, "it is under way")
}

func TestKeysChangeOnDemandAloneWhereTheirLifetimeIsNegative(t *testing.T) {
	a := replicas(t, newSpyStore(), 1, onDemand)[0]
	first := a.signer()
	a.after(1000 * day)
	require.Equal(t, []string{first}, a.published())
	require.Equal(t, first, a.signer())
}

// Of many that find at once that the next key is due, one makes it.
func TestTenInstancesMakeOneKeyWhenTheNextIsDue(t *testing.T) {
	spy := newSpyStore()
	all := replicas(t, spy, 10, every(2*day))
	spy.together(10)
	all[0].clock.Add(30 * day)
	for _, a := range all {
		go a.auth.Start(t.Context()) // it waits, since the keys are too old to go by
	}
	for _, a := range all {
		a.reread()
	}
	require.Len(t, all[0].published(), 2)
	for _, a := range all {
		require.Equal(t, all[0].published(), a.published())
	}
}

// The keys that there are serve on, and the log says why there is no other.
func TestAStoreThatTakesNoKeyCostsNothingButTheRotation(t *testing.T) {
	spy := newSpyStore()
	a := replicas(t, spy, 1, every(2*day))[0]
	first, since := a.signer(), a.auth.Health().SigningSince
	spy.fail(func(_ context.Context, call string, _ bool) error {
		if call == "put signing-key" {
			return errors.New("the disk is full")
		}
		return nil
	})
	for range 10 {
		a.after(2 * day)
		require.Equal(t, first, a.signer())
		require.Equal(t, since, a.auth.Health().SigningSince)
	}
	require.NotEmpty(t, a.log.lines("the next signing key can't be made yet"))
	spy.fail(nil)
	a.after(refreshed)
	require.Len(t, a.published(), 2)
	require.Equal(t, since, a.auth.Health().SigningSince)
	a.after(day)
	require.Equal(t, a.signingKeys()[1].Signs, a.auth.Health().SigningSince)
}
