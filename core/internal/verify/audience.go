package verify

import (
	"errors"
	"slices"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/claim"
)

// Audience is whom access tokens must be meant for. The zero Audience accepts none.
type Audience struct {
	Names    []string // of which aud must hold one; none: ClientID decides
	ClientID string   // of the application; "": only Names count
	Anybody  bool     // accept every audience
}

// check checks that an access token is meant for us. ID tokens hold our client id, too:
// where nothing but that is in aud, something else must mark the token as an access token.
func (a Audience) check(c *Candidate) error {
	named := func(name string) bool { return name != a.ClientID && slices.Contains(a.Names, name) }
	switch {
	case slices.ContainsFunc(c.Claims.Audience, named):
		return nil
	case !a.has(c.Claims):
		return otherAudience(c.Claims)
	case !c.saysAccess():
		return errors.New("it may be an ID token: it has neither a scope nor the type of an access token")
	}
	return nil
}

// has reports whether a token is meant for us. In Keycloak's tokens aud holds the clients
// at which the user has roles, and azp the client that the token was issued to.
func (a Audience) has(c *claim.Set) bool {
	switch {
	case a.Anybody:
		return true
	case len(a.Names) > 0:
		return slices.ContainsFunc(a.Names, func(name string) bool { return slices.Contains(c.Audience, name) })
	case a.ClientID == "":
		return false // an empty azp or client_id is nobody's
	}
	return slices.Contains(c.Audience, a.ClientID) || c.AuthorizedParty == a.ClientID || c.ClientID == a.ClientID
}

// String gives the names, or else the client id.
func (a Audience) String() string {
	if len(a.Names) > 0 {
		return strings.Join(a.Names, " or ")
	}
	return a.ClientID
}
