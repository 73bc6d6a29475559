package contract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/e2e/internal/harness"
	"github.com/oidcgate/oidcgate/e2e/internal/providers"
)

// otherRoles: bob has the role admin of another client. With that Keycloak names the
// other clients in aud, and ours in azp alone.
func (c *client) otherRoles(ctx context.Context, _ *providers.Keycloak) error {
	bob, err := c.signIn(ctx, providers.Bob, nil)
	if err != nil {
		return err
	}
	alice, err := c.signIn(ctx, providers.Alice, nil)
	if err != nil {
		return err
	}
	roles, err := c.roles(ctx, bob)
	if err != nil {
		return err
	}
	if slices.Contains(roles, "admin") || !slices.Contains(roles, "user") {
		return fmt.Errorf("bob's roles are %v", roles)
	}
	other := http.StatusOK
	code := ""
	if c.broker {
		other, code = http.StatusForbidden, "insufficient_claims" // the claim is the provider's, not the broker's
	}
	return harness.InOrder(
		func() error {
			return c.app.Get(ctx, "/admin", bob.Value("access_token")).Is(http.StatusForbidden, "insufficient_claims")
		},
		func() error { return c.app.Get(ctx, "/other", bob.Value("access_token")).Is(other, code) },
		func() error { return c.app.Get(ctx, "/admin", alice.Value("access_token")).Is(http.StatusOK, "") },
	)
}

func (c *client) publicClient(ctx context.Context, _ *providers.Keycloak) error {
	for _, s := range []step{{"login", (*client).loginCallback}, {"refresh", (*client).refresh}, {"logout", (*client).logout}} {
		if err := s.run(c, ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// rolesElsewhere: the access token has no roles, and maybe no subject.
func (c *client) rolesElsewhere(ctx context.Context, _ *providers.Keycloak) error {
	tokens, err := c.signIn(ctx, providers.Alice, nil)
	if err != nil {
		return err
	}
	for range 2 {
		answer := c.app.Get(ctx, "/me", tokens.Value("access_token"))
		if err := answer.Is(http.StatusOK, ""); err != nil {
			return err
		}
		roles, err := c.roles(ctx, tokens)
		if err != nil {
			return err
		}
		if answer.Value("sub") == "" || !slices.Contains(roles, "admin") {
			return fmt.Errorf("the guard finds the subject %q and the roles %v", answer.Value("sub"), roles)
		}
		info := c.app.Get(ctx, "/auth/v2/userinfo", tokens.Value("access_token"))
		if err := info.Is(http.StatusOK, ""); err != nil {
			return err
		}
		if info.Value("username") != "alice" || info.Value("email") != "alice@example.org" {
			return fmt.Errorf("userinfo has %v", info.Body)
		}
		if tokens = c.app.Refresh(ctx, tokens.Value("refresh_token")); tokens.IsTokens() != nil {
			return tokens.IsTokens()
		}
	}
	return nil
}

func (c *client) lightweightRefused(ctx context.Context, _ *providers.Keycloak) error {
	tokens, err := c.signIn(ctx, providers.Alice, nil)
	if err != nil {
		return err
	}
	return c.app.Get(ctx, "/me", tokens.Value("access_token")).Is(http.StatusUnauthorized, "invalid_token")
}

func (c *client) loginParams(ctx context.Context, _ *providers.Keycloak) error {
	answer := c.app.Get(ctx, "/auth/v2/login?kc_idp_hint=github&other=x", "")
	return harness.InOrder(
		func() error { return answer.Is(http.StatusFound, "") },
		func() error { return answer.Has("Location", "kc_idp_hint=github") },
		func() error {
			if strings.Contains(answer.Header.Get("Location"), "other=") {
				return errors.New("a parameter that is not listed was handed on")
			}
			return nil
		},
	)
}

// exchange: a native program has Keycloak's tokens, and wants ours.
func (c *client) exchange(ctx context.Context, k *providers.Keycloak) error {
	theirs, err := k.SignIn(ctx, providers.Alice)
	if err != nil {
		return err
	}
	form := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {theirs.Value("access_token")},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
	}
	ours := c.app.Token(ctx, form)
	form.Set("subject_token", theirs.Value("id_token"))
	return harness.InOrder(
		ours.IsTokens,
		func() error { return c.app.Get(ctx, "/admin", ours.Value("access_token")).Is(http.StatusOK, "") },
		func() error { return c.app.Token(ctx, form).Is(http.StatusBadRequest, "invalid_request") },
	)
}

// wrongSecret: the user can't help it, and the log says what to change.
func (c *client) wrongSecret(ctx context.Context, _ *providers.Keycloak) error {
	answer := harness.NewBrowser().SignIn(ctx, c.login(nil), providers.Alice)
	return harness.InOrder(
		func() error { return answer.IsErrorPage(http.StatusBadGateway, "server_error") },
		func() error { return c.app.Log.Has("ClientSecret") },
	)
}

func (c *client) deviceOff(ctx context.Context, _ *providers.Keycloak) error {
	answer := c.app.Post(ctx, "/auth/v2/device", "", nil)
	return harness.InOrder(
		func() error { return answer.Is(http.StatusBadGateway, "server_error") },
		func() error { return c.app.Log.Has("device") },
	)
}

// endpoints: a discovery document that names an endpoint where only browsers get to, as
// in a container network.
func (c *client) endpoints(ctx context.Context, k *providers.Keycloak) error {
	document := harness.Send(ctx, http.DefaultClient, k.Config.Providers[0].Issuer+"/.well-known/openid-configuration", "", nil)
	if err := document.Is(http.StatusOK, ""); err != nil {
		return err
	}
	const member = "device_authorization_endpoint"
	real := document.Value(member)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, strings.Replace(document.Text, real, "http://127.0.0.1:1/device", 1))
	}))
	defer front.Close()
	hidden, err := c.another(func(config *core.Config) { config.Providers[0].DiscoveryURL = front.URL })
	if err != nil {
		return err
	}
	moved, err := c.another(func(config *core.Config) {
		config.Providers[0].DiscoveryURL = front.URL
		config.Providers[0].Endpoints.Device = real
	})
	if err != nil {
		return err
	}
	return harness.InOrder(
		func() error {
			return hidden.app.Post(ctx, "/auth/v2/device", "", nil).Is(http.StatusServiceUnavailable, "temporarily_unavailable")
		},
		func() error { return moved.app.Post(ctx, "/auth/v2/device", "", nil).Is(http.StatusOK, "") },
	)
}
