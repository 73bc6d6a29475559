package storetest_test

import (
	"crypto/rand"
	"testing"

	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
	"github.com/oidcgate/oidcgate/store/storetest"
)

// This is all that the author of a store writes. The records of this one live in
// its value, which every call of the inner function therefore gives. A store whose
// records are outside of the program makes a new value there.
func ExampleRun() {
	_ = func(t *testing.T) { // TestStore
		storetest.Run(t, func(t *testing.T) func() store.Store {
			records := memory.New()
			return func() store.Store { return records }
		})
	}
}

// A store over a network is tested with one that fails as well. The server listens at
// 127.0.0.1:6379; the store is to connect to the address that it is given.
func ExampleRunNetwork() {
	_ = func(t *testing.T) { // TestBadNetwork
		storetest.RunNetwork(t, "tcp", "127.0.0.1:6379", func(t *testing.T) func(address string) store.Store {
			prefix := rand.Text() // an empty place on the server
			return func(address string) store.Store { return newRemote("remote://" + address + "/" + prefix) }
		})
	}
}

// Whoever starts a program with a wrong password is to be told, at once.
func ExampleRunUnusable() {
	_ = func(t *testing.T) { // TestMistakes
		storetest.RunUnusable(t, "hunter2", map[string]func() store.Store{
			"wrong password": func() store.Store { return newRemote("remote://app:hunter2@127.0.0.1:6379") },
		})
	}
}

// newRemote stands for the store of the example's reader.
func newRemote(string) store.Store { return memory.New() }
