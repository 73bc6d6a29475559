package contract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/oidcgate/oidcgate/e2e/internal/harness"
	"github.com/oidcgate/oidcgate/e2e/internal/providers"
)

var logoutSteps = []step{
	{"logout ends the session here and at the provider", (*client).logout},
	{"logout to an address that is not listed is refused", (*client).logoutForeign},
}

// logout: afterwards the same browser is asked for the password again, and the refresh
// token is worth nothing.
func (c *client) logout(ctx context.Context) error {
	browser := harness.NewBrowser(providers.Page)
	tokens, err := c.signInWith(ctx, browser, c.provider.User, nil)
	if err != nil {
		return err
	}
	login := c.login(url.Values{"redirect_uri": {providers.Native}})
	if again, err := harness.NewBrowser().AsksForPassword(ctx, login); err != nil || !again {
		return fmt.Errorf("a new browser is not asked for a password: %w", err)
	}
	query := url.Values{"post_logout_redirect_uri": {providers.Page}, "state": {"bye"}, "refresh_token": {tokens.Value("refresh_token")}}
	if id := tokens.Value("id_token"); id != "" {
		query.Set("id_token_hint", id)
	}
	sent := c.app.Post(ctx, "/auth/v2/logout", tokens.Value("access_token"), query)
	if err := sent.Is(http.StatusFound, ""); err != nil {
		return err
	}
	back, err := browser.Back(ctx, sent.Header.Get("Location"), c.provider.User)
	if err != nil {
		return err
	}
	if back.Query().Get("state") != "bye" {
		return fmt.Errorf("the logout came back to %s, without its state", back)
	}
	if again, err := browser.AsksForPassword(ctx, login); err != nil || !again {
		return errors.Join(errors.New("the browser is still signed in at the provider"), err)
	}
	return c.app.Refresh(ctx, tokens.Value("refresh_token")).Is(http.StatusBadRequest, "invalid_grant")
}

func (c *client) logoutForeign(ctx context.Context) error {
	query := url.Values{"post_logout_redirect_uri": {"https://elsewhere.example/"}}
	return c.app.Get(ctx, "/auth/v2/logout?"+query.Encode(), "").Is(http.StatusBadRequest, "invalid_request")
}
