package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
	"golang.org/x/oauth2"
)

// sessionSteps are about what a login begins in broker mode.
var sessionSteps = []step{
	{"refresh with x/oauth2 gives another refresh token", (*check).refreshRotates},
	{"64 refreshes at once are one at the provider", (*check).refreshAtOnce},
	{"used refresh token is forgiven at first, and then ends the session", (*check).refreshReplayed},
	{"logout ends the session", (*check).logoutEndsSession},
	{"session that the provider ends", (*check).providerEndsSession},
	{"restart with the same store, while the provider is down", (*check).restartProviderDown},
	{"restart with other secrets is refused and changes nothing", (*check).restartOtherSecrets},
}

func (c *check) refreshRotates(ctx context.Context) error {
	tokens, err := c.signIn(ctx, probe.Alice)
	if err != nil {
		return err
	}
	fresh, err := c.client().TokenSource(c.withClient(ctx), &oauth2.Token{RefreshToken: tokens.RefreshToken}).Token()
	if err != nil {
		return err
	}
	if fresh.RefreshToken == "" || fresh.RefreshToken == tokens.RefreshToken {
		return errors.New("the refresh token is the old one, or there is none")
	}
	return probe.InOrder(
		func() error { return c.restarted(ctx) },
		func() error { return c.refreshBy(ctx, fresh.RefreshToken).IsTokens() },
	)
}

// refreshAtOnce: many tabs wake up, and all have the same token.
func (c *check) refreshAtOnce(ctx context.Context) error {
	tokens, err := c.signIn(ctx, probe.Alice)
	if err != nil {
		return err
	}
	before := c.provider.Requests(oidctest.TokenPath)
	answers := make([]probe.Answer, 64)
	var tabs sync.WaitGroup
	for i := range answers {
		tabs.Go(func() { answers[i] = c.refreshBy(ctx, tokens.RefreshToken) })
	}
	tabs.Wait()
	for _, a := range answers {
		if err := a.IsTokens(); err != nil {
			return err
		}
		if a.Text("refresh_token") != answers[0].Text("refresh_token") {
			return errors.New("two tabs got different refresh tokens")
		}
	}
	if asked := c.provider.Requests(oidctest.TokenPath) - before; asked != 1 {
		return fmt.Errorf("the provider was asked %d times", asked)
	}
	return nil
}

// refreshReplayed: whoever did not receive the answer asks again, and soon. One
// who comes later has found the token somewhere.
func (c *check) refreshReplayed(ctx context.Context) error {
	second, later, err := c.withClock(ctx)
	if err != nil {
		return err
	}
	defer second.stop()
	tokens, err := second.signIn(ctx, probe.Alice)
	if err != nil {
		return err
	}
	first := second.refreshBy(ctx, tokens.RefreshToken)
	if err := second.restarted(ctx); err != nil {
		return err
	}
	again := second.refreshBy(ctx, tokens.RefreshToken)
	if err := errors.Join(first.IsTokens(), again.IsTokens()); err != nil {
		return err
	}
	if again.Text("refresh_token") != first.Text("refresh_token") {
		return errors.New("the second answer has another refresh token than the first, which was lost")
	}
	later(newBroker().RefreshGrace + time.Second)
	return probe.InOrder(
		func() error { return second.restarted(ctx) },
		func() error {
			return second.refreshBy(ctx, tokens.RefreshToken).Is(http.StatusBadRequest, "invalid_grant")
		},
		func() error { return second.hasEnded(ctx, first) },
	)
}

// hasEnded holds that the session of these tokens is over. Its access token alone
// goes on, which is why it lives briefly.
func (c *check) hasEnded(ctx context.Context, tokens probe.Answer) error {
	access := tokens.Text("access_token")
	return probe.InOrder(
		func() error { return c.restarted(ctx) },
		func() error {
			return c.refreshBy(ctx, tokens.Text("refresh_token")).Is(http.StatusBadRequest, "invalid_grant")
		},
		func() error {
			return c.get(ctx, "/auth/v2/userinfo", access).Is(http.StatusUnauthorized, "invalid_token")
		},
		func() error { return c.get(ctx, "/me", access).Is(http.StatusOK, "") },
	)
}

