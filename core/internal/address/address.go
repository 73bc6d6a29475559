// Package address checks URLs: those of the configuration, and those that strangers and
// remote documents name.
package address

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Loopback reports whether a host is this machine by any name of RFC 8252
// 7.3 and 8.3.
func Loopback(host string) bool {
	return host == "127.0.0.1" || host == "::1" || host == "localhost"
}

// Check accepts an https URL, or http on loopback, or http anywhere when
// that was asked for.
func Check(raw string, anyHTTP bool) error {
	u, err := Absolute(raw)
	switch {
	case err != nil:
		return err
	case u.Hostname() == "":
		return errors.New("names no host: begin it with https:// and one")
	case u.Scheme == "https", u.Scheme == "http" && (anyHTTP || Loopback(u.Hostname())):
		return nil
	case u.Scheme == "http":
		return errors.New("must be https; http is for loopback (127.0.0.1, [::1], localhost)")
	default:
		return errors.New("must be an https URL")
	}
}

// NoDocument refuses the address of a discovery document (OpenID Connect Discovery 4,
// RFC 8414 3), which is easily taken for the issuer.
func NoDocument(raw string) error {
	const mark = "/.well-known/"
	before, after, isDocument := strings.Cut(raw, mark)
	if !isDocument {
		return nil
	}
	// RFC 8414 puts the issuer's path behind.
	_, path, _ := strings.Cut(strings.TrimRight(after, "/"), "/")
	if path != "" {
		before += "/" + path
	}
	return fmt.Errorf("is the address of a document: write the issuer in it, which is %q or the same with a slash at the end", Shown(before))
}

// CheckPublic accepts the place where our routes are mounted.
func CheckPublic(raw string, anyHTTP bool) error {
	err := Check(raw, anyHTTP)
	switch {
	case err != nil:
		return err
	case strings.HasSuffix(raw, "/"), strings.Contains(raw, "?"):
		return errors.New("must not end in a slash nor have a query")
	case strings.ContainsAny(raw, "{}"):
		return errors.New("has a brace in it, which a router would take for a pattern: the routes have one address")
	}
	return nil
}

// CheckRedirect accepts what an authorization response may be sent to:
// https, http on loopback, or an application's own scheme (RFC 8252 7.1).
func CheckRedirect(raw string) error {
	u, err := Absolute(raw)
	switch {
	case err != nil:
		return err
	case u.Scheme == "http" && !Loopback(u.Hostname()):
		return errors.New("must be https; http is for loopback (127.0.0.1, [::1], localhost)")
	case u.Scheme == "https" && u.Hostname() == "":
		return errors.New("names no host")
	case u.Scheme != "http" && u.Scheme != "https" && !strings.Contains(u.Scheme, "."):
		// javascript:, data: and the like; RFC 8252 7.1 wants a domain name.
		return errors.New("must be https, or a scheme that is a reversed domain name")
	}
	return nil
}

// Shown is a URL as an error may repeat it: where there is a user name, there may be a
// password.
func Shown(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.User == nil && u.Opaque == "" || !strings.Contains(raw, "@") {
		return raw
	}
	return "…@" + raw[strings.LastIndexByte(raw, '@')+1:]
}

// Absolute parses an absolute URL without user, password and fragment, written
// in printable ASCII as RFC 3986 demands. So is its host once it is decoded: programs
// that connect to it read full-width letters and digits as plain ones, and we don't.
func Absolute(raw string) (*url.URL, error) {
	if strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }) {
		return nil, errors.New("has a character that a URL can't have")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("is not a URL")
	case !u.IsAbs():
		return nil, errors.New("is not absolute: begin it with https://")
	case u.User != nil:
		return nil, errors.New("has a user name in it: remove that")
	case strings.ContainsFunc(u.Host, func(r rune) bool { return r > '~' }):
		return nil, errors.New("has a host that is not ASCII: write it as DNS has it (xn--…)")
	case strings.Contains(raw, "#"):
		return nil, errors.New("has a fragment")
	case !validPort(u.Port()):
		return nil, errors.New("has a port that does not exist: ports are 1 to 65535")
	}
	return u, nil
}

// validPort accepts the port of a URL, and that it has none.
func validPort(port string) bool {
	number, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && number > 0
}

// Origin is the scheme, host and port of a URL, as browsers write it in the header Origin
// (RFC 6454 6.2): in small letters, without the port that the scheme has by default.
func Origin(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if port := u.Port(); port == "" || port == map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host
}

// WithParams adds parameters to a URL without a fragment, and leaves those that
// it has as they are.
func WithParams(raw string, params url.Values) string {
	if len(params) == 0 {
		return raw
	}
	separator := "?"
	if strings.Contains(raw, "?") {
		separator = "&"
	}
	return raw + separator + params.Encode()
}
