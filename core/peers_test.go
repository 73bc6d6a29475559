package core_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestAPeersNewKeyIsFoundWithOneFetchPerCoolDown(t *testing.T) {
	home, peer := newApp(t, newProvider(t, oidctest.Options{}), fleet()), newHostile(t)
	home.trusts(core.Issuer{URL: peer.Issuer})
	old := peer.token(t, nil, nil)
	require.NoError(t, home.verify(old))
	peer.RotateKeys()
	require.NoError(t, home.verify(peer.token(t, nil, nil)))
	require.ErrorIs(t, home.verify(old), core.ErrInvalidToken, "the old key was withdrawn")
	require.Equal(t, 2, peer.Requests(oidctest.KeysPath))

	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			if err := home.verify(peer.token(t, map[string]any{"kid": fmt.Sprint("made-up-", i)}, nil)); err == nil {
				t.Error("a made-up kid is taken")
			}
		})
	}
	all.Wait()
	require.Equal(t, 2, peer.Requests(oidctest.KeysPath), "within the cool-down")
	peer.RotateKeys()
	fresh := peer.token(t, nil, nil)
	require.ErrorIs(t, home.verify(fresh), core.ErrInvalidToken, "strangers have used up the fetch of these ten seconds")
	home.clock.Add(10 * time.Second)
	require.NoError(t, home.verify(fresh))
	require.Equal(t, 3, peer.Requests(oidctest.KeysPath))
}

func TestAPeerThatWasRemovedIsOutAtOnce(t *testing.T) {
	home, peer, other := newApp(t, newProvider(t, oidctest.Options{}), fleet()), newHostile(t), newHostile(t)
	trusted := core.Issuer{URL: peer.Issuer, Roles: asTheyAre}
	home.trusts(trusted, core.Issuer{URL: other.Issuer})
	raw := peer.token(t, nil, map[string]any{"roles": []string{"admin"}})
	roles := func() []string {
		token, err := home.auth.Verify(t.Context(), raw)
		require.NoError(t, err)
		return token.Roles()
	}
	require.Equal(t, []string{"admin"}, roles())
	fetches := peer.Requests("")

	// Other roles count from the next request on, and nothing has to be fetched.
	trusted.Roles = func([]string) []string { return []string{"guest"} }
	home.trusts(core.Issuer{URL: other.Issuer}, trusted)
	require.Equal(t, []string{"guest"}, roles())
	require.Equal(t, fetches, peer.Requests(""))
	trusted.Audiences = []string{"another"}
	home.trusts(trusted)
	require.ErrorContains(t, home.verify(raw), "another audience")
	trusted.Audiences = nil
	home.trusts(trusted)
	require.NoError(t, home.verify(raw))

	require.Error(t, home.auth.SetTrustedIssuers([]core.Issuer{{URL: home.api}, {URL: home.provider.Issuer}}))
	require.NoError(t, home.verify(raw), "a mistake changes nothing")

	home.trusts()
	require.ErrorContains(t, home.verify(raw), "another issuer")
	require.Empty(t, home.auth.Health().Issuers)
	require.Equal(t, fetches, peer.Requests(""))
}

// A fetch that was under way when its issuer was removed brings nothing back.
func TestAPeerThatIsRemovedDuringAFetchStaysOut(t *testing.T) {
	home, peer := newApp(t, newProvider(t, oidctest.Options{}), fleet()), newHostile(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	peer.Answer(oidctest.KeysPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		close(arrived)
		<-release
		real.ServeHTTP(w, r)
	})
	home.trusts(core.Issuer{URL: peer.Issuer})
	raw := peer.token(t, nil, nil)
	waiting := make(chan error)
	go func() { waiting <- home.verify(raw) }()
	<-arrived
	home.trusts()
	close(release)
	<-waiting // that request may end either way
	require.ErrorContains(t, home.verify(raw), "another issuer")
	peer.Answer(oidctest.KeysPath, nil)
	home.trusts(core.Issuer{URL: peer.Issuer, Audiences: []string{"another"}})
	require.ErrorContains(t, home.verify(raw), "another audience", "nothing was remembered by the old rules")
}

func TestTrustedIssuersMayChangeWhileTokensAreVerified(t *testing.T) {
	home, peer, other := newApp(t, newProvider(t, oidctest.Options{}), fleet()), newHostile(t), newHostile(t)
	stays := core.Issuer{URL: peer.Issuer}
	home.trusts(stays, core.Issuer{URL: other.Issuer})
	raw, theirs := peer.token(t, nil, nil), other.token(t, nil, nil)
	require.NoError(t, home.verify(raw))
	var done atomic.Bool
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for !done.Load() {
				if err := home.verify(raw); err != nil {
					t.Errorf("a peer that stays: %v", err)
					return
				}
				_ = home.verify(theirs)
				home.auth.Health()
			}
		})
	}
	for range 100 {
		home.trusts(stays)
		if home.verify(theirs) == nil {
			t.Error("a peer that was removed is taken")
		}
		home.trusts(stays, core.Issuer{URL: other.Issuer})
	}
	done.Store(true)
	all.Wait()
	require.Equal(t, 1, peer.Requests(oidctest.KeysPath))
}

