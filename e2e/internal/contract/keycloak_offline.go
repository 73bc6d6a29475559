package contract

import (
	"context"
	"fmt"
	"net/url"

	"github.com/oidcgate/oidcgate/e2e/internal/harness"
	"github.com/oidcgate/oidcgate/e2e/internal/providers"
)

// tryOfflineLogout runs what Keycloak alone shows of a client to which it sends its logout
// tokens (OpenID Connect Back-Channel Logout 1.0, 2.7).
func (c *client) tryOfflineLogout(ctx context.Context, k *providers.Keycloak) {
	for _, s := range []struct {
		name    string
		revoked bool
	}{
		{"a session with offline_access outlives a logout at the provider", false},
		{"a session with offline_access ends with a logout token that has revoke_offline_access", true},
	} {
		c.place.run.Step(ctx, c.setup.name+": "+s.name, func(ctx context.Context) error {
			return harness.InOrder(func() error { return c.offlineLogout(ctx, k, s.revoked) }, c.app.Log.Clean)
		})
	}
}

// offlineLogout: one browser has a session with offline_access and one without, both of the
// same session at the provider. There is one logout token.
func (c *client) offlineLogout(ctx context.Context, k *providers.Keycloak, revoked bool) error {
	if err := k.SetRevokesOffline(ctx, "backchannel", revoked); err != nil {
		return err
	}
	browser := harness.NewBrowser(providers.Page)
	ordinary, err := c.signInWith(ctx, browser, providers.Alice, url.Values{"offline_access": {"false"}})
	if err != nil {
		return err
	}
	offline, err := c.signInWith(ctx, browser, providers.Alice, url.Values{"offline_access": {"true"}})
	if err != nil {
		return err
	}
	before := c.endedByProvider()
	if err := harness.InOrder(
		c.welcome(ctx, ordinary), c.welcome(ctx, offline),
		func() error { return c.logoutAtProvider(ctx, browser) },
		func() error { return c.hasEnded(ctx, ordinary) },
	); err != nil {
		return err
	}
	ended, outcome := 1, func() error {
		return harness.InOrder(c.welcome(ctx, offline), c.app.Refresh(ctx, offline.Value("refresh_token")).IsTokens)
	}
	if revoked {
		ended, outcome = 2, func() error { return c.hasEnded(ctx, offline) }
	}
	if err := outcome(); err != nil {
		return fmt.Errorf("with offline_access: %w", err)
	}
	return c.endedSince(before, ended)
}
