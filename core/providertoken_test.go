package core_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestManyWhoAskForAProviderTokenThatHasExpiredCostOneProviderCall(t *testing.T) {
	const many = 64
	for _, kind := range []string{"bearer", "cookie"} {
		for _, delay := range []time.Duration{0, 200 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s, provider takes %s", kind, delay), func(t *testing.T) {
				spy, provider := newSpyStore(), expiring(t)
				a := newApp(t, provider, stored(spy), browsing())
				b := a.replica(spy, browsing())
				last := a.hears()
				var at [2]context.Context
				if kind == "bearer" {
					ours := a.signIn("alice")
					at = [2]context.Context{a.behind(ours), b.behind(ours)}
				} else {
					client := a.signedIn("alice")
					at = [2]context.Context{a.behindCookie(client), b.behindCookie(client)}
				}
				require.Equal(t, last["access_token"], a.providerToken(at[0]), "the token of the login")
				require.NoError(t, b.auth.Start(t.Context()))
				a.clock.Add(tokenLife)
				provider.Delay(delay)
				asked := a.asked()
				var got [many]string
				var done sync.WaitGroup
				for i := range many {
					done.Go(func() { got[i], _ = []*app{a, b}[i%2].auth.ProviderToken(at[i%2]) })
				}
				done.Wait()
				require.Equal(t, asked+1, a.asked(), "one provider call")
				for _, token := range got {
					require.Equal(t, last["access_token"], token)
				}
				require.Empty(t, a.log.ends())
			})
		}
	}
}

func TestRefreshingTheProvidersTokenLeavesAClientsRefreshTokenAsItIs(t *testing.T) {
	for name, rest := range map[string]func(a *app, first, second tokens){
		"the current one goes on": func(a *app, _, second tokens) {
			a.clock.Add(core.DefaultRefreshGrace)
			a.tokens(a.refresh(second.RefreshToken))
			require.Empty(a.t, a.log.ends())
		},
		"the one before is a replay as ever": func(a *app, first, _ tokens) {
			requireError(a.t, a.refresh(first.RefreshToken), http.StatusBadRequest, "invalid_grant")
			require.Equal(a.t, []string{core.ReasonReplayed}, a.log.ends())
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, expiring(t), brokered())
			last := a.hears()
			first := a.signIn("alice")
			second := a.tokens(a.refresh(first.RefreshToken))
			ctx := a.behind(second)
			for range 3 {
				a.clock.Add(tokenLife)
				got := a.providerToken(ctx)
				require.Equal(t, last["access_token"], got)
			}
			rest(a, first, second)
		})
	}
}

// A strict provider ends the session when two ask with one refresh token.
func TestAClientMayRefreshWhileTheProvidersTokenIsRefreshed(t *testing.T) {
	for _, instances := range []int{1, 2} {
		spy, provider := newSpyStore(), expiring(t)
		a := newApp(t, provider, stored(spy))
		other := a
		if instances == 2 {
			other = a.replica(spy)
			require.NoError(t, other.auth.Start(t.Context()))
		}
		a.hears()
		ours := a.signIn("alice")
		ctx := a.behind(ours)
		provider.Delay(50 * time.Millisecond)
		for range 3 {
			a.clock.Add(tokenLife)
			var done sync.WaitGroup
			done.Go(func() { _, _ = a.auth.ProviderToken(ctx) })
			ours = a.tokens(other.refresh(ours.RefreshToken))
			done.Wait()
		}
		provider.Delay(0)
		a.tokens(a.refresh(ours.RefreshToken))
		require.Empty(t, a.log.ends())
		require.Empty(t, other.log.ends())
	}
}

func TestAProviderTokenIsRefreshedHalfAMinuteBeforeItsEnd(t *testing.T) {
	a := newApp(t, expiring(t), brokered())
	last := a.hears()
	ctx := a.behind(a.signIn("alice"))
	asked, first := a.asked(), last["access_token"]
	a.clock.Add(tokenLife - 31*time.Second)
	require.Equal(t, first, a.providerToken(ctx))
	require.Equal(t, asked, a.asked())
	a.clock.Add(time.Second)
	require.NotEqual(t, first, a.providerToken(ctx))
	require.Equal(t, asked+1, a.asked())
}

// Otherwise each call would ask the provider.
func TestAProviderTokenThatLivesForLessThanAMinuteIsUsedForHalfOfThat(t *testing.T) {
	a := newApp(t, expiring(t), brokered())
	a.overhear(func(body map[string]any) { body["expires_in"] = 20 })
	ctx := a.behind(a.signIn("alice"))
	asked := a.asked()
	for range 4 {
		a.clock.Add(6 * time.Second)
		a.providerToken(ctx)
	}
	require.Equal(t, asked+2, a.asked())
}

