package core_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestAProviderThatIsDownAtStartCostsOnlyTheRequestsThatNeedIt(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	valid := provider.AccessToken(t, "alice")
	provider.Down(true)
	a := newApp(t, provider) // New makes no calls
	a.guarded("/required", a.auth.Required())
	a.guarded("/optional", a.auth.Optional())
	require.ErrorIs(t, a.auth.Start(t.Context()), core.ErrUnavailable)

	for _, path := range []string{"/required", "/optional"} {
		got := a.get(browser(), path, bearer(valid))
		requireError(t, got, http.StatusServiceUnavailable, "temporarily_unavailable")
		require.Equal(t, "1", got.Header.Get("Retry-After"))
	}
	requireError(t, a.get(browser(), "/auth/v2/login"), http.StatusServiceUnavailable, "temporarily_unavailable")
	requireError(t, a.get(browser(), logoutRoute), http.StatusServiceUnavailable, "temporarily_unavailable")
	requireError(t, a.post(browser(), deviceRoute), http.StatusServiceUnavailable, "temporarily_unavailable")
	require.Equal(t, "anonymous", a.get(browser(), "/optional").body, "who needs no key needs no provider")
	requireError(t, a.get(browser(), "/required", bearer("garbage")), http.StatusUnauthorized, "invalid_token")

	provider.Down(false)
	requireError(t, a.get(browser(), "/required", bearer(valid)), http.StatusServiceUnavailable, "temporarily_unavailable")
	a.clock.Add(time.Second)
	require.Equal(t, "user-alice", a.get(browser(), "/required", bearer(valid)).body)
	require.NoError(t, a.auth.Start(t.Context()))
}

func TestAProviderThatIsDownIsLeftAloneForLongerAndLonger(t *testing.T) {
	provider := newProvider(t, oidctest.Options{AccessTokenLifetime: 1000 * time.Hour})
	valid := provider.AccessToken(t, "alice")
	provider.Down(true)
	a := newApp(t, provider)
	tries := func() int { return provider.Requests(oidctest.DiscoveryPath) }
	pauses := []time.Duration{1, 2, 4, 8, 16}
	for range 70 { // more doublings than a duration has bits
		pauses = append(pauses, 30)
	}
	for i, pause := range pauses {
		before := tries()
		for range 5 {
			_, err := a.auth.Verify(t.Context(), valid)
			require.ErrorIs(t, err, core.ErrUnavailable)
			var e *core.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, 1, strings.Count(err.Error(), "temporarily_unavailable"), "told once")
			require.Equal(t, pause*time.Second, e.RetryAfter)
		}
		require.Equal(t, before+1, tries(), "try %d", i)
		a.clock.Add(pause*time.Second - time.Millisecond)
		require.ErrorIs(t, a.verify(valid), core.ErrUnavailable)
		require.Equal(t, before+1, tries(), "too early after try %d", i)
		a.clock.Add(time.Millisecond)
	}
	provider.Down(false)
	require.NoError(t, a.verify(valid))
	require.Equal(t, 75*2, strings.Count(a.log.logged(), "a document could not be fetched"), "each failure of each document is logged")
}

func TestTheBackOffBeginsAnewAfterASuccess(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, func(c *core.Config) { c.Providers[0].JWKSURL = c.Providers[0].Issuer + oidctest.KeysPath })
	fetch := func() error {
		_, err := a.auth.Verify(t.Context(), provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"exp": a.clock.Now().Add(time.Hour).Unix()})))
		return err
	}
	for range 2 {
		provider.Down(true)
		for _, pause := range []time.Duration{1, 2, 4} {
			require.ErrorIs(t, fetch(), core.ErrUnavailable)
			a.clock.Add(pause * time.Second)
		}
		provider.Down(false)
		require.NoError(t, fetch())
		a.clock.Add(25 * time.Hour)
	}
}

