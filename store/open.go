package store

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// stores has the functions that open a store, by URL scheme.
var stores = struct {
	sync.RWMutex
	open map[string]func(*url.URL) (Store, error)
}{open: map[string]func(*url.URL) (Store, error){}}

// storeModules are the modules that register each scheme.
var storeModules = map[string]string{
	"memory":     "github.com/oidcgate/oidcgate/store/memory",
	"sqlite":     "github.com/oidcgate/oidcgate/store/sqlite",
	"postgres":   "github.com/oidcgate/oidcgate/store/postgres",
	"postgresql": "github.com/oidcgate/oidcgate/store/postgres",
}

// Advice for URLs of other programs. SQLAlchemy adds a driver to the scheme, and uses
// another number of slashes for files.
const (
	adviseSQLite   = "write sqlite:app.db for a file in the working directory (sqlite:///app.db in Python), sqlite:/var/lib/app.db for one anywhere else (sqlite:////var/lib/app.db in Python)"
	advisePostgres = "write postgres://<user>@<host>/<database>, without a driver"
)

// foreignSchemes are other programs' schemes for databases that have a store, without a
// driver after a plus sign.
var foreignSchemes = map[string]string{
	"sqlite": adviseSQLite, "sqlite3": adviseSQLite, "file": adviseSQLite,
	"postgres": advisePostgres, "postgresql": advisePostgres, "pgsql": advisePostgres, "psql": advisePostgres, "pgx": advisePostgres,
	"memory": "write memory:",
}

// Register lets [Open] open URLs with a scheme, in lower case. Like
// [database/sql.Register], it is for the init functions of packages. It panics if the
// scheme is already registered or open is nil. It is safe for concurrent use. The function
// open must make no I/O, and its errors must not contain a password.
func Register(scheme string, open func(*url.URL) (Store, error)) {
	stores.Lock()
	defer stores.Unlock()
	switch {
	case open == nil:
		panic("oidcgate: Register(" + scheme + "): the function is nil")
	case stores.open[scheme] != nil:
		panic("oidcgate: Register(" + scheme + "): the scheme is registered already")
	}
	stores.open[scheme] = open
}

// Open returns the store for a URL: memory:, sqlite:/var/lib/app.db or postgres://…. The
// program must import the package for the scheme:
//
//	import _ "github.com/oidcgate/oidcgate/store/memory"
//
// postgresql: is the same as postgres:. For a URL of a Python driver
// (postgresql+asyncpg:, sqlite+aiosqlite:) the error says what to write instead.
//
// Open makes no I/O: core opens the store when it is needed, or in core.Auth.Start. Errors
// contain only the URL's scheme, because the rest may contain a password. Open is safe for
// concurrent use.
func Open(rawURL string) (Store, error) {
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
	opened, err := open(u)
	if err != nil {
		return nil, fmt.Errorf("the %s: URL of the store: %w", scheme, err)
	}
	return opened, nil
}
