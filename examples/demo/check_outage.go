package main

import (
	"context"
	"net/http"
	"net/url"

	"github.com/oidcgate/oidcgate/examples/internal/probe"
	"golang.org/x/oauth2"
)

var outageSteps = []step{
	{"provider that goes down and comes back", (*check).goesDown},
}

// goesDown: tokens are verified on with the keys that are known; what needs the
// provider says so, and works again as soon as it is back, with the same refresh
// token.
func (c *check) goesDown(ctx context.Context) error {
	tokens, err := c.signIn(ctx, probe.Alice)
	if err != nil {
		return err
	}
	// A broker's guards and routes get by without the provider's keys until they
	// redeem something.
	if err := c.app.auth.Start(ctx); err != nil {
		return err
	}
	if err := c.get(ctx, "/me", tokens.AccessToken).Is(http.StatusOK, ""); err != nil {
		return err
	}
	device, err := c.client().DeviceAuth(c.withClient(ctx))
	if err != nil {
		return err
	}
	c.provider.Down(true)
	defer c.provider.Down(false)
	refresh := func() probe.Answer { return c.refreshBy(ctx, tokens.RefreshToken) }
	return probe.InOrder(
		func() error { return c.get(ctx, "/me", tokens.AccessToken).Is(http.StatusOK, "") },
		func() error {
			a := refresh()
			if err := a.Is(http.StatusServiceUnavailable, "temporarily_unavailable"); err != nil {
				return err
			}
			return a.Has("Retry-After", "1")
		},
		func() error { return c.pollInVain(ctx, device) },
		func() error {
			c.provider.Down(false)
			return refresh().IsTokens()
		},
	)
}

// pollInVain: a device is told no error code, which it would take for the end.
func (c *check) pollInVain(ctx context.Context, device *oauth2.DeviceAuthResponse) error {
	a := c.post(ctx, "/auth/v2/token", url.Values{"device_code": {device.DeviceCode}})
	if err := a.Is(http.StatusServiceUnavailable, ""); err != nil {
		return err
	}
	return a.Has("Retry-After", "1")
}
