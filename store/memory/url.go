// Package memory is a store in the memory of this process:
//
//	func main() {
//		records := memory.New()
//		defer records.Close()
//		auth, err := core.New(core.Config{
//			Providers: []core.Provider{{Issuer: "https://id.example.org/realms/demo", ClientID: "shop", ClientSecret: os.Getenv("CLIENT_SECRET")}},
//			PublicURL: "https://shop.example.org/api",
//			Secrets:   []string{os.Getenv("SHOP_SECRET")}, // openssl rand -base64 32
//			Broker:    &core.Broker{Store: records},
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer auth.Close()
//		// … mount the routes of auth and serve
//	}
//
// It is for tests, and for an application that runs as one process and whose users may sign
// in again after a restart. The records are lost when the process ends, and replicas don't
// share them: behind a load balancer, use a store in a database. A [core.Broker] without a
// Store uses this one. Importing the package also lets [store.Open] open the URL memory:.
//
// [core.Broker]: https://pkg.go.dev/github.com/oidcgate/oidcgate/core#Broker
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
