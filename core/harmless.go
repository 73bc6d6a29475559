package core

import (
	"strings"
)

// Bounds of text that is passed on from the provider.
const (
	maxForeignText = 200 // characters (bytes, since only ASCII remains)
	echoLength     = 12  // a run this long of something that was sent is an echo
)

// harmless gives the provider's error text as it may be passed on: in the
// characters of RFC 6749, not too long, and not when any part of it repeats
// something that was sent. Otherwise it gives the replacement.
func harmless(text string, sent []string, replacement string) string {
	text = strings.TrimSpace(quotable(text[:min(len(text), 16*maxForeignText)]))
	for _, value := range sent {
		if echoes(text, quotable(value)) {
			return replacement
		}
	}
	text = strings.TrimSpace(text[:min(len(text), maxForeignText)])
	if text == "" {
		return replacement
	}
	return text
}

// echoes reports whether the text contains a run of the value that is long enough to be
// no accident.
func echoes(text, value string) bool {
	for i := 0; i+echoLength <= len(text); i++ {
		if strings.Contains(value, text[i:i+echoLength]) {
			return true
		}
	}
	return false
}

// excerpt is a stranger's text as a log repeats it: quoted, not too long, and in
// characters that no log has to escape, which would make them several times as long.
func excerpt(text string) string {
	shown := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, text[:min(len(text), maxForeignText)])
	if len(text) > maxForeignText {
		shown += "..."
	}
	return `"` + shown + `"`
}
