package core_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// checking has guards look sessions up.
func checking(d time.Duration) func(*core.Config) {
	return inBroker(func(b *core.Broker) { b.CheckSession = d })
}

// requireEnded is for the answer to a token whose session has ended.
func requireEnded(t *testing.T, got answer) {
	t.Helper()
	requireError(t, got, http.StatusUnauthorized, "invalid_token")
	require.Equal(t, "The session has ended.", got.json["error_description"])
}

func TestRequestsAtOnceLookTheirSessionUpOnce(t *testing.T) {
	const many = 1000
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy), checking(10*time.Second))
	raw := a.signIn("alice").AccessToken
	guard := a.auth.Required()
	atOnce := func() []string {
		return spy.during(func() {
			var done sync.WaitGroup
			for range many {
				done.Go(func() {
					if _, err := guard.Check(t.Context(), core.Request{Authorization: []string{"Bearer " + raw}}); err != nil {
						t.Error(err)
					}
				})
			}
			done.Wait()
		})
	}
	require.Equal(t, []string{"get session"}, atOnce())
	a.clock.Add(10*time.Second - 1)
	require.Empty(t, atOnce())
	a.clock.Add(1)
	require.Equal(t, []string{"get session"}, atOnce())
}

// While the store works on the question, what it will answer grows old.
func TestCheckSessionCountsFromTheBeginningOfTheLookUp(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy), checking(10*time.Second))
	raw := a.signIn("alice").AccessToken
	spy.fail(func(_ context.Context, call string, done bool) error {
		if call == "get session" && done {
			a.clock.Add(6 * time.Second)
		}
		return nil
	})
	require.Equal(t, http.StatusOK, me(a.auth, raw).StatusCode)
	spy.fail(nil)
	a.clock.Add(4*time.Second - 1)
	require.Empty(t, spy.during(func() { me(a.auth, raw) }))
	a.clock.Add(1)
	require.NotEmpty(t, spy.during(func() { me(a.auth, raw) }))
}

func TestAnEndAtAnotherReplicaIsKnownAfterCheckSession(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy), checking(10*time.Second))
	b := a.replica(spy, checking(10*time.Second))
	raw := a.signIn("alice").AccessToken
	require.Equal(t, http.StatusOK, me(a.auth, raw).StatusCode)
	require.Equal(t, http.StatusOK, me(b.auth, raw).StatusCode)
	_, err := a.auth.Revoke(t.Context(), core.Who{Subject: "user-alice"})
	require.NoError(t, err)
	requireEnded(t, me(a.auth, raw))
	a.clock.Add(10*time.Second - 1)
	require.Equal(t, http.StatusOK, me(b.auth, raw).StatusCode)
	requireEnded(t, me(a.auth, raw))
	a.clock.Add(1)
	requireEnded(t, me(b.auth, raw))
	requireEnded(t, me(a.auth, raw))

	event := b.log.last(t)
	require.Equal(t, core.EventToken, event.Kind)
	require.Equal(t, "user-alice", event.Subject)
	require.NotEmpty(t, event.Session)
	require.ErrorIs(t, event.Error, core.ErrInvalidToken)
}

func TestAnEndHereIsKnownAtOnce(t *testing.T) {
	for name, end := range map[string]func(a *app, spy *spyStore, first, current tokens){
		"a logout": func(a *app, _ *spyStore, _, current tokens) { a.logoutWith(current.AccessToken) },
		"a logout by the refresh token": func(a *app, _ *spyStore, _, current tokens) {
			a.logoutWith("", "refresh_token", current.RefreshToken)
		},
		"the revoke route": func(a *app, _ *spyStore, _, current tokens) {
			a.post(browser(), revokeRoute, "token", current.RefreshToken)
		},
		"a replay": func(a *app, _ *spyStore, first, _ tokens) { a.refresh(first.RefreshToken) },
		"a refusal of the provider": func(a *app, _ *spyStore, _, current tokens) {
			fail(a.provider, oidctest.TokenPath, http.StatusBadRequest, `{"error":"invalid_grant"}`)
			a.refresh(current.RefreshToken)
		},
		"a refresh of what has ended elsewhere": func(a *app, spy *spyStore, _, current tokens) {
			spy.remove(a.t, "session")
			a.refresh(current.RefreshToken)
		},
		"Revoke, and the answer got lost": func(a *app, spy *spyStore, _, _ tokens) {
			spy.fail(func(_ context.Context, call string, done bool) error {
				if call == "delete session" && done {
					return errors.New("the connection broke")
				}
				return nil
			})
			count, err := a.auth.Revoke(a.t.Context(), core.Who{Subject: "user-alice"})
			require.NoError(a.t, err)
			require.Equal(a.t, 1, count)
		},
	} {
		t.Run(name, func(t *testing.T) {
			spy := newSpyStore()
			a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy), checking(5*time.Minute))
			first := a.signIn("alice")
			current := a.tokens(a.refresh(first.RefreshToken))
			a.clock.Add(core.DefaultRefreshGrace)
			require.Equal(t, http.StatusOK, me(a.auth, first.AccessToken).StatusCode)
			end(a, spy, first, current)
			require.Empty(t, spy.during(func() {
				requireEnded(t, me(a.auth, first.AccessToken))
				requireEnded(t, me(a.auth, current.AccessToken))
			}))
		})
	}
}

