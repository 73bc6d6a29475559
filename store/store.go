// Package store defines what oidcgate needs of a database, and opens the stores that
// there are:
//
//	import _ "github.com/oidcgate/oidcgate/store/sqlite"
//
//	func main() {
//		records, err := store.Open("sqlite:/var/lib/app/app.db")
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer records.Close()
//		auth, err := core.New(core.Config{
//			Providers: []core.Provider{{Issuer: "https://id.example.org/realms/demo", ClientID: "shop", ClientSecret: os.Getenv("CLIENT_SECRET")}},
//			PublicURL: "https://shop.example.org/api",
//			Secrets:   []string{os.Getenv("SHOP_SECRET")}, // openssl rand -base64 32
//			Broker:    &core.Broker{Store: records},
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer auth.Close()
//		// … mount the routes of auth and serve
//	}
//
// The package store/memory keeps records in memory. The modules store/sqlite and
// store/postgres keep them in a database. Any other type that implements [Store] and
// passes the tests of store/storetest works as well. This module has no dependencies.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Record is what a [Store] keeps. Core alone knows what a record means. Data is encrypted,
// so a stolen database is not enough to make a token. The other fields are for finding
// the record.
type Record struct {
	// Kind and ID together identify the record. Kind has 1 to 32 bytes of a-z and -. ID has
	// 1 to 128 bytes of printable ASCII, including spaces. Both are compared byte by byte.
	Kind, ID string
	// Version is 1 for a new record, and one more with each change.
	Version int64
	// Keys are further keys for [Store.Find]. Each has up to 1,024 bytes of UTF-8 without
	// control characters, and is compared byte by byte. "" means no key. Several records
	// may have the same key.
	Keys [2]string
	// Data is up to 1 MiB of any bytes. nil and empty mean the same.
	Data []byte
	// Expires is when [Store.Purge] may remove the record, in whole milliseconds, between
	// the years 1900 and 9999. The zero time means never.
	Expires time.Time
}

// Store keeps records for all replicas of an application.
//
// Versions resolve races. If two callers change the same record, both name the version
// that they have read, and the second one gets [ErrConflict]. A conflict always means that
// another caller was faster. If the database aborts a transaction for its own reasons, the
// store repeats it.
//
// All methods are safe for concurrent use, by several processes as well if the records
// outlive a process. Each method obeys its context: when the context ends, the call fails
// soon, and [errors.Is] matches the context's error.
//
// A failed call may still have changed the record, or change it a moment later, because an
// answer can be lost. Core then reads the record and compares the version. So a call
// without an answer must return neither ErrConflict nor ErrNotFound.
//
// An error says what to do and contains no password. If waiting can't help, it wraps
// [ErrUnusable]. A store does not keep slices that it gets or returns.
//
// A store has no clock. It returns a record until Delete or Purge removes it. Only core
// decides what has expired, by the clock of its Config. A store with its own expiry may
// drop a record at any time after Expires.
//
// The package store/storetest tests all this.
type Store interface {
	// Open connects, and creates or migrates what the store needs. It is called before any
	// other method. It may be called repeatedly, and by ten processes at once.
	Open(ctx context.Context) error
	// Get returns a record, or ErrNotFound.
	Get(ctx context.Context, kind, id string) (Record, error)
	// Find returns records of a kind, in byte order of their IDs: those that have key among
	// their Keys, or all if key is "". It skips IDs up to and including after, and returns
	// at most limit (1 or more) records. To get the next page, pass the last ID as after.
	Find(ctx context.Context, kind, key, after string, limit int) ([]Record, error)
	// Put inserts the record if its Version is 0. Otherwise it replaces the record that has
	// this version. It returns the new version, which is one more. If the record to insert
	// exists already, or the record to replace does not exist in this version, Put changes
	// nothing and returns ErrConflict.
	Put(ctx context.Context, r Record) (version int64, err error)
	// Delete removes the record that has this version. If there is none, it changes nothing
	// and returns ErrConflict.
	Delete(ctx context.Context, kind, id string, version int64) error
	// Purge removes records of any kind whose Expires is now or earlier, at most limit (1 or
	// more), and returns how many it removed. Fewer than limit means that none are left,
	// except those that another caller is removing.
	Purge(ctx context.Context, now time.Time, limit int) (int, error)
	// Close releases the resources of Open. It may be called twice. No other method is
	// called after it. Records that outlive the process stay.
	Close() error
}

// Errors of a [Store], returned as they are or wrapped. Any other error means that the
// store is down.
var (
	// ErrNotFound: there is no such record.
	ErrNotFound = errors.New("there is no such record")
	// ErrConflict: the record has another version.
	ErrConflict = errors.New("the record was changed by somebody else, or is there already")
	// ErrUnusable: somebody must correct something: a password, rights, the schema. The
	// error's text says what. core.Auth.Start then returns an error that is not
	// core.ErrUnavailable, and the program should exit. Requests are answered as if the
	// store were down, because another replica may work.
	ErrUnusable = errors.New("the store can't be used as it is")
)

// Unusable makes an error that wraps [ErrUnusable]. The text, in the form of [fmt.Errorf],
// says what to mend, and repeats no password.
func Unusable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrUnusable, fmt.Errorf(format, args...))
}
