package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
)

var guardSteps = []step{
	{"guard with a good token", (*check).guardGood},
	{"guard without a token", (*check).guardMissing},
	{"guard with a bad token", (*check).guardBad},
	{"scope constraint", (*check).guardScope},
	{"role constraint", (*check).guardRole},
	{"claim constraint", (*check).guardClaim},
	{"optional guard", (*check).guardOptional},
	{"userinfo", (*check).userinfo},
}

var logoutSteps = []step{
	{"logout leads to the provider and back", (*check).logout},
	{"logout to a foreign address is refused", (*check).logoutForeign},
}

func (c *check) guardGood(ctx context.Context) error {
	tokens, err := c.signIn(ctx, probe.Bob)
	if err != nil {
		return err
	}
	a := c.get(ctx, "/me", tokens.AccessToken)
	if err := a.Is(http.StatusOK, ""); err != nil {
		return err
	}
	if a.Text("subject") != "user-bob" || a.Text("username") != "bob" {
		return fmt.Errorf("the handler saw the token of %q, %q", a.Text("subject"), a.Text("username"))
	}
	return nil
}

// guardMissing: a request without a token is told no error (RFC 6750, 3.1).
func (c *check) guardMissing(ctx context.Context) error {
	a := c.get(ctx, "/me", "")
	if err := a.Refused(http.StatusUnauthorized, "missing_token", `Bearer realm="`); err != nil {
		return err
	}
	if challenge := a.Header.Get("WWW-Authenticate"); strings.Contains(challenge, "error") {
		return fmt.Errorf("the challenge is %q", challenge)
	}
	return nil
}

func (c *check) guardBad(ctx context.Context) error {
	tokens, err := c.signIn(ctx, probe.Bob)
	if err != nil {
		return err
	}
	end := strings.LastIndex(tokens.AccessToken, ".") + 1
	signed, signature := tokens.AccessToken[:end], tokens.AccessToken[end:]
	theirs, err := c.signInAtProvider(ctx, probe.Bob)
	if err != nil {
		return err
	}
	id, _ := theirs.Extra("id_token").(string)
	all := map[string]string{
		"nonsense":          "nonsense",
		"no signature":      signed,
		"another signature": signed + strings.Repeat("A", len(signature)),
		"an ID token":       id,
	}
	if !c.passthrough {
		all["an access token of the provider"] = theirs.AccessToken
	}
	for what, bad := range all {
		if err := c.get(ctx, "/me", bad).Refused(http.StatusUnauthorized, "invalid_token", `error="invalid_token"`); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

func (c *check) guardScope(ctx context.Context) error {
	wide, err := c.signIn(ctx, probe.Alice, "profile", "email")
	if err != nil {
		return err
	}
	narrow, err := c.signIn(ctx, probe.Alice, "profile")
	if err != nil {
		return err
	}
	return probe.InOrder(
		func() error { return c.get(ctx, "/mail", wide.AccessToken).Is(http.StatusOK, "") },
		func() error {
			return c.get(ctx, "/mail", narrow.AccessToken).Refused(http.StatusForbidden, "insufficient_scope", `scope="email"`)
		},
	)
}

func (c *check) guardRole(ctx context.Context) error {
	_, err := c.aliceMayBobMayNot(ctx, "/admin")
	return err
}

func (c *check) guardClaim(ctx context.Context) error {
	refusal, err := c.aliceMayBobMayNot(ctx, "/audit")
	if err != nil {
		return err
	}
	if detail := refusal.Text("detail"); !strings.Contains(detail, "claims") {
		return fmt.Errorf("the detail %q does not speak of claims", detail)
	}
	return nil
}

// aliceMayBobMayNot gives the answer that bob gets.
func (c *check) aliceMayBobMayNot(ctx context.Context, path string) (probe.Answer, error) {
	may, err := c.signIn(ctx, probe.Alice)
	if err != nil {
		return probe.Answer{}, err
	}
	mayNot, err := c.signIn(ctx, probe.Bob)
	if err != nil {
		return probe.Answer{}, err
	}
	if err := c.get(ctx, path, may.AccessToken).Is(http.StatusOK, ""); err != nil {
		return probe.Answer{}, fmt.Errorf("alice: %w", err)
	}
	refusal := c.get(ctx, path, mayNot.AccessToken)
	if err := refusal.Is(http.StatusForbidden, "insufficient_claims"); err != nil {
		return probe.Answer{}, fmt.Errorf("bob: %w", err)
	}
	return refusal, nil
}

func (c *check) guardOptional(ctx context.Context) error {
	tokens, err := c.signIn(ctx, probe.Alice)
	if err != nil {
		return err
	}
	for token, greeting := range map[string]string{
		"": "Hello, stranger.", "nonsense": "Hello, stranger.", tokens.AccessToken: "Hello, alice.",
	} {
		a := c.get(ctx, "/hello", token)
		if err := a.Is(http.StatusOK, ""); err != nil {
			return err
		}
		if a.Text("message") != greeting {
			return fmt.Errorf("said %q, expected %q", a.Text("message"), greeting)
		}
	}
	return nil
}

func (c *check) userinfo(ctx context.Context) error {
	tokens, err := c.signIn(ctx, probe.Alice)
	if err != nil {
		return err
	}
	a := c.get(ctx, "/auth/v2/userinfo", tokens.AccessToken)
	if err := a.Is(http.StatusOK, ""); err != nil {
		return err
	}
	for name, want := range map[string]string{
		"sub": "user-alice", "username": "alice", "pw_name": "alice",
		"first_name": "Alice", "last_name": "Liddell", "email": "alice@example.com",
	} {
		if got := a.Text(name); got != want {
			return fmt.Errorf("%s is %q, expected %q", name, got, want)
		}
	}
	return c.get(ctx, "/auth/v2/userinfo", "").Is(http.StatusUnauthorized, "missing_token")
}

func (c *check) logout(ctx context.Context) error {
	a := c.get(ctx, "/auth/v2/logout?"+url.Values{"post_logout_redirect_uri": {c.app.origin + "/"}, "state": {"bye"}}.Encode(), "")
	if err := a.Is(http.StatusFound, ""); err != nil {
		return err
	}
	leads, err := url.Parse(a.Header.Get("Location"))
	if err != nil {
		return err
	}
	query := leads.Query()
	switch {
	case !strings.HasPrefix(leads.String(), c.provider.Issuer+oidctest.EndSessionPath+"?"):
		return fmt.Errorf("leads to %s", leads)
	case query.Get("client_id") != c.provider.ClientID || query.Get("post_logout_redirect_uri") != c.app.origin+"/":
		return fmt.Errorf("asks the provider for %v", query)
	}
	back, err := probe.NewBrowser().Open(ctx, leads.String())
	if err != nil {
		return err
	}
	if end := back.Request.URL.String(); end != c.app.origin+"/?state=bye" || back.StatusCode != http.StatusOK {
		return fmt.Errorf("ends at %s with %s", end, back.Status)
	}
	return nil
}

func (c *check) logoutForeign(ctx context.Context) error {
	query := url.Values{"post_logout_redirect_uri": {"https://elsewhere.example/"}}
	return c.get(ctx, "/auth/v2/logout?"+query.Encode(), "").Is(http.StatusBadRequest, "invalid_request")
}
