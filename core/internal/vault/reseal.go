package vault

import (
	"context"
	"errors"

	"github.com/oidcgate/oidcgate/core/internal/seal"
	"github.com/oidcgate/oidcgate/store"
)

// Reseal seals every record of the kinds anew that isn't sealed by the first secret, and
// tells how many those were.
func (v *Vault) Reseal(ctx context.Context, kinds ...string) (int, error) {
	count := 0
	var unreadable []error
	for _, kind := range kinds {
		err := v.Each(ctx, kind, "", func(record store.Record) error {
			changed, err := v.resealOne(ctx, record)
			if changed {
				count++
			}
			// One that can't be opened must not keep the others from it.
			if errors.Is(err, seal.ErrOpen) || errors.Is(err, seal.ErrUnknownSecret) {
				unreadable = append(unreadable, err)
				return nil
			}
			return err
		})
		if err != nil {
			return count, err
		}
	}
	return count, errors.Join(unreadable...)
}

// resealOne seals a record anew, if it needs that, and tells whether it did.
func (v *Vault) resealOne(ctx context.Context, record store.Record) (bool, error) {
	for !v.Seals.SealedByFirst(record.Data) {
		if err := v.Unseal(&record); err != nil {
			return false, err
		}
		_, err := v.putPlain(ctx, record)
		if err == nil || !errors.Is(err, store.ErrConflict) {
			return err == nil, err
		}
		// Somebody changed it, maybe with an older secret in the first place.
		record, err = v.Read(ctx, record.Kind, record.ID)
		if errors.Is(err, store.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}