func TestGuardsAnswer503WhileTheStoreCannotTellOfASession(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy), checking(10*time.Second))
	raw := a.signIn("alice").AccessToken
	require.Equal(t, http.StatusOK, me(a.auth, raw).StatusCode)
	spy.fail(func(context.Context, string, bool) error { return errors.New("unplugged") })
	require.Equal(t, http.StatusOK, me(a.auth, raw).StatusCode, "it is remembered")
	a.clock.Add(10 * time.Second)
	for _, guard := range []*core.Guard{a.auth.Required(), a.auth.Optional()} {
		got := serve(guard, bearer(raw))
		requireError(t, got, http.StatusServiceUnavailable, "temporarily_unavailable")
		require.Equal(t, "1", got.Header.Get("Retry-After"))
	}
	spy.fail(nil)
	require.Equal(t, http.StatusOK, me(a.auth, raw).StatusCode)

	require.NoError(t, a.auth.Close())
	a.clock.Add(10 * time.Second)
	requireError(t, me(a.auth, raw), http.StatusServiceUnavailable, "temporarily_unavailable")
}

func TestASessionIsCheckedBeforeConstraints(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(), checking(10*time.Second))
	raw := a.signIn("alice").AccessToken
	requireError(t, serve(a.auth.Required(core.Scopes("nothing")), bearer(raw)), http.StatusForbidden, "insufficient_scope")
	a.logoutWith(raw)
	requireEnded(t, serve(a.auth.Required(core.Scopes("nothing")), bearer(raw)))
	requireEnded(t, serve(a.auth.Optional(core.RefuseBadTokens), bearer(raw)))
	require.Equal(t, http.StatusOK, serve(a.auth.Optional(), bearer(raw)).StatusCode, "anonymous")
}

func TestTokensWithoutASessionHereAreNotLookedUp(t *testing.T) {
	spy := newSpyStore()
	peer := newHostile(t)
	a := newApp(t, newProvider(t, oidctest.Options{}), fleet(exchanging, func(b *core.Broker) { b.Store = spy }), checking(10*time.Second))
	a.trusts(core.Issuer{URL: peer.Issuer})
	alices := sid(t, a.signIn("alice"))
	minted, err := a.auth.Mint(t.Context(), core.Identity{Subject: "job"}, core.MintOptions{})
	require.NoError(t, err)
	tokens := []string{
		minted, a.tokens(a.exchange(a.provider.AccessToken(t, "alice"))).AccessToken,
		peer.token(t, nil, map[string]any{"sid": "a session of its own"}), peer.token(t, nil, map[string]any{"sid": alices}),
	}
	_, err = a.auth.Revoke(t.Context(), core.Who{Session: alices})
	require.NoError(t, err)
	require.Empty(t, spy.during(func() {
		for _, raw := range tokens {
			a.log.keep(raw)
			require.Equal(t, http.StatusOK, me(a.auth, raw).StatusCode)
			token, err := a.auth.Verify(t.Context(), raw)
			require.NoError(t, err)
			require.NoError(t, a.auth.Live(t.Context(), token))
		}
	}))
}

func TestWithoutCheckSessionGuardsAskNoStore(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
	raw := a.signIn("alice").AccessToken
	a.logoutWith(raw)
	require.Empty(t, spy.during(func() { require.Equal(t, http.StatusOK, me(a.auth, raw).StatusCode) }))
}

func TestLiveTellsWhetherATokenIsStillGood(t *testing.T) {
	for name, check := range map[string]time.Duration{"remembered": 10 * time.Second, "asked each time": 0} {
		t.Run(name, func(t *testing.T) {
			spy := newSpyStore()
			a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy), checking(check))
			verified := func(raw string) core.Token {
				token, err := a.auth.Verify(t.Context(), raw)
				require.NoError(t, err)
				return token
			}
			live := func(token core.Token) error { return a.auth.Live(t.Context(), token) }
			got := a.signIn("alice")
			token := verified(got.AccessToken)
			require.ErrorIs(t, live(core.Token{}), core.ErrMissingToken)
			calls := spy.during(func() {
				require.NoError(t, live(token))
				require.NoError(t, live(token))
			})
			require.Len(t, calls, map[bool]int{true: 1, false: 2}[check > 0])

			a.clock.Add(check)
			spy.fail(func(context.Context, string, bool) error { return errors.New("unplugged") })
			require.ErrorIs(t, live(token), core.ErrUnavailable)
			spy.fail(nil)
			_, err := a.auth.Revoke(t.Context(), core.Who{Subject: "user-alice"})
			require.NoError(t, err)
			require.ErrorIs(t, live(token), core.ErrInvalidToken)

			token = verified(a.signIn("alice").AccessToken)
			a.clock.Add(token.GoodUntil().Sub(a.clock.Now()) - 1)
			require.NotErrorIs(t, live(token), core.ErrUnavailable)
			a.clock.Add(1)
			require.Empty(t, spy.during(func() { require.ErrorIs(t, live(token), core.ErrInvalidToken) }))
		})
	}
	passthrough := newApp(t, newProvider(t, oidctest.Options{}))
	token, err := passthrough.auth.Verify(t.Context(), passthrough.provider.AccessToken(t, "alice"))
	require.NoError(t, err)
	require.NoError(t, passthrough.auth.Live(t.Context(), token))
	passthrough.clock.Add(day)
	require.ErrorIs(t, passthrough.auth.Live(t.Context(), token), core.ErrInvalidToken)
}

// A session may have become shorter by a new configuration.
func TestASessionThatIsOverByItsPolicyIsNotLive(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy), checking(10*time.Second))
	b := a.replica(spy, checking(10*time.Second), inBroker(func(b *core.Broker) { b.SessionLifetime = time.Minute }))
	raw := a.signIn("alice").AccessToken
	a.clock.Add(time.Minute)
	require.Equal(t, http.StatusOK, me(a.auth, raw).StatusCode)
	requireEnded(t, me(b.auth, raw))
}
