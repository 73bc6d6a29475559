package contract

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/e2e/internal/harness"
	"github.com/oidcgate/oidcgate/e2e/internal/providers"
)

// oidcProvider: PKCE, rotation with reuse detection, iss in every answer; opaque tokens
// for one client and JWTs for the other.
func oidcProvider(ctx context.Context, r *harness.Run) error {
	place, err := newPlace(r, 14)
	if err != nil {
		return err
	}
	p, err := providers.StartOIDCProvider(ctx, r, place.redirectURIs, place.logoutURI)
	if err != nil {
		return err
	}
	if _, err := place.tryBackchannelLogout(ctx, &p.Provider, chiBroker); err != nil {
		return err
	}
	if err := place.tryBrowser(ctx, &p.Provider, chiBroker); err != nil {
		return err
	}
	setups := []setup{
		stdBroker,
		fiberBroker.with("JWTs", p.JWTClient),
		chiPassthrough.with("JWTs", p.JWTClient),
		fiberPassthrough.with("introspection", func(c *core.Config) { c.Providers[0].Introspection = true }),
	}
	steps := slices.Concat(loginSteps, refreshSteps, deviceSteps, logoutSteps)
	if err := place.try(ctx, &p.Provider, setups, steps); err != nil {
		return err
	}
	for _, s := range oidcProviderSteps {
		for _, setup := range s.setups(p) {
			c, err := place.client(&p.Provider, setup)
			if err != nil {
				return err
			}
			r.Step(ctx, setup.name+": "+s.name, func(ctx context.Context) error {
				return harness.InOrder(func() error { return s.run(c, ctx, p) }, c.app.Log.Clean)
			})
		}
	}
	return nil
}

// oidcProviderSteps need a provider that can be started again, or one that is as strict.
var oidcProviderSteps = []struct {
	name   string
	setups func(*providers.OIDCProvider) []setup
	run    func(*client, context.Context, *providers.OIDCProvider) error
}{
	{"a key that was replaced under its name is found", func(p *providers.OIDCProvider) []setup {
		return []setup{chiPassthrough.with("JWTs", p.JWTClient), chiBroker}
	}, (*client).replacedKey},
	{"a refresh token that comes twice ends its grant", func(*providers.OIDCProvider) []setup {
		return []setup{chiPassthrough, stdBroker.with("short grace", func(c *core.Config) { c.Broker.RefreshGrace = 2 * time.Second })}
	}, (*client).replayed},
	{"refreshes while the provider is down cost no session", func(*providers.OIDCProvider) []setup {
		return []setup{fiberBroker}
	}, (*client).down},
}

// replayed: whoever has stolen a used token, or lost the next one to a thief, ends the
// session with it. In passthrough mode the provider sees to it.
func (c *client) replayed(ctx context.Context, _ *providers.OIDCProvider) error {
	first, err := c.signIn(ctx, c.provider.User, nil)
	if err != nil {
		return err
	}
	second := c.app.Refresh(ctx, first.Value("refresh_token"))
	third := c.app.Refresh(ctx, second.Value("refresh_token"))
	refused := func(a harness.Answer) func() error {
		return func() error {
			return c.app.Refresh(ctx, a.Value("refresh_token")).Is(http.StatusBadRequest, "invalid_grant")
		}
	}
	return harness.InOrder(second.IsTokens, third.IsTokens, refused(first), refused(third))
}

// down: each is told to try again, and then can, although this provider takes no refresh
// token twice.
func (c *client) down(ctx context.Context, p *providers.OIDCProvider) error {
	tokens := make([]harness.Answer, 12)
	for i := range tokens {
		var err error
		if tokens[i], err = c.signIn(ctx, c.provider.User, nil); err != nil {
			return err
		}
	}
	each := func(hold func(harness.Answer) error) error {
		answers := make([]error, len(tokens))
		var wait sync.WaitGroup
		for i, t := range tokens {
			wait.Go(func() { answers[i] = hold(c.app.Refresh(ctx, t.Value("refresh_token"))) })
		}
		wait.Wait()
		return errors.Join(answers...)
	}
	p.Process.Kill()
	refused := each(func(a harness.Answer) error {
		if a.Header.Get("Retry-After") == "" {
			return errors.New("there is no Retry-After")
		}
		return a.Is(http.StatusServiceUnavailable, "temporarily_unavailable")
	})
	if err := errors.Join(refused, p.Process.Start(ctx)); err != nil {
		return err
	}
	return each(harness.Answer.IsTokens)
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
