package store_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/internal/require"
)

// records are a store that nobody calls.
type records struct {
	store.Store
	_ int // makes each one another
}

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

func TestOpenGivesTheURLToItsScheme(t *testing.T) {
	scheme, registered := newScheme(), &records{}
	var got *url.URL
	store.Register(scheme, func(u *url.URL) (store.Store, error) {
		got = u
		return registered, nil
	})
	for _, rawURL := range []string{
		scheme + ":",
		scheme + ":/var/lib/app.db?mode=ro",
		scheme + "://user:p%40ss@db.example.org:5432/app?sslmode=require",
		strings.ToUpper(scheme) + "://db.example.org/app",
	} {
		opened, err := store.Open(rawURL)
		require.NoError(t, err)
		require.True(t, opened == registered)
		want, err := url.Parse(rawURL)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestOpenNamesTheMissingImport(t *testing.T) {
	for scheme, module := range map[string]string{
		"memory": "memory", "sqlite": "sqlite", "postgres": "postgres", "postgresql": "postgres", "Postgres": "postgres",
	} {
		_, err := store.Open(scheme + "://user:hunter2@db.example.org/app")
		require.ErrorContains(t, err, `import _ "github.com/oidcgate/oidcgate/store/`+module+`"`)
		require.ErrorContains(t, err, strings.ToLower(scheme)+":")
	}
}

func TestOpenSaysWhatToWriteForAURLOfPython(t *testing.T) {
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
		_, err := store.Open(rawURL)
		require.ErrorContains(t, err, advice, rawURL)
		require.ErrorContains(t, err, strings.ToLower(rawURL[:strings.IndexByte(rawURL, ':')])+": is not a scheme")
		require.True(t, !strings.Contains(err.Error(), "hunter2"), err)
	}
}

func TestOpenNamesTheSchemesThatItKnows(t *testing.T) {
	known := newScheme()
	store.Register(known, func(*url.URL) (store.Store, error) { return &records{}, nil })
	_, err := store.Open(newScheme() + "://user:hunter2@db.example.org/app")
	require.ErrorContains(t, err, `"`+known+`"`)
}

func TestOpenErrorsRepeatNoPassword(t *testing.T) {
	failing := newScheme()
	store.Register(failing, func(*url.URL) (store.Store, error) { return nil, errStore })
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
		opened, err := store.Open(rawURL)
		require.True(t, err != nil && opened == nil, rawURL)
		require.True(t, !strings.Contains(err.Error(), password), err)
	}
}

var errStore = errors.New("the database has no name")

func TestOpenKeepsTheErrorOfTheStore(t *testing.T) {
	scheme := newScheme()
	store.Register(scheme, func(*url.URL) (store.Store, error) { return nil, errStore })
	_, err := store.Open(scheme + ":")
	require.ErrorIs(t, err, errStore)
	require.ErrorContains(t, err, scheme)
}

func TestOpenWantsAScheme(t *testing.T) {
	for _, rawURL := range []string{"", ":", "/var/lib/app.db", "app.db", "//host/db", "./a:b", "a b:c", "ä:", "user@host:5432"} {
		_, err := store.Open(rawURL)
		require.ErrorContains(t, err, "no scheme", rawURL)
	}
}

func TestRegisterPanicsForAMistake(t *testing.T) {
	scheme := newScheme()
	open := func(*url.URL) (store.Store, error) { return &records{}, nil }
	store.Register(scheme, open)
	require.Equal(t, any("oidcgate: Register("+scheme+"): the scheme is registered already"), require.Panics(t, func() { store.Register(scheme, open) }))
	require.Panics(t, func() { store.Register(newScheme(), nil) })
	// The lock is free again.
	_, err := store.Open(scheme + ":")
	require.NoError(t, err)
}

func TestStoresAreRegisteredAndOpenedConcurrently(t *testing.T) {
	var all sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		all.Go(func() {
			scheme := newScheme()
			store.Register(scheme, func(*url.URL) (store.Store, error) { return &records{}, nil })
			_, errs[i] = store.Open(scheme + ":")
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
}
