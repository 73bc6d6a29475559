package contract

import (
	"context"
	"net/http"
	"slices"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/e2e/internal/harness"
	"github.com/oidcgate/oidcgate/e2e/internal/providers"
)

// oidcProvider: PKCE, rotation with reuse detection, iss in every answer; opaque tokens
// for one client and JWTs for the other.
func oidcProvider(ctx context.Context, r *harness.Run) error {
	place, err := newPlace(r, 8)
	if err != nil {
		return err
	}
	p, err := providers.StartOIDCProvider(ctx, r, place.redirectURIs)
	if err != nil {
		return err
	}
	setups := []setup{
		stdBroker,
		fiberBroker.with("JWTs", p.JWTClient),
		chiPassthrough.with("JWTs", p.JWTClient),
		fiberPassthrough.with("introspection", func(c *core.Config) { c.Introspection = true }),
	}
	steps := slices.Concat(loginSteps, refreshSteps, deviceSteps, logoutSteps)
	if err := place.try(ctx, &p.Provider, setups, steps); err != nil {
		return err
	}
	for _, s := range []setup{chiPassthrough.with("JWTs", p.JWTClient), chiBroker} {
		c, err := place.client(&p.Provider, s)
		if err != nil {
			return err
		}
		r.Step(ctx, s.name+": a key that was replaced under its name", func(ctx context.Context) error {
			return c.replacedKey(ctx, p)
		})
	}
	return nil
}

// replacedKey: the provider starts again with another key of the same name. Logins go on
// at once, and the guards take their tokens.
func (c *client) replacedKey(ctx context.Context, p *providers.OIDCProvider) error {
	before, err := c.signIn(ctx, c.provider.User, nil)
	if err != nil {
		return err
	}
	if err := p.ReplaceKey(ctx); err != nil {
		return err
	}
	after, err := c.signIn(ctx, c.provider.User, nil)
	if err != nil {
		return err
	}
	refreshed := c.app.Refresh(ctx, before.Value("refresh_token"))
	return harness.InOrder(c.welcome(ctx, after), refreshed.IsTokens, c.welcome(ctx, refreshed), func() error {
		if c.broker {
			return nil // the provider's keys are none of a broker's own tokens' business
		}
		return c.app.Get(ctx, "/me", before.Value("access_token")).Is(http.StatusUnauthorized, "invalid_token")
	})
}
