package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/oidcgate/oidcgate/core/internal/background"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/seal"
	"github.com/oidcgate/oidcgate/store"
	"golang.org/x/sync/singleflight"
)

// The kinds of records.
const (
	kindSession    = "session"
	kindSigningKey = "signing-key"
	kindKeySet     = "key-set" // of another issuer
)

// maxData is the most that a record's data may have, in bytes: see [Record].
const maxData = 1 << 20

// page is how many records are read at once.
const page = 100

// records is the store as the rest of the package uses it: opened at first use,
// each call with a time limit, and all data sealed for the one record that it
// belongs to.
type records struct {
	store   store.Store
	seals   *seal.Keys
	random  io.Reader
	timeout time.Duration
	now     func() time.Time
	life    *background.Tasks
	logger  *slog.Logger

	opened       atomic.Bool
	opening      singleflight.Group
	outcomes     outcomes
	housekeeping atomic.Bool // it was begun
}

// errStore is the error for a store that can't be reached, and errSealed for one
// whose records can't be read. Neither tells anything about a session.
var (
	errStore  = fault.Unavailable.New("The session store can't be reached at the moment.").Soon()
	errSealed = fault.Unavailable.New("What the session store holds can't be read at the moment.").Soon()
)

// open opens the store once. However many callers wait, one call is under way.
func (r *records) open(ctx context.Context) error {
	if r.opened.Load() {
		return nil
	}
	opening := r.opening.DoChan("", func() (any, error) {
		return nil, r.life.Do(func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, r.timeout)
			defer cancel()
			err := r.store.Open(ctx)
			if err == nil {
				r.opened.Store(true)
			}
			return err
		})
	})
	select {
	case result := <-opening:
		return r.failed("opening it", result.Err)
	case <-ctx.Done():
		return r.failed("opening it", ctx.Err())
	}
}

// failed keeps the two answers of a store that mean something, and takes every
// other for an outage.
func (r *records) failed(doing string, err error) error {
	if err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
		return err
	}
	return errStore.From(fmt.Errorf("store: %s: %w", doing, err))
}

// call opens the store if need be and makes one call, with a time limit.
func (r *records) call(ctx context.Context, doing string, call func(context.Context) error) error {
	err := r.open(ctx)
	if err == nil {
		limited, cancel := context.WithTimeout(ctx, r.timeout)
		defer cancel()
		err = r.failed(doing, fault.Catch(r.logger, "Broker.Store", func() error { return call(limited) }))
	}
	switch {
	case !errors.Is(err, fault.Unavailable):
		r.outcomes.note(r.now(), nil) // a conflict is an answer too
	case ctx.Err() == nil: // or the caller has gone, which says nothing
		r.outcomes.note(r.now(), err)
	}
	return err
}

// get reads a record into the value that into points to. The record comes with
// its data opened.
func (r *records) get(ctx context.Context, kind, id string, into any) (store.Record, error) {
	var record store.Record
	err := r.call(ctx, "reading a "+kind, func(ctx context.Context) (err error) {
		record, err = r.store.Get(ctx, kind, id)
		return err
	})
	if err != nil {
		return store.Record{}, err
	}
	return record, r.decode(&record, into)
}

// decode opens a record's data and reads it.
func (r *records) decode(record *store.Record, into any) error {
	if err := r.unseal(record); err != nil {
		return err
	}
	if err := json.Unmarshal(record.Data, into); err != nil {
		return errSealed.From(fmt.Errorf("store: the %s %s is of another version of this program", record.Kind, record.ID))
	}
	return nil
}

func (r *records) unseal(record *store.Record) error {
	data, err := r.seals.Open(record.Data, place(*record)...)
	switch {
	case errors.Is(err, seal.ErrOpen):
		err = fmt.Errorf("%w: restore the record from a backup, or delete it, for its user to sign in again, or a new key to be made", err)
	case errors.Is(err, seal.ErrUnknownSecret):
		err = fmt.Errorf("%w: add that secret to Config.Secrets, at the end; or the record belongs to another application, which needs a store of its own", err)
	}
	if err != nil {
		return errSealed.From(fmt.Errorf("store: the %s %s can't be opened: %w", record.Kind, record.ID, err))
	}
	record.Data = data
	return nil
}

// put writes a record, with the value sealed as its data.
func (r *records) put(ctx context.Context, record store.Record, value any) (int64, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return 0, err
	}
	record.Data = data
	return r.putPlain(ctx, record)
}

