package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/store"
)

// Rotation says which key a rotation makes.
type Rotation struct {
	Algorithm   string // "": that of Options
	Compromised bool   // all the keys before it count no more, and it signs at once
}

// SigningKey is what may be known of a signing key. A zero time is unknown.
type SigningKey struct {
	ID, Algorithm                      string
	Published, Signs, Retires, Removed time.Time
}

// maxSigningKeys is how many keys may be there for one more to be made, far below what a
// key set may hold.
const maxSigningKeys = 20

// RotateSigningKey publishes a key that signs after a lead, or, if the others are
// compromised, puts one in their place. Somebody else who does the same at the same time
// has done it for both. This instance knows the key when it returns without an error.
func (b *Broker) RotateSigningKey(ctx context.Context, o Rotation) error {
	o.Algorithm = cmp.Or(o.Algorithm, b.Algorithm)
	switch {
	case !slices.Contains(jose.SigningAlgorithms, o.Algorithm):
		return fmt.Errorf("core.RotateOptions: the algorithm %q is none to sign with: use %s", o.Algorithm, strings.Join(jose.SigningAlgorithms, ", "))
	case b.PythonPeers && o.Algorithm != "RS256":
		return fmt.Errorf("core.RotateOptions: the algorithm %q is none that Broker.PythonPeers can verify: use RS256", o.Algorithm)
	}
	if _, err := b.keys.Get(ctx); err != nil { // which makes the first
		return err
	}
	err := b.insertRotated(ctx, o)
	// After an error it may have happened all the same, and this instance must not go on
	// with a key that is withdrawn.
	if _, failed := b.keys.Renew(ctx, true); err == nil {
		err = failed
	}
	return err
}

// insertRotated inserts the next epoch, unless the store has what is wanted.
func (b *Broker) insertRotated(ctx context.Context, o Rotation) error {
	lead := KeyLead
	if o.Compromised {
		lead = 0
	}
	var ours string  // the key that was tried last
	var failed error // how that went
	seen := -1       // the newest epoch when it began
	for {
		keys, err := b.readKeys(ctx)
		if err != nil {
			return err
		}
		alive, _ := b.sift(keys, b.Now())
		newest := 0
		if len(keys) > 0 {
			newest = keys[len(keys)-1].epoch
		}
		if seen < 0 {
			seen = newest
		}
		switch {
		case slices.ContainsFunc(alive, func(key signingKey) bool { return key.ID == ours }): // an answer was lost
			b.Tell(ctx, Event{Kind: KeyPublished, Key: ours})
			return nil
		case slices.ContainsFunc(alive, func(key signingKey) bool { return b.serves(key, o, seen) }):
			return nil
		case failed != nil:
			return failed
		case !o.Compromised && len(alive) >= maxSigningKeys:
			return fmt.Errorf("core.Auth.RotateSigningKey: there are %d signing keys: wait until some are removed", len(alive))
		}
		// A new one each time: somebody may have withdrawn the last.
		key, err := jose.Generate(o.Algorithm)
		if err != nil {
			return err
		}
		ours = key.ID
		switch err = b.insertKey(ctx, newest+1, key, lead, o.Compromised); {
		case err == nil:
			return nil
		case !errors.Is(err, store.ErrConflict):
			failed = err
		default:
			if err := pause(ctx); err != nil {
				return err
			}
		}
	}
}

// serves reports whether a key is what a rotation wants that began when this epoch was the
// newest: somebody has made it since, or it is the newest and has not signed yet.
func (b *Broker) serves(key signingKey, o Rotation, seen int) bool {
	switch now := b.Now(); {
	case key.Algorithm != o.Algorithm:
		return false
	case o.Compromised:
		return key.withdraws && key.epoch > seen
	case key.epoch > seen:
		return true
	default:
		// A key that signs much later was made by a clock that is wrong.
		return key.epoch == seen && key.sign.After(now) && key.sign.Sub(now) <= KeyLead+clockMargin
	}
}

// SigningKeys gives the keys that count, by their age.
func (b *Broker) SigningKeys(ctx context.Context) ([]SigningKey, error) {
	keys, err := b.readKeys(ctx)
	if err != nil {
		return nil, err
	}
	alive, _ := b.sift(keys, b.Now())
	list := make([]SigningKey, len(alive))
	for i, key := range alive {
		list[i] = SigningKey{ID: key.ID, Algorithm: key.Algorithm, Published: key.publish, Signs: key.sign, Retires: key.retire, Removed: key.remove}
	}
	return list, nil
}
