package otelauth_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/otelauth"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
)

const (
	up  = "oidcgate.dependency.up"
	age = "oidcgate.signing_key.age"
)

// breakable is a store that fails while it is broken.
type breakable struct {
	store.Store
	broken *atomic.Bool
}

func (b breakable) Put(ctx context.Context, r store.Record) (int64, error) {
	if b.broken.Load() {
		return 0, errors.New("down")
	}
	return b.Store.Put(ctx, r)
}

func TestHealthTellsWhichDependencyIsUp(t *testing.T) {
	var broken atomic.Bool
	a := newApplication(t, func(c *core.Config) { c.Broker.Store = breakable{memory.New(), &broken} })
	unregister, err := otelauth.WatchHealth(a.auth, a.meters)
	require.NoError(t, err)
	require.Empty(t, a.points(t, up), "nothing was called yet")

	require.NoError(t, a.auth.Start(t.Context()))
	tokens := a.signIn(t)
	require.Equal(t, map[string]int64{
		"oidcgate.dependency=provider": 1, "oidcgate.dependency=keys": 1,
		"oidcgate.dependency=store": 1, "oidcgate.dependency=signing_keys": 1,
	}, a.points(t, up))

	broken.Store(true)
	require.Equal(t, 503, a.refresh(t, tokens.RefreshToken))
	require.Zero(t, a.points(t, up)["oidcgate.dependency=store"])
	require.Contains(t, a.points(t, up), "oidcgate.dependency=store")

	require.NoError(t, unregister())
	require.Empty(t, a.points(t, up))
}

func TestHealthTellsTheAgeOfTheSigningKey(t *testing.T) {
	began := time.Now().Add(-101 * 24 * time.Hour)
	a := newApplication(t, func(c *core.Config) { c.Now = func() time.Time { return began } })
	_, err := otelauth.WatchHealth(a.auth, a.meters)
	require.NoError(t, err)
	require.Empty(t, a.points(t, age), "no key was read yet")
	require.NoError(t, a.auth.Start(t.Context()))
	require.InDelta(t, time.Since(began).Seconds(), a.points(t, age)[""], 2)
}

func TestHealthNamesEachFurtherIssuer(t *testing.T) {
	a := newApplication(t, func(c *core.Config) {
		c.TrustedIssuers = []core.Issuer{{URL: "http://127.0.0.1:1", Audiences: []string{"shop"}}}
		c.Broker = nil
	})
	_, err := otelauth.WatchHealth(a.auth, a.meters)
	require.NoError(t, err)
	require.NoError(t, a.auth.Start(t.Context()))
	require.Empty(t, a.points(t, age), "without a broker there is no signing key")
	require.Eventually(t, func() bool { return len(a.points(t, up)) == 3 }, 10e9, 1e7)
	for series, value := range a.points(t, up) {
		if series != "oidcgate.dependency=provider" && series != "oidcgate.dependency=keys" {
			require.Contains(t, series, "oidcgate.dependency=issuer,oidcgate.issuer=http")
			require.Zero(t, value)
		}
	}
}
