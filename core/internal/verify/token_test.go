package verify

import (
	"testing"

	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/stretchr/testify/require"
)

// tokenOf is a token with these claims, whose roles are in the claim of that name.
func tokenOf(t *testing.T, m members) *Token {
	return NewToken(m.set(t), &Verifier{Roles: claim.RolePaths{"roles"}.In})
}

func TestATokensScopesCountAsWhatTheVerifierMakesOfThem(t *testing.T) {
	claims := members{"scope": "read write"}.set(t)
	token := NewToken(claims, &Verifier{})
	require.Equal(t, []string{"read", "write"}, token.Scopes())
	require.Same(t, claims, token.Claims)

	mapped := NewToken(claims, &Verifier{Scopes: func(asserted []string) []string {
		require.Equal(t, []string{"read", "write"}, asserted)
		return []string{"partner:read"}
	}})
	require.Equal(t, []string{"partner:read"}, mapped.Scopes())
	require.NotNil(t, Judge(mapped, []Rule{{Kind: ScopeRule, Names: []string{"read"}}}))
	require.Nil(t, Judge(mapped, []Rule{{Kind: ScopeRule, Names: []string{"partner:read"}}}))
}

func TestATokensRolesAreGatheredOnce(t *testing.T) {
	gathered := 0
	token := NewToken(members{"sub": "u1"}.set(t), &Verifier{Roles: func(claims map[string]any) []string {
		require.Equal(t, map[string]any{"sub": "u1"}, claims)
		gathered++
		return []string{"editor"}
	}})
	require.Zero(t, gathered, "nobody has asked")
	require.Equal(t, []string{"editor"}, token.Roles())
	require.Equal(t, []string{"editor"}, token.Roles())
	require.Equal(t, 1, gathered)
}
