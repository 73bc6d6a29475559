package main

import (
	"context"
	"fmt"
	"net/url"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
	"golang.org/x/oauth2"
)

// afterLogin is the redirect URI of a client that listens on loopback. Nothing
// has to listen there: the check's browser stops before it.
const afterLogin = "http://127.0.0.1/after-login"

// pageURI is the redirect URI of a page of the application's.
const pageURI = "https://shop.example/after-login"

// client is golang.org/x/oauth2 as any program would configure it, with the
// application's routes for endpoints.
func (c *check) client() *oauth2.Config {
	return &oauth2.Config{
		ClientID:    c.provider.ClientID,
		RedirectURL: afterLogin,
		Endpoint: oauth2.Endpoint{
			AuthURL:       c.app.publicURL + "/auth/v2/login",
			TokenURL:      c.app.publicURL + "/auth/v2/token",
			DeviceAuthURL: c.app.publicURL + "/auth/v2/device",
			// The routes want no client authentication. Left to find out by itself,
			// x/oauth2 would send every request that is refused a second time.
			AuthStyle: oauth2.AuthStyleInParams,
		},
	}
}

// withClient has x/oauth2 and go-oidc use the check's HTTP client.
func (c *check) withClient(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, c.http)
}

// signIn signs somebody in to the application.
func (c *check) signIn(ctx context.Context, who probe.Person, scopes ...string) (*oauth2.Token, error) {
	return c.signInBy(ctx, c.client(), who, scopes)
}

// signInAtProvider signs somebody in at the provider itself, for its own tokens.
func (c *check) signInAtProvider(ctx context.Context, who probe.Person) (*oauth2.Token, error) {
	provider, err := oidc.NewProvider(c.withClient(ctx), c.provider.Issuer)
	if err != nil {
		return nil, err
	}
	return c.signInBy(ctx, &oauth2.Config{
		ClientID: c.provider.ClientID, ClientSecret: c.provider.ClientSecret,
		RedirectURL: afterLogin, Endpoint: provider.Endpoint(),
	}, who, []string{"openid", "profile", "email"})
}

// signInBy signs somebody in with x/oauth2 and its own PKCE. With -restart every
// login ends after a restart, and every step that signs in has tokens from before.
func (c *check) signInBy(ctx context.Context, client *oauth2.Config, who probe.Person, scopes []string) (*oauth2.Token, error) {
	client.Scopes = scopes
	verifier := oauth2.GenerateVerifier()
	back, err := probe.NewBrowser().SignIn(ctx, client.AuthCodeURL("my state", oauth2.S256ChallengeOption(verifier)), who)
	if err != nil {
		return nil, err
	}
	if state := back.Query().Get("state"); state != "my state" {
		return nil, fmt.Errorf("the client's state came back as %q", state)
	}
	if err := c.restarted(ctx); err != nil {
		return nil, err
	}
	tokens, err := client.Exchange(c.withClient(ctx), back.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return nil, err
	}
	return tokens, c.restarted(ctx)
}

// get requests one of the application's routes, with a token if there is one.
func (c *check) get(ctx context.Context, path, token string) probe.Answer {
	return probe.Get(ctx, c.http, c.app.local+path, token)
}

// post sends a form to one of the application's routes.
func (c *check) post(ctx context.Context, path string, form url.Values) probe.Answer {
	return probe.Post(ctx, c.http, c.app.local+path, "", form)
}

// refreshBy redeems a refresh token.
func (c *check) refreshBy(ctx context.Context, token string) probe.Answer {
	return c.post(ctx, "/auth/v2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}