// A hundred that never answer make Start wait for none of them.
func TestStartWaitsForNoPeer(t *testing.T) {
	release := make(chan struct{})
	var asked atomic.Int64
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer silent.Close()
	defer close(release)
	var peers []core.Issuer
	for i := range 100 {
		peers = append(peers, core.Issuer{URL: fmt.Sprintf("%s/%d", silent.URL, i)})
	}
	home := newApp(t, newProvider(t, oidctest.Options{}), fleet(), func(c *core.Config) { c.TrustedIssuers, c.Timeout = peers, time.Hour })
	require.Zero(t, asked.Load(), "New makes no calls")
	require.NoError(t, home.auth.Start(t.Context()))
	home.signIn("alice")
	require.Len(t, home.auth.Health().Issuers, 100)
	require.NoError(t, home.auth.Health().Err())
}

// What one replica is told, another is not; but what one keeps in the store that they
// share is of no use to whoever does not trust its issuer.
func TestAPeerThatWasRemovedIsOutAtOnceAlsoForReplicasThatShareTheStore(t *testing.T) {
	spy := newSpyStore()
	one := newApp(t, newProvider(t, oidctest.Options{}), fleet(func(b *core.Broker) { b.Store = spy }))
	two := one.replica(spy, inFleet)
	peer, other := newApp(t, newProvider(t, oidctest.Options{}), fleet()), newHostile(t)
	raw, theirs := other.token(t, nil, map[string]any{"exp": 4e9}), peer.signIn("alice").AccessToken
	for _, replica := range []*app{one, two} {
		replica.trusts(core.Issuer{URL: peer.api}, core.Issuer{URL: other.Issuer})
		require.NoError(t, replica.verify(raw))
		require.NoError(t, replica.verify(theirs))
	}
	one.trusts(core.Issuer{URL: peer.api})
	require.ErrorContains(t, one.verify(raw), "another issuer")
	require.NoError(t, one.verify(theirs))

	// The other one goes on keeping its keys.
	version := spy.keptOf(t, other.Issuer).Version
	one.clock.Add(20 * time.Minute)
	require.NoError(t, two.verify(raw))
	require.Eventually(t, func() bool { return spy.keptOf(t, other.Issuer).Version > version }, 10*time.Second, time.Millisecond)
	other.Down(true)
	require.ErrorContains(t, one.verify(raw), "another issuer")
	three := one.replica(spy, inFleet)
	three.trusts(core.Issuer{URL: peer.api})
	require.ErrorContains(t, three.verify(raw), "another issuer", "also after a restart while it is down")
	two.trusts(core.Issuer{URL: peer.api})
	require.ErrorContains(t, two.verify(raw), "another issuer")
}

// An application may read its list anew every minute. That must not be a way around
// any limit, nor hide that a peer is down.
func TestTheSameListAgainForgetsNothing(t *testing.T) {
	home, peer := newApp(t, newProvider(t, oidctest.Options{}), fleet()), newHostile(t)
	list := core.Issuer{URL: peer.Issuer}
	home.trusts(list)
	require.NoError(t, home.verify(peer.token(t, nil, nil)))
	unknown := func(n int) string { return peer.token(t, map[string]any{"kid": fmt.Sprint("made-up-", n)}, nil) }
	again := func() (fetches int) {
		before := peer.Requests(oidctest.KeysPath)
		for n := range 20 {
			home.trusts(list)
			require.Error(t, home.verify(unknown(n)))
		}
		return peer.Requests(oidctest.KeysPath) - before
	}
	require.Equal(t, 1, again(), "within the cool-down")

	home.clock.Add(10 * time.Second)
	peer.Answer(oidctest.KeysPath, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(503) })
	require.ErrorIs(t, home.verify(unknown(0)), core.ErrUnavailable)
	down := home.auth.Health().Issuers[peer.Issuer]
	require.Equal(t, core.StateStale, down.State)
	require.Zero(t, again(), "within the back-off")
	require.Equal(t, down, home.auth.Health().Issuers[peer.Issuer])
}

func TestTokensAreRememberedAfterTheListWasSetAgain(t *testing.T) {
	home, peer := newApp(t, newProvider(t, oidctest.Options{}), fleet()), newHostile(t)
	verified := 0
	list := core.Issuer{URL: peer.Issuer, Roles: func(roles []string) []string { verified++; return roles }}
	raw := peer.token(t, nil, nil)
	for round := range 3 {
		home.trusts(list)
		for range 5 {
			token, err := home.auth.Verify(t.Context(), raw)
			require.NoError(t, err)
			token.Roles()
		}
		require.Equal(t, round+1, verified)
	}
}