// logoutEndsSession: the refresh token says whose session it is. It is in the
// form, for a URL would be in somebody's log.
func (c *check) logoutEndsSession(ctx context.Context) error {
	tokens, err := c.signedIn(ctx)
	if err != nil {
		return err
	}
	a := c.post(ctx, "/auth/v2/logout", url.Values{
		"refresh_token": {tokens.Text("refresh_token")}, "post_logout_redirect_uri": {c.app.origin + "/"},
	})
	return probe.InOrder(
		func() error { return a.Is(http.StatusFound, "") },
		func() error { return a.Has("Location", c.provider.Issuer+oidctest.EndSessionPath+"?") },
		func() error { return a.Has("Location", "id_token_hint=") }, // so that the provider need not ask
		func() error { return c.hasEnded(ctx, tokens) },
	)
}

func (c *check) providerEndsSession(ctx context.Context) error {
	tokens, err := c.signedIn(ctx)
	if err != nil {
		return err
	}
	c.provider.EndSessions()
	return c.hasEnded(ctx, tokens)
}

// signedIn gives the tokens of a session as a token answer.
func (c *check) signedIn(ctx context.Context) (probe.Answer, error) {
	tokens, err := c.signIn(ctx, probe.Alice)
	if err != nil {
		return probe.Answer{}, err
	}
	a := c.refreshBy(ctx, tokens.RefreshToken)
	return a, probe.InOrder(a.IsTokens, func() error { return c.restarted(ctx) })
}

// restartProviderDown: keys and sessions are in the store. Guards need no provider; a
// refresh does.
func (c *check) restartProviderDown(ctx context.Context) error {
	tokens, again, err := c.stopped(ctx)
	if err != nil {
		return err
	}
	c.provider.Down(true)
	defer c.provider.Down(false)
	after, err := c.another(ctx, again)
	if err != nil {
		return err
	}
	defer after.stop()
	return probe.InOrder(
		func() error { return after.get(ctx, "/me", tokens.Text("access_token")).Is(http.StatusOK, "") },
		func() error {
			c.provider.Down(false)
			return after.refreshBy(ctx, tokens.Text("refresh_token")).IsTokens()
		},
	)
}

// restartOtherSecrets: an operator who has mixed up the secrets is told so, and
// loses nothing.
func (c *check) restartOtherSecrets(ctx context.Context) error {
	tokens, again, err := c.stopped(ctx)
	if err != nil {
		return err
	}
	wrong, err := c.another(ctx, func(config *core.Config) {
		again(config)
		config.Secrets = []string{newSecret()}
	})
	if err != nil {
		return err
	}
	err = wrong.app.auth.Start(ctx)
	wrong.stop()
	if err == nil || !strings.Contains(err.Error(), "Config.Secrets") {
		return fmt.Errorf("the start said %v, and nothing of Config.Secrets", err)
	}
	right, err := c.another(ctx, again)
	if err != nil {
		return err
	}
	defer right.stop()
	return probe.InOrder(
		func() error { return right.get(ctx, "/me", tokens.Text("access_token")).Is(http.StatusOK, "") },
		func() error { return right.refreshBy(ctx, tokens.Text("refresh_token")).IsTokens() },
	)
}

// stopped gives the tokens of somebody who signed in to an application that has
// stopped since, and how to start it again.
func (c *check) stopped(ctx context.Context) (tokens probe.Answer, again func(*core.Config), err error) {
	before, err := c.another(ctx, func(*core.Config) {})
	if err != nil {
		return probe.Answer{}, nil, err
	}
	defer before.stop()
	tokens, err = before.signedIn(ctx)
	return tokens, func(config *core.Config) {
		config.PublicURL = before.app.publicURL // as behind a proxy: the port is another
	}, err
}
