package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
)

// operationSteps are about what operators, resource servers and the provider do with
// sessions and keys.
var operationSteps = []step{
	{"revoke ends the session (RFC 7009)", (*check).revokeEndsSession},
	{"introspection tells resource servers, and nobody else (RFC 7662)", (*check).introspectionTellsResourceServers},
	{"signing key rotates, and tokens from before stay valid", (*check).keyRotates},
	{"compromised signing key is withdrawn, and sessions go on", (*check).keyIsWithdrawn},
	{"sessions of a user are listed and ended", (*check).sessionsAreListedAndEnded},
	{"back-channel logout of the provider ends the session", (*check).providerSignsOut},
}

func (c *check) revokeEndsSession(ctx context.Context) error {
	tokens, err := c.signedIn(ctx)
	if err != nil {
		return err
	}
	return probe.InOrder(
		func() error {
			return c.post(ctx, "/auth/v2/revoke", url.Values{"token": {tokens.Text("access_token")}}).Is(http.StatusOK, "")
		},
		func() error { return c.hasEnded(ctx, tokens) },
		func() error {
			return c.post(ctx, "/auth/v2/revoke", url.Values{"token": {"nobody knows this one"}}).Is(http.StatusOK, "")
		},
	)
}

// introspectionTellsResourceServers: a program without keys and libraries asks about a
// token, and proves who it is.
func (c *check) introspectionTellsResourceServers(ctx context.Context) error {
	const id, secret = "orders", "a secret of sixteen characters or more"
	second, err := c.another(ctx, func(config *core.Config) {
		config.Broker.ResourceServers = []core.Client{{ID: id, Secret: secret}}
	})
	if err != nil {
		return err
	}
	defer second.stop()
	tokens, err := second.signedIn(ctx)
	if err != nil {
		return err
	}
	ask := func(token, secret string) probe.Answer {
		return second.post(ctx, "/auth/v2/introspect", url.Values{"token": {token}, "client_id": {id}, "client_secret": {secret}})
	}
	active := func(token string, want bool) error {
		a := ask(token, secret)
		if err := a.Is(http.StatusOK, ""); err != nil {
			return err
		}
		if got, _ := a.Body["active"].(bool); got != want {
			return fmt.Errorf("active is %v", a.Body["active"])
		}
		return nil
	}
	return probe.InOrder(
		func() error { return active(tokens.Text("access_token"), true) },
		func() error {
			return ask(tokens.Text("access_token"), "guessed").Is(http.StatusUnauthorized, "invalid_client")
		},
		func() error {
			return second.post(ctx, "/auth/v2/logout", url.Values{"refresh_token": {tokens.Text("refresh_token")}}).Is(http.StatusFound, "")
		},
		func() error { return active(tokens.Text("access_token"), false) },
	)
}

func (c *check) keyRotates(ctx context.Context) error {
	tokens, err := c.signedIn(ctx)
	if err != nil {
		return err
	}
	if err := c.app.auth.RotateSigningKey(ctx, core.RotateOptions{}); err != nil {
		return err
	}
	keys, err := c.app.auth.SigningKeys(ctx)
	if err != nil {
		return err
	}
	if last := keys[len(keys)-1]; len(keys) < 2 || !last.Signs.After(time.Now()) {
		return fmt.Errorf("the next of %d keys signs at %s already", len(keys), last.Signs)
	}
	return probe.InOrder(
		func() error { return c.restarted(ctx) },
		func() error { return c.get(ctx, "/me", tokens.Text("access_token")).Is(http.StatusOK, "") },
		func() error { return c.refreshBy(ctx, tokens.Text("refresh_token")).IsTokens() },
	)
}

func (c *check) keyIsWithdrawn(ctx context.Context) error {
	tokens, err := c.signedIn(ctx)
	if err != nil {
		return err
	}
	if err := c.app.auth.RotateSigningKey(ctx, core.RotateOptions{Compromised: true}); err != nil {
		return err
	}
	var fresh probe.Answer
	return probe.InOrder(
		func() error {
			return c.get(ctx, "/me", tokens.Text("access_token")).Is(http.StatusUnauthorized, "invalid_token")
		},
		func() error { return c.restarted(ctx) },
		func() error { fresh = c.refreshBy(ctx, tokens.Text("refresh_token")); return fresh.IsTokens() },
		func() error { return c.get(ctx, "/me", fresh.Text("access_token")).Is(http.StatusOK, "") },
	)
}

func (c *check) sessionsAreListedAndEnded(ctx context.Context) error {
	tokens, err := c.signedIn(ctx)
	if err != nil {
		return err
	}
	token, err := c.app.auth.Verify(ctx, tokens.Text("access_token"))
	if err != nil {
		return err
	}
	sessions, err := c.app.auth.Sessions(ctx, token.Subject())
	if err != nil {
		return err
	}
	if len(sessions) == 0 || sessions[0].ID != token.SessionID() {
		return fmt.Errorf("the newest of %d sessions is another", len(sessions))
	}
	count, err := c.app.auth.Revoke(ctx, core.Who{Session: token.SessionID()})
	if err != nil || count != 1 {
		return errors.Join(fmt.Errorf("%d sessions were ended", count), err)
	}
	return c.hasEnded(ctx, tokens)
}

// providerSignsOut: the provider tells by a signed token whose session has ended there.
func (c *check) providerSignsOut(ctx context.Context) error {
	tokens, err := c.signedIn(ctx)
	if err != nil {
		return err
	}
	token, err := c.app.auth.Verify(ctx, tokens.Text("access_token"))
	if err != nil {
		return err
	}
	now := time.Now()
	logout, err := c.provider.Sign(map[string]any{"typ": "logout+jwt"}, map[string]any{
		"iss": c.provider.Issuer, "aud": c.provider.ClientID, "sub": token.Subject(), "jti": fmt.Sprint(now.UnixNano()),
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	})
	if err != nil {
		return err
	}
	send := func() probe.Answer {
		return c.post(ctx, "/auth/v2/backchannel-logout", url.Values{"logout_token": {logout}})
	}
	return probe.InOrder(
		func() error { return send().Is(http.StatusOK, "") },
		func() error { return c.hasEnded(ctx, tokens) },
		func() error { return send().Is(http.StatusBadRequest, "invalid_request") }, // it counts once
	)
}
