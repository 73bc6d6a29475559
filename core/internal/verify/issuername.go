package verify

import (
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/claim"
)

// Tenant is the part of an issuer's pattern that stands for any tenant.
const Tenant = "{tenantid}"

// IssuerName is an issuer identifier, or a pattern of many.
type IssuerName struct {
	prefix, suffix string // the whole name, or what is around the tenant
	Pattern        bool   // of many
}

// NewIssuerName parses an issuer's URL, which is a pattern if it holds [Tenant].
func NewIssuerName(url string) IssuerName {
	prefix, suffix, pattern := strings.Cut(url, Tenant)
	return IssuerName{prefix, suffix, pattern}
}

func (n IssuerName) String() string {
	if n.Pattern {
		return n.prefix + Tenant + n.suffix
	}
	return n.prefix
}

// WellFormed reports whether a pattern's tenant is a whole segment of the path, and
// whether there is no other brace.
func (n IssuerName) WellFormed() bool {
	if !n.Pattern {
		return !strings.Contains(n.prefix, "{")
	}
	return strings.HasSuffix(n.prefix, "/") && strings.Count(n.prefix, "/") >= len("///") && // https://host/
		(n.suffix == "" || n.suffix[0] == '/') && !strings.Contains(n.prefix+n.suffix, "{")
}

// Names reports whether a token's claims are of this issuer.
func (n IssuerName) Names(c *claim.Set) bool {
	if !n.Pattern {
		return c.Issuer == n.prefix
	}
	// The claim tid is compared with the path, so that no path names a tenant which the
	// issuer has not put into the token.
	if !strings.HasPrefix(c.Issuer, n.prefix) || !strings.HasSuffix(c.Issuer, n.suffix) {
		return false // before all claims are decoded for it
	}
	id := c.Text("tid")
	return id != "" && !strings.ContainsAny(id, notInTenant) && c.Issuer == n.prefix+id+n.suffix
}

// notInTenant are the characters that would end the segment of a path, or hide such a one.
const notInTenant = "/?#%"

// Covers reports whether the name is, or the pattern matches, this issuer.
func (n IssuerName) Covers(issuer string) bool {
	if !n.Pattern {
		return issuer == n.prefix
	}
	rest, begins := strings.CutPrefix(issuer, n.prefix)
	id, ends := strings.CutSuffix(rest, n.suffix)
	return begins && ends && id != "" && !strings.ContainsAny(id, notInTenant)
}
