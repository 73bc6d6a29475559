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

// keyring is the broker's signing keys, as the store has them.
type keyring struct {
	signing  *jose.PrivateKey
	public   jose.KeySet
	document []byte // the JWK Set (RFC 7517 5) that is published
}

// storedKey is the data of a signing key's record.
type storedKey struct {
	JWK jsontext.Value `json:"jwk"` // private
}

// loadKeys reads the signing keys, and makes the first one where there is none.
// A key that can't be opened is an error, and never replaced: whoever verifies
// our tokens may know it already.
func (b *Broker) loadKeys(ctx context.Context) (keyring, time.Duration, error) {
	var ring keyring
	var keys []*jose.PrivateKey
	err := b.records.Each(ctx, kindSigningKey, "", func(record store.Record) error {
		key, err := b.openKey(&record)
		if err == nil {
			keys = append(keys, key)
		}
		return err
	})
	if err != nil {
		return keyring{}, 0, err
	}
	for _, key := range keys {
		if key.Algorithm == b.Algorithm {
			ring.signing = key
		}
	}
	if ring.signing == nil {
		if ring.signing, err = b.firstKey(ctx); err != nil {
			return keyring{}, 0, err
		}
		keys = append(keys, ring.signing)
	}
	return ring, provider.RefreshKeys, b.publish(&ring, keys)
}

func (b *Broker) openKey(record *store.Record) (*jose.PrivateKey, error) {
	var stored storedKey
	if err := b.records.Decode(record, &stored); err != nil {
		return nil, err
	}
	key, err := jose.ParsePrivateKey(stored.JWK)
	if err != nil {
		return nil, vault.ErrSealed.From(fmt.Errorf("store: the signing key %s: %w", record.ID, err))
	}
	return key, nil
}

// firstKey makes the first key of the algorithm. Its id is fixed, so that of
// many instances that start at once one inserts it and all use it.
func (b *Broker) firstKey(ctx context.Context) (*jose.PrivateKey, error) {
	// Sessions without a key mean that something is amiss with the store. If they
	// can't be opened either, it is the secrets, and a new key would begin a second
	// kind of records beside them.
	if unknown, err := b.unknownSessions(ctx); err != nil {
		return nil, err
	} else if unknown > 0 {
		return nil, vault.ErrSealed.From(fmt.Errorf("store: %w, and there is no signing key: see Config.Secrets", seal.ErrUnknownSecret))
	}
	key, err := jose.Generate(b.Algorithm)
	if err != nil {
		return nil, err
	}
	private, err := key.Marshal()
	if err != nil {
		return nil, err
	}
	id := b.Algorithm + ".1"
	_, err = b.records.Put(ctx, store.Record{Kind: kindSigningKey, ID: id}, storedKey{private})
	if !errors.Is(err, store.ErrConflict) {
		return key, err
	}
	var stored storedKey
	if _, err := b.records.Get(ctx, kindSigningKey, id, &stored); err != nil {
		return nil, err
	}
	return jose.ParsePrivateKey(stored.JWK)
}

// publish makes the document that others verify our tokens by, and the keys that
// we verify them by ourselves.
func (b *Broker) publish(ring *keyring, keys []*jose.PrivateKey) error {
	all, err := keySetOf(keys)
	if err != nil {
		return err
	}
	if ring.public, err = jose.ParseKeySet(all, jose.MaxRSABits); err != nil {
		return err
	}
	if b.PythonPeers {
		keys = slices.DeleteFunc(slices.Clone(keys), func(key *jose.PrivateKey) bool { return !key.IsRSA() })
	}
	ring.document, err = keySetOf(keys)
	return err
}

// keySetOf makes a JWK Set of the public halves.
func keySetOf(keys []*jose.PrivateKey) ([]byte, error) {
	set := struct {
		Keys []jsontext.Value `json:"keys"`
	}{}
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
