package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/oidcgate/oidcgate/core/internal/fetch"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/core/internal/vault"
	"github.com/oidcgate/oidcgate/store"
)

// The times of a signing key.
const (
	// KeyLead is how long a key is published before it signs. An instance works for as long
	// with keys that it can't read again, so that whoever still signs knows the key by then.
	KeyLead = fetch.KeepFor
	// maxKeyLead is the longest lead that a record can mean.
	maxKeyLead = 365 * 24 * time.Hour
)

// signingKey is the record of a signing key. Its number, the epoch, is the record's id, so
// that of all who rotate at once one inserts the next epoch, and the others use it.
type signingKey struct {
	*jose.PrivateKey
	id        string // of the record
	version   int64
	epoch     int
	publish   time.Time // zero in records of earlier versions, as is sign: since forever
	sign      time.Time // it signs from then on, until a key of a later epoch does
	withdraws bool      // keys of earlier epochs count no more

	// What follows from the other keys. Zero: nothing is known yet.
	retire time.Time // it signs no more
	remove time.Time // all that it has signed has expired
}

// storedKey is the data of a signing key's record.
type storedKey struct {
	JWK       jsontext.Value `json:"jwk"` // private
	Publish   int64          `json:"publish,omitzero"`
	Sign      int64          `json:"sign,omitzero"` // both in Unix seconds
	Withdraws bool           `json:"withdraws,omitzero"`
}

// readKeys gives all the keys of the store by their epochs. A key that can't be read is an
// error, and never replaced: whoever verifies our tokens may know it already.
func (b *Broker) readKeys(ctx context.Context) ([]signingKey, error) {
	var keys []signingKey
	err := b.records.Each(ctx, kindSigningKey, "", func(record store.Record) error {
		key, err := b.openKey(record)
		keys = append(keys, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	// The store has them in the order of their bytes, 10 before 9.
	slices.SortFunc(keys, func(x, y signingKey) int { return cmp.Or(cmp.Compare(x.epoch, y.epoch), cmp.Compare(x.id, y.id)) })
	return keys, nil
}

func (b *Broker) openKey(record store.Record) (signingKey, error) {
	unusable := func(format string, args ...any) (signingKey, error) {
		problem := fmt.Errorf(format, args...)
		return signingKey{}, vault.ErrSealed.From(store.Unusable("the signing key %q %w", record.ID, problem))
	}
	if err := b.records.Unseal(&record); err != nil {
		return signingKey{}, err
	}
	epoch, ok := epochOf(record.ID)
	if !ok {
		return unusable("has an id without a number: update this program if a newer version has written it, else delete the record")
	}
	var stored storedKey
	if err := json.Unmarshal(record.Data, &stored, json.RejectUnknownMembers(true)); err != nil {
		// The decoder's error could repeat the key.
		return unusable("is of another version of this program: update all replicas")
	}
	private, err := jose.ParsePrivateKey(stored.JWK)
	if err != nil {
		return unusable("can't sign, %w: restore the record from a backup, or delete it, which ends the tokens that it has signed", err)
	}
	key := signingKey{PrivateKey: private, id: record.ID, version: record.Version, epoch: epoch, withdraws: stored.Withdraws}
	if stored.Publish == 0 && stored.Sign == 0 {
		return key, nil
	}
	key.publish, key.sign = time.Unix(stored.Publish, 0), time.Unix(stored.Sign, 0)
	if lead := key.sign.Sub(key.publish); stored.Publish <= 0 || lead < 0 || lead > maxKeyLead || key.publish.Sub(b.Now()) > maxKeyLead {
		return unusable("has impossible times, published at %d and signing from %d (Unix seconds): set the clock of this machine if it is wrong, else delete the record",
			stored.Publish, stored.Sign)
	}
	return key, nil
}

// epochOf reads the number in the id of a record: "2", or "RS256.1" of earlier versions.
func epochOf(id string) (int, bool) {
	number := id[strings.LastIndexByte(id, '.')+1:]
	epoch, err := strconv.ParseUint(number, 10, 31)
	return int(epoch), err == nil && epoch > 0 && strconv.FormatUint(epoch, 10) == number
}

// insertKey inserts the key of an epoch, which signs after the lead.
func (b *Broker) insertKey(ctx context.Context, epoch int, key *jose.PrivateKey, lead time.Duration, withdraws bool) error {
	private, err := key.Marshal()
	if err != nil {
		return err
	}
	now := b.Now()
	_, err = b.records.Put(ctx, store.Record{Kind: kindSigningKey, ID: strconv.Itoa(epoch)}, storedKey{
		JWK: private, Publish: now.Unix(), Sign: now.Add(lead).Unix(), Withdraws: withdraws,
	})
	if err == nil {
		b.Tell(ctx, Event{Kind: KeyPublished, Key: key.ID})
	}
	return err
}

// sift sets the times that follow from later keys, and parts the keys that count from
// those that are withdrawn or past their removal.
func (b *Broker) sift(keys []signingKey, now time.Time) (alive, dead []signingKey) {
	withdrawn := 0
	for i, key := range keys {
		if key.withdraws {
			withdrawn = i
		}
	}
	keys = slices.Clone(keys)
	var retire time.Time
	for i := len(keys) - 1; i >= withdrawn; i-- {
		key := &keys[i]
		if key.retire = retire; !retire.IsZero() {
			key.remove = retire.Add(MaxTokenLifetime + b.Leeway + clockMargin)
		}
		if !key.sign.IsZero() && (retire.IsZero() || key.sign.Before(retire)) {
			retire = key.sign
		}
	}
	for i, key := range keys {
		if i < withdrawn || !key.remove.IsZero() && !now.Before(key.remove) {
			dead = append(dead, key)
		} else {
			alive = append(alive, key)
		}
	}
	return alive, dead
}

// clean deletes the records of keys that count no more. It stops at the first that stays, and
// what is left over waits for the next time: a key that outlives the record which withdraws it
// is past its own removal by then.
func (b *Broker) clean(ctx context.Context, dead []signingKey) {
	for _, key := range dead {
		if err := b.records.Delete(ctx, kindSigningKey, key.id, key.version); err != nil {
			if !errors.Is(err, store.ErrConflict) { // another replica has done it, or sealed it anew
				b.Logger.WarnContext(ctx, "a signing key that is out of use can't be deleted yet", "key", key.ID, "error", err)
			}
			return
		}
	}
}
