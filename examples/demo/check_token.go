package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
	"golang.org/x/oauth2"
)

var tokenSteps = []step{
	{"refresh with x/oauth2", (*check).refresh},
	{"refresh in both spellings", (*check).refreshSpellings},
	{"refresh with a bad token is refused", (*check).refreshBad},
}

var deviceSteps = []step{
	{"device login with x/oauth2, pending and then approved", (*check).deviceApproved},
	{"device login with x/oauth2, refused", (*check).deviceRefused},
}

// refresh: a token that has expired is replaced without a word.
func (c *check) refresh(ctx context.Context) error {
	tokens, err := c.signIn(ctx, probe.Alice)
	if err != nil {
		return err
	}
	old := *tokens
	old.Expiry = time.Now().Add(-time.Minute)
	fresh, err := c.client().TokenSource(c.withClient(ctx), &old).Token()
	if err != nil {
		return err
	}
	if fresh.AccessToken == tokens.AccessToken {
		return errors.New("the access token is the old one")
	}
	return c.get(ctx, "/me", fresh.AccessToken).Is(http.StatusOK, "")
}

func (c *check) refreshSpellings(ctx context.Context) error {
	tokens, err := c.signIn(ctx, probe.Alice)
	if err != nil {
		return err
	}
	for _, name := range []string{"refresh_token", "refresh-token"} {
		if err := c.post(ctx, "/auth/v2/token", url.Values{name: {tokens.RefreshToken}}).IsTokens(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := c.restarted(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *check) refreshBad(ctx context.Context) error {
	return c.post(ctx, "/auth/v2/token", url.Values{"refresh_token": {"nonsense"}}).Is(http.StatusBadRequest, "invalid_grant")
}

// deviceApproved: x/oauth2 goes on polling while nobody has decided.
func (c *check) deviceApproved(ctx context.Context) error {
	ctx = c.withClient(ctx)
	device, err := c.client().DeviceAuth(ctx)
	if err != nil {
		return err
	}
	if err := probe.InOrder(
		func() error { return c.restarted(ctx) },
		func() error { return c.pending(ctx, device) },
		func() error { return c.restarted(ctx) },
	); err != nil {
		return err
	}
	polled := c.provider.Requests(oidctest.TokenPath)
	approved := make(chan error, 1)
	go func() {
		err := c.waitForPoll(ctx, polled)
		if err == nil {
			err = probe.NewBrowser().Decide(ctx, device.VerificationURI, device.UserCode, probe.Bob, "approve")
		}
		approved <- err
	}()
	tokens, err := c.client().DeviceAccessToken(ctx, device)
	if err := errors.Join(err, <-approved); err != nil {
		return err
	}
	if err := c.restarted(ctx); err != nil {
		return err
	}
	a := c.get(ctx, "/me", tokens.AccessToken)
	if err := a.Is(http.StatusOK, ""); err != nil {
		return err
	}
	if a.Text("subject") != "user-bob" {
		return fmt.Errorf("the device is signed in as %q", a.Text("subject"))
	}
	return nil
}

func (c *check) pending(ctx context.Context, device *oauth2.DeviceAuthResponse) error {
	for _, name := range []string{"device_code", "device-code"} {
		if err := c.post(ctx, "/auth/v2/token", url.Values{name: {device.DeviceCode}}).Is(http.StatusBadRequest, "authorization_pending"); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// waitForPoll waits until the provider has been polled once more.
func (c *check) waitForPoll(ctx context.Context, before int) error {
	for c.provider.Requests(oidctest.TokenPath) == before {
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func (c *check) deviceRefused(ctx context.Context) error {
	ctx = c.withClient(ctx)
	device, err := c.client().DeviceAuth(ctx)
	if err != nil {
		return err
	}
	if err := probe.NewBrowser().Decide(ctx, device.VerificationURI, device.UserCode, probe.Bob, "refuse"); err != nil {
		return err
	}
	_, err = c.client().DeviceAccessToken(ctx, device)
	var refusal *oauth2.RetrieveError
	if !errors.As(err, &refusal) || refusal.ErrorCode != "access_denied" || refusal.Response.StatusCode != http.StatusBadRequest {
		return fmt.Errorf("the device was told %w, expected access_denied", err)
	}
	return nil
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
