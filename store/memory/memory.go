// Package memory makes the store in memory known to [core.OpenStore], under the
// URL memory: without anything after it.
//
//	import _ "github.com/oidcgate/oidcgate/store/memory"
//
// It is for tests, and for an application that runs as one process and whose
// users may sign in again after a restart. The records are gone when the process
// ends, and replicas don't share them: behind a load balancer take a store in a
// database.
package memory

import (
	"errors"
	"net/url"

	"github.com/oidcgate/oidcgate/core"
)

func init() {
	core.RegisterStore("memory", func(u *url.URL) (core.Store, error) {
		if *u != (url.URL{Scheme: u.Scheme}) {
			return nil, errors.New("nothing may follow memory:, since a store in memory has no name and no options")
		}
		return New(), nil
	})
}

// New gives a new, empty store, as [core.NewMemoryStore] does; the URL memory:
// gives one at each call of [core.OpenStore]. It may be called, and the store be
// used, concurrently.
func New() core.Store { return core.NewMemoryStore() }
