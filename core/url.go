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

// redirectKind tells who receives a code at a redirect URI, and so how the code
// is kept safe; an address that is not allowed is an error.
func (c Config) redirectKind(uri string) (loginKind, error) {
	if uri == c.callbackURL() && uri != "" {
		return loginCallback, nil
	}
	u, err := address.Absolute(uri)
	if err != nil {
		return "", ErrInvalidRequest.because("The redirect_uri " + err.Error() + ".")
	}
	switch {
	case (u.Scheme == "http" || u.Scheme == "https") && address.Loopback(u.Hostname()):
		return loginNative, nil
	case slices.Contains(c.RedirectURIs, uri):
		return loginBrowser, nil
	}
	return "", ErrInvalidRequest.because("The redirect_uri is not one that this service allows.")
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
