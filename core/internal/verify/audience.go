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

	// Resources are further names that aud may hold instead, each of one resource of the
	// application: for whoever accepts a token, Admits tells which it is for.
	Resources []string
}

// check checks that an access token is meant for us. ID tokens hold our client id, too:
// where nothing but that is in aud, something else must mark the token as an access token.
func (a Audience) check(c *Candidate) error {
	named := func(name string) bool { return name != a.ClientID && a.names(name) }
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
	case len(a.Names)+len(a.Resources) > 0:
		return slices.ContainsFunc(c.Audience, a.names)
	case a.ClientID == "":
		return false // an empty azp or client_id is nobody's
	}
	return slices.Contains(c.Audience, a.ClientID) || c.AuthorizedParty == a.ClientID || c.ClientID == a.ClientID
}

// names reports whether this is a name of ours, or of one of our resources.
func (a Audience) names(name string) bool {
	return slices.Contains(a.Names, name) || slices.Contains(a.Resources, name)
}

// Admits checks that an access token, which was accepted, may be used at a resource (RFC
// 8707 2): aud must hold its URL. "": wherever no resource is named; aud must hold one of
// Names then, if there are resources to tell that from.
func (a Audience) Admits(c *claim.Set, resource string) error {
	here := func(name string) bool { return slices.Contains(a.Names, name) }
	switch {
	case resource == "" && len(a.Resources) == 0:
		return nil
	case resource == "" && slices.ContainsFunc(c.Audience, here):
		return nil
	case resource != "" && slices.Contains(c.Audience, resource):
		return nil
	}
	return otherAudience(c)
}

// With gives the audience with these names in the place of its own. Those that are
// resources stay so.
func (a Audience) With(names []string) Audience {
	is := func(name string) bool { return slices.Contains(a.Resources, name) }
	isNot := func(name string) bool { return !is(name) }
	a.Names, a.Resources = slices.DeleteFunc(slices.Clone(names), is), slices.DeleteFunc(slices.Clone(names), isNot)
	a.Anybody = false
	return a
}

// String gives the names, or else the client id.
func (a Audience) String() string {
	if names := slices.Concat(a.Names, a.Resources); len(names) > 0 {
		return strings.Join(names, " or ")
	}
	return a.ClientID
}
