package clients

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// oauthClient is for an application whose routes are below api.
func oauthClient(api, clientID, redirectURI string) oauth2.Config {
	return oauth2.Config{
		ClientID:    clientID,
		RedirectURL: redirectURI,
		Scopes:      []string{"openid", "profile", "email"},
		Endpoint: oauth2.Endpoint{
			AuthURL:       api + "/auth/v2/login",
			TokenURL:      api + "/auth/v2/token",
			DeviceAuthURL: api + "/auth/v2/device",
			AuthStyle:     oauth2.AuthStyleInParams, // otherwise a request that is refused is sent twice
		},
	}
}

// resourceServer verifies access tokens; of the broker it knows the issuer URL alone.
func resourceServer(ctx context.Context, issuer, audience string) (*oidc.IDTokenVerifier, error) {
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return nil, err
	}
	return provider.Verifier(&oidc.Config{ClientID: audience}), nil
}

// golang is golang.org/x/oauth2 and github.com/coreos/go-oidc, as a program has them
// that was written for any provider.
type golang struct {
	*suite
	oauth2 oauth2.Config
}

func (s *suite) golang(ctx context.Context) {
	g := &golang{suite: s, oauth2: oauthClient(s.target.API, s.target.ClientID, s.target.RedirectURI)}
	for _, step := range g.steps() {
		g.Step(ctx, step.name, step.run)
	}
}

type step struct {
	name string
	run  func(context.Context) error
}

func (g *golang) steps() []step {
	steps := []step{
		{"x/oauth2 signs in by code, with its own PKCE and state", g.signsIn},
		{"x/oauth2 refreshes when a token has expired", g.refreshes},
		{"x/oauth2 reads the error of a refresh", g.readsErrors},
		{"x/oauth2 logs a device in, which a person approves", g.logsADeviceIn},
		{"x/oauth2 hears that a person refuses a device", g.hearsThatADeviceIsRefused},
		{"go-oidc reads userinfo", g.readsUserinfo},
	}
	if g.target.Broker {
		return append(steps,
			step{"go-oidc verifies access tokens from the issuer URL alone", g.verifiesAccessTokens},
			step{"zitadel/oidc introspects, until the token is revoked", g.introspects},
		)
	}
	return append(steps, step{"go-oidc verifies the ID token, with the client's own nonce", g.verifiesIDTokens})
}

// signIn signs the user in.
func (g *golang) signIn(ctx context.Context, options ...oauth2.AuthCodeOption) (*oauth2.Token, error) {
	verifier := oauth2.GenerateVerifier()
	login := g.oauth2.AuthCodeURL("my state", append(options, oauth2.S256ChallengeOption(verifier))...)
	answer, err := signIn(ctx, login, g.person)
	if err != nil {
		return nil, err
	}
	if state := answer.Query().Get("state"); state != "my state" {
		return nil, fmt.Errorf("the client's state came back as %q", state)
	}
	return g.oauth2.Exchange(ctx, answer.Query().Get("code"), oauth2.VerifierOption(verifier))
}

func (g *golang) signsIn(ctx context.Context) error {
	tokens, err := g.signIn(ctx)
	if err != nil {
		return err
	}
	scope, _ := tokens.Extra("scope").(string)
	switch scopes := strings.Fields(scope); {
	case !tokens.Valid() || tokens.Expiry.IsZero() || tokens.RefreshToken == "":
		return errors.New("the tokens lack something")
	case !slices.Contains(scopes, "openid") || !slices.Contains(scopes, "profile") || !slices.Contains(scopes, "email"):
		return fmt.Errorf("the scope is %q", scope)
	}
	return g.calls(ctx, oauth2.StaticTokenSource(tokens))
}

// calls requests a guarded route as x/oauth2's HTTP client does.
func (g *golang) calls(ctx context.Context, tokens oauth2.TokenSource) error {
	answer, err := oauth2.NewClient(ctx, tokens).Get(g.target.API + "/me")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("a guarded route answered %s", answer.Status)
	}
	return nil
}

