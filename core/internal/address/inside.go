package address

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// LeadsInside reports whether an address that a remote document names leads into the
// network of this machine, though none of the addresses does that the operator has
// configured for it. A provider on the internet has no endpoint there, and must not
// make us call what only we can reach (server-side request forgery). Names are judged
// as they are written, and not looked up.
func LeadsInside(raw string, configured ...string) bool {
	return isInside(raw) && !slices.ContainsFunc(configured, isInside)
}

// insideAddresses lead inside, or to an IPv4 address in them that may, and netip has no
// word for them. Nobody on the internet writes such an address into a document.
var insideAddresses = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network (RFC 6890 2.2.2)
	netip.MustParsePrefix("100.64.0.0/10"),   // behind a provider's NAT, and inside clouds (RFC 6598)
	netip.MustParsePrefix("192.0.0.0/24"),    // the metadata of some clouds (RFC 6890 2.2.2)
	netip.MustParsePrefix("::/96"),           // an IPv4 address in the old form (RFC 4291 2.5.5.1)
	netip.MustParsePrefix("::ffff:0:0:0/96"), // translated to IPv4 (RFC 2765 2.1)
	netip.MustParsePrefix("64:ff9b::/96"),    // the same (RFC 6052 2.1)
	netip.MustParsePrefix("64:ff9b:1::/48"),  // the same, inside (RFC 8215)
	netip.MustParsePrefix("2002::/16"),       // a tunnel to an IPv4 address (RFC 3056 2)
	netip.MustParsePrefix("fec0::/10"),       // site-local (RFC 3879)
}

// insideNames end the names that mean something inside a network only: RFC 6761 6.3,
// RFC 6762 3 and appendix G, RFC 8375, and localhost.localdomain of many a hosts file.
var insideNames = []string{
	".localhost", ".localdomain", ".local", ".home.arpa",
	".internal", ".intranet", ".private", ".corp", ".home", ".lan",
}

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
		return !address.IsGlobalUnicast() || address.IsPrivate() ||
			slices.ContainsFunc(insideAddresses, func(p netip.Prefix) bool { return p.Contains(address) })
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
