package contract

import (
	"context"
	"slices"

	"github.com/oidcgate/oidcgate/e2e/internal/harness"
	"github.com/oidcgate/oidcgate/e2e/internal/providers"
)

func keycloak(ctx context.Context, r *harness.Run) error {
	place, err := newPlace(r, 10)
	if err != nil {
		return err
	}
	k, err := providers.StartKeycloak(ctx, r, place.redirectURIs)
	if err != nil {
		return err
	}
	steps := slices.Concat(loginSteps, refreshSteps, deviceSteps, logoutSteps)
	return place.try(ctx, &k.Provider, []setup{chiBroker, stdPassthrough, fiberBroker}, steps)
}
