package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/oauth2"
)

var outageSteps = []step{
	{"application that starts before its provider", (*check).startsFirst},
	{"provider that goes down and comes back", (*check).goesDown},
}

// startsFirst: without the provider's keys nobody can be told apart, and the
// guard asks for patience instead of refusing.
func (c *check) startsFirst(ctx context.Context) error {
	tokens, err := c.signIn(ctx, alice)
	if err != nil {
		return err
	}
	c.provider.Down(true)
	defer c.provider.Down(false)
	early, err := c.newApp()
	if err != nil {
		return err
	}
	defer early.close()
	second := &check{app: early, http: c.http}

	a := second.get(ctx, "/me", tokens.AccessToken)
	if err := a.is(http.StatusServiceUnavailable, "temporarily_unavailable"); err != nil {
		return err
	}
	c.provider.Down(false)
	for a.status == http.StatusServiceUnavailable {
		seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
		if err != nil || seconds < 1 {
			return fmt.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
		}
		if err := pause(ctx, time.Duration(seconds)*time.Second); err != nil {
			return err
		}
		a = second.get(ctx, "/me", tokens.AccessToken)
	}
	return a.is(http.StatusOK, "")
}

// goesDown: tokens are verified on with the keys that are known; what needs the
// provider says so, and works again as soon as it is back.
func (c *check) goesDown(ctx context.Context) error {
	tokens, err := c.signIn(ctx, alice)
	if err != nil {
		return err
	}
	if err := c.get(ctx, "/me", tokens.AccessToken).is(http.StatusOK, ""); err != nil {
		return err
	}
	device, err := c.client().DeviceAuth(c.withClient(ctx))
	if err != nil {
		return err
	}
	c.provider.Down(true)
	defer c.provider.Down(false)
	refresh := func() answer {
		return c.post(ctx, "/auth/v2/token", url.Values{"refresh_token": {tokens.RefreshToken}})
	}
	return inOrder(
		func() error { return c.get(ctx, "/me", tokens.AccessToken).is(http.StatusOK, "") },
		func() error {
			a := refresh()
			if err := a.is(http.StatusServiceUnavailable, "temporarily_unavailable"); err != nil {
				return err
			}
			return a.has("Retry-After", "1")
		},
		func() error { return c.pollInVain(ctx, device) },
		func() error {
			c.provider.Down(false)
			return refresh().isTokens()
		},
	)
}

// pollInVain: a device is told no error code, which it would take for the end.
func (c *check) pollInVain(ctx context.Context, device *oauth2.DeviceAuthResponse) error {
	a := c.post(ctx, "/auth/v2/token", url.Values{"device_code": {device.DeviceCode}})
	if err := a.is(http.StatusServiceUnavailable, ""); err != nil {
		return err
	}
	return a.has("Retry-After", "1")
}
