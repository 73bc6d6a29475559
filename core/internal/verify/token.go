package verify

import (
	"slices"
	"sync"

	"github.com/oidcgate/oidcgate/core/internal/claim"
)

// Token is a verified access token. It is immutable and may be used concurrently.
type Token struct {
	Claims *claim.Set
	By     *Verifier
	scopes []string

	gather   sync.Once
	gathered []string // the flat roles
}

// NewToken makes a Token of claims that by has verified. Only the roles of by are asked
// for later, when somebody needs them.
func NewToken(claims *claim.Set, by *Verifier) *Token {
	t := &Token{Claims: claims, By: by, scopes: claims.Scopes()}
	if by.Scopes != nil {
		t.scopes = by.Scopes(t.scopes)
	}
	return t
}

// Scopes are the granted scopes, which nobody may change.
func (t *Token) Scopes() []string { return t.scopes }

// Roles are the flat roles, which nobody may change.
func (t *Token) Roles() []string {
	t.gather.Do(func() { t.gathered = t.By.Roles(t.Claims.All()) })
	return t.gathered
}

func (t *Token) hasScope(scope string) bool { return slices.Contains(t.scopes, scope) }

func (t *Token) hasRole(role string) bool { return slices.Contains(t.Roles(), role) }
