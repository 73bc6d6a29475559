package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/oidcgate/oidcgate/core/internal/fetch"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/core/internal/provider"
	"github.com/oidcgate/oidcgate/core/internal/seal"
	"github.com/oidcgate/oidcgate/core/internal/vault"
	"github.com/oidcgate/oidcgate/store"
)

// keyring is the broker's signing keys that count, as the store has them.
type keyring struct {
	keys     []signingKey // by their epochs, at least one
	public   jose.KeySet
	document []byte // the JWK Set (RFC 7517 5) that is published
}

// signing gives the key that signs at a time: the last of those whose time to sign has
// come. It is asked at each use, so that all instances change at once, even while the
// store is down.
func (r keyring) signing(now time.Time) signingKey {
	for _, key := range slices.Backward(r.keys) {
		if !key.sign.After(now) {
			return key
		}
	}
	return r.keys[0] // the clock of whoever made it is ahead of ours
}

// loadKeys reads the signing keys, makes the next one if it is time for that, and deletes
// those that are out of use.
func (b *Broker) loadKeys(ctx context.Context) (keyring, time.Duration, error) {
	keys, err := b.readKeys(ctx)
	for err == nil && b.due(keys) {
		if err = b.makeDue(ctx, keys); err != nil && len(keys) > 0 {
			b.Logger.WarnContext(ctx, "the next signing key can't be made yet", "error", err)
			err = nil
			break // the others serve on
		}
		if err == nil {
			keys, err = b.readKeys(ctx)
		}
	}
	if err != nil {
		return keyring{}, 0, err
	}
	now := b.Now()
	alive, dead := b.sift(keys, now)
	ring, err := b.newKeyring(alive)
	if err == nil {
		b.tellSigner(ctx, ring, now)
		b.clean(ctx, dead)
	}
	return ring, b.freshness(alive, now), err
}

// tellSigner tells if another key signs than when the keys were last read.
func (b *Broker) tellSigner(ctx context.Context, ring keyring, now time.Time) {
	signer, oldest := ring.signing(now), ring.keys[0]
	last := b.signer.Swap(&signer)
	if last == nil || last.ID == signer.ID {
		return
	}
	e := Event{Kind: KeyRotated, Key: signer.ID}
	if oldest.withdraws && last.epoch < oldest.epoch {
		e.Reason = ReasonCompromised
	}
	b.Tell(ctx, e)
}

// due reports whether it is time to make a key: the first, or the next by interval.
func (b *Broker) due(keys []signingKey) bool {
	return len(keys) == 0 || b.KeyLifetime > 0 && !b.Now().Before(b.nextDue(keys))
}

// nextDue is when the next key is made: a lead before the newest has signed for as long as
// it should.
func (b *Broker) nextDue(keys []signingKey) time.Time {
	return keys[len(keys)-1].sign.Add(b.KeyLifetime - KeyLead)
}

// makeDue makes the next key, or the first, which signs at once. Of several instances one
// does, and the others find its key.
func (b *Broker) makeDue(ctx context.Context, keys []signingKey) error {
	epoch, lead := 1, time.Duration(0)
	if len(keys) > 0 {
		epoch, lead = keys[len(keys)-1].epoch+1, KeyLead
	} else if unknown, err := b.unknownSessions(ctx); err != nil {
		return err
	} else if unknown > 0 {
		// Sessions without a key mean that something is amiss with the store. If they
		// can't be opened either, it is the secrets, and a new key would begin a second
		// kind of records beside them.
		return vault.ErrSealed.From(fmt.Errorf("store: %w, and there is no signing key: see Config.Secrets", seal.ErrUnknownSecret))
	}
	key, err := jose.Generate(b.Algorithm)
	if err != nil {
		return err
	}
	err = b.insertKey(ctx, epoch, key, lead, false)
	if errors.Is(err, store.ErrConflict) {
		err = pause(ctx)
	}
	return err
}

// freshness is how long keys can be used without reading them again: as long as those of
// others, or until something happens to one.
func (b *Broker) freshness(keys []signingKey, now time.Time) time.Duration {
	events := []time.Time{}
	if b.KeyLifetime > 0 {
		events = append(events, b.nextDue(keys))
	}
	for _, key := range keys {
		events = append(events, key.sign, key.remove)
	}
	fresh := provider.RefreshKeys
	for _, event := range events {
		if until := event.Sub(now); until > 0 {
			fresh = min(fresh, max(until, time.Second))
		}
	}
	return fresh
}

// newKeyring makes the document that others verify our tokens by, and the keys that we
// verify them by ourselves.
func (b *Broker) newKeyring(keys []signingKey) (keyring, error) {
	ring := keyring{keys: keys}
	all, err := keySetOf(keys)
	if err != nil {
		return keyring{}, err
	}
	if ring.public, err = jose.ParseKeySet(all, jose.MaxRSABits); err != nil {
		return keyring{}, err
	}
	if b.PythonPeers {
		keys = slices.DeleteFunc(slices.Clone(keys), func(key signingKey) bool { return !key.IsRSA() })
	}
	ring.document, err = keySetOf(keys)
	return ring, err
}

// keySetOf makes a JWK Set of the public halves.
func keySetOf(keys []signingKey) ([]byte, error) {
	set := struct {
		Keys []jsontext.Value `json:"keys"`
	}{Keys: []jsontext.Value{}}
	for _, key := range keys {
		public, err := key.Public()
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, public)
	}
	return json.Marshal(set)
}

// replace withdraws the public keys of an older keyring that are not in r.
func (r keyring) replace(older keyring) keyring {
	r.public = r.public.Replace(older.public)
	return r
}

// publicKeys are the keys as the verifier asks for them.
type publicKeys struct{ *fetch.Document[keyring] }

func (k publicKeys) Get(ctx context.Context) (jose.KeySet, error) {
	ring, err := k.Document.Get(ctx)
	return ring.public, err
}

func (k publicKeys) Renew(ctx context.Context, must bool) (jose.KeySet, error) {
	ring, err := k.Document.Renew(ctx, must)
	return ring.public, err
}
