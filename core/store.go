package core

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
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
// core finds out by the version. An error says what to do and repeats no password;
// where waiting won't mend anything it wraps [ErrStoreUnusable]. Slices that are
// handed in or out are not kept.
//
// A store knows no time. It gives a record until Delete or Purge removes it,
// and core alone, by the clock of its Config, judges what has expired; a store
// with an expiry of its own may drop a record any time after Expires.
//
// The package core/storetest has a test suite that tells whether a store does
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

// Errors that a [Store] answers with, besides [ErrNotFound].
var (
	// ErrConflict: the record has another version.
	ErrConflict = errors.New("the record was changed by somebody else, or is there already")
	// ErrStoreUnusable: somebody has to mend something, a password, rights, the schema;
	// the error's text says what. Then [Auth.Start] fails with an error that is not
	// [ErrUnavailable], and the program had better end; requests are answered as while
	// the store is down, since another replica may do better.
	ErrStoreUnusable = errors.New("the store can't be used as it is")
)

// stores are the ways to open a store, by the scheme of its URL.
var stores = struct {
	sync.RWMutex
	open map[string]func(*url.URL) (Store, error)
}{open: map[string]func(*url.URL) (Store, error){}}

// storeModules are the modules that register a scheme when they are imported.
var storeModules = map[string]string{
	"memory":     "github.com/oidcgate/oidcgate/store/memory",
	"sqlite":     "github.com/oidcgate/oidcgate/store/sqlite",
	"postgres":   "github.com/oidcgate/oidcgate/store/postgres",
	"postgresql": "github.com/oidcgate/oidcgate/store/postgres",
}

// Advice for URLs of other programs. SQLAlchemy puts a driver behind the scheme, and
// counts the slashes of a file in another way.
const (
	adviseSQLite   = "write sqlite:app.db for a file in the working directory (sqlite:///app.db in Python), sqlite:/var/lib/app.db for one anywhere else (sqlite:////var/lib/app.db in Python)"
	advisePostgres = "write postgres://<user>@<host>/<database>, without a driver"
)

// foreignSchemes are what other programs call the databases that there are stores for,
// without a driver behind a plus sign.
var foreignSchemes = map[string]string{
	"sqlite": adviseSQLite, "sqlite3": adviseSQLite, "file": adviseSQLite,
	"postgres": advisePostgres, "postgresql": advisePostgres, "pgsql": advisePostgres, "psql": advisePostgres, "pgx": advisePostgres,
	"memory": "write memory:",
}

// RegisterStore makes a store available to [OpenStore] under the scheme of a
// URL, in lower case. It is for the init functions of packages, as
// [database/sql.Register] is, and panics when the scheme is taken or open is
// nil. It may be called concurrently. The function makes no I/O, and its errors
// repeat no password.
func RegisterStore(scheme string, open func(*url.URL) (Store, error)) {
	stores.Lock()
	defer stores.Unlock()
	switch {
	case open == nil:
		panic("oidcgate: RegisterStore(" + scheme + "): the function is nil")
	case stores.open[scheme] != nil:
		panic("oidcgate: RegisterStore(" + scheme + "): the scheme is registered already")
	}
	stores.open[scheme] = open
}

// OpenStore makes the store that a URL names (memory:, sqlite:/var/lib/app.db,
// postgres://…), if the program imports the package that knows its scheme:
//
//	import _ "github.com/oidcgate/oidcgate/store/memory"
//
// postgresql: is the same as postgres:. Of a URL for a driver of Python
// (postgresql+asyncpg:, sqlite+aiosqlite:) the error says what to write instead.
//
// It makes no I/O: core opens the store when it is needed, or in [Auth.Start].
// Errors repeat nothing of the URL but its scheme, since there may be a password
// in it. It may be called concurrently.
func OpenStore(rawURL string) (Store, error) {
	scheme, _, found := strings.Cut(rawURL, ":")
	scheme = strings.ToLower(scheme)
	if !found || scheme == "" || strings.ContainsFunc(scheme, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '+' && r != '-' }) {
		return nil, errors.New("the store's URL has no scheme: write memory:, sqlite:<file> or postgres://<user>@<host>/<database>")
	}
	stores.RLock()
	open := stores.open[scheme]
	known := slices.Sorted(maps.Keys(stores.open))
	stores.RUnlock()
	if open == nil {
		if module, ok := storeModules[scheme]; ok {
			return nil, fmt.Errorf("no store is registered for %s: URLs; add the import: import _ %q", scheme, module)
		}
		database, _, _ := strings.Cut(scheme, "+")
		if advice, ok := foreignSchemes[database]; ok {
			return nil, fmt.Errorf("%s: is not a scheme of a store's URL: %s", scheme, advice)
		}
		return nil, fmt.Errorf("no store is registered for %s: URLs, only for %q; import the package that registers it", scheme, known)
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		// url.Parse repeats the URL in its error.
		return nil, fmt.Errorf("the %s: URL of the store can't be parsed: special characters in its user, password or path must be percent-encoded", scheme)
	}
	store, err := open(u)
	if err != nil {
		return nil, fmt.Errorf("the %s: URL of the store: %w", scheme, err)
	}
	return store, nil
}
