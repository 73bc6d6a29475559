package core

import (
	"slices"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/text"
)

var errScopeSyntax = ErrInvalidScope.because("The scope is not a list of scope names separated by spaces.")

// requestedScopes is what to ask the provider for: what the request names,
// within AllowedScopes, or else what is configured; openid first, each once, in
// the order in which they were named, offline_access last.
func (c Config) requestedScopes(named []string, offline bool) ([]string, error) {
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
		if !c.scopeAllowed(scope) {
			return nil, ErrInvalidScope.because("The scope is wider than this service allows.")
		}
		add(scope)
	}
	if len(named) == 0 {
		for _, scope := range c.provider().Scopes {
			add(scope)
		}
	}
	if offline {
		add("offline_access")
	}
	return scopes, nil
}

// usualScope is what is asked for when a request names no scope.
func (c Config) usualScope() string {
	scopes, _ := c.requestedScopes(nil, false) // New has checked the configured ones
	return strings.Join(scopes, " ")
}

// scopeAllowed reports whether a request may ask for a scope.
func (c Config) scopeAllowed(scope string) bool {
	return c.provider().AllowedScopes == nil || scope == "openid" || slices.Contains(c.provider().AllowedScopes, scope)
}
