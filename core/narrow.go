package core

import (
	"slices"

	"github.com/oidcgate/oidcgate/core/internal/broker"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/text"
)

// readAudiences reads which of our audiences a token is wanted for: resource (RFC
// 8707 2) and, at a token exchange, audience (RFC 8693 2.1). It gives nil for all.
func (a *Auth) readAudiences(p params, names ...string) ([]string, error) {
	var audiences []string
	for _, name := range names {
		for _, wanted := range p.values[name] {
			if wanted == "" {
				continue // without a value it counts as not sent
			}
			if !slices.Contains(a.broker.Audiences(), wanted) {
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
func (a *Auth) readTarget(p params) (wanted broker.Narrowing, err error) {
	if a.broker != nil {
		wanted.Audiences, err = a.readAudiences(p, "resource")
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

// readRefresh reads what the next access token is wanted for (RFC 6749 6, RFC 8707 2).
func (a *Auth) readRefresh(p params) (wanted broker.Narrowing, err error) {
	if wanted.Audiences, err = a.readAudiences(p, "resource"); err != nil {
		return broker.Narrowing{}, err
	}
	wanted.Scopes, err = readScopes(p)
	return wanted, err
}
