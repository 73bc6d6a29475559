package verify

import (
	"errors"
	"slices"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/claim"
)

// Audience is whom access tokens must be meant for.
type Audience struct {
	Names    []string // of which aud must hold one; none: ClientID
	ClientID string   // the application's; "": no token is meant for it by that
	Anybody  bool     // every token is meant for the application
}

// check makes sure that an access token is meant for us. An ID token is, too, by our
// client id: where that is all, something must say that this is an access token.
func (a Audience) check(c *Candidate) error {
	named := func(name string) bool { return name != a.ClientID && slices.Contains(a.Names, name) }
	switch {
	case slices.ContainsFunc(c.Claims.Audience, named):
		return nil
	case !a.has(c.Claims):
		return otherAudience(c.Claims)
	case !c.saysAccess():
		return errors.New("the token might be an ID token: it has neither a scope nor the type of an access token")
	}
	return nil
}

// has reports whether a token is meant for us. Keycloak puts into aud the clients at which
// the user has roles, and the one that the token was issued to into azp.
func (a Audience) has(c *claim.Set) bool {
	switch {
	case a.Anybody:
		return true
	case len(a.Names) > 0:
		return slices.ContainsFunc(a.Names, func(name string) bool { return slices.Contains(c.Audience, name) })
	}
	return slices.Contains(c.Audience, a.ClientID) || c.AuthorizedParty == a.ClientID || c.ClientID == a.ClientID
}

// String names who that is.
func (a Audience) String() string {
	if len(a.Names) > 0 {
		return strings.Join(a.Names, " or ")
	}
	return a.ClientID
}
