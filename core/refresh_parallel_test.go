package core_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestManyWhoRefreshAtOnceGetOneSuccessor(t *testing.T) {
	const many = 64
	for _, instances := range []int{1, 2} {
		for _, delay := range []time.Duration{0, 300 * time.Millisecond} {
			t.Run(fmt.Sprintf("%d instances, provider takes %s", instances, delay), func(t *testing.T) {
				spy := newSpyStore()
				provider := newProvider(t, oidctest.Options{StrictRefresh: true})
				apps := []*app{newApp(t, provider, stored(spy))}
				for len(apps) < instances {
					apps = append(apps, apps[0].replica(spy))
				}
				token := apps[0].signIn("alice").RefreshToken
				for _, a := range apps {
					require.NoError(t, a.auth.Start(t.Context()))
				}
				provider.Delay(delay)
				asked := provider.Requests(oidctest.TokenPath)
				answers := make([]answer, many)
				calls := spy.during(func() {
					var ready, done sync.WaitGroup
					ready.Add(1)
					for i := range many {
						done.Go(func() {
							ready.Wait()
							answers[i] = apps[i%instances].refresh(token)
						})
					}
					ready.Done()
					done.Wait()
				})
				successors, access := map[string]int{}, map[string]bool{}
				for i, got := range answers {
					body := apps[i%instances].tokens(got)
					successors[body.RefreshToken]++
					access[body.AccessToken] = true
				}
				require.Len(t, successors, 1, "one successor")
				require.Len(t, access, many)
				require.Equal(t, asked+1, provider.Requests(oidctest.TokenPath), "one provider call")
				puts := 0
				for _, call := range calls {
					if call == "put session" {
						puts++
					}
				}
				t.Logf("%d refreshes at once: %d store calls, %d of them puts", many, len(calls), puts)
				require.LessOrEqual(t, puts, 1+instances, "a lease each may try for, and one commit")
				// Who comes after the commit reads once; who waits reads every 50 ms,
				// one for each instance.
				require.LessOrEqual(t, len(calls), many+2+instances*(2+int(2*delay/(50*time.Millisecond))))
				require.Empty(t, apps[0].log.ends())
			})
		}
	}
}

// A caller who goes away in the middle changes nothing: what the provider has
// answered by then is kept.
func TestARefreshOutlivesItsCaller(t *testing.T) {
	provider := newProvider(t, oidctest.Options{StrictRefresh: true})
	a := newApp(t, provider, brokered())
	token := a.signIn("alice").RefreshToken
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	provider.Answer(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		cancel()
		<-gone // the caller, before the provider has answered
		real.ServeHTTP(w, r)
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.api+"/auth/v2/token", strings.NewReader(form("refresh_token", token).Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	_, err = http.DefaultClient.Do(req)
	close(gone)
	require.ErrorIs(t, err, context.Canceled)
	a.log.keep(token)

	asked := provider.Requests(oidctest.TokenPath)
	next := a.tokens(a.refresh(token))
	require.Equal(t, asked, provider.Requests(oidctest.TokenPath), "the answer was not lost")
	provider.Answer(oidctest.TokenPath, nil)
	a.tokens(a.refresh(next.RefreshToken))
}

// Close waits for what can't be asked for again.
func TestCloseLetsARefreshBeSaved(t *testing.T) {
	spy := newSpyStore()
	provider := newProvider(t, oidctest.Options{StrictRefresh: true})
	a := newApp(t, provider, stored(spy))
	b := a.replica(spy)
	token := a.signIn("alice").RefreshToken
	asked := make(chan struct{})
	goOn := make(chan struct{})
	provider.Answer(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		close(asked)
		<-goOn
		real.ServeHTTP(w, r)
	})
	refreshed, closed := make(chan answer, 1), make(chan error, 1)
	go func() { refreshed <- a.refresh(token) }()
	<-asked
	go func() { closed <- a.auth.Close() }()
	close(goOn)
	require.NoError(t, <-closed)
	provider.Answer(oidctest.TokenPath, nil)
	next := b.tokens(b.refresh(token))
	b.tokens(b.refresh(next.RefreshToken))
	<-refreshed
}

// An instance that dies in the middle leaves a lease behind, which ends by
// itself.
func TestAnotherInstanceTakesOverFromOneThatDied(t *testing.T) {
	for _, strict := range []bool{true, false} {
		t.Run(fmt.Sprintf("strict %t", strict), func(t *testing.T) {
			spy := newSpyStore()
			provider := newProvider(t, oidctest.Options{StrictRefresh: strict})
			a := newApp(t, provider, stored(spy), quick)
			b := a.replica(spy, quick)
			token := a.signIn("alice").RefreshToken
			// From the provider's answer on, the instance reaches the store no more.
			puts := 0
			spy.fail(func(_ context.Context, call string, done bool) error {
				if call == "put session" && !done {
					if puts++; puts > 1 {
						a.clock.Add(10 * time.Second)
						return errors.New("unplugged")
					}
				}
				return nil
			})
			requireError(t, a.refresh(token), 503, "temporarily_unavailable")
			require.Contains(t, a.log.logged(), mayBeUsedUp)
			spy.fail(nil)
			got := b.refresh(token)
			if strict {
				requireError(t, got, 400, "invalid_grant")
				require.Equal(t, []string{core.ReasonUnknown}, b.log.ends())
				return
			}
			b.tokens(b.refresh(b.tokens(got).RefreshToken))
		})
	}
}

// Whoever waits too long for another instance is told to come again.
func TestWhoWaitsTooLongForARefreshHasLostNothing(t *testing.T) {
	spy := newSpyStore()
	provider := newProvider(t, oidctest.Options{StrictRefresh: true})
	a := newApp(t, provider, stored(spy))
	b := a.replica(spy, func(c *core.Config) { c.Timeout = 500 * time.Millisecond })
	token := a.signIn("alice").RefreshToken
	require.NoError(t, b.auth.Start(t.Context()))
	asked, goOn := make(chan struct{}), make(chan struct{})
	provider.Answer(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		close(asked)
		<-goOn
		real.ServeHTTP(w, r)
	})
	first := make(chan answer, 1)
	go func() { first <- a.refresh(token) }()
	<-asked
	got := b.refresh(token)
	requireError(t, got, 503, "temporarily_unavailable")
	require.Equal(t, "1", got.Header.Get("Retry-After"))
	close(goOn)
	next := a.tokens(<-first)
	patient := a.replica(spy)
	require.Equal(t, next.RefreshToken, patient.tokens(patient.refresh(token)).RefreshToken)
}
