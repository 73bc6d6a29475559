package contract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oidcgate/oidcgate/e2e/internal/harness"
	"github.com/oidcgate/oidcgate/e2e/internal/providers"
)

// newKey: tokens of a new key are good at once. A session whose ID token has the key that
// is withdrawn afterwards can still be logged out: such a hint would end at a page of
// Keycloak's that says 400.
func (c *client) newKey(ctx context.Context, k *providers.Keycloak) error {
	browser := harness.NewBrowser(providers.Page)
	before, err := c.signInWith(ctx, browser, providers.Alice, nil)
	if err != nil {
		return err
	}
	for _, withdraw := range []bool{false, true} {
		if err := k.NewKey(ctx, withdraw); err != nil {
			return err
		}
		after, err := c.signIn(ctx, providers.Alice, nil)
		if err != nil {
			return err
		}
		if err := c.welcome(ctx, after)(); err != nil {
			return err
		}
	}
	logout := url.Values{"post_logout_redirect_uri": {providers.Page}, "refresh_token": {before.Value("refresh_token")}}
	sent := c.app.Post(ctx, "/auth/v2/logout", before.Value("access_token"), logout)
	if err := sent.Is(http.StatusFound, ""); err != nil {
		return err
	}
	_, err = browser.Back(ctx, sent.Header.Get("Location"), providers.Alice)
	return err
}

// disabled: the next refresh ends the session, and it stays ended.
func (c *client) disabled(ctx context.Context, k *providers.Keycloak) error {
	tokens, err := c.signIn(ctx, providers.Carol, nil)
	if err != nil {
		return err
	}
	if err := k.SetEnabled(ctx, providers.Carol.Name, false); err != nil {
		return err
	}
	refused := c.app.Refresh(ctx, tokens.Value("refresh_token"))
	if err := k.SetEnabled(ctx, providers.Carol.Name, true); err != nil {
		return err
	}
	return harness.InOrder(
		func() error { return refused.Is(http.StatusBadRequest, "invalid_grant") },
		func() error {
			if !c.broker {
				return nil // the provider's own sessions are its own business
			}
			return c.app.Refresh(ctx, tokens.Value("refresh_token")).Is(http.StatusBadRequest, "invalid_grant")
		},
	)
}

// killed: 12 clients refresh all the time while Keycloak dies and comes back. They are
// answered 503 for a while, and none has to sign in again. Rotation is off meanwhile: with
// it, an answer that dies with the provider is gone for good.
func (c *client) killed(ctx context.Context, k *providers.Keycloak) error {
	if err := k.SetStrict(ctx, false); err != nil {
		return err
	}
	var clients []*refresher
	for range 12 {
		tokens, err := c.signIn(ctx, providers.Alice, nil)
		if err != nil {
			return err
		}
		clients = append(clients, &refresher{app: c.app, token: tokens.Value("refresh_token")})
	}
	ctx, stop := context.WithCancel(ctx)
	var wait sync.WaitGroup
	defer wait.Wait()
	defer stop()
	for _, r := range clients {
		wait.Go(func() { r.run(ctx) })
	}
	refreshed := func(ctx context.Context) error { return eachRefreshes(ctx, clients) }
	return harness.InOrder(
		func() error { return refreshed(ctx) },
		func() error { k.Process.Kill(); return k.Process.Start(ctx) },
		func() error { return refreshed(ctx) },
		func() error { return k.SetStrict(ctx, true) },
	)
}

// refresher is a client that refreshes again and again.
type refresher struct {
	app    *harness.App
	token  string
	passed atomic.Int64
	failed atomic.Pointer[error] // a refresh that was refused
}

func (r *refresher) run(ctx context.Context) {
	for ctx.Err() == nil {
		answer := r.app.Refresh(ctx, r.token)
		switch {
		case answer.Status == http.StatusOK:
			r.token = answer.Value("refresh_token")
			r.passed.Add(1)
		case answer.Status != http.StatusServiceUnavailable && ctx.Err() == nil:
			err := answer.Is(http.StatusServiceUnavailable, "temporarily_unavailable")
			r.failed.Store(&err)
			return
		}
	}
}

// eachRefreshes waits until each client has refreshed twice more. The second began when
// the wait had begun.
func eachRefreshes(ctx context.Context, clients []*refresher) error {
	goal := make([]int64, len(clients))
	for i, r := range clients {
		goal[i] = r.passed.Load() + 2
	}
	ctx, stop := context.WithCancelCause(ctx)
	err := harness.Until(ctx, 100*time.Millisecond, func(context.Context) error {
		for i, r := range clients {
			if failed := r.failed.Load(); failed != nil {
				stop(fmt.Errorf("client %d: %w", i, *failed))
			}
			if r.passed.Load() < goal[i] {
				return fmt.Errorf("client %d does not get through", i)
			}
		}
		return nil
	})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = errors.Join(err, cause)
	}
	return err
}
