package postgres_test

import (
	"net"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/storetest"
)

// TestBadNetwork has both drivers lose connections and answers. What only this store
// does about that, such as asking again, is in repeat_test.go and connection_test.go.
func TestBadNetwork(t *testing.T) {
	for name, driver := range drivers {
		t.Run(name, func(t *testing.T) {
			network, address := serverAddress(serverURL(t))
			storetest.RunNetwork(t, network, address, func(t *testing.T) func(string) store.Store {
				schema := newSchema(t)
				return func(address string) store.Store {
					return driver.open(t, at(serverURL(t), address), schema)
				}
			})
		})
	}
}

// TestMistakesAreUnusable has what the server refuses whenever it is asked. What each
// error advises is in open_test.go.
func TestMistakesAreUnusable(t *testing.T) {
	change := func(change func(*url.URL)) func() store.Store {
		u := *serverURL(t)
		change(&u)
		return func() store.Store { return open(t, u.String()) }
	}
	storetest.RunUnusable(t, "hunter2", map[string]func() store.Store{
		"unknown user":     change(func(u *url.URL) { u.User = url.UserPassword("nobody at all", "hunter2") }),
		"missing database": change(func(u *url.URL) { u.Path = "/absent" }),
		"read-only server": change(func(u *url.URL) { *u = *with(u, "default_transaction_read_only", "on") }),
	})
}

// serverAddress returns where the server listens.
func serverAddress(u *url.URL) (network, address string) {
	if dir := u.Query().Get("host"); dir != "" {
		return "unix", filepath.Join(dir, ".s.PGSQL.5432")
	}
	if u.Port() == "" {
		return "tcp", net.JoinHostPort(u.Hostname(), "5432")
	}
	return "tcp", u.Host
}

// at returns the URL of the same database at another address, without TLS.
func at(u *url.URL, address string) *url.URL {
	q := u.Query()
	q.Del("host")
	q.Set("sslmode", "disable")
	moved := *u
	moved.Host, moved.RawQuery = address, q.Encode()
	return &moved
}