// A peer decides what its tokens say, and a function of the application's reads it.
func TestAPanicInRolesCostsTheRolesAlone(t *testing.T) {
	home, evil := newApp(t, newProvider(t, oidctest.Options{}), fleet()), newHostile(t)
	home.trusts(core.Issuer{URL: evil.Issuer, Roles: func(roles []string) []string { return roles[:1] }})
	raw := evil.token(t, nil, map[string]any{"roles": nil, "groups": nil, "realm_access": nil})
	token, err := home.auth.Verify(t.Context(), raw)
	require.NoError(t, err)
	require.Empty(t, token.Roles())
	require.Contains(t, home.log.logged(), "Issuer.Roles of "+evil.Issuer+" panicked")
}

// A hostile peer must not get a user of the provider's into the security log.
func TestEventsNameTheIssuerWhoseUserItIs(t *testing.T) {
	home, evil := newApp(t, newProvider(t, oidctest.Options{}), fleet()), newHostile(t)
	home.trusts(core.Issuer{URL: evil.Issuer})
	guard := home.auth.Required(core.Scopes("orders"))
	for raw, issuer := range map[string]string{
		evil.token(t, nil, map[string]any{"sub": "user-alice"}): evil.Issuer,
		home.signIn("alice").AccessToken:                        home.provider.Issuer,
	} {
		_, err := guard.Check(t.Context(), core.Request{Authorization: []string{"Bearer " + raw}})
		require.ErrorIs(t, err, core.ErrInsufficientScope)
		event := home.log.last(t)
		require.Equal(t, [3]string{"token", issuer, "user-alice"}, [3]string{string(event.Kind), event.Issuer, event.Subject})
	}
}

func TestAPeersKeysAreFoundBelowAnIssuerThatEndsInASlash(t *testing.T) {
	home := newApp(t, newProvider(t, oidctest.Options{}), fleet())
	peer := newHostile(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+peerKeys, func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = oidctest.KeysPath
		peer.ServeHTTP(w, r)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	home.trusts(core.Issuer{URL: server.URL + "/"})
	require.NoError(t, home.verify(peer.token(t, nil, map[string]any{"iss": server.URL + "/"})))
}

// Who has written an issuer otherwise than it calls itself is told so.
func TestAPeerThatIsCalledOtherwiseIsExplained(t *testing.T) {
	home := newApp(t, newProvider(t, oidctest.Options{}), fleet())
	peer := newApp(t, newProvider(t, oidctest.Options{}), fleet(), func(c *core.Config) {
		c.PublicURL = strings.Replace(c.PublicURL, "127.0.0.1", "localhost", 1)
		c.Routes.JWKS = "/keys"
	})
	home.trusts(core.Issuer{URL: peer.api})
	require.ErrorIs(t, home.verify(newHostile(t).token(t, nil, map[string]any{"iss": peer.api})), core.ErrUnavailable)
	why := home.auth.Health().Issuers[peer.api].Error
	require.Contains(t, why, fmt.Sprintf("it is of issuer %q: if that is the one you trust, write exactly this", strings.Replace(peer.api, "127.0.0.1", "localhost", 1)))
	require.Contains(t, why, peerKeys+" answered 404")
}

// A broker that is reached by one name and calls itself by another has keys, and tokens
// that nobody takes. The log says why.
func TestAPeerWhoseMetadataIsOfAnotherIssuerIsLogged(t *testing.T) {
	home := newApp(t, newProvider(t, oidctest.Options{}), fleet())
	peer := newApp(t, newProvider(t, oidctest.Options{}), fleet(), func(c *core.Config) {
		c.PublicURL = strings.Replace(c.PublicURL, "127.0.0.1", "localhost", 1)
	})
	home.trusts(core.Issuer{URL: peer.api})
	require.NoError(t, home.auth.Start(t.Context()))
	require.Eventually(t, func() bool { return home.auth.Health().Issuers[peer.api].State == core.StateGood }, 10*time.Second, time.Millisecond)
	require.Contains(t, home.log.logged(), "a peer's keys are where its metadata is of another issuer")
	require.Contains(t, home.log.logged(), "write exactly this")
}

// Whoever adds a peer while the program runs wants to know whether it is there.
func TestKeysOfANewPeerAreFetchedAfterStart(t *testing.T) {
	home, peer := newApp(t, newProvider(t, oidctest.Options{}), fleet()), newHostile(t)
	home.trusts(core.Issuer{URL: peer.Issuer})
	require.Zero(t, peer.Requests(""))
	home.trusts()
	require.NoError(t, home.auth.Start(t.Context()))
	for range 3 {
		home.trusts(core.Issuer{URL: peer.Issuer})
		require.Eventually(t, func() bool { return home.auth.Health().Issuers[peer.Issuer].State == core.StateGood }, 10*time.Second, time.Millisecond)
	}
	require.Equal(t, 1, peer.Requests(oidctest.KeysPath))
}
