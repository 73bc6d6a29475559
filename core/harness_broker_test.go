package core_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/store"
	"github.com/stretchr/testify/require"
)

// brokered puts an application into broker mode.
func brokered(change ...func(*core.Broker)) func(*core.Config) {
	return func(c *core.Config) {
		c.Broker = &core.Broker{Algorithm: "ES256"} // RS256 is slow to make keys for
		for _, f := range change {
			f(c.Broker)
		}
	}
}

// inBroker changes the Broker of an application that has one.
func inBroker(change func(*core.Broker)) func(*core.Config) {
	return func(c *core.Config) { change(c.Broker) }
}

// stored puts an application into broker mode with a store.
func stored(records store.Store) func(*core.Config) {
	return brokered(func(b *core.Broker) { b.Store = records })
}

// exchanging switches token exchange on.
func exchanging(b *core.Broker) { b.Exchange = true }

// identifying puts an application into broker mode with an Identify, and token
// exchange switched on.
func identifying(identify func(context.Context, *core.Identity) error) func(*core.Config) {
	return brokered(func(b *core.Broker) { b.Identify, b.Exchange = identify, true })
}

// algorithm has a broker sign by another algorithm.
func algorithm(name string) func(*core.Config) {
	return inBroker(func(b *core.Broker) { b.Algorithm = name })
}

// secretB is another value for Config.Secrets.
var secretB = base64.StdEncoding.EncodeToString([]byte("secret two for tests only, 32 b!!"))

// secrets replaces Config.Secrets.
func secrets(list ...string) func(*core.Config) {
	return func(c *core.Config) { c.Secrets = list }
}

// replica starts another instance of an application, on the same store and with
// the same name to the world.
func (a *app) replica(records store.Store, configure ...func(*core.Config)) *app {
	a.t.Helper()
	b := newApp(a.t, a.provider, append([]func(*core.Config){
		brokered(func(b *core.Broker) { b.Store = records }),
		func(c *core.Config) { c.PublicURL = a.api; c.Now = a.clock.Now },
	}, configure...)...)
	b.clock = a.clock
	return b
}

// keys are the published keys of an application.
func (a *app) keys() jose.JSONWebKeySet {
	a.t.Helper()
	metadata := a.get(browser(), "/.well-known/openid-configuration")
	u, err := url.Parse(metadata.json["jwks_uri"].(string))
	require.NoError(a.t, err)
	path := strings.TrimPrefix(u.Path, "/api")
	var set jose.JSONWebKeySet
	require.NoError(a.t, json.Unmarshal([]byte(a.get(browser(), path).body), &set))
	return set
}

// keyID is the kid of the first published key.
func (a *app) keyID() string { return a.keys().Keys[0].KeyID }
