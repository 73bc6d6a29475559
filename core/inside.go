package core

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// leadsInside reports whether an address that a remote document names leads into the
// network of this machine, though none of the addresses does that the operator has
// configured for it. A provider on the internet has no endpoint there, and must not
// make us call what only we can reach (server-side request forgery). Names are judged
// as they are written, and not looked up.
func leadsInside(raw string, configured ...string) bool {
	return isInside(raw) && !slices.ContainsFunc(configured, isInside)
}

// shared is the address space behind a provider's NAT, which clouds use inside as
// well (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

// insideNames end the names that mean something inside a network only: RFC 6761 6.3,
// RFC 6762 3, RFC 8375, and ICANN's .internal.
var insideNames = []string{".localhost", ".local", ".home.arpa", ".internal"}

// isInside reports whether the host of a URL can be inside a network only: a loopback,
// private or link-local address, or a name that the internet's DNS does not have.
func isInside(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return true
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if address, err := netip.ParseAddr(host); err == nil {
		address = address.Unmap()
		return !address.IsGlobalUnicast() || address.IsPrivate() || shared.Contains(address)
	}
	dot := strings.LastIndexByte(host, '.')
	last := host[dot+1:]
	switch {
	case dot < 0: // localhost, or a container
		return true
	case last == "" || '0' <= last[0] && last[0] <= '9': // 127.1 and the like, as the C library reads them
		return true
	}
	return slices.ContainsFunc(insideNames, func(end string) bool { return strings.HasSuffix(host, end) })
}
