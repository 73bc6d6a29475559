package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
	"golang.org/x/oauth2"
)

var loginSteps = []step{
	{"discovery", (*check).discovery},
	{"login with another login's verifier is refused", (*check).loginWrongVerifier},
	{"login with our sealed state, as the Python client does it", (*check).loginSealedState},
	{"login of a page, by its state and its cookie", (*check).loginPage},
	{"login of a page by a link of somebody else's is refused", (*check).loginPageLink},
	{"login through the callback, without browser sessions, gives tokens", (*check).loginCallback},
	{"login through the callback, without its cookie, is refused", (*check).loginCallbackNoCookie},
	{"login to a foreign redirect URI is refused", (*check).loginForeignRedirect},
}

// discovery: the application leads to the endpoint that a foreign library finds
// in the provider's discovery document.
func (c *check) discovery(ctx context.Context) error {
	if err := c.app.auth.Start(ctx); err != nil {
		return err
	}
	provider, err := oidc.NewProvider(c.withClient(ctx), c.provider.Issuer)
	if err != nil {
		return err
	}
	a := c.get(ctx, "/auth/v2/login", "")
	if err := a.Is(http.StatusFound, ""); err != nil {
		return err
	}
	return a.Has("Location", provider.Endpoint().AuthURL+"?")
}

// loginWrongVerifier: a code that was stolen is worth nothing.
func (c *check) loginWrongVerifier(ctx context.Context) error {
	login := c.client().AuthCodeURL("my state", oauth2.S256ChallengeOption(oauth2.GenerateVerifier()))
	back, err := probe.NewBrowser().SignIn(ctx, login, probe.Alice)
	if err != nil {
		return err
	}
	if err := c.restarted(ctx); err != nil {
		return err
	}
	return c.post(ctx, "/auth/v2/token", url.Values{
		"code": {back.Query().Get("code")}, "redirect_uri": {afterLogin}, "code_verifier": {oauth2.GenerateVerifier()},
	}).Is(http.StatusBadRequest, "invalid_grant")
}

// loginSealedState: a client that knows no PKCE sends back, as code_verifier,
// what follows the last | of the state. It names no client and no grant type.
func (c *check) loginSealedState(ctx context.Context) error {
	login := c.app.publicURL + "/auth/v2/login?" + url.Values{"redirect_uri": {afterLogin}}.Encode()
	back, err := probe.NewBrowser().SignIn(ctx, login, probe.Alice)
	if err != nil {
		return err
	}
	if err := c.restarted(ctx); err != nil {
		return err
	}
	parts := strings.Split(back.Query().Get("state"), "|")
	form := url.Values{
		"code": {back.Query().Get("code")}, "redirect_uri": {afterLogin}, "code_verifier": {parts[len(parts)-1]},
	}
	a := c.post(ctx, "/auth/v2/token", form)
	return probe.InOrder(
		a.IsTokens,
		func() error { return c.get(ctx, "/me", a.Text("access_token")).Is(http.StatusOK, "") },
		func() error { return c.post(ctx, "/auth/v2/token", form).Is(http.StatusBadRequest, "invalid_grant") }, // once only
	)
}

// loginPage: a page of the application's sends back the state of its URL, and the
// browser the cookie that the login has set.
func (c *check) loginPage(ctx context.Context) error {
	b := probe.NewBrowser()
	back, err := b.SignIn(ctx, c.pageLogin(), probe.Alice)
	if err != nil {
		return err
	}
	if err := c.restarted(ctx); err != nil {
		return err
	}
	a := b.Send(ctx, c.app.publicURL+"/auth/v2/token", pageForm(back.Query().Get("code"), back.Query().Get("state")))
	return probe.InOrder(
		a.IsTokens,
		func() error { return c.get(ctx, "/me", a.Text("access_token")).Is(http.StatusOK, "") },
	)
}

// loginPageLink: the page can't know whose code is in its URL. Bob sends Alice a
// link with his, and with the verifier of it or the state of his login.
func (c *check) loginPageLink(ctx context.Context) error {
	verifier := oauth2.GenerateVerifier()
	client := c.client()
	client.RedirectURL = pageURI
	own, err := probe.NewBrowser().SignIn(ctx, client.AuthCodeURL("my state", oauth2.S256ChallengeOption(verifier)), probe.Bob)
	if err != nil {
		return err
	}
	ours, err := probe.NewBrowser().SignIn(ctx, c.pageLogin(), probe.Bob)
	if err != nil {
		return err
	}
	alice := probe.NewBrowser()
	if _, err := alice.Open(ctx, c.pageLogin()); err != nil { // she has a login of her own under way
		return err
	}
	send := func(code, state string) func() error {
		return func() error {
			return alice.Send(ctx, c.app.publicURL+"/auth/v2/token", pageForm(code, state)).Is(http.StatusBadRequest, "invalid_grant")
		}
	}
	return probe.InOrder(
		send(own.Query().Get("code"), verifier),
		send(ours.Query().Get("code"), ours.Query().Get("state")),
	)
}

// pageLogin is where a page of the application's sends a browser to sign in.
func (c *check) pageLogin() string {
	return c.app.publicURL + "/auth/v2/login?" + url.Values{"redirect_uri": {pageURI}}.Encode()
}

// pageForm is what such a page sends of what its URL then has.
func pageForm(code, state string) url.Values {
	return url.Values{"code": {code}, "redirect_uri": {pageURI}, "state": {state}}
}

func (c *check) loginCallback(ctx context.Context) error {
	second, err := c.another(ctx, func(config *core.Config) { config.Browser = nil })
	if err != nil {
		return err
	}
	defer second.stop()
	b := probe.NewBrowser()
	back, err := b.SignIn(ctx, second.app.publicURL+"/auth/v2/login", probe.Alice)
	if err != nil {
		return err
	}
	if err := second.restarted(ctx); err != nil {
		return err
	}
	a := b.Call(ctx, back.String())
	return probe.InOrder(
		a.IsTokens,
		func() error { return a.Has("Cache-Control", "no-store") },
		func() error { return second.get(ctx, "/me", a.Text("access_token")).Is(http.StatusOK, "") },
	)
}

// loginCallbackNoCookie: nobody can be signed in to a foreign account by a link.
func (c *check) loginCallbackNoCookie(ctx context.Context) error {
	back, err := probe.NewBrowser().SignIn(ctx, c.app.publicURL+"/auth/v2/login", probe.Alice)
	if err != nil {
		return err
	}
	a := probe.NewBrowser().Call(ctx, back.String())
	if a.Page != "" { // where browsers have sessions
		return a.IsPage(http.StatusBadRequest, back.RequestURI(), "invalid_grant")
	}
	return a.Is(http.StatusBadRequest, "invalid_grant")
}

func (c *check) loginForeignRedirect(ctx context.Context) error {
	before := c.provider.Requests(oidctest.AuthorizePath)
	query := url.Values{"redirect_uri": {"https://elsewhere.example/"}}
	if err := probe.NewBrowser().Call(ctx, c.app.publicURL+"/auth/v2/login?"+query.Encode()).Is(http.StatusBadRequest, "invalid_request"); err != nil {
		return err
	}
	if c.provider.Requests(oidctest.AuthorizePath) != before {
		return errors.New("the browser was sent to the provider")
	}
	return nil
}
