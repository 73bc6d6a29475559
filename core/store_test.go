package core_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/stretchr/testify/require"
)

// schemes are numbered, so that tests may run several times in a process.
var schemes struct {
	sync.Mutex
	used int
}

// newScheme gives a scheme that nobody has registered.
func newScheme() string {
	schemes.Lock()
	defer schemes.Unlock()
	schemes.used++
	return fmt.Sprintf("test%d", schemes.used)
}

func TestOpenStoreGivesTheURLToItsScheme(t *testing.T) {
	scheme, store := newScheme(), core.NewMemoryStore()
	var got *url.URL
	core.RegisterStore(scheme, func(u *url.URL) (core.Store, error) {
		got = u
		return store, nil
	})
	for _, rawURL := range []string{
		scheme + ":",
		scheme + ":/var/lib/app.db?mode=ro",
		scheme + "://user:p%40ss@db.example.org:5432/app?sslmode=require",
		strings.ToUpper(scheme) + "://db.example.org/app",
	} {
		opened, err := core.OpenStore(rawURL)
		require.NoError(t, err)
		require.Same(t, store, opened)
		want, err := url.Parse(rawURL)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestOpenStoreNamesTheMissingImport(t *testing.T) {
	for scheme, module := range map[string]string{
		"memory": "memory", "sqlite": "sqlite", "postgres": "postgres", "postgresql": "postgres", "Postgres": "postgres",
	} {
		_, err := core.OpenStore(scheme + "://user:hunter2@db.example.org/app")
		require.ErrorContains(t, err, `import _ "github.com/oidcgate/oidcgate/store/`+module+`"`)
		require.ErrorContains(t, err, strings.ToLower(scheme)+":")
	}
}

func TestOpenStoreSaysWhatToWriteForAURLOfPython(t *testing.T) {
	for rawURL, advice := range map[string]string{
		"postgresql+asyncpg://user:hunter2@db.example.org/app":  "write postgres://<user>@<host>/<database>",
		"postgresql+psycopg2://user:hunter2@db.example.org/app": "write postgres://<user>@<host>/<database>",
		"POSTGRES+pg8000://user:hunter2@db.example.org/app":     "write postgres://<user>@<host>/<database>",
		"pgx://user:hunter2@db.example.org/app":                 "write postgres://<user>@<host>/<database>",
		"sqlite+aiosqlite:///hunter2.db":                        "write sqlite:app.db for a file in the working directory",
		"sqlite+pysqlite:////var/lib/hunter2.db":                "sqlite:/var/lib/app.db for one anywhere else",
		"sqlite3:hunter2.db":                                    "write sqlite:app.db",
		"file:hunter2.db":                                       "write sqlite:app.db",
	} {
		_, err := core.OpenStore(rawURL)
		require.ErrorContains(t, err, advice, rawURL)
		require.ErrorContains(t, err, strings.ToLower(rawURL[:strings.IndexByte(rawURL, ':')])+": is not a scheme")
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestOpenStoreNamesTheSchemesThatItKnows(t *testing.T) {
	known := newScheme()
	core.RegisterStore(known, func(*url.URL) (core.Store, error) { return core.NewMemoryStore(), nil })
	_, err := core.OpenStore(newScheme() + "://user:hunter2@db.example.org/app")
	require.ErrorContains(t, err, `"`+known+`"`)
}

func TestOpenStoreErrorsRepeatNoPassword(t *testing.T) {
	failing := newScheme()
	core.RegisterStore(failing, func(*url.URL) (core.Store, error) { return nil, errStore })
	const password = "hunter2"
	for _, rawURL := range []string{
		"", password, "/" + password, "user:" + password + "@host/db", ":" + password, "us er:" + password, "user@" + password,
		"//user:" + password + "@host/db",
		"memory://user:" + password + "@host", "postgres://user:" + password + "@host/db", "unknown://user:" + password + "@host/db",
		failing + "://user:" + password + "@host/db",
		failing + "://user:" + password + "%zz@host/db",
		failing + "://user:" + password + "^@host/db",
		failing + "://user:" + password + "@host:port/db",
		failing + "://user:" + password + "/@host/db",
		failing + "://[" + password,
		failing + "://host/" + password + "%",
		failing + "://host/\x7f" + password,
		failing + "://host/?" + password + "\n",
	} {
		store, err := core.OpenStore(rawURL)
		require.Error(t, err, rawURL)
		require.Nil(t, store, rawURL)
		require.NotContains(t, err.Error(), password)
	}
}

var errStore = errors.New("the database has no name")

func TestOpenStoreKeepsTheErrorOfTheStore(t *testing.T) {
	scheme := newScheme()
	core.RegisterStore(scheme, func(*url.URL) (core.Store, error) { return nil, errStore })
	_, err := core.OpenStore(scheme + ":")
	require.ErrorIs(t, err, errStore)
	require.ErrorContains(t, err, scheme)
}

func TestOpenStoreWantsAScheme(t *testing.T) {
	for _, rawURL := range []string{"", ":", "/var/lib/app.db", "app.db", "//host/db", "./a:b", "a b:c", "ä:", "user@host:5432"} {
		_, err := core.OpenStore(rawURL)
		require.ErrorContains(t, err, "no scheme", rawURL)
	}
}

func TestRegisterStorePanicsForAMistake(t *testing.T) {
	scheme := newScheme()
	open := func(*url.URL) (core.Store, error) { return core.NewMemoryStore(), nil }
	core.RegisterStore(scheme, open)
	require.PanicsWithValue(t, "oidcgate: RegisterStore("+scheme+"): the scheme is registered already", func() { core.RegisterStore(scheme, open) })
	require.Panics(t, func() { core.RegisterStore(newScheme(), nil) })
	// The lock is free again.
	_, err := core.OpenStore(scheme + ":")
	require.NoError(t, err)
}

func TestStoresAreRegisteredAndOpenedConcurrently(t *testing.T) {
	var all sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		all.Go(func() {
			scheme := newScheme()
			core.RegisterStore(scheme, func(*url.URL) (core.Store, error) { return core.NewMemoryStore(), nil })
			_, errs[i] = core.OpenStore(scheme + ":")
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
}
