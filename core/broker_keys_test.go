package core_test

import (
	"context"
	"errors"
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

func TestAStoreThatIsDownAtTheFirstRequestIsNotTheTokensFault(t *testing.T) {
	spy := newSpyStore()
	provider := newProvider(t, oidctest.Options{})
	first := newApp(t, provider, stored(spy))
	raw := first.signIn("alice").AccessToken
	a := first.replica(spy)
	a.guarded("/required", a.auth.Required())
	a.guarded("/optional", a.auth.Optional())
	spy.fail(func(context.Context, string, bool) error { return errors.New("unplugged") })
	for _, path := range []string{"/required", "/optional", userinfoRoute, "/auth/v2/.well-known/jwks.json"} {
		got := a.get(browser(), path, bearer(raw))
		requireError(t, got, http.StatusServiceUnavailable, "temporarily_unavailable")
		require.NotEmpty(t, got.Header.Get("Retry-After"))
		require.NotContains(t, got.body, "unplugged")
	}
	requireError(t, a.codeLogin("alice"), http.StatusServiceUnavailable, "temporarily_unavailable")
	require.ErrorIs(t, a.auth.Start(t.Context()), core.ErrUnavailable)

	spy.fail(nil)
	a.clock.Add(time.Minute)
	require.Equal(t, "user-alice", a.get(browser(), "/required", bearer(raw)).body)
}

func TestInstancesThatStartAtOncePublishOneKey(t *testing.T) {
	const instances = 10
	provider := newProvider(t, oidctest.Options{})
	for range 3 {
		spy := newSpyStore()
		// Nobody goes on before all have found that there is no key.
		var looked atomic.Int32
		all := make(chan struct{})
		spy.fail(func(_ context.Context, call string, done bool) error {
			if call == "find signing-key" && done {
				if looked.Add(1) == instances {
					close(all)
				}
				<-all
			}
			return nil
		})
		documents := make([]string, instances)
		var done sync.WaitGroup
		for i := range instances {
			done.Go(func() {
				config := validConfig()
				config.Providers[0].Issuer, config.Broker = provider.Issuer, &core.Broker{Algorithm: "ES256", Store: spy}
				auth, err := core.New(config)
				if err == nil {
					defer auth.Close()
					err = auth.Start(t.Context())
				}
				if err != nil {
					t.Error(err)
					return
				}
				documents[i] = ask(auth, "jwks").body
			})
		}
		done.Wait()
		for _, document := range documents {
			require.Equal(t, documents[0], document)
		}
		require.Equal(t, 1, strings.Count(documents[0], `"kid"`))
		require.Len(t, spy.all(t), 1)
	}
}
