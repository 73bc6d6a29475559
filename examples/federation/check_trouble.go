package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oidcgate/oidcgate/core"
)

// troubleSteps are about peers that change, go away and come back.
var troubleSteps = []step{
	{"a peer's new key is found with its first token", (*check).rotates},
	{"restart while all peers are down: their tokens are verified by kept keys", (*check).restartPeersDown},
	{"a peer that is removed is out at once, whatever the store has kept of it", (*check).removed},
	{"a hundred peers that never answer delay no start", (*check).manyDown},
}

// rotates has a peer of its own: strangers in the steps before may have used up the one
// fetch in ten seconds that key ids of the others are worth.
func (c *check) rotates(ctx context.Context) error {
	peer, err := c.newcomer()
	if err != nil {
		return err
	}
	defer peer.close()
	old, err := peer.mint(nil)
	if err := errors.Join(err, c.taken(ctx, c.south, old), peer.rotate()); err != nil {
		return err
	}
	fresh, err := peer.mint(nil)
	return errors.Join(err, c.taken(ctx, c.south, fresh), c.refused(ctx, c.south, old))
}

// restartPeersDown: each instance of south ends, and begins anew with nothing but
// the secrets and the store.
func (c *check) restartPeersDown(ctx context.Context) error {
	north, south, err := c.signInAtBoth(ctx)
	if err != nil {
		return err
	}
	raw, err := c.python.mint(nil)
	if err := errors.Join(err, c.taken(ctx, c.south, north), c.taken(ctx, c.south, raw)); err != nil {
		return err
	}
	count := len(c.south.instances)
	if err := c.south.shrink(0); err != nil {
		return err
	}
	c.north.down.Store(true)
	defer c.north.down.Store(false)
	c.python.down.Store(true)
	defer c.python.down.Store(false)
	for range count {
		if err := c.south.grow(ctx, c.friendsOf(c.south)); err != nil {
			return err
		}
	}
	err = errors.Join(c.taken(ctx, c.south, north), c.taken(ctx, c.south, raw), c.taken(ctx, c.south, south))
	for _, each := range c.south.instances {
		health := each.auth.Health()
		for url, peer := range health.Issuers {
			if peer.State != core.StateStale {
				err = errors.Join(err, fmt.Errorf("%s is %s", url, peer.State))
			}
		}
		err = errors.Join(err, health.Err()) // nothing of south's own is down
	}
	return err
}

// removed: an instance that still trusts a peer keeps its keys in the store. That
// lets nobody in at the others.
func (c *check) removed(ctx context.Context) error {
	evil, err := c.newcomer()
	if err != nil {
		return err
	}
	defer evil.close()
	raw, err := evil.mint(nil)
	if err := errors.Join(err, c.taken(ctx, c.south, raw)); err != nil {
		return err
	}
	north, _, err := c.signInAtBoth(ctx)
	if err := errors.Join(err, c.south.trust(c.friendsOf(c.south)...),
		c.refused(ctx, c.south, raw), c.taken(ctx, c.south, north)); err != nil {
		return err
	}
	return c.withOneMore(ctx, c.friendsOf(c.south), func() error {
		return errors.Join(c.refused(ctx, c.south, raw), c.taken(ctx, c.south, north))
	})
}

func (c *check) manyDown(ctx context.Context) error {
	silent, err := newForeign()
	if err != nil {
		return err
	}
	defer silent.close()
	silent.silent.Store(true)
	peers := c.friendsOf(c.south)
	for n := range 100 {
		peers = append(peers, core.Issuer{URL: fmt.Sprintf("%s/%d", silent.url, n)})
	}
	began := time.Now()
	return c.withOneMore(ctx, peers, func() error {
		if took := time.Since(began); took > core.DefaultTimeout/2 {
			return fmt.Errorf("the start took %s, as if it waited for them", took)
		}
		north, south, err := c.signInAtBoth(ctx)
		return errors.Join(err, c.taken(ctx, c.south, north), c.taken(ctx, c.south, south))
	})
}

// withOneMore has south run with one more instance, which trusts these peers.
func (c *check) withOneMore(ctx context.Context, peers []core.Issuer, use func() error) error {
	count := len(c.south.instances)
	if err := c.south.grow(ctx, peers); err != nil {
		return err
	}
	return errors.Join(use(), c.south.shrink(count))
}
