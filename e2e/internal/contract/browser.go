package contract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/e2e/internal/harness"
	"github.com/oidcgate/oidcgate/e2e/internal/providers"
)

// briefly has browsers' sessions refreshed after a second.
func briefly(config *core.Config) {
	config.Browser = &core.Browser{}
	config.Broker.TokenLifetime = time.Second
}

// tryBrowser starts an application with browser sessions, and uses it as a person does.
func (p *place) tryBrowser(ctx context.Context, provider *providers.Provider, s setup) error {
	c, err := p.client(provider, s.with("browser sessions", briefly))
	if err != nil {
		return err
	}
	p.run.Step(ctx, c.setup.name+": a browser signs in by cookie, is refreshed, and signs out here and at the provider", func(ctx context.Context) error {
		return harness.InOrder(func() error { return c.browserSession(ctx) }, c.app.Log.Clean)
	})
	return nil
}

// browserSession: the login leads back to where it began, the session goes on with another
// refresh token of the provider's, and after the logout there is a session nowhere.
func (c *client) browserSession(ctx context.Context) error {
	mount, err := url.Parse(c.app.URL)
	if err != nil {
		return err
	}
	here := mount.Path + "/me?page=2"
	browser := harness.NewBrowser(providers.Page)
	login := c.login(url.Values{"return_to": {here}, "offline_access": {"true"}})
	page := browser.SignIn(ctx, login, c.provider.User)
	if err := page.Is(http.StatusOK, ""); err != nil {
		return err
	}
	if page.URL.RequestURI() != here {
		return fmt.Errorf("the login led to %s, expected %s", page.URL, here)
	}
	who := browser.Open(ctx, c.app.URL+"/auth/v2/session")
	if err := who.Is(http.StatusOK, ""); err != nil {
		return err
	}
	if who.Value("sub") == "" || who.Value("username") == "" || who.Value("access_token") != "" {
		return fmt.Errorf("the session route tells %v", who.Body)
	}
	if err := c.isRefreshed(ctx, browser, who.Value("sub")); err != nil {
		return err
	}
	out := url.Values{"post_logout_redirect_uri": {providers.Page}, "state": {"bye"}}
	// It confirms the logout on the page that asks.
	back, err := browser.Back(ctx, c.app.URL+"/auth/v2/logout?"+out.Encode(), c.provider.User)
	if err != nil {
		return err
	}
	if back.Query().Get("state") != "bye" {
		return fmt.Errorf("the logout came back to %s, without its state", back)
	}
	if again, err := browser.AsksForPassword(ctx, login); err != nil || !again {
		return errors.Join(errors.New("the browser is still signed in at the provider"), err)
	}
	return c.browserIsOut(ctx, browser)
}

// isRefreshed opens pages until the provider was asked for the session again.
func (c *client) isRefreshed(ctx context.Context, browser *harness.Browser, subject string) error {
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err := browser.Open(ctx, c.app.URL+"/me").Is(http.StatusOK, ""); err != nil {
			return err
		}
		sessions, err := c.app.Auth.Sessions(ctx, subject)
		if err != nil {
			return err
		}
		if len(sessions) > 0 && sessions[0].Refreshed.After(sessions[0].Began) {
			return nil
		}
	}
	return errors.New("the session was not refreshed in 15 s")
}

func (c *client) browserIsOut(ctx context.Context, browser *harness.Browser) error {
	answer := browser.Open(ctx, c.app.URL+"/auth/v2/session")
	if answer.Status != http.StatusUnauthorized {
		return fmt.Errorf("the session route answered %d, expected 401", answer.Status)
	}
	return answer.Err
}

// browserLogout: a logout at the provider ends the session of the browser. Keycloak tells of
// none that has offline access alone.
func (c *client) browserLogout(ctx context.Context) error {
	browser := harness.NewBrowser(providers.Page)
	signedIn := browser.SignIn(ctx, c.login(url.Values{"return_to": {"/nowhere"}}), providers.Alice)
	if signedIn.Err != nil || signedIn.URL.Path != "/nowhere" {
		return fmt.Errorf("the login led to %s: %w", signedIn.URL, signedIn.Err)
	}
	return harness.InOrder(
		func() error { return browser.Open(ctx, c.app.URL+"/auth/v2/session").Is(http.StatusOK, "") },
		func() error { return c.logoutAtProvider(ctx, browser) },
		func() error { return c.browserIsOut(ctx, browser) },
	)
}
