package broker

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/oidcgate/oidcgate/core/internal/fetch"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/store"
)

// keptKeys is the data of the record of an issuer's keys.
type keptKeys struct {
	From    string         `json:"from"`    // where they are fetched; "" where its documents say
	Fetched int64          `json:"fetched"` // Unix seconds
	Keys    jsontext.Value `json:"keys"`    // a JWK Set (RFC 7517 5)
}

// KeepKeys has a document of an issuer's keys outlive the process, so that tokens
// are verified after a restart while the issuer is down. What is kept has been
// checked, is sealed, and is read for an issuer that the configuration names, at the
// place that it names, and for no other.
func (b *Broker) KeepKeys(issuer, from string, maxRSABits int, keys *fetch.Document[jose.KeySet]) {
	hash := sha256.Sum256([]byte(issuer))
	id := base64.RawURLEncoding.EncodeToString(hash[:])
	keep := func(ctx context.Context, set jose.KeySet, fetched time.Time) error {
		document, err := set.Marshal()
		if err != nil {
			return err
		}
		for {
			// One that can't be opened is there, has a version, and is of no use.
			var kept keptKeys
			old, err := b.records.Get(ctx, kindKeySet, id, &kept)
			switch {
			case err != nil && old.Version == 0 && !errors.Is(err, store.ErrNotFound):
				return err
			case err == nil && kept.From == from && kept.Fetched > fetched.Unix():
				return nil // another replica has asked later, and maybe a key is gone since
			}
			_, err = b.records.Put(ctx, store.Record{
				Kind: kindKeySet, ID: id, Version: old.Version, Expires: fetched.Add(fetch.KeepFor).Truncate(time.Millisecond),
			}, keptKeys{from, fetched.Unix(), document})
			if !errors.Is(err, store.ErrConflict) { // another replica has just done it, with older ones maybe
				return err
			}
			if err := pause(ctx); err != nil {
				return err
			}
		}
	}
	recall := func(ctx context.Context) (jose.KeySet, time.Time, error) {
		var kept keptKeys
		_, err := b.records.Get(ctx, kindKeySet, id, &kept)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil, time.Time{}, fetch.ErrNotKept
		case err != nil:
			return nil, time.Time{}, err
		case kept.From != from:
			return nil, time.Time{}, fetch.ErrNotKept
		}
		set, err := jose.ParseKeySet(kept.Keys, maxRSABits)
		if errors.Is(err, jose.ErrNoKeys) { // it has withdrawn them all
			err = fetch.ErrNotKept
		}
		return set, time.Unix(kept.Fetched, 0), err
	}
	keys.Keep(keep, recall)
}
