package contract

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/oidcgate/oidcgate/e2e/internal/harness"
	"github.com/oidcgate/oidcgate/e2e/internal/providers"
	"golang.org/x/oauth2"
)

var loginSteps = []step{
	{"Start finds nothing wrong", (*client).start},
	{"login through the callback", (*client).loginCallback},
	{"login through the callback without its cookie is refused", (*client).loginCallbackForeign},
	{"login of a native program with a sealed state", (*client).loginNative},
	{"login of a page with its cookie", (*client).loginPage},
	{"login of a page without its cookie, or with a verifier of somebody else's, is refused", (*client).loginPageForeign},
	{"login with PKCE of the client's own", (*client).loginOwnPKCE},
	{"login of a user who refuses or is not signed in is answered", (*client).loginNone},
	{"guards name all scopes that a route needs", (*client).scopes},
	{"userinfo knows the user, under both sets of names", (*client).userinfo},
}

func (c *client) start(ctx context.Context) error { return c.app.Auth.Start(ctx) }

// login is where a browser begins to sign in.
func (c *client) login(query url.Values) string {
	return c.app.URL + "/auth/v2/login?" + query.Encode()
}

// loginCallback: the browser ends at our own callback, with the cookie that login has set.
func (c *client) loginCallback(ctx context.Context) error {
	tokens := harness.NewBrowser().SignIn(ctx, c.login(nil), c.provider.User)
	return harness.InOrder(tokens.IsTokens, c.welcome(ctx, tokens))
}

// loginCallbackForeign: nobody can be signed in to a foreign account by a link.
func (c *client) loginCallbackForeign(ctx context.Context) error {
	back, err := harness.NewBrowser(c.app.URL+"/auth/v2/callback").Back(ctx, c.login(nil), c.provider.User)
	if err != nil {
		return err
	}
	return harness.NewBrowser().Open(ctx, back.String()).IsErrorPage(http.StatusBadRequest, "invalid_grant")
}

// loginNative: a program on loopback, which knows no PKCE, posts the sealed state as
// verifier.
func (c *client) loginNative(ctx context.Context) error {
	form, err := c.codeFor(ctx, harness.NewBrowser(providers.Native), providers.Native, "code_verifier")
	if err != nil {
		return err
	}
	tokens := c.app.Token(ctx, form)
	return harness.InOrder(
		tokens.IsTokens,
		c.welcome(ctx, tokens),
		func() error { return c.app.Token(ctx, form).Is(http.StatusBadRequest, "invalid_grant") }, // once only
	)
}

// loginPage: a page of the application's posts the sealed state, and its browser the
// cookie that login has set.
func (c *client) loginPage(ctx context.Context) error {
	browser := harness.NewBrowser(providers.Page)
	form, err := c.codeFor(ctx, browser, providers.Page, "state")
	if err != nil {
		return err
	}
	tokens := browser.Post(ctx, c.app.URL+"/auth/v2/token", form)
	return harness.InOrder(tokens.IsTokens, c.welcome(ctx, tokens))
}

// loginPageForeign: a link to the page that has another's code and state signs nobody in.
func (c *client) loginPageForeign(ctx context.Context) error {
	for _, name := range []string{"state", "code_verifier"} {
		form, err := c.codeFor(ctx, harness.NewBrowser(providers.Page), providers.Page, name)
		if err != nil {
			return err
		}
		if err := c.app.Token(ctx, form).Is(http.StatusBadRequest, "invalid_grant"); err != nil {
			return fmt.Errorf("with the state as %s: %w", name, err)
		}
	}
	return nil
}

// codeFor signs in, and gives the form with which the code is redeemed. The sealed state
// is in the field of that name.
func (c *client) codeFor(ctx context.Context, browser *harness.Browser, redirectURI, stateField string) (url.Values, error) {
	back, err := browser.Back(ctx, c.login(url.Values{"redirect_uri": {redirectURI}}), c.provider.User)
	if err != nil {
		return nil, err
	}
	query := back.Query()
	return url.Values{"code": {query.Get("code")}, "redirect_uri": {redirectURI}, stateField: {query.Get("state")}}, nil
}

