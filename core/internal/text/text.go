// Package text handles texts of strangers: what may be passed on, and how it is written.
package text

import (
	"strings"
)

// Bounds of text that is passed on from the provider.
const (
	MaxForeign = 200 // characters (bytes, since only ASCII remains)
	echoLength = 12  // a run this long of something that was sent is an echo
)

// Harmless gives the provider's error text as it may be passed on: in the
// characters of RFC 6749, not too long, and not when any part of it repeats
// something that was sent. Otherwise it gives the replacement.
func Harmless(text string, sent []string, replacement string) string {
	text = strings.TrimSpace(Quotable(text[:min(len(text), 16*MaxForeign)]))
	for _, value := range sent {
		if Echoes(text, Quotable(value)) {
			return replacement
		}
	}
	text = strings.TrimSpace(text[:min(len(text), MaxForeign)])
	if text == "" {
		return replacement
	}
	return text
}

// Echoes reports whether the text contains a run of the value that is long enough to be
// no accident.
func Echoes(text, value string) bool {
	for i := 0; i+echoLength <= len(text); i++ {
		if strings.Contains(value, text[i:i+echoLength]) {
			return true
		}
	}
	return false
}

// Excerpt is a stranger's text as a log repeats it: quoted, not too long, and in
// characters that no log has to escape, which would make them several times as long.
func Excerpt(text string) string {
	shown := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, text[:min(len(text), MaxForeign)])
	if len(text) > MaxForeign {
		shown += "..."
	}
	return `"` + shown + `"`
}

// Words splits a text at spaces and tabs. Other spaces of Unicode are part of a word, as
// they are to the provider (RFC 6749 3.3).
func Words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' })
}

// ValidScope reports whether a text is one scope by RFC 6749 3.3.
func ValidScope(scope string) bool {
	return scope != "" && !strings.ContainsFunc(scope, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '"' || r == '\\'
	})
}

// Quotable keeps the characters that RFC 6749 and RFC 6750 allow in an error
// description and a scope, and that need no escape in a quoted string.
func Quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, s)
}
