package storetest_test

import (
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/storetest"
)

// This is all that the author of a store writes. The records of this one live in
// its value, which every call of the inner function therefore gives. A store whose
// records are outside of the program makes a new value there.
func ExampleRun() {
	_ = func(t *testing.T) { // TestStore
		storetest.Run(t, func(t *testing.T) func() core.Store {
			store := core.NewMemoryStore()
			return func() core.Store { return store }
		})
	}
}