func TestTokensOfKnownKeysAreVerifiedWhileTheProviderIsDown(t *testing.T) {
	provider := newProvider(t, oidctest.Options{AccessTokenLifetime: 1000 * time.Hour})
	a := newApp(t, provider)
	valid := provider.AccessToken(t, "alice")
	require.NoError(t, a.auth.Start(t.Context()))
	provider.Down(true)
	for range 23 {
		a.clock.Add(time.Hour)
		require.NoError(t, a.verify(valid))
	}
	a.clock.Add(time.Hour)
	require.Eventually(t, func() bool { // a refresh in the background may still be failing
		_, err := a.auth.Verify(t.Context(), valid)
		return err != nil
	}, 5*time.Second, time.Millisecond, "keys that could not be refreshed for a day are given up")
	require.ErrorIs(t, a.verify(valid), core.ErrUnavailable)
	provider.Down(false)
	require.Eventually(t, func() bool { // the last of those may have begun a back-off
		a.clock.Add(time.Minute)
		_, err := a.auth.Verify(t.Context(), valid)
		return err == nil
	}, 5*time.Second, time.Millisecond)
}

func TestAnEndpointThatIsNotNeededCannotStopTheRest(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	tamper(provider, oidctest.DiscoveryPath, func(body map[string]any) { body["end_session_endpoint"] = "http://id.example.org/out" })
	a := newApp(t, provider)
	a.signIn("alice")
	require.Equal(t, "/", a.get(browser(), logoutRoute).Header.Get("Location"))
	require.Contains(t, a.log.logged(), "end_session_endpoint")
}

// panicking is an application's transport with a mistake in it.
type panicking struct{}

func (panicking) RoundTrip(*http.Request) (*http.Response, error) { panic("a mistake") }

func TestAPanicInAFetchIsAnErrorOfThatFetch(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, func(c *core.Config) { c.HTTPClient = &http.Client{Transport: panicking{}} })
	_, err := a.auth.Verify(t.Context(), provider.AccessToken(t, "alice"))
	require.ErrorIs(t, err, core.ErrUnavailable)
	require.ErrorContains(t, err, "a mistake")
}

func TestAnUnknownKidAfterCloseIsAnsweredAtOnce(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	valid := provider.AccessToken(t, "alice")
	require.NoError(t, a.auth.Start(t.Context()))
	require.NoError(t, a.auth.Close())
	unknown := provider.SignedToken(t, map[string]any{"kid": "x"}, provider.Claims("alice", nil))
	for range 3 {
		require.ErrorIs(t, a.verify(unknown), core.ErrUnavailable)
	}
	require.NoError(t, a.verify(valid))
}

func TestFirstFetchIsOneForAllWhoWaitAndSurvivesTheFirstsGoingAway(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	valid := provider.AccessToken(t, "alice")
	a := newApp(t, provider)
	arrived, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	provider.Answer(oidctest.KeysPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		once.Do(func() { close(arrived) })
		<-release
		real.ServeHTTP(w, r)
	})
	impatient, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := a.auth.Verify(impatient, valid)
		gone <- err
	}()
	<-arrived
	var failed atomic.Int32
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			if _, err := a.auth.Verify(context.Background(), valid); err != nil {
				failed.Add(1)
			}
		})
	}
	leave()
	require.ErrorIs(t, <-gone, core.ErrUnavailable, "who goes away doesn't wait")
	close(release)
	all.Wait()
	require.Zero(t, failed.Load())
	require.Equal(t, 1, provider.Requests(oidctest.KeysPath))
	require.Equal(t, 1, provider.Requests(oidctest.DiscoveryPath))
}

func TestARefreshInTheBackgroundStopsNobody(t *testing.T) {
	provider := newProvider(t, oidctest.Options{AccessTokenLifetime: 10 * time.Hour})
	valid := provider.AccessToken(t, "alice")
	a := newApp(t, provider)
	require.NoError(t, a.auth.Start(t.Context()))
	arrived, release := make(chan struct{}, 64), make(chan struct{})
	provider.Answer(oidctest.KeysPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		arrived <- struct{}{}
		<-release
		real.ServeHTTP(w, r)
	})
	a.clock.Add(15 * time.Minute)
	for range 64 {
		_, err := a.auth.Verify(t.Context(), valid) // would hang if it waited
		require.NoError(t, err)
	}
	<-arrived
	close(release)
	require.Equal(t, 2, provider.Requests(oidctest.KeysPath))
}

