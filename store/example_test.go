package store_test

import (
	"fmt"
	"net/url"

	"github.com/oidcgate/oidcgate/store"
)

// fleet is a store of the reader's own.
type fleet struct {
	store.Store
	host string
}

// A package that has a store registers the scheme of its URLs when it is imported.
func init() {
	store.Register("fleet", func(u *url.URL) (store.Store, error) { return fleet{host: u.Host}, nil })
}

// The URL picks the store, so that a program's configuration can.
func ExampleOpen() {
	records, err := store.Open("fleet://db.example.org/app")
	fmt.Println(records.(fleet).host, err)

	_, err = store.Open("memory:")
	fmt.Println(err)
	// Output:
	// db.example.org <nil>
	// no store is registered for memory: URLs; add the import: import _ "github.com/oidcgate/oidcgate/store/memory"
}
