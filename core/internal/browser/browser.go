// Package browser reads requests as browsers send them: which cookie they bring, whether
// another site sends them, whether a person waits for a page, and where a login may lead
// back to.
package browser

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// ErrSeveral is the error for a request with two cookies of one name.
var ErrSeveral = errors.New("two cookies of one name")

// Cookie gives the value of a cookie (RFC 6265 5.4) among the values of the header Cookie;
// "" if there is none. It allocates nothing. A browser sends one cookie of each name with
// the prefix __Host-; several are an attack, or a mistake, and which one counts must not
// be chance.
func Cookie(header []string, name string) (value string, err error) {
	found := false
	for _, line := range header {
		for pair := range strings.SplitSeq(line, ";") {
			n, v, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
			if !ok || n != name {
				continue
			}
			if found {
				return "", ErrSeveral
			}
			found, value = true, v
		}
	}
	return value, nil
}

// Sender is what a request tells of where it comes from.
type Sender struct {
	Method    string
	Origin    string // the header Origin (RFC 6454 7); "": none
	FetchSite string // the header Sec-Fetch-Site (Fetch Metadata 2.3); "": none
}

// Foreign reports whether a page of another origin may have made a browser send the
// request, which then must not count as its user's: one with an unsafe method, or one with
// an Origin, as those of scripts have and the handshakes of websockets (RFC 6455 10.2). A
// link from elsewhere is harmless, as safe methods change nothing and the page that sends
// one can't read the answer. own are the origins that are not foreign.
func (s Sender) Foreign(own []string) bool {
	switch {
	case s.FetchSite == "same-origin", s.FetchSite == "none": // none: the user, by the address bar
		return false
	case s.Origin != "":
		return !slices.Contains(own, s.Origin)
	}
	return !Safe(s.Method)
}

// Safe reports whether a method is one that changes nothing (RFC 9110 9.2.1).
func Safe(method string) bool {
	return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE"
}

// maxReturn is the longest address of a page to return to, in bytes. It travels in the
// state of the login.
const maxReturn = 2 << 10

// CheckReturn says what is wrong with an address to return to, which strangers may have
// made: it must be a path of this application, with a query and a fragment at most. What is
// allowed is what no browser takes for another host (WHATWG URL 4.4: a backslash is as good as a slash
// there, and tabs are skipped). The error goes on: "The return_to …".
func CheckReturn(address string) error {
	switch {
	case len(address) > maxReturn:
		return errors.New("is longer than 2 KiB")
	case !strings.HasPrefix(address, "/") || strings.HasPrefix(address, "//"):
		return errors.New("must be a path of this application, which begins with one slash")
	case strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }):
		return errors.New("may have printable ASCII only, and no backslash: encode the rest as %XX")
	}
	if _, err := url.Parse(address); err != nil {
		return errors.New("is not a valid path: encode a percent sign as %25")
	}
	return nil
}

// ReturnTo makes the address to return to of the target of a request (RFC 9112 3.2); "" if
// there is none that CheckReturn allows. A query for which there is no room is left out.
func ReturnTo(target string) string {
	path, _, _ := strings.Cut(target, "?")
	for _, address := range []string{target, path} {
		if CheckReturn(address) == nil {
			return address
		}
	}
	return ""
}