func TestAProviderTokenThatIsStillValidIsGivenWhileTheProviderIsDown(t *testing.T) {
	a := newApp(t, expiring(t), brokered())
	last := a.hears()
	ours := a.signIn("alice")
	ctx := a.behind(ours)
	a.provider.Down(true)
	a.clock.Add(tokenLife - 2*time.Second)
	require.Equal(t, last["access_token"], a.providerToken(ctx))
	a.clock.Add(2 * time.Second)
	require.ErrorIs(t, a.providerTokenFails(ctx), core.ErrUnavailable)
	a.provider.Down(false)
	require.NotEmpty(t, a.providerToken(ctx), "nothing is lost")
	require.Empty(t, a.log.ends())
}

func TestACallOutDoesNotWaitForAProviderThatHangsWhileTheTokenIsValid(t *testing.T) {
	a := newApp(t, expiring(t), brokered())
	last := a.hears()
	ctx := a.behind(a.signIn("alice"))
	release := make(chan struct{})
	a.provider.Answer(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		<-release
		real.ServeHTTP(w, r)
	})
	asked := a.asked()
	a.clock.Add(tokenLife - 2*time.Second)
	require.Equal(t, last["access_token"], a.providerToken(ctx))
	close(release)
	a.clock.Add(2 * time.Second)
	require.NotEqual(t, last["access_token"], a.providerToken(ctx))
	require.Equal(t, asked+1, a.asked(), "the refresh was brought to its end")
}

func TestThereIsNoProviderTokenOfASessionThatHasEnded(t *testing.T) {
	for name, end := range map[string]func(a *app, ours tokens){
		"by a logout": func(a *app, ours tokens) { a.logoutWith(ours.AccessToken) },
		"by the provider": func(a *app, _ tokens) {
			a.provider.EndSessions()
			a.clock.Add(tokenLife)
		},
		"by its age": func(a *app, _ tokens) { a.clock.Add(core.DefaultSessionIdle) },
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, expiring(t), brokered())
			a.hears()
			ours := a.signIn("alice")
			ctx := a.behind(ours)
			end(a, ours)
			for range 2 {
				require.ErrorIs(t, a.providerTokenFails(ctx), core.ErrInvalidToken)
			}
		})
	}
}

func TestWithoutARefreshTokenTheProvidersTokenIsGivenUntilItsEnd(t *testing.T) {
	a := newApp(t, expiring(t), browsing())
	last := a.overhear(func(body map[string]any) {
		body["expires_in"] = int(tokenLife.Seconds())
		delete(body, "refresh_token")
	})
	ctx := a.behindCookie(a.signedIn("alice"))
	a.clock.Add(tokenLife - 2*time.Second)
	require.Equal(t, last["access_token"], a.providerToken(ctx))
	a.clock.Add(2 * time.Second)
	err := a.providerTokenFails(ctx)
	require.ErrorIs(t, err, core.ErrInvalidToken)
	require.Contains(t, err.Error(), "no refresh token")
}

func TestTheStoreMustBeThereForAProviderToken(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, expiring(t), stored(spy))
	a.hears()
	ctx := a.behind(a.signIn("alice"))
	spy.fail(func(context.Context, string, bool) error { return context.DeadlineExceeded })
	require.ErrorIs(t, a.providerTokenFails(ctx), core.ErrUnavailable)
}

// Nobody may get the token of a user whom the session is not of.
func TestAProviderTokenOfAnotherUserIsNotGiven(t *testing.T) {
	a := newApp(t, expiring(t), brokered())
	a.hears()
	ctx := a.behind(a.signIn("alice"))
	a.overhear(func(body map[string]any) {
		bob := map[string]any{"sub": "user-bob"}
		a.resigned(body, bob, bob)
	})
	a.clock.Add(tokenLife)
	require.ErrorIs(t, a.providerTokenFails(ctx), core.ErrInvalidToken)
	require.Equal(t, []string{core.ReasonSubject}, a.log.ends())
}

func TestAProviderTokenNeedsATokenWithASession(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(exchanging))
	minted, err := a.auth.Mint(t.Context(), core.Identity{Issuer: a.provider.Issuer, Subject: "user-alice"}, core.MintOptions{})
	require.NoError(t, err)
	passthrough := newApp(t, a.provider)
	for name, row := range map[string]struct {
		app    *app
		ctx    context.Context
		advice string
	}{
		"passthrough": {passthrough, passthrough.behind(passthrough.signIn("alice")), "Config.Broker"},
		"exchange":    {a, a.behind(a.tokens(a.exchange(a.subjectToken(nil)))), "no session"},
		"Mint":        {a, a.behind(tokens{AccessToken: minted}), "no session"},
		"another one": {a, passthrough.behind(passthrough.signIn("alice")), "another issuer"},
	} {
		err := row.app.providerTokenFails(row.ctx)
		require.ErrorContains(t, err, row.advice, name)
		var e *core.Error
		require.NotErrorAs(t, err, &e, "%s: it is a mistake in the program", name)
	}
	require.ErrorIs(t, a.providerTokenFails(t.Context()), core.ErrMissingToken)
}
