package core

import (
	"slices"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/text"
)

// narrowing is what a client asks for to get an access token for less than it may
// have. The session, and the next token, are not narrowed by it.
type narrowing struct {
	audiences []string // nil: all
	scopes    []string // nil: all
}

// readAudiences reads which of our audiences a token is wanted for: resource (RFC
// 8707 2) and, at a token exchange, audience (RFC 8693 2.1). It gives nil for all.
func (b *broker) readAudiences(p params, names ...string) ([]string, error) {
	var audiences []string
	for _, name := range names {
		for _, wanted := range p.values[name] {
			if wanted == "" {
				continue // without a value it counts as not sent
			}
			if !slices.Contains(b.audiences(), wanted) {
				return nil, fault.InvalidTarget.New("The " + name + " is not one that this service issues tokens for.")
			}
			if !slices.Contains(audiences, wanted) {
				audiences = append(audiences, wanted)
			}
		}
	}
	return audiences, nil
}

// readTarget reads what the first access token of a login is wanted for (RFC 8707 2.2).
// Without a broker clients get the provider's token, which is for whom it is for.
func (a *Auth) readTarget(p params) (wanted narrowing, err error) {
	if a.broker != nil {
		wanted.audiences, err = a.broker.readAudiences(p, "resource")
	}
	return wanted, err
}

// readScopes reads which scopes a token is wanted with. It gives nil for all.
func readScopes(p params) ([]string, error) {
	named, err := p.words("scope", maxRedirect)
	if err != nil {
		return nil, err
	}
	var scopes []string
	for _, scope := range named {
		if !text.ValidScope(scope) {
			return nil, errScopeSyntax
		}
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes, nil
}

// within refuses scopes that were not granted.
func (n narrowing) within(granted []string) error {
	for _, scope := range n.scopes {
		if !slices.Contains(granted, scope) {
			return fault.InvalidScope.New("The scope is wider than what was granted.")
		}
	}
	return nil
}

// scopesOf gives those of the granted scopes that are wanted.
func (n narrowing) scopesOf(granted []string) []string {
	if n.scopes == nil {
		return granted
	}
	return slices.DeleteFunc(slices.Clone(n.scopes), func(scope string) bool { return !slices.Contains(granted, scope) })
}
