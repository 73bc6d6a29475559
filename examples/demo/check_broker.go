package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
)

// brokerSteps are about tokens of the application's own.
var brokerSteps = []step{
	{"login with x/oauth2 and its own PKCE, access token verified by go-oidc", (*check).ownToken},
	{"metadata is the same below the mount and at the root", (*check).metadata},
	{"token exchange", (*check).exchange},
	{"token exchange for a narrower scope", (*check).exchangeNarrower},
	{"token exchange that asks for too much is refused", (*check).exchangeRefused},
}

// ownToken: a resource server anywhere needs the issuer's URL and nothing else.
// It takes the keys and the algorithms from the metadata that it finds there.
func (c *check) ownToken(ctx context.Context) error {
	tokens, err := c.signIn(ctx, probe.Alice, "openid", "profile", "email")
	if err != nil {
		return err
	}
	issuer, err := oidc.NewProvider(c.withClient(ctx), c.app.publicURL)
	if err != nil {
		return err
	}
	verifier := issuer.VerifierContext(c.withClient(ctx), &oidc.Config{ClientID: c.app.publicURL}) // the audience
	token, err := verifier.Verify(ctx, tokens.AccessToken)
	if err != nil {
		return err
	}
	var claims struct {
		Provider string   `json:"idp_iss"`
		Session  string   `json:"sid"`
		Roles    []string `json:"roles"`
	}
	if err := token.Claims(&claims); err != nil {
		return err
	}
	switch {
	case token.Subject != "user-alice" || claims.Provider != c.provider.Issuer:
		return fmt.Errorf("the token is about %q of %q", token.Subject, claims.Provider)
	case claims.Session == "" || len(claims.Roles) == 0:
		return errors.New("the token has no session, or no roles")
	case tokens.Extra("id_token") != nil:
		return errors.New("the provider's ID token came along")
	}
	return nil
}

// metadata: some clients look where OpenID Connect Discovery puts it, others
// where RFC 8414 does, below the mount or, as that says, at the host's root.
func (c *check) metadata(ctx context.Context) error {
	public, err := url.Parse(c.app.publicURL)
	if err != nil {
		return err
	}
	var first probe.Answer
	for i, address := range []string{
		c.app.publicURL + "/.well-known/openid-configuration",
		c.app.publicURL + "/.well-known/oauth-authorization-server",
		c.app.origin + "/.well-known/oauth-authorization-server" + public.Path,
	} {
		a := probe.NewBrowser().Call(ctx, address)
		if err := a.Is(http.StatusOK, ""); err != nil {
			return fmt.Errorf("%s: %w", address, err)
		}
		if i == 0 {
			first = a
		}
		if a.Text("issuer") != c.app.publicURL || !reflect.DeepEqual(a.Body, first.Body) {
			return fmt.Errorf("%s has another document: %v", address, a.Body)
		}
	}
	return nil
}

// exchange: another program's user brings the provider's token (RFC 8693).
func (c *check) exchange(ctx context.Context) error {
	a, err := c.exchangeFor(ctx, url.Values{"audience": {c.app.publicURL}})
	if err != nil {
		return err
	}
	if err := a.Is(http.StatusOK, ""); err != nil {
		return err
	}
	if a.Text("refresh_token") != "" || a.Text("issued_token_type") != accessTokenType {
		return fmt.Errorf("the answer is for a %s, or has a refresh token", a.Text("issued_token_type"))
	}
	me := c.get(ctx, "/me", a.Text("access_token"))
	if err := me.Is(http.StatusOK, ""); err != nil {
		return err
	}
	if me.Text("subject") != "user-alice" {
		return fmt.Errorf("the token is about %q", me.Text("subject"))
	}
	return nil
}

func (c *check) exchangeNarrower(ctx context.Context) error {
	a, err := c.exchangeFor(ctx, url.Values{"scope": {"profile"}})
	if err != nil {
		return err
	}
	token := a.Text("access_token")
	return probe.InOrder(
		func() error { return a.Is(http.StatusOK, "") },
		func() error { return c.get(ctx, "/me", token).Is(http.StatusOK, "") },
		func() error { return c.get(ctx, "/mail", token).Is(http.StatusForbidden, "insufficient_scope") },
	)
}

func (c *check) exchangeRefused(ctx context.Context) error {
	for code, wish := range map[string]url.Values{
		"invalid_target":  {"audience": {"https://elsewhere.example"}},
		"invalid_scope":   {"scope": {"profile orders:write"}},
		"invalid_request": {"subject_token": {"nonsense"}},
	} {
		a, err := c.exchangeFor(ctx, wish)
		if err != nil {
			return err
		}
		if err := a.Is(http.StatusBadRequest, code); err != nil {
			return err
		}
	}
	return nil
}

const accessTokenType = "urn:ietf:params:oauth:token-type:access_token"

// exchangeFor exchanges a token that alice got from the provider itself. The
// wish goes before what is sent otherwise.
func (c *check) exchangeFor(ctx context.Context, wish url.Values) (probe.Answer, error) {
	theirs, err := c.signInAtProvider(ctx, probe.Alice)
	if err != nil {
		return probe.Answer{}, err
	}
	form := url.Values{
		"grant_type":    {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token": {theirs.AccessToken}, "subject_token_type": {accessTokenType},
	}
	maps.Copy(form, wish)
	return c.post(ctx, "/auth/v2/token", form), nil
}
