// Package vault keeps sealed records in a store: opened at first use, each call with a
// time limit, all data sealed for the one record that it belongs to, and what has expired
// removed in the background.
package vault

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

// maxData is the most that a record's data may have, in bytes: see store.Record.
const maxData = 1 << 20

// PageSize is how many records are read at once.
const PageSize = 100

// Vault is a store whose data is sealed. Its exported fields are set before first use.
// All methods may be called concurrently.
type Vault struct {
	Store   store.Store
	Seals   *seal.Keys
	Random  io.Reader
	Timeout time.Duration // of each call
	Now     func() time.Time
	Tasks   *background.Tasks
	Logger  *slog.Logger
	// Changed is told when the store goes away, and by nil when it is back. nil: nobody is.
	Changed func(error)

	opened       atomic.Bool
	opening      singleflight.Group
	outcomes     outcomes
	housekeeping atomic.Bool // it was begun
}

// ErrDown is the error for a store that can't be reached, and ErrSealed for one
// whose records can't be read. Neither tells anything about a session.
var (
	ErrDown   = fault.Unavailable.New("The session store can't be reached at the moment.").Soon()
	ErrSealed = fault.Unavailable.New("What the session store holds can't be read at the moment.").Soon()
)

// open opens the store once. However many callers wait, one call is under way.
func (v *Vault) open(ctx context.Context) error {
	if v.opened.Load() {
		return nil
	}
	opening := v.opening.DoChan("", func() (any, error) {
		return nil, v.Tasks.Do(func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, v.Timeout)
			defer cancel()
			err := v.Store.Open(ctx)
			if err == nil {
				v.opened.Store(true)
			}
			return err
		})
	})
	select {
	case result := <-opening:
		return v.failed("opening it", result.Err)
	case <-ctx.Done():
		return v.failed("opening it", ctx.Err())
	}
}

// failed keeps the two answers of a store that mean something, and takes every
// other for an outage.
func (v *Vault) failed(doing string, err error) error {
	if err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
		return err
	}
	return ErrDown.From(fmt.Errorf("store: %s: %w", doing, err))
}

// call opens the store if need be and makes one call, with a time limit.
func (v *Vault) call(ctx context.Context, doing string, call func(context.Context) error) error {
	err := v.open(ctx)
	if err == nil {
		limited, cancel := context.WithTimeout(ctx, v.Timeout)
		defer cancel()
		err = v.failed(doing, fault.Catch(v.Logger, "Broker.Store", func() error { return call(limited) }))
	}
	switch {
	case !errors.Is(err, fault.Unavailable):
		v.note(nil) // a conflict is an answer too
	case ctx.Err() == nil: // or the caller has gone, which says nothing
		v.note(err)
	}
	return err
}

// Read reads a record, without opening its data.
func (v *Vault) Read(ctx context.Context, kind, id string) (store.Record, error) {
	var record store.Record
	err := v.call(ctx, "reading a "+kind, func(ctx context.Context) (err error) {
		record, err = v.Store.Get(ctx, kind, id)
		return err
	})
	return record, err
}

func (v *Vault) note(err error) {
	if v.outcomes.note(v.Now(), err) && v.Changed != nil {
		v.Changed(err)
	}
}

// Get reads a record into the value that into points to. The record comes with
// its data opened.
func (v *Vault) Get(ctx context.Context, kind, id string, into any) (store.Record, error) {
	record, err := v.Read(ctx, kind, id)
	if err != nil {
		return store.Record{}, err
	}
	return record, v.Decode(&record, into)
}

// Decode opens a record's data and reads it.
func (v *Vault) Decode(record *store.Record, into any) error {
	if err := v.Unseal(record); err != nil {
		return err
	}
	if err := json.Unmarshal(record.Data, into); err != nil {
		return ErrSealed.From(fmt.Errorf("store: the %s %s is of another version of this program", record.Kind, record.ID))
	}
	return nil
}

// Unseal opens a record's data.
func (v *Vault) Unseal(record *store.Record) error {
	data, err := v.Seals.Open(record.Data, place(*record)...)
	switch {
	case errors.Is(err, seal.ErrOpen):
		err = fmt.Errorf("%w: restore the record from a backup, or delete it, for its user to sign in again, or a new key to be made", err)
	case errors.Is(err, seal.ErrUnknownSecret):
		err = fmt.Errorf("%w: add that secret to Config.Secrets, at the end; or the record belongs to another application, which needs a store of its own", err)
	}
	if err != nil {
		return ErrSealed.From(fmt.Errorf("store: the %s %s can't be opened: %w", record.Kind, record.ID, err))
	}
	record.Data = data
	return nil
}

// Put writes a record, with the value sealed as its data.
func (v *Vault) Put(ctx context.Context, record store.Record, value any) (int64, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return 0, err
	}
	record.Data = data
	return v.putPlain(ctx, record)
}

func (v *Vault) putPlain(ctx context.Context, record store.Record) (int64, error) {
	var err error
	if record.Data, err = v.Seals.Seal(v.Random, record.Data, place(record)...); err != nil {
		return 0, err
	}
	if len(record.Data) > maxData {
		return 0, fault.Provider.New("The provider's tokens are too large to keep.")
	}
	var version int64
	err = v.call(ctx, "writing a "+record.Kind, func(ctx context.Context) (err error) {
		version, err = v.Store.Put(ctx, record)
		return err
	})
	return version, err
}

// Delete removes a record in this version.
func (v *Vault) Delete(ctx context.Context, kind, id string, version int64) error {
	return v.call(ctx, "deleting a "+kind, func(ctx context.Context) error {
		return v.Store.Delete(ctx, kind, id, version)
	})
}

// Page reads a page of the records of a kind that have this key, or of all for "",
// without opening their data.
func (v *Vault) Page(ctx context.Context, kind, key, after string) ([]store.Record, error) {
	var found []store.Record
	err := v.call(ctx, "reading a page of "+kind+"s", func(ctx context.Context) (err error) {
		found, err = v.Store.Find(ctx, kind, key, after, PageSize)
		return err
	})
	return found, err
}

// Each goes through all the records of a kind that have this key, or through all for "",
// page by page and without opening their data. A record that do deletes is no trouble.
func (v *Vault) Each(ctx context.Context, kind, key string, do func(store.Record) error) error {
	for after := ""; ; {
		found, err := v.Page(ctx, kind, key, after)
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

// place is what data is sealed for: this record, found by these keys. Data that
// somebody moves to another record does not open there.
func place(r store.Record) []string { return []string{r.Kind, r.ID, r.Keys[0], r.Keys[1]} }
