// Package store is the contract between oidcgate and the databases that keep its
// records: an application hands one to core.Broker.
//
//	records, err := store.Open("sqlite:/var/lib/app.db") // with the import of store/sqlite
//	…
//	core.Config{Broker: &core.Broker{Store: records} /* … */}
//
// Package store/memory keeps records in the memory of the process, modules store/sqlite
// and store/postgres in databases. Anything else that implements [Store] and passes
// the tests of store/storetest works as well. The module depends on nothing.
package store

import (
	"context"
	"errors"
	"time"
)

// Record is the one thing that a [Store] keeps. What it means is core's
// business; Data is sealed, so that nothing in a store makes a token, and all
// the rest is there to find it by.
type Record struct {
	// Kind and ID name the record. Kind is 1 to 32 bytes of a-z and -, ID 1
	// to 128 bytes of printable ASCII, spaces included. Both are compared byte
	// by byte.
	Kind, ID string
	// Version is 1 for a record that was just inserted and one more with each
	// change.
	Version int64
	// Keys are what [Store.Find] finds the record by, besides: up to 1,024
	// bytes of UTF-8 each, without control characters, compared byte by byte.
	// "" is no key. Several records may have the same.
	Keys [2]string
	// Data is any bytes, up to 1 MiB. nil and empty are the same.
	Data []byte
	// Expires is when [Store.Purge] may remove the record, in whole
	// milliseconds, between the years 1900 and 9999. The zero time is never.
	Expires time.Time
}

// Store keeps records for all replicas of an application. It has one kind of
// race, two who change the same record, and one answer to it: Put and Delete
// name the version that they saw, and the second gets [ErrConflict]. A conflict
// always means that somebody else was faster; a database that gives up a
// transaction for reasons of its own is asked again by the store.
//
// All methods may be called concurrently, by several processes too if the
// records outlive one. Each obeys its context: when that has ended, the call
// fails soon, with an error that is the context's to [errors.Is]. A call that
// fails may still have been done (an answer can get lost), or be done a moment later;
// core finds out by the version. A call that got no answer is therefore neither
// ErrConflict nor ErrNotFound. An error says what to do and repeats no password;
// where waiting won't mend anything it wraps [ErrUnusable]. Slices that are
// handed in or out are not kept.
//
// A store knows no time. It gives a record until Delete or Purge removes it,
// and core alone, by the clock of its Config, judges what has expired; a store
// with an expiry of its own may drop a record any time after Expires.
//
// The package store/storetest has a test suite that tells whether a store does
// all this.
type Store interface {
	// Open connects and creates or migrates what the store needs. It comes
	// before every other call and may come again, from ten processes at once.
	Open(ctx context.Context) error
	// Get gives a record, or ErrNotFound.
	Get(ctx context.Context, kind, id string) (Record, error)
	// Find gives the records of a kind that have the key among their Keys, or,
	// for the key "", all of that kind: those with an ID greater than after, in
	// the order of their IDs byte by byte, the first limit (1 or more) of them,
	// each once. So the last ID of one page asks for the next.
	Find(ctx context.Context, kind, key, after string, limit int) ([]Record, error)
	// Put inserts the record, when its Version is 0, or else puts it in the
	// place of the one with that version, and gives the new version, which is
	// one more. It fails with ErrConflict, and changes nothing, when the record
	// to insert is there already, or the one to replace is not there in that
	// version.
	Put(ctx context.Context, r Record) (version int64, err error)
	// Delete removes the record in that version. It fails with ErrConflict, and
	// changes nothing, when it is not there in that version.
	Delete(ctx context.Context, kind, id string, version int64) error
	// Purge removes at most limit (1 or more) records of any kind whose Expires
	// is now or earlier, and tells how many it removed; fewer than limit means
	// that there are no more, but for those that somebody else is removing.
	Purge(ctx context.Context, now time.Time, limit int) (int, error)
	// Close releases what Open took, and may be called twice. No other call
	// comes after it. The records stay, if they outlive the process at all.
	Close() error
}

// Errors of a [Store], to be wrapped or given as they are. Any other error means that
// the store is down.
var (
	// ErrNotFound: there is no such record.
	ErrNotFound = errors.New("there is no such record")
	// ErrConflict: the record has another version.
	ErrConflict = errors.New("the record was changed by somebody else, or is there already")
	// ErrUnusable: somebody has to mend something, a password, rights, the schema;
	// the error's text says what. Then core.Auth.Start fails with an error that is not
	// core.ErrUnavailable, and the program had better end; requests are answered as while
	// the store is down, since another replica may do better.
	ErrUnusable = errors.New("the store can't be used as it is")
)
