package clients

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/e2e/internal/harness"
)

// peerKeys: a py-oidc-auth broker takes our tokens while our key set has a coming key, a
// retiring one, and then a new one alone.
func peerKeys(ctx context.Context, r *harness.Run) error {
	k, err := newRotation(ctx, r, func(b *core.Broker) { b.PythonPeers = true })
	if err != nil {
		return err
	}
	peer, err := k.startPeer(ctx)
	if err != nil {
		return err
	}
	restarted := func(ctx context.Context) error {
		peer.Kill()
		return harness.InOrder(func() error { return peer.Start(ctx) }, func() error { return k.takes(ctx) })
	}
	if err := k.coming(ctx, "RS256"); err != nil {
		return err
	}
	k.Step(ctx, "py-oidc-auth, before the key change", k.takes)
	if err := k.retiring(ctx); err != nil {
		return err
	}
	k.Step(ctx, "py-oidc-auth, during the key change, with the keys that it has read before", k.takes)
	k.Step(ctx, "py-oidc-auth, during the key change, started anew", restarted)
	if err := k.withdraw(ctx); err != nil {
		return err
	}
	k.Step(ctx, "py-oidc-auth, after a withdrawal, takes the new key within a minute", func(ctx context.Context) error {
		newest := k.target.Tokens[len(k.target.Tokens)-1]
		// It fetches keys at most once a minute.
		return harness.Until(ctx, time.Second, func(ctx context.Context) error { return k.askPeer(ctx, newest) })
	})
	k.Step(ctx, "py-oidc-auth, after a withdrawal, started anew", restarted)
	return nil
}

// takes holds the peer against all tokens: it takes those that are valid alone.
func (k *rotation) takes(ctx context.Context) error {
	for _, t := range k.target.Tokens {
		if err := k.askPeer(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// askPeer sends a token to the peer.
func (k *rotation) askPeer(ctx context.Context, t issued) error {
	status := http.StatusOK
	if !t.Valid {
		status = http.StatusUnauthorized
	}
	answer := harness.Send(ctx, http.DefaultClient, k.target.Peer.URL+"/me", t.Token, nil)
	if err := answer.Is(status, ""); err != nil {
		return fmt.Errorf("a token %s: %w", t.Name, err)
	}
	if t.Valid && answer.Value("username") != k.target.User.Name {
		return fmt.Errorf("a token %s: the peer finds %v", t.Name, answer.Body)
	}
	return nil
}
