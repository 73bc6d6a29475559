package broker

import (
	"slices"

	"github.com/oidcgate/oidcgate/core/internal/fault"
)

// Narrowing is what a client asks for to get an access token for less than it may
// have. The session, and the next token, are not narrowed by it.
type Narrowing struct {
	Audiences []string // nil: all
	Scopes    []string // nil: all
}

// within refuses scopes that were not granted.
func (n Narrowing) within(granted []string) error {
	for _, scope := range n.Scopes {
		if !slices.Contains(granted, scope) {
			return fault.InvalidScope.New("The scope is wider than what was granted.")
		}
	}
	return nil
}

// scopesOf gives those of the granted scopes that are wanted.
func (n Narrowing) scopesOf(granted []string) []string {
	if n.Scopes == nil {
		return granted
	}
	return slices.DeleteFunc(slices.Clone(n.Scopes), func(scope string) bool { return !slices.Contains(granted, scope) })
}
