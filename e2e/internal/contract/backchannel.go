package contract

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/e2e/internal/harness"
	"github.com/oidcgate/oidcgate/e2e/internal/providers"
)

// tryBackchannelLogout starts the application to which the provider sends its logout
// tokens, which must be the first of the place, and has the provider send one. It gives a
// client of that application.
func (p *place) tryBackchannelLogout(ctx context.Context, provider *providers.Provider, s setup) (*client, error) {
	c, err := p.client(provider, s.with("back-channel logout", func(config *core.Config) {
		providers.BackchannelClient(config)
		config.Broker.CheckSession = time.Minute
		config.Browser = &core.Browser{}
	}))
	if err != nil {
		return nil, err
	}
	p.run.Step(ctx, c.setup.name+": a logout at the provider ends the session of that browser alone", func(ctx context.Context) error {
		return harness.InOrder(func() error { return c.backchannelLogout(ctx) }, c.app.Log.Clean)
	})
	p.run.Step(ctx, c.setup.name+": a logout at the provider ends the session of a cookie", func(ctx context.Context) error {
		return harness.InOrder(func() error { return c.browserLogout(ctx) }, c.app.Log.Clean)
	})
	return c, nil
}

// backchannelLogout: the access token of the session is rejected at once, and its refresh
// token too. The sessions of the user's other browsers and of other users go on.
func (c *client) backchannelLogout(ctx context.Context) error {
	online := url.Values{"offline_access": {"false"}}
	browser := harness.NewBrowser(providers.Page)
	ended, err := c.signInWith(ctx, browser, providers.Alice, online)
	if err != nil {
		return err
	}
	var others []harness.Answer
	for _, who := range []harness.Person{providers.Alice, providers.Bob} {
		tokens, err := c.signIn(ctx, who, online)
		if err != nil {
			return err
		}
		others = append(others, tokens)
	}
	before := c.endedByProvider()
	if err := harness.InOrder(
		c.welcome(ctx, ended),
		func() error { return c.logoutAtProvider(ctx, browser) },
		func() error { return c.hasEnded(ctx, ended) },
		func() error { return c.endedSince(before, 1) },
	); err != nil {
		return err
	}
	for _, tokens := range others {
		if err := harness.InOrder(c.welcome(ctx, tokens), c.app.Refresh(ctx, tokens.Value("refresh_token")).IsTokens); err != nil {
			return err
		}
	}
	return nil
}

// logoutAtProvider logs a browser out at the provider, where the application has no part in
// it.
func (c *client) logoutAtProvider(ctx context.Context, browser *harness.Browser) error {
	issuer := c.provider.Config.Providers[0].Issuer
	found := harness.Send(ctx, http.DefaultClient, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", "", nil)
	if err := found.Is(http.StatusOK, ""); err != nil {
		return err
	}
	done := browser.SignIn(ctx, found.Value("end_session_endpoint"), providers.Alice)
	return done.Is(http.StatusOK, "")
}

// hasEnded holds a session's tokens against its end.
func (c *client) hasEnded(ctx context.Context, tokens harness.Answer) error {
	return harness.InOrder(
		func() error {
			return c.app.Get(ctx, "/me", tokens.Value("access_token")).Is(http.StatusUnauthorized, "invalid_token")
		},
		func() error {
			return c.app.Refresh(ctx, tokens.Value("refresh_token")).Is(http.StatusBadRequest, "invalid_grant")
		},
	)
}

// endedByProvider is how many sessions logout tokens have ended. A refresh that is refused
// does not tell: the provider may have refused it.
func (c *client) endedByProvider() int {
	return strings.Count(c.app.Log.String(), fmt.Sprintf(`"reason":%q`, core.ReasonProviderLogout))
}

// endedSince holds the number against what it was before.
func (c *client) endedSince(before, expected int) error {
	if n := c.endedByProvider() - before; n != expected {
		return fmt.Errorf("%d sessions were ended by a logout token, expected %d", n, expected)
	}
	return nil
}
