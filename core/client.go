package core

import (
	"cmp"
	"crypto/subtle"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/address"
	"github.com/oidcgate/oidcgate/core/internal/text"
)

// client is a program that asks for tokens. States, device codes, sessions and refresh
// tokens belong to one. The application's own client is the only one so far: it has the
// id and the secret by which the provider knows the application.
type client struct {
	id           string
	secret       string   // "": it has none. Nobody has to send it.
	callback     string   // the redirect URI of our own callback; "": there is none
	redirectURIs []string // besides the callback and loopback addresses
	scopes       []string // that it gets when it names none
	allowed      []string // scopes that it may name; nil: any
}

// ownClient is the application's own client.
func (c Config) ownClient() client {
	p := c.provider()
	return client{
		id: p.ClientID, secret: p.ClientSecret, callback: c.callbackURL(), redirectURIs: c.RedirectURIs,
		scopes: p.Scopes, allowed: p.AllowedScopes,
	}
}

// clientNamed finds a client by its id; "" is the application's own.
func (a *Auth) clientNamed(id string) (client, bool) {
	return a.client, id == "" || id == a.client.id
}

// isOf reports whether what names a client by this id belongs to the client c.
func (a *Auth) isOf(id string, c client) bool {
	named, known := a.clientNamed(id)
	return known && named.id == c.id
}

// authenticate finds the client of a request, and rejects wrong credentials. Clients need
// none: what they bring (code and verifier, refresh token, device code) is their proof.
func (a *Auth) authenticate(r *http.Request, p params) (client, error) {
	wrong := ErrInvalidClient.because("The client credentials are not this service's; none are needed.")
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	authenticated := "" // the id in the header
	if strings.EqualFold(scheme, "Basic") {
		id, secret := basicCredentials(r)
		c, known := a.clientNamed(id)
		if id == "" || !known || !c.accepts(secret) {
			return client{}, wrong.as(formBasic)
		}
		authenticated = id
	}
	id, err := p.ascii(maxOther, "client_id")
	if err != nil {
		return client{}, err
	}
	// Who proved to be one client must not act as another, nor as the application's own.
	if id = cmp.Or(id, authenticated); authenticated != "" && id != authenticated {
		return client{}, wrong
	}
	c, known := a.clientNamed(id)
	if !known || !c.accepts(p.values.Get("client_secret")) {
		return client{}, wrong
	}
	return c, nil
}

// basicCredentials reads an Authorization header, in which both are form-encoded before
// they are joined (RFC 6749 2.3.1). They are empty if they can't be read.
func basicCredentials(r *http.Request) (id, secret string) {
	rawID, rawSecret, _ := r.BasicAuth()
	id, err1 := url.QueryUnescape(rawID)
	secret, err2 := url.QueryUnescape(rawSecret)
	if err1 != nil || err2 != nil {
		return "", ""
	}
	return id, secret
}

// accepts reports whether this is the client's secret, or none.
func (c client) accepts(secret string) bool {
	return secret == "" || subtle.ConstantTimeCompare([]byte(secret), []byte(c.secret)) == 1
}

// redirectKind tells who receives a code at a redirect URI, and so how the code
// is kept safe; an address that is not allowed is an error.
func (c client) redirectKind(uri string) (loginKind, error) {
	if uri == c.callback && uri != "" {
		return loginCallback, nil
	}
	u, err := address.Absolute(uri)
	if err != nil {
		return "", ErrInvalidRequest.because("The redirect_uri " + err.Error() + ".")
	}
	switch {
	case (u.Scheme == "http" || u.Scheme == "https") && address.Loopback(u.Hostname()):
		return loginNative, nil
	case slices.Contains(c.redirectURIs, uri):
		return loginBrowser, nil
	}
	return "", ErrInvalidRequest.because("The redirect_uri is not one that this service allows.")
}

var errScopeSyntax = ErrInvalidScope.because("The scope is not a list of scope names separated by spaces.")

// requestedScopes is what to ask the provider for: what the request names,
// within what is allowed, or else what is configured; openid first, each once, in
// the order in which they were named, offline_access last.
func (c client) requestedScopes(named []string, offline bool) ([]string, error) {
	scopes := []string{"openid"}
	add := func(scope string) {
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	for _, scope := range named {
		if !text.ValidScope(scope) {
			return nil, errScopeSyntax
		}
		if !c.mayAsk(scope) {
			return nil, ErrInvalidScope.because("The scope is wider than this service allows.")
		}
		add(scope)
	}
	if len(named) == 0 {
		for _, scope := range c.scopes {
			add(scope)
		}
	}
	if offline {
		add("offline_access")
	}
	return scopes, nil
}

// usualScope is what is asked for when a request names no scope.
func (c client) usualScope() string {
	scopes, _ := c.requestedScopes(nil, false) // New has checked the configured ones
	return strings.Join(scopes, " ")
}

// mayAsk reports whether the client may ask for a scope.
func (c client) mayAsk(scope string) bool {
	return c.allowed == nil || scope == "openid" || slices.Contains(c.allowed, scope)
}
