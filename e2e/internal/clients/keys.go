package clients

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/e2e/internal/harness"
)

// issued is an access token of the broker, and whether resource servers have to take it.
type issued struct {
	Name  string `json:"name"` // what a step calls it
	Token string `json:"token"`
	Valid bool   `json:"valid"`
}

// rotation is an application whose signing keys change.
type rotation struct {
	*suite
	app   *harness.App
	early *oidc.IDTokenVerifier // has read the keys before the first rotation was over

	// A key is published a day before it signs, and foreign programs have the time of this
	// machine. So the application lives in the past at first.
	behind atomic.Int64 // how far, a time.Duration
}

// keys: the key set has a coming and a retiring key, and then a new one alone.
func keys(ctx context.Context, r *harness.Run) error {
	k, err := newRotation(ctx, r, func(*core.Broker) {})
	if err != nil {
		return err
	}
	return harness.InOrder(
		func() error { return k.rotate(ctx) },
		func() error { return k.verify(ctx, "rotation") },
		func() error { return k.withdraw(ctx) },
		func() error { return k.verify(ctx, "withdrawal") },
		func() error { return peerKeys(ctx, r) },
	)
}

// newRotation serves an application whose keys change on demand.
func newRotation(ctx context.Context, r *harness.Run, config func(*core.Broker)) (*rotation, error) {
	s, err := atOIDCTest(ctx, r)
	if err != nil {
		return nil, err
	}
	s.mint()
	k := &rotation{suite: s}
	s.config.Broker.KeyLifetime = -1 // on demand
	config(s.config.Broker)
	s.config.Now = func() time.Time { return time.Now().Add(-time.Duration(k.behind.Load())) }
	k.app, err = r.App(s.site, "chi", s.config)
	return k, err
}

// rotate goes from a key to another, of another algorithm, and publishes a third.
func (k *rotation) rotate(ctx context.Context) error {
	if err := k.coming(ctx, "ES256"); err != nil {
		return err
	}
	var err error
	if k.early, err = resourceServer(ctx, k.target.API, k.target.Audience); err != nil {
		return err
	}
	if _, err := k.early.Verify(ctx, k.target.Tokens[0].Token); err != nil {
		return err
	}
	return k.retiring(ctx)
}

// coming publishes a key that is to sign in an hour, beside the one that signs.
func (k *rotation) coming(ctx context.Context, algorithm string) error {
	k.behind.Store(int64(36 * time.Hour))
	if err := k.app.Auth.RotateSigningKey(ctx, core.RotateOptions{Algorithm: algorithm}); err != nil {
		return err
	}
	k.behind.Store(int64(13 * time.Hour)) // an hour is left
	return harness.InOrder(
		func() error { return k.issue(ctx, "of the key before") },
		func() error { return k.publishes(ctx, 2) },
	)
}

// retiring has that key sign, and publishes a third.
func (k *rotation) retiring(ctx context.Context) error {
	k.behind.Store(0)
	return harness.InOrder(
		func() error { return k.issue(ctx, "of the key that signs") },
		func() error { return k.app.Auth.RotateSigningKey(ctx, core.RotateOptions{}) },
		func() error { return k.publishes(ctx, 3) },
	)
}

// withdraw puts a key in the place of all.
func (k *rotation) withdraw(ctx context.Context) error {
	if err := k.app.Auth.RotateSigningKey(ctx, core.RotateOptions{Compromised: true}); err != nil {
		return err
	}
	for i := range k.target.Tokens {
		k.target.Tokens[i].Valid = false
	}
	if err := k.issue(ctx, "of the key that replaces all"); err != nil {
		return err
	}
	return k.publishes(ctx, 1)
}

// issue has the broker sign a token.
func (k *rotation) issue(ctx context.Context, name string) error {
	token, err := k.app.Auth.Mint(ctx, core.Identity{Subject: k.target.User.Subject, Username: k.target.User.Name}, core.MintOptions{Lifetime: 24 * time.Hour})
	k.target.Tokens = append(k.target.Tokens, issued{name, token, true})
	return err
}

// publishes holds the key set against the number of its keys.
func (k *rotation) publishes(ctx context.Context, n int) error {
	set := k.app.Get(ctx, "/auth/v2/.well-known/jwks.json", "")
	if published, _ := set.Body["keys"].([]any); len(published) != n {
		return fmt.Errorf("the key set has %d keys, expected %d", len(published), n)
	}
	return set.Is(http.StatusOK, "")
}

// verify has each resource server verify all tokens.
func (k *rotation) verify(ctx context.Context, after string) error {
	k.Step(ctx, after+": go-oidc, that has read the keys since", func(ctx context.Context) error {
		late, err := resourceServer(ctx, k.target.API, k.target.Audience)
		if err != nil {
			return err
		}
		return k.verifies(ctx, late)
	})
	k.Step(ctx, after+": go-oidc, that has read the keys before", func(ctx context.Context) error {
		// Until it sees an unknown key, it takes those that were withdrawn.
		newest := k.target.Tokens[len(k.target.Tokens)-1]
		if _, err := k.early.Verify(ctx, newest.Token); err != nil {
			return err
		}
		return k.verifies(ctx, k.early)
	})
	k.Step(ctx, after+": the guards", k.guards)
	return errors.Join(
		k.run(ctx, after+": jose", k.programs.node("keys.mjs")),
		k.run(ctx, after+": PyJWT", k.programs.python("keys.py")),
	)
}

func (k *rotation) verifies(ctx context.Context, verifier *oidc.IDTokenVerifier) error {
	for _, t := range k.target.Tokens {
		if _, err := verifier.Verify(ctx, t.Token); (err == nil) != t.Valid {
			return fmt.Errorf("a token %s: valid is %t, and the error %w", t.Name, t.Valid, err)
		}
	}
	return nil
}

func (k *rotation) guards(ctx context.Context) error {
	for _, t := range k.target.Tokens {
		status, code := http.StatusOK, ""
		if !t.Valid {
			status, code = http.StatusUnauthorized, "invalid_token"
		}
		if err := k.app.Get(ctx, "/me", t.Token).Is(status, code); err != nil {
			return fmt.Errorf("a token %s: %w", t.Name, err)
		}
	}
	return nil
}