func (r *records) putPlain(ctx context.Context, record store.Record) (int64, error) {
	var err error
	if record.Data, err = r.seals.Seal(r.random, record.Data, place(record)...); err != nil {
		return 0, err
	}
	if len(record.Data) > maxData {
		return 0, fault.Provider.New("The provider's tokens are too large to keep.")
	}
	var version int64
	err = r.call(ctx, "writing a "+record.Kind, func(ctx context.Context) (err error) {
		version, err = r.store.Put(ctx, record)
		return err
	})
	return version, err
}

func (r *records) delete(ctx context.Context, kind, id string, version int64) error {
	return r.call(ctx, "deleting a "+kind, func(ctx context.Context) error {
		return r.store.Delete(ctx, kind, id, version)
	})
}

// some reads a page of the records of a kind, without opening their data.
func (r *records) some(ctx context.Context, kind, after string) ([]store.Record, error) {
	var found []store.Record
	err := r.call(ctx, "reading a page of "+kind+"s", func(ctx context.Context) (err error) {
		found, err = r.store.Find(ctx, kind, "", after, page)
		return err
	})
	return found, err
}

// each goes through all the records of a kind, without opening their data.
func (r *records) each(ctx context.Context, kind string, do func(store.Record) error) error {
	for after := ""; ; {
		found, err := r.some(ctx, kind, after)
		if err != nil || len(found) == 0 {
			return err
		}
		for _, record := range found {
			if err := do(record); err != nil {
				return err
			}
		}
		after = found[len(found)-1].ID
	}
}

// How expired records are removed: a few at a time and with long rests, so that
// those who refresh meanwhile wait for it seldom, and not for long.
const (
	purgeEvery = time.Minute
	purgeBatch = 5
	purgeRest  = 10 // times as long as a batch took
)

// keepHouse begins to remove expired records in the background, unless that was
// done before: now and every minute, until the Auth is closed. It is called once
// the secrets have proved to be those of the store, for nothing in somebody
// else's may be changed.
func (r *records) keepHouse() {
	if r.housekeeping.CompareAndSwap(false, true) {
		go func() { _ = r.life.Do(r.purgeEveryMinute) }() // it ends with an error, the context's
	}
}

func (r *records) purgeEveryMinute(ctx context.Context) error {
	for {
		_ = r.purge(ctx) // the next one tries again, and Health tells when the store is down
		if err := background.Sleep(ctx, purgeEvery); err != nil {
			return err
		}
	}
}

// purge removes all the records that have expired.
func (r *records) purge(ctx context.Context) error {
	for {
		count, began := 0, r.now()
		err := r.call(ctx, "purging", func(ctx context.Context) (err error) {
			count, err = r.store.Purge(ctx, began, purgeBatch)
			return err
		})
		if err != nil || count < purgeBatch {
			return err
		}
		// The clock may have been set meanwhile.
		if err := background.Sleep(ctx, min(purgeRest*r.now().Sub(began), purgeEvery)); err != nil {
			return err
		}
	}
}

// place is what data is sealed for: this record, found by these keys. Data that
// somebody moves to another record does not open there.
func place(r store.Record) []string { return []string{r.Kind, r.ID, r.Keys[0], r.Keys[1]} }

// reseal seals every record anew that isn't sealed by the first secret, and
// tells how many those were. Key sets are not among them: they are written anew
// all the time.
func (r *records) reseal(ctx context.Context) (int, error) {
	count := 0
	var unreadable []error
	for _, kind := range []string{kindSigningKey, kindSession} {
		err := r.each(ctx, kind, func(record store.Record) error {
			changed, err := r.resealOne(ctx, record)
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
func (r *records) resealOne(ctx context.Context, record store.Record) (bool, error) {
	for !r.seals.SealedByFirst(record.Data) {
		if err := r.unseal(&record); err != nil {
			return false, err
		}
		_, err := r.putPlain(ctx, record)
		if err == nil || !errors.Is(err, store.ErrConflict) {
			return err == nil, err
		}
		// Somebody changed it, maybe with an older secret in the first place.
		err = r.call(ctx, "reading a "+record.Kind, func(ctx context.Context) (err error) {
			record, err = r.store.Get(ctx, record.Kind, record.ID)
			return err
		})
		if errors.Is(err, store.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}
