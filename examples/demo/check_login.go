package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
	"golang.org/x/oauth2"
)

var loginSteps = []step{
	{"discovery", (*check).discovery},
	{"login with another login's verifier is refused", (*check).loginWrongVerifier},
	{"login with our sealed state, as the Python client does it", (*check).loginSealedState},
	{"login through the callback, with its cookie", (*check).loginCallback},
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

func (c *check) loginCallback(ctx context.Context) error {
	b := probe.NewBrowser()
	back, err := b.SignIn(ctx, c.app.publicURL+"/auth/v2/login", probe.Alice)
	if err != nil {
		return err
	}
	if err := c.restarted(ctx); err != nil {
		return err
	}
	a := b.Call(ctx, back.String())
	return probe.InOrder(
		a.IsTokens,
		func() error { return a.Has("Cache-Control", "no-store") },
		func() error { return c.get(ctx, "/me", a.Text("access_token")).Is(http.StatusOK, "") },
	)
}

// loginCallbackNoCookie: nobody can be signed in to a foreign account by a link.
func (c *check) loginCallbackNoCookie(ctx context.Context) error {
	back, err := probe.NewBrowser().SignIn(ctx, c.app.publicURL+"/auth/v2/login", probe.Alice)
	if err != nil {
		return err
	}
	return probe.NewBrowser().Call(ctx, back.String()).Is(http.StatusBadRequest, "invalid_grant")
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
