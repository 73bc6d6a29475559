package core_test

import (
	"net/http"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// named gives the provider a name.
func named(name string) func(*core.Config) {
	return func(c *core.Config) { c.Providers[0].Name = name }
}

// What outlives a request names the provider that it began with, and goes on at no other.
func TestALoginGoesOnOnlyAtTheProviderThatItBeganWith(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy), named("company"))
	same, other := a.replica(spy, named("company")), a.replica(spy, named("partner"))

	client := browser()
	code, state := a.authorize(client, "alice", "redirect_uri", native)
	requireError(t, other.post(client, "/auth/v2/token", "code", code, "redirect_uri", native, "code_verifier", state), http.StatusBadRequest, "invalid_grant")
	tokens := same.tokens(same.post(client, "/auth/v2/token", "code", code, "redirect_uri", native, "code_verifier", state))

	device := a.post(client, "/auth/v2/device").json["device_code"].(string)
	requireError(t, other.post(client, "/auth/v2/token", "device_code", device), http.StatusBadRequest, "invalid_grant")
	require.Equal(t, "authorization_pending", same.post(client, "/auth/v2/token", "device_code", device).json["error"])

	// A session waits until its provider is back.
	asked := a.provider.Requests(oidctest.TokenPath)
	requireError(t, other.post(client, "/auth/v2/token", "refresh_token", tokens.RefreshToken), http.StatusServiceUnavailable, "temporarily_unavailable")
	require.Equal(t, asked, a.provider.Requests(oidctest.TokenPath), "the wrong provider is not asked")
	require.Contains(t, other.log.text.String(), `the session is one of the provider named \"company\"`)
	same.tokens(same.post(client, "/auth/v2/token", "refresh_token", tokens.RefreshToken))
}
