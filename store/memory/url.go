// Package memory is a store in the memory of this process.
//
//	core.Config{Broker: &core.Broker{Store: memory.New()} /* … */}
//
// It is for tests, and for an application that runs as one process and whose
// users may sign in again after a restart. The records are gone when the process
// ends, and replicas don't share them: behind a load balancer use a store in a
// database. The import also makes the URL memory: known to [store.Open].
package memory

import (
	"errors"
	"net/url"

	"github.com/oidcgate/oidcgate/store"
)

func init() {
	store.Register("memory", func(u *url.URL) (store.Store, error) {
		if *u != (url.URL{Scheme: u.Scheme}) {
			return nil, errors.New("nothing may follow memory:, since a store in memory has no name and no options")
		}
		return New(), nil
	})
}
