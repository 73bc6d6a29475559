package broker

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Device is where a user has signed in, as core.Device explains it.
type Device struct {
	Address   string `json:"address,omitzero"`
	UserAgent string `json:"user_agent,omitzero"`
}

// maxDevice is how many bytes of each field are kept. A stranger writes them.
const maxDevice = 256

// plain is the device as a session may keep it and a page show it.
func (d Device) plain() Device { return Device{plainText(d.Address), plainText(d.UserAgent)} }

func plainText(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	if len(s) > maxDevice {
		s = strings.ToValidUTF8(s[:maxDevice], "") // half a character at the end
	}
	return s
}
