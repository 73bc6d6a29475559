package contract

import (
	"context"
	"slices"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/e2e/internal/harness"
	"github.com/oidcgate/oidcgate/e2e/internal/providers"
)

// zitadel: opaque access tokens, rotated refresh tokens. Its device page remembers the
// wrong user, and its clients have no address to come to after a logout.
func zitadel(ctx context.Context, r *harness.Run) error {
	place, err := newPlace(r, 3)
	if err != nil {
		return err
	}
	provider, err := providers.StartZitadel(ctx, r, place.redirectURIs)
	if err != nil {
		return err
	}
	introspection := func(c *core.Config) { c.Providers[0].Introspection = true }
	setups := []setup{chiBroker, fiberBroker, stdPassthrough.with("introspection", introspection)}
	return place.try(ctx, provider, setups, slices.Concat(loginSteps, refreshSteps))
}
