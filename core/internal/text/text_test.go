package text

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
			require.Equal(t, row.want, Harmless(row.text, row.sent, "?"))
		})
	}
}

func FuzzForeignTextIsHarmless(f *testing.F) {
	f.Add("invalid code SplxlOBeZQQYbYS6WxSbIA", "SplxlOBeZQQYbYS6WxSbIA")
	f.Add("a\"b\\c\n\u00e4", "x")
	f.Add(strings.Repeat("no ", 1000), "")
	f.Add("\"split\"-secret-0123456789", "split-secret-0123456789")
	f.Fuzz(func(t *testing.T, foreign, secret string) {
		got := Harmless(foreign, []string{secret}, "?")
		if len(got) > MaxForeign || got != Quotable(got) {
			t.Fatalf("%q", got)
		}
		if secret := Quotable(secret); got != "?" && secret != "" && strings.Contains(got, secret) {
			t.Fatalf("%q repeats %q", got, secret)
		}
	})
}