func TestGuardsAnswer503WhileKeysCannotBeHad(t *testing.T) {
	for name, row := range map[string]struct{ discovery, keys string }{
		"discovery is no JSON":        {"<html>", ""},
		"discovery of another issuer": {`{"issuer":"https://evil.example.org"}`, ""},
		"discovery without endpoints": {"ISSUER", ""},
		"discovery over plain http":   {"HTTP", ""},
		"keys are no JSON":            {"", "<html>"},
		"keys are none":               {"", `{"keys":[]}`},
		"keys are shared secrets":     {"", `{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"x","alg":"HS256"}]}`},
		"keys never end":              {"", strings.Repeat(" ", 2<<20)},
	} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{})
			valid := provider.AccessToken(t, "alice")
			a := newApp(t, provider)
			a.guarded("/required", a.auth.Required())
			switch row.discovery {
			case "":
				fail(provider, oidctest.KeysPath, 200, row.keys)
			case "ISSUER":
				fail(provider, oidctest.DiscoveryPath, 200, `{"issuer":"`+provider.Issuer+`"}`)
			case "HTTP":
				tamper(provider, oidctest.DiscoveryPath, func(body map[string]any) { body["token_endpoint"] = "http://id.example.org/token" })
			default:
				fail(provider, oidctest.DiscoveryPath, 200, row.discovery)
			}
			requireError(t, a.get(browser(), "/required", bearer(valid)), http.StatusServiceUnavailable, "temporarily_unavailable")
			require.ErrorIs(t, a.auth.Start(t.Context()), core.ErrProvider)
			if row.discovery != "" {
				requireError(t, a.get(browser(), "/auth/v2/login"), http.StatusBadGateway, "server_error")
			}
		})
	}
}

func TestKeySetKeepsWhatItCanUse(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	tamper(provider, oidctest.KeysPath, func(body map[string]any) {
		keys := body["keys"].([]any)
		unusable := []any{
			1, "x", map[string]any{"kty": "oct", "k": "c2VjcmV0", "kid": provider.KeyID(t)}, map[string]any{"kty": "unknown"},
			map[string]any{"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": provider.KeyID(t)},
			map[string]any{"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
		}
		body["keys"] = append(unusable, keys...)
	})
	a := newApp(t, provider)
	require.NoError(t, a.verify(provider.AccessToken(t, "alice")))
}

func TestErrorsOfStartSayWhatToMend(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, func(c *core.Config) {
		c.Providers[0].DiscoveryURL = c.Providers[0].Issuer + oidctest.DiscoveryPath
		c.Providers[0].Issuer += "/"
	})
	err := a.auth.Start(t.Context())
	require.ErrorContains(t, err, provider.Issuer)
	require.ErrorContains(t, err, "set Provider.Issuer to exactly this")
}

func TestCloseEndsWhatRunsInTheBackground(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, func(c *core.Config) { c.Timeout = time.Hour })
	valid := provider.AccessToken(t, "alice")
	arrived := make(chan struct{})
	provider.Answer(oidctest.DiscoveryPath, func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		close(arrived)
		<-r.Context().Done()
	})
	done := make(chan error)
	go func() {
		_, err := a.auth.Verify(context.Background(), valid)
		done <- err
	}()
	<-arrived
	require.NoError(t, a.auth.Close())
	require.ErrorIs(t, <-done, core.ErrUnavailable)
	require.NoError(t, a.auth.Close(), "twice is no mistake")
	require.NotContains(t, a.log.logged(), "a document could not be fetched", "nothing to warn of")

	b := newApp(t, newProvider(t, oidctest.Options{}))
	valid = b.provider.AccessToken(t, "alice")
	require.NoError(t, b.auth.Start(t.Context()))
	require.NoError(t, b.auth.Close())
	require.NoError(t, b.verify(valid), "known keys go on verifying")
	b.clock.Add(25 * time.Hour)
	require.ErrorIs(t, b.verify(b.provider.SignedToken(t, nil, b.provider.Claims("alice", map[string]any{"exp": b.clock.Now().Add(time.Hour).Unix()}))), core.ErrUnavailable)
}

// Random failures, refreshes and clocks, from many goroutines: a valid token is
// valid or the keys can't be had, never invalid.
func TestAValidTokenIsNeverCalledInvalid(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	valid := provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"exp": time.Now().Add(1000 * time.Hour).Unix()}))
	a := newApp(t, provider)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for j := range 50 {
				switch {
				case i == 0 && j%10 == 0:
					provider.Down(j%20 == 0)
				case i == 1:
					a.clock.Add(5 * time.Minute)
				default:
					if _, err := a.auth.Verify(context.Background(), valid); err != nil {
						if !strings.Contains(err.Error(), "temporarily_unavailable") {
							t.Errorf("%d/%d: %v", i, j, err)
						}
					}
				}
			}
		})
	}
	all.Wait()
	provider.Down(false)
}
