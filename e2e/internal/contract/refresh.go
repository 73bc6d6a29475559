package contract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"github.com/oidcgate/oidcgate/e2e/internal/harness"
)

var refreshSteps = []step{
	{"refresh gives other tokens, again and again", (*client).refresh},
	{"refresh for more scopes than granted gives none", (*client).refreshWider},
}

// brokerSteps are of brokers alone: in passthrough mode clients have the provider's own
// tokens, and its rules.
var brokerSteps = []step{
	{"refresh 64 times at once signs nobody out", (*client).refreshMany},
}

func (c *client) refresh(ctx context.Context) error {
	tokens, err := c.signIn(ctx, c.provider.User, nil)
	if err != nil {
		return err
	}
	first := tokens
	for range 3 {
		next := c.app.Refresh(ctx, tokens.Value("refresh_token"))
		if err := harness.InOrder(next.IsTokens, c.welcome(ctx, next)); err != nil {
			return err
		}
		if next.Value("refresh_token") == tokens.Value("refresh_token") || next.Value("access_token") == tokens.Value("access_token") {
			return errors.New("the tokens are the same as before")
		}
		tokens = next
	}
	if !c.broker {
		return nil // Keycloak takes an earlier one within the same second
	}
	return c.app.Refresh(ctx, first.Value("refresh_token")).Is(http.StatusBadRequest, "invalid_grant")
}

// refreshMany: tabs of one browser use the same token at the same moment. The provider
// takes it once, and a broker sees to it that this is enough.
func (c *client) refreshMany(ctx context.Context) error {
	tokens, err := c.signIn(ctx, c.provider.User, nil)
	if err != nil {
		return err
	}
	answers := make([]harness.Answer, 64)
	var wait sync.WaitGroup
	for i := range answers {
		wait.Go(func() { answers[i] = c.app.Refresh(ctx, tokens.Value("refresh_token")) })
	}
	wait.Wait()
	for i, answer := range answers {
		if err := answer.IsTokens(); err != nil {
			return fmt.Errorf("number %d: %w", i, err)
		}
		if answer.Value("refresh_token") != answers[0].Value("refresh_token") {
			return errors.New("two have different refresh tokens")
		}
	}
	last := c.app.Refresh(ctx, answers[0].Value("refresh_token"))
	return harness.InOrder(last.IsTokens, c.welcome(ctx, last))
}

func (c *client) refreshWider(ctx context.Context) error {
	tokens, err := c.signIn(ctx, c.provider.User, url.Values{"scope": {"openid profile"}})
	if err != nil {
		return err
	}
	answer := c.app.Token(ctx, url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {tokens.Value("refresh_token")}, "scope": {"openid profile email"},
	})
	if !c.broker && answer.Status == http.StatusOK { // Keycloak leaves out what was not granted
		return c.app.Get(ctx, "/mail", answer.Value("access_token")).Is(http.StatusForbidden, "insufficient_scope")
	}
	return answer.Is(http.StatusBadRequest, "invalid_scope")
}
