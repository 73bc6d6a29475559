package storetest_test

import (
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