func (g *golang) refreshes(ctx context.Context) error {
	before, err := g.signIn(ctx)
	if err != nil {
		return err
	}
	expired := *before
	expired.Expiry = time.Now().Add(-time.Minute)
	source := g.oauth2.TokenSource(ctx, &expired)
	if err := g.calls(ctx, source); err != nil {
		return err
	}
	after, err := source.Token()
	if err == nil && after.AccessToken == before.AccessToken {
		err = errors.New("the token is the same as before")
	}
	return err
}

func (g *golang) readsErrors(ctx context.Context) error {
	_, err := g.oauth2.TokenSource(ctx, &oauth2.Token{RefreshToken: "made up"}).Token()
	return refusedAs("invalid_grant", err)
}

// refusedAs holds an error against the code that it must have.
func refusedAs(code string, err error) error {
	var refusal *oauth2.RetrieveError
	switch {
	case !errors.As(err, &refusal):
		return fmt.Errorf("the error is %w, not one of the token endpoint", err)
	case refusal.ErrorCode != code || refusal.ErrorDescription == "" || refusal.Response.StatusCode != http.StatusBadRequest:
		return fmt.Errorf("the error is %d %s (%s), expected 400 %s", refusal.Response.StatusCode, refusal.ErrorCode, refusal.ErrorDescription, code)
	}
	return nil
}

func (g *golang) device(ctx context.Context, approve bool) (*oauth2.Token, error) {
	device, err := g.oauth2.DeviceAuth(ctx)
	if err != nil {
		return nil, err
	}
	if err := decide(ctx, device.VerificationURIComplete, device.UserCode, approve, g.person); err != nil {
		return nil, err
	}
	return g.oauth2.DeviceAccessToken(ctx, device)
}

func (g *golang) logsADeviceIn(ctx context.Context) error {
	tokens, err := g.device(ctx, true)
	if err != nil {
		return err
	}
	return g.calls(ctx, oauth2.StaticTokenSource(tokens))
}

func (g *golang) hearsThatADeviceIsRefused(ctx context.Context) error {
	_, err := g.device(ctx, false)
	return refusedAs("access_denied", err)
}

func (g *golang) readsUserinfo(ctx context.Context) error {
	tokens, err := g.signIn(ctx)
	if err != nil {
		return err
	}
	provider := (&oidc.ProviderConfig{UserInfoURL: g.target.API + "/auth/v2/userinfo"}).NewProvider(ctx)
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
	if err != nil {
		return err
	}
	var says user
	if err := info.Claims(&says); err != nil {
		return err
	}
	if says != g.target.User {
		return fmt.Errorf("userinfo says %+v, expected %+v", says, g.target.User)
	}
	return nil
}

func (g *golang) verifiesAccessTokens(ctx context.Context) error {
	tokens, err := g.signIn(ctx)
	if err != nil {
		return err
	}
	ours, err := resourceServer(ctx, g.target.API, g.target.Audience)
	if err != nil {
		return err
	}
	token, err := ours.Verify(ctx, tokens.AccessToken)
	if err != nil {
		return err
	}
	if token.Subject != g.target.User.Subject {
		return fmt.Errorf("the subject is %q", token.Subject)
	}
	others, err := resourceServer(ctx, g.target.API, "somebody else")
	if err != nil {
		return err
	}
	if _, err := others.Verify(ctx, tokens.AccessToken); err == nil {
		return errors.New("a token was good for somebody else")
	}
	return nil
}

func (g *golang) verifiesIDTokens(ctx context.Context) error {
	tokens, err := g.signIn(ctx, oidc.Nonce("my nonce"))
	if err != nil {
		return err
	}
	provider, err := oidc.NewProvider(ctx, g.target.Provider)
	if err != nil {
		return err
	}
	raw, _ := tokens.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: g.target.ClientID}).Verify(ctx, raw)
	if err != nil {
		return err
	}
	if id.Nonce != "my nonce" || id.Subject != g.target.User.Subject {
		return fmt.Errorf("the nonce is %q, the subject %q", id.Nonce, id.Subject)
	}
	if id.AccessTokenHash == "" { // it is optional with a code (OpenID Connect Core 3.1.3.6)
		return nil
	}
	return id.VerifyAccessToken(tokens.AccessToken)
}
