package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
)

// passthroughSteps are about the provider's own tokens in the hands of clients.
var passthroughSteps = []step{
	{"login with x/oauth2 and its own PKCE, ID token verified by go-oidc", (*check).loginOwnPKCE},
	{"application that starts before its provider", (*check).startsFirst},
}

func (c *check) loginOwnPKCE(ctx context.Context) error {
	tokens, err := c.signIn(ctx, probe.Alice, "openid", "profile", "email")
	if err != nil {
		return err
	}
	provider, err := oidc.NewProvider(c.withClient(ctx), c.provider.Issuer)
	if err != nil {
		return err
	}
	raw, _ := tokens.Extra("id_token").(string)
	verifier := provider.VerifierContext(c.withClient(ctx), &oidc.Config{ClientID: c.provider.ClientID})
	id, err := verifier.Verify(ctx, raw)
	switch {
	case err != nil:
		return err
	case id.Subject != "user-alice":
		return fmt.Errorf("the ID token is about %q", id.Subject)
	case tokens.RefreshToken == "" || tokens.Expiry.IsZero():
		return errors.New("there is no refresh token, or no expiry")
	}
	return id.VerifyAccessToken(tokens.AccessToken)
}

// startsFirst: without the provider's keys nobody can be told apart, and the
// guard asks for patience instead of refusing.
func (c *check) startsFirst(ctx context.Context) error {
	tokens, err := c.signIn(ctx, probe.Alice)
	if err != nil {
		return err
	}
	c.provider.Down(true)
	defer c.provider.Down(false)
	early, err := c.another(ctx, func(*core.Config) {})
	if err != nil {
		return err
	}
	defer early.stop()

	a := early.get(ctx, "/me", tokens.AccessToken)
	if err := a.Is(http.StatusServiceUnavailable, "temporarily_unavailable"); err != nil {
		return err
	}
	c.provider.Down(false)
	for a.Status == http.StatusServiceUnavailable {
		seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
		if err != nil || seconds < 1 {
			return fmt.Errorf("Retry-After is %q", a.Header.Get("Retry-After"))
		}
		if err := pause(ctx, time.Duration(seconds)*time.Second); err != nil {
			return err
		}
		a = early.get(ctx, "/me", tokens.AccessToken)
	}
	return a.Is(http.StatusOK, "")
}
