package core_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
	"github.com/stretchr/testify/require"
)

func TestAStoreThatFailsAtAnyCallOfARefreshCostsNoSession(t *testing.T) {
	for name, trouble := range storeTroubles {
		for call := 1; call <= 3; call++ {
			for _, strict := range []bool{true, false} {
				if name == "conflicts" && call == 1 {
					continue // nothing to conflict with in a Get
				}
				if strings.Contains(name, "hangs") && !strict {
					continue // takes as long as the time limit, and shows nothing more
				}
				t.Run(fmt.Sprintf("call %d %s, strict %t", call, name, strict), func(t *testing.T) {
					t.Parallel()
					spy := newSpyStore()
					a := newApp(t, newProvider(t, oidctest.Options{StrictRefresh: strict}), stored(spy), quick)
					token := a.signIn("alice").RefreshToken
					spy.failAt(call, trouble)
					got := a.refresh(token)
					spy.fail(nil)
					if got.StatusCode != http.StatusOK {
						requireError(t, got, 503, "temporarily_unavailable")
						require.NotEmpty(t, got.Header.Get("Retry-After"))
						require.Less(t, call, 3, "a commit is tried again")
					}
					next := a.tokens(a.refresh(token))
					if got.StatusCode == http.StatusOK {
						require.Equal(t, a.tokens(got).RefreshToken, next.RefreshToken)
					}
					a.tokens(a.refresh(next.RefreshToken))
					require.Empty(t, a.log.ends())
				})
			}
		}
	}
}

func TestAStoreThatFailsOnceCostsNoLogin(t *testing.T) {
	for name, trouble := range storeTroubles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spy := newSpyStore()
			a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy), quick)
			require.NoError(t, a.auth.Start(t.Context()))
			spy.failAt(1, trouble)
			token := a.signIn("alice").RefreshToken
			if name == "conflicts" {
				return // a lie that no store tells: the record isn't there
			}
			spy.fail(nil)
			a.tokens(a.refresh(token))
			require.Len(t, spy.all(t), 2, "one session and one key")
		})
	}
}

// unusable is a store that somebody has to mend.
type unusable struct{ store.Store }

func (unusable) Open(context.Context) error {
	return fmt.Errorf("database: %w: correct the password", store.ErrUnusable)
}

// A program that starts must not wait for what won't mend itself. Requests are told
// to come again, for another replica may do better.
func TestAStoreThatIsUnusableIsNoOutageToAProgramThatStarts(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(unusable{memory.New()}))
	err := a.auth.Start(t.Context())
	require.ErrorIs(t, err, store.ErrUnusable)
	require.NotErrorIs(t, err, core.ErrUnavailable)
	require.ErrorContains(t, err, "correct the password")
	requireError(t, a.refresh("ogr1."+strings.Repeat("A", 88)), 400, "invalid_grant")
	requireError(t, a.codeLogin("alice"), 503, "temporarily_unavailable")
}

func TestAStoreThatIsDownIsSaidToBeDown(t *testing.T) {
	spy := newSpyStore()
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, stored(spy), quick)
	a.guarded("/me", a.auth.Required())
	token := a.signIn("alice")
	spy.fail(func(context.Context, string, bool) error { return errors.New("password=hunter22 unplugged") })
	bearer := "Authorization: Bearer " + token.AccessToken
	require.Equal(t, 200, a.get(http.DefaultClient, "/me", bearer).StatusCode, "guards know the keys")
	requireError(t, a.get(http.DefaultClient, "/auth/v2/userinfo", bearer), 503, "temporarily_unavailable")
	requireError(t, a.refresh(token.RefreshToken), 503, "temporarily_unavailable")
	requireError(t, a.get(browser(), "/auth/v2/logout", bearer), 503, "temporarily_unavailable")
	requireError(t, a.post(browser(), "/auth/v2/logout", "refresh_token", token.RefreshToken), 503, "temporarily_unavailable")
	client := browser()
	code, state := a.authorize(client, "alice", "redirect_uri", native)
	requireError(t, a.post(client, "/auth/v2/token", "code", code, "redirect_uri", native, "code_verifier", state), 503, "temporarily_unavailable")
	require.Zero(t, a.revoked())
	spy.fail(nil)
	require.Equal(t, 200, a.get(http.DefaultClient, "/auth/v2/userinfo", bearer).StatusCode)
	a.tokens(a.refresh(token.RefreshToken))

	// One that starts now has no keys, and says so before it asks the provider.
	b := a.replica(spy, quick)
	b.guarded("/me", b.auth.Required())
	spy.fail(func(context.Context, string, bool) error { return errors.New("unplugged") })
	requireError(t, b.get(http.DefaultClient, "/me", bearer), 503, "temporarily_unavailable")
	require.ErrorIs(t, b.auth.Start(t.Context()), core.ErrUnavailable)
}

// The ways in which one call to a store goes wrong.
var storeTroubles = map[string]func(ctx context.Context, done bool) error{
	"fails": func(_ context.Context, done bool) error {
		if !done {
			return errors.New("unplugged")
		}
		return nil
	},
	"is done and its answer is lost": func(_ context.Context, done bool) error {
		if done {
			return errors.New("unplugged")
		}
		return nil
	},
	"hangs": func(ctx context.Context, done bool) error {
		if done {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	},
	"is done and then hangs": func(ctx context.Context, done bool) error {
		if !done {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	},
	"conflicts": func(_ context.Context, done bool) error {
		if !done {
			return store.ErrConflict
		}
		return nil
	},
}
