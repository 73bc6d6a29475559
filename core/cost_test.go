package core_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// A token that was verified before costs no allocation, whatever is demanded of it and
// whatever comes with it.
func TestGuardMakesFewAllocations(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	guard := a.auth.Required(core.Scopes("email"), core.AnyRole("admin"), core.Claim("realm_access.roles", "admin"))
	r := httptest.NewRequest(http.MethodGet, "/orders?page=2", nil)
	for _, name := range []string{"Cookie", "DPoP", "Accept", "Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest"} {
		r.Header.Set(name, "some value")
	}
	r.Header.Set("Authorization", "Bearer "+provider.AccessToken(t, "alice"))
	check := func() {
		if token, err := guard.Check(t.Context(), core.RequestOf(r)); err != nil || token.Subject() != "user-alice" {
			t.Fatal(err)
		}
	}
	check()
	require.Zero(t, testing.AllocsPerRun(100, check))
}

// Nor does one whose session was looked up before.
func TestASessionThatIsRememberedMakesNoAllocations(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(), checking(10*time.Second))
	guard := a.auth.Required()
	request := core.Request{Authorization: []string{"Bearer " + a.signIn("alice").AccessToken}}
	check := func() {
		if token, err := guard.Check(t.Context(), request); err != nil || token.Subject() != "user-alice" {
			t.Fatal(err)
		}
	}
	check()
	require.Zero(t, testing.AllocsPerRun(100, check))
}

// Telling the resources of an application apart costs nothing either.
func TestAGuardOfAResourceMakesFewAllocations(t *testing.T) {
	a := withResources(t)
	request := core.Request{Authorization: []string{"Bearer " + a.signIn("alice").AccessToken}}
	for name, guard := range map[string]*core.Guard{"default": a.auth.Required(), "resource": a.auth.Required(core.Resource(a.api + "/mcp"))} {
		check := func() {
			if _, err := guard.Check(t.Context(), request); err != nil {
				t.Fatal(err)
			}
		}
		check()
		require.Zero(t, testing.AllocsPerRun(100, check), name)
	}
}
