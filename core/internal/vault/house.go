package vault

import (
	"context"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/background"
)

// How expired records are removed: a few at a time and with long rests, so that
// those who refresh meanwhile wait for it seldom, and not for long.
const (
	purgeEvery = time.Minute
	purgeBatch = 5
	purgeRest  = 10 // times as long as a batch took
)

// KeepHouse begins to remove expired records in the background, unless that was
// done before: now and every minute, until the Auth is closed. It is called once
// the secrets have proved to be those of the store, for nothing in somebody
// else's may be changed.
func (v *Vault) KeepHouse() {
	if v.housekeeping.CompareAndSwap(false, true) {
		go func() { _ = v.Tasks.Do(v.purgeEveryMinute) }() // it ends with an error, the context's
	}
}

func (v *Vault) purgeEveryMinute(ctx context.Context) error {
	for {
		_ = v.purge(ctx) // the next one tries again, and Health tells when the store is down
		if err := background.Sleep(ctx, purgeEvery); err != nil {
			return err
		}
	}
}

// purge removes all the records that have expired.
func (v *Vault) purge(ctx context.Context) error {
	for {
		count, began := 0, v.Now()
		err := v.call(ctx, "purging", func(ctx context.Context) (err error) {
			count, err = v.Store.Purge(ctx, began, purgeBatch)
			return err
		})
		if err != nil || count < purgeBatch {
			return err
		}
		// The clock may have been set meanwhile.
		if err := background.Sleep(ctx, min(purgeRest*v.Now().Sub(began), purgeEvery)); err != nil {
			return err
		}
	}
}
