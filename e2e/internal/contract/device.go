package contract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/oidcgate/oidcgate/e2e/internal/harness"
)

var deviceSteps = []step{
	{"device login that is approved", (*client).deviceApproved},
	{"device login that is refused", (*client).deviceRefused},
}

func (c *client) deviceApproved(ctx context.Context) error {
	device, err := c.device(ctx)
	if err != nil {
		return err
	}
	if err := c.poll(ctx, device).Is(http.StatusBadRequest, "authorization_pending"); err != nil {
		return err
	}
	tokens, err := c.decide(ctx, device, c.provider.User)
	if err != nil {
		return err
	}
	return harness.InOrder(
		tokens.IsTokens,
		c.welcome(ctx, tokens),
		func() error { return c.app.Refresh(ctx, tokens.Value("refresh_token")).IsTokens() },
	)
}

func (c *client) deviceRefused(ctx context.Context) error {
	device, err := c.device(ctx)
	if err != nil {
		return err
	}
	who := c.provider.User
	who.Refuses = true
	answer, err := c.decide(ctx, device, who)
	if err != nil {
		return err
	}
	return answer.Is(http.StatusBadRequest, "access_denied")
}

// device begins a device login.
func (c *client) device(ctx context.Context) (harness.Answer, error) {
	device := c.app.Post(ctx, "/auth/v2/device", "", nil)
	if err := device.Is(http.StatusOK, ""); err != nil {
		return device, err
	}
	for _, name := range []string{"device_code", "user_code", "verification_uri", "expires_in", "interval"} {
		if device.Body[name] == nil || device.Body[name] == "" {
			return device, fmt.Errorf("the device answer has no %s", name)
		}
	}
	return device, nil
}

// decide signs somebody in at the device page, and gives the answer that ends the polling.
func (c *client) decide(ctx context.Context, device harness.Answer, who harness.Person) (harness.Answer, error) {
	who.Code = device.Value("user_code")
	page := harness.NewBrowser().SignIn(ctx, device.Value("verification_uri"), who)
	if page.Err != nil {
		return page, page.Err
	}
	seconds, _ := device.Body["interval"].(float64)
	interval := time.Duration(seconds) * time.Second
	var answer harness.Answer
	err := harness.Until(ctx, interval, func(ctx context.Context) error {
		answer = c.poll(ctx, device)
		switch answer.Value("error") {
		case "authorization_pending", "slow_down":
			return errors.New("the device is told " + answer.Value("error"))
		}
		return nil
	})
	return answer, err
}

func (c *client) poll(ctx context.Context, device harness.Answer) harness.Answer {
	return c.app.Token(ctx, url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {device.Value("device_code")},
	})
}
