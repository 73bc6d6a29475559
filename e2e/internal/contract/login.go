package contract

import (
	"context"
	"net/http"
	"net/url"

	"github.com/oidcgate/oidcgate/e2e/internal/harness"
	"github.com/oidcgate/oidcgate/e2e/internal/providers"
	"golang.org/x/oauth2"
)

// loginURL is where a browser begins to sign in.
func (c *client) loginURL(query url.Values) string {
	return c.app.URL + "/auth/v2/login?" + query.Encode()
}

// callback: the browser ends at our own callback, with the cookie that login has set.
func (c *client) callback(ctx context.Context) error {
	tokens := harness.NewBrowser().SignIn(ctx, c.loginURL(nil), c.provider.User)
	return harness.InOrder(tokens.IsTokens, func() error { return c.welcome(ctx, tokens) })
}

// native: a program on loopback, which knows no PKCE, posts the sealed state as verifier.
func (c *client) native(ctx context.Context) error {
	back, err := harness.NewBrowser(providers.Native).Back(ctx, c.loginURL(url.Values{"redirect_uri": {providers.Native}}), c.provider.User)
	if err != nil {
		return err
	}
	form := url.Values{
		"code": {back.Query().Get("code")}, "redirect_uri": {providers.Native}, "code_verifier": {back.Query().Get("state")},
	}
	tokens := c.app.Token(ctx, form)
	return harness.InOrder(
		tokens.IsTokens,
		func() error { return c.welcome(ctx, tokens) },
		func() error { return c.app.Token(ctx, form).Is(http.StatusBadRequest, "invalid_grant") }, // once only
	)
}

// page: a page of the application's, on another host, does PKCE for itself.
func (c *client) page(ctx context.Context) error {
	tokens, err := c.signIn(ctx, harness.NewBrowser(providers.Page), nil)
	if err != nil {
		return err
	}
	return c.welcome(ctx, tokens)
}

// signIn signs the provider's user in at the page, with PKCE of the client's own.
func (c *client) signIn(ctx context.Context, browser *harness.Browser, more url.Values) (harness.Answer, error) {
	verifier := oauth2.GenerateVerifier()
	query := url.Values{
		"redirect_uri": {providers.Page}, "state": {"mine"},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"},
	}
	for name, values := range more {
		query[name] = values
	}
	back, err := browser.Back(ctx, c.loginURL(query), c.provider.User)
	if err != nil {
		return harness.Answer{}, err
	}
	tokens := c.app.Token(ctx, url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")},
		"redirect_uri": {providers.Page}, "code_verifier": {verifier},
	})
	return tokens, tokens.IsTokens()
}

// welcome holds that a guard takes the access token of an answer.
func (c *client) welcome(ctx context.Context, tokens harness.Answer) error {
	return c.app.Get(ctx, "/me", tokens.Value("access_token")).Is(http.StatusOK, "")
}
