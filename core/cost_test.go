package core_test

import (
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// A token that was verified before costs no allocation, whatever is demanded of it.
func TestGuardMakesFewAllocations(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	guard := a.auth.Required(core.Scopes("email"), core.AnyRole("admin"), core.Claim("realm_access.roles", "admin"))
	header := []string{"Bearer " + provider.AccessToken(t, "alice")}
	check := func() {
		if token, err := guard.Check(t.Context(), header); err != nil || token.Subject() != "user-alice" {
			t.Fatal(err)
		}
	}
	check()
	require.Zero(t, testing.AllocsPerRun(100, check))
}