func (c *client) loginOwnPKCE(ctx context.Context) error {
	tokens, err := c.signIn(ctx, c.provider.User, nil)
	if err != nil {
		return err
	}
	return c.welcome(ctx, tokens)()
}

// signIn signs somebody in, with PKCE of the client's own. more is added to the login's
// parameters.
func (c *client) signIn(ctx context.Context, who harness.Person, more url.Values) (harness.Answer, error) {
	return c.signInWith(ctx, harness.NewBrowser(providers.Page), who, more)
}

func (c *client) signInWith(ctx context.Context, browser *harness.Browser, who harness.Person, more url.Values) (harness.Answer, error) {
	verifier := oauth2.GenerateVerifier()
	query := url.Values{
		"redirect_uri": {providers.Page}, "state": {"my state"}, "offline_access": {"true"},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"},
	}
	maps.Copy(query, more)
	back, err := browser.Back(ctx, c.login(query), who)
	if err != nil {
		return harness.Answer{}, err
	}
	if state := back.Query().Get("state"); state != "my state" {
		return harness.Answer{}, fmt.Errorf("the client's state came back as %q", state)
	}
	tokens := c.app.Token(ctx, url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")},
		"redirect_uri": {providers.Page}, "code_verifier": {verifier},
	})
	return tokens, tokens.IsTokens()
}

// loginNone: prompt=none without a session ends at the client with the provider's code.
func (c *client) loginNone(ctx context.Context) error {
	back, err := harness.NewBrowser(providers.Page).Back(ctx, c.login(url.Values{"redirect_uri": {providers.Page}, "prompt": {"none"}}), c.provider.User)
	if err != nil {
		return err
	}
	if code := back.Query().Get("error"); code != "login_required" && code != "interaction_required" {
		return fmt.Errorf("the client is told %q, expected login_required", code)
	}
	refused := harness.NewBrowser().SignIn(ctx, c.login(url.Values{"prompt": {"none"}}), c.provider.User)
	return refused.IsErrorPage(http.StatusForbidden, back.Query().Get("error"))
}

// scopes: a token without a scope is told all that are needed.
func (c *client) scopes(ctx context.Context) error {
	tokens, err := c.signIn(ctx, c.provider.User, url.Values{"scope": {"openid profile"}})
	if err != nil {
		return err
	}
	answer := c.app.Get(ctx, "/contact", tokens.Value("access_token"))
	return harness.InOrder(
		func() error { return answer.Is(http.StatusForbidden, "insufficient_scope") },
		func() error { return answer.Has("WWW-Authenticate", `scope="profile email"`) },
		func() error { return c.app.Get(ctx, "/me", "").Is(http.StatusUnauthorized, "missing_token") },
	)
}

func (c *client) userinfo(ctx context.Context) error {
	tokens, err := c.signIn(ctx, c.provider.User, nil)
	if err != nil {
		return err
	}
	answer := c.app.Get(ctx, "/auth/v2/userinfo", tokens.Value("access_token"))
	if err := answer.Is(http.StatusOK, ""); err != nil {
		return err
	}
	for _, names := range [][2]string{{"username", "preferred_username"}, {"first_name", "given_name"}, {"last_name", "family_name"}, {"email", "email"}, {"sub", "sub"}} {
		if value := answer.Value(names[0]); value == "" || value != answer.Value(names[1]) {
			return fmt.Errorf("userinfo has %v: %q and %q", names, value, answer.Value(names[1]))
		}
	}
	if answer.Value("pw_name") != answer.Value("username") {
		return errors.New("pw_name is not the username")
	}
	return nil
}

// welcome holds that a guard takes the access token of an answer.
func (c *client) welcome(ctx context.Context, tokens harness.Answer) func() error {
	return func() error { return c.app.Get(ctx, "/me", tokens.Value("access_token")).Is(http.StatusOK, "") }
}

// roles are the flat roles that a guard finds in the access token of an answer.
func (c *client) roles(ctx context.Context, tokens harness.Answer) ([]string, error) {
	answer := c.app.Get(ctx, "/me", tokens.Value("access_token"))
	list, _ := answer.Body["roles"].([]any)
	var roles []string
	for _, role := range list {
		roles = append(roles, fmt.Sprint(role))
	}
	slices.Sort(roles)
	return roles, answer.Is(http.StatusOK, "")
}
