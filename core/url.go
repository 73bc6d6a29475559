package core

import (
	"net/url"
	"slices"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/address"
)

// callbackURL is the redirect URI of our own callback, "" when there is none.
func (c Config) callbackURL() string {
	if c.PublicURL == "" || c.Routes.Callback == Off {
		return ""
	}
	return c.PublicURL + c.Routes.Callback
}

// secureCookies reports whether cookies are for https only. Without a
// PublicURL nothing is known about the transport, and safe is right.
func (c Config) secureCookies() bool {
	return !strings.HasPrefix(c.PublicURL, "http://")
}

// postLogoutAllowed reports whether a logout may lead to this URI.
func (c Config) postLogoutAllowed(uri string) bool {
	if slices.Contains(c.PostLogoutURIs, uri) {
		return true
	}
	u, err := address.Absolute(uri)
	if err != nil || c.PublicURL == "" {
		return false
	}
	public, err := url.Parse(c.PublicURL)
	return err == nil && address.Origin(u) == address.Origin(public)
}
