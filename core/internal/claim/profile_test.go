package claim

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProfileTakesTheFirstNameThatMatches(t *testing.T) {
	for _, order := range [][]string{
		{"preferred_username", "preferred-username", "user_name", "user-name", "uid", "username"},
		{"first_name", "first-name", "given_name", "given-name"},
		{"last_name", "last-name", "family_name", "family-name", "surname"},
		{"email", "mail"},
	} {
		for i := range order {
			claims := map[string]any{"name": "Some Body"}
			for _, name := range order[i:] {
				claims[name] = name
			}
			if i > 0 {
				claims[order[i-1]] = "" // an empty name counts as none
			}
			profile := ReadProfile(claims, nil)
			email := ""
			if profile.Email != "" {
				email = profile.Email
			}
			require.Contains(t, []string{profile.Username, profile.FirstName, profile.LastName, email}, order[i])
		}
	}
	profile := ReadProfile(map[string]any{
		"username": "top", "person": map[string]any{"preferred_username": "below", "mail": "m"}, "list": []any{"x"},
	}, []string{"nowhere", "list", "person"})
	require.Equal(t, "top", profile.Username, "the top level goes first")
	require.Equal(t, "m", profile.Email)
}
