package contract

import (
	"context"
	"slices"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/e2e/internal/harness"
	"github.com/oidcgate/oidcgate/e2e/internal/providers"
)

// keycloak: as it comes, which is not how its manual describes it.
func keycloak(ctx context.Context, r *harness.Run) error {
	place, err := newPlace(r, 26)
	if err != nil {
		return err
	}
	k, err := providers.StartKeycloak(ctx, r, place.redirectURIs, place.logoutURI)
	if err != nil {
		return err
	}
	told, err := place.tryBackchannelLogout(ctx, &k.Provider, fiberBroker)
	if err != nil {
		return err
	}
	told.tryOfflineLogout(ctx, k)
	if err := place.tryBrowser(ctx, &k.Provider, stdBroker); err != nil {
		return err
	}
	steps := slices.Concat(loginSteps, refreshSteps, deviceSteps, logoutSteps)
	if err := place.try(ctx, &k.Provider, []setup{chiBroker, stdPassthrough, fiberBroker}, steps); err != nil {
		return err
	}
	for _, s := range keycloakSteps {
		for _, setup := range s.setups {
			c, err := place.client(&k.Provider, setup)
			if err != nil {
				return err
			}
			r.Step(ctx, setup.name+": "+s.name, func(ctx context.Context) error {
				return harness.InOrder(func() error { return s.run(c, ctx, k) }, c.app.Log.Clean)
			})
		}
	}
	return nil
}

// keycloakStep is one that needs Keycloak's administrator, or a client of its own.
type keycloakStep struct {
	name   string
	setups []setup
	run    func(*client, context.Context, *providers.Keycloak) error
}

var keycloakSteps = []keycloakStep{
	{"a role of another client lets nobody in, and keeps nobody out", []setup{fiberPassthrough, stdBroker}, (*client).otherRoles},
	{"a public client signs in, refreshes and logs out", []setup{
		chiPassthrough.with("public", publicClient), fiberBroker.with("public", publicClient),
	}, (*client).publicClient},
	{"lightweight tokens keep their users' roles", []setup{
		chiBroker.with("lightweight", lightweight), stdPassthrough.with("lightweight, introspection", func(c *core.Config) {
			lightweight(c)
			c.Providers[0].Introspection = true
		}),
	}, (*client).rolesElsewhere},
	{"roles that only a signed userinfo answer has are kept", []setup{fiberBroker.with("signed userinfo", func(c *core.Config) {
		c.Providers[0].ClientID, c.Providers[0].ClientSecret = "signed", "signed-secret"
	})}, (*client).rolesElsewhere},
	{"lightweight tokens have no subject, and are refused", []setup{chiPassthrough.with("lightweight", lightweight)}, (*client).lightweightRefused},
	{"a parameter of the provider's own is handed on", []setup{chiPassthrough.with("kc_idp_hint", func(c *core.Config) {
		c.Providers[0].LoginParams = []string{"kc_idp_hint"}
	})}, (*client).loginParams},
	{"a token of the provider is exchanged, an ID token is not", []setup{stdBroker.with("exchange", func(c *core.Config) { c.Broker.Exchange = true })}, (*client).exchange},
	{"a wrong secret is the operator's fault", []setup{stdPassthrough.with("wrong secret", wrongSecret), chiBroker.with("wrong secret", wrongSecret)}, (*client).wrongSecret},
	{"a grant that is switched off is the operator's fault", []setup{fiberBroker.with("no device grant", lightweight)}, (*client).deviceOff},
	{"endpoints that the network hides are moved", []setup{fiberBroker}, (*client).endpoints},
	{"a new key signs, and the old one is withdrawn", []setup{chiPassthrough, fiberBroker}, (*client).newKey},
	{"a user who was disabled is signed out", []setup{chiBroker, fiberPassthrough}, (*client).disabled},
	{"Keycloak is killed and starts again while 12 clients refresh", []setup{stdBroker}, (*client).killed},
}

func publicClient(c *core.Config) {
	c.Providers[0].ClientID, c.Providers[0].ClientSecret = "public", ""
}

func lightweight(c *core.Config) {
	c.Providers[0].ClientID, c.Providers[0].ClientSecret = "lightweight", "lightweight-secret"
}

func wrongSecret(c *core.Config) { c.Providers[0].ClientSecret = "another" }
