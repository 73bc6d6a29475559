// Package providers starts OpenID providers of other makers, each at a fixed version and
// as a process of its own.
package providers

import (
	"strconv"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/e2e/internal/harness"
)

// Redirect URIs that every provider takes, besides the callbacks that it is told of.
// Nobody listens there: a browser stops before them.
const (
	Page   = "https://page.example/after-login"   // a page of the application's, which it lists
	Native = "http://127.0.0.1:49152/after-login" // a program on the user's machine
)

// Provider is one that runs.
type Provider struct {
	Process *harness.Process
	Config  core.Config // what an application needs to know of it
	User    harness.Person
}

// BackchannelClient is the configuration of the client whose logouts the provider tells of.
func BackchannelClient(c *core.Config) {
	c.Providers[0].ClientID, c.Providers[0].ClientSecret = "backchannel", "backchannel-secret"
}

// rootURL is where a process serves.
func rootURL(port int) string { return "http://127.0.0.1:" + strconv.Itoa(port) }
