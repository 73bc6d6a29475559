package core

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestForeignTextPassesOnlyWhenItIsHarmless(t *testing.T) {
	const secret = "0123456789abcdefghij"
	for name, row := range map[string]struct {
		text string
		sent []string
		want string
	}{
		"plain":                          {"Session not active", []string{secret}, "Session not active"},
		"nothing":                        {" \n ", nil, "?"},
		"200 characters":                 {strings.Repeat("x", 200), nil, strings.Repeat("x", 200)},
		"201 characters":                 {strings.Repeat("x", 201), nil, strings.Repeat("x", 200)},
		"twelve characters of it":        {"got " + secret[4:16], []string{secret}, "?"},
		"its first twelve":               {secret[:12], []string{secret}, "?"},
		"its last twelve":                {"got " + secret[8:], []string{secret}, "?"},
		"eleven characters of it":        {"got " + secret[4:15], []string{secret}, "got " + secret[4:15]},
		"all of a shorter value":         {"got abc", []string{"abc"}, "got abc"},
		"all of a value of eleven":       {"got " + secret[:11], []string{secret[:11]}, "got " + secret[:11]},
		"all of a value of twelve":       {"got " + secret[:12], []string{secret[:12]}, "?"},
		"beyond the 200th character":     {strings.Repeat("x", 250) + secret, []string{secret}, "?"},
		"in other characters around":     {"got 0123\"456\\789\nabc", []string{secret}, "?"},
		"a value with those characters":  {"got 0123456789ab", []string{`01"2345"6789abcdefghij`}, "?"},
		"the second of what was sent":    {"got " + secret, []string{"", secret}, "?"},
		"other characters are left out":  {"a\"b\\c\td\u00e4e", nil, "abcde"},
		"an empty value repeats nothing": {"text", []string{""}, "text"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, row.want, harmless(row.text, row.sent, "?"))
		})
	}
}

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
			profile := readProfile(claims, nil)
			email := ""
			if profile.Email != "" {
				email = profile.Email
			}
			require.Contains(t, []string{profile.Username, profile.FirstName, profile.LastName, email}, order[i])
		}
	}
	profile := readProfile(map[string]any{
		"username": "top", "person": map[string]any{"preferred_username": "below", "mail": "m"}, "list": []any{"x"},
	}, []string{"nowhere", "list", "person"})
	require.Equal(t, "top", profile.Username, "the top level goes first")
	require.Equal(t, "m", profile.Email)
}

func TestOriginsHaveOneSpelling(t *testing.T) {
	spell := func(raw string) string {
		u, err := absolute(raw)
		require.NoError(t, err)
		return origin(u)
	}
	require.Equal(t, spell("http://a.example/x"), spell("http://A.example:80"))
	require.Equal(t, spell("https://a.example"), spell("https://a.example:443/?x"))
	require.NotEqual(t, spell("https://a.example"), spell("https://a.example:80"))
	require.NotEqual(t, spell("https://a.example"), spell("http://a.example:443"))
	for _, bad := range []string{"", "a", "/a", "//a.example", "https://a.example/#", "https://u@a.example", "https://a .example", `https://a.example\x`, "https://ä.example", "https://a.example:x"} {
		_, err := absolute(bad)
		require.Error(t, err, bad)
	}
	for _, bad := range []string{"https://", "https:///x", "ftp://a.example", "http://a.example", "a.example:443"} {
		require.Error(t, checkURL(bad, false), bad)
	}
	for _, bad := range []string{"https:///x", "data:x", "myapp:/cb", "http://a.example"} {
		require.Error(t, checkRedirectURI(bad), bad)
	}
}
