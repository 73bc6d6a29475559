package core_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// The attack: an access token of weeks ago, from a log, ends a session, and shows the
// user's ID token to whoever has it.
func TestAnExpiredAccessTokenEndsNoSessionAndIsShownNoIDToken(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	got := a.signIn("alice")
	a.clock.Add(15*time.Minute + 29*time.Second)
	still := a.signIn("bob")
	a.clock.Add(2 * time.Second)
	for _, later := range []time.Duration{0, 20 * day} {
		a.clock.Add(later)
		require.Empty(t, a.hint(a.logoutWith(got.AccessToken)))
		require.Empty(t, a.log.last(t).Session)
	}
	require.Zero(t, a.revoked())
	a.tokens(a.refresh(got.RefreshToken))
	a.tokens(a.refresh(still.RefreshToken))
}

// A used-up refresh token is in the hands of a thief, or its successor is.
func TestAUsedUpRefreshTokenAtLogoutIsAReplay(t *testing.T) {
	older := func(a *app) (used, current tokens) {
		used = a.signIn("alice")
		return used, a.tokens(a.refresh(a.tokens(a.refresh(used.RefreshToken)).RefreshToken))
	}
	late := func(a *app) (used, current tokens) {
		used = a.signIn("alice")
		current = a.tokens(a.refresh(used.RefreshToken))
		a.clock.Add(time.Minute)
		return used, current
	}
	for name, begin := range map[string]func(a *app) (used, current tokens){"an older one": older, "the one before, after the grace period": late} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
			used, current := begin(a)
			require.Empty(t, a.hint(a.logoutWith("", "refresh_token", used.RefreshToken)))
			require.Equal(t, []string{core.ReasonReplayed}, a.log.ends())
			require.Zero(t, a.revoked(), "a thief must not sign out the user's other devices")
			requireError(t, a.refresh(current.RefreshToken), http.StatusBadRequest, "invalid_grant")

			tolerant := newApp(t, a.provider, brokered(func(b *core.Broker) { b.InsecureTolerateReplay = true }))
			used, current = begin(tolerant)
			require.Empty(t, tolerant.hint(tolerant.logoutWith("", "refresh_token", used.RefreshToken)))
			require.Empty(t, tolerant.log.ends())
			tolerant.tokens(tolerant.refresh(current.RefreshToken))
		})
	}
}

// The provider answers a hint that it can't verify with an error page, and the user stays
// signed in there.
func TestAHintWhoseKeyTheProviderHasWithdrawnIsNotSent(t *testing.T) {
	for name, mode := range map[string]func(*core.Config){"broker": brokered(), "passthrough": func(*core.Config) {}} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{}), mode)
			last := a.overhear(nil)
			got := a.signIn("alice")
			own := last["id_token"].(string)
			a.provider.RotateKeys()
			a.signIn("bob") // whose ID token has the new key
			require.Empty(t, a.hint(a.logoutWith(got.AccessToken)))
			require.Empty(t, a.hint(a.logoutWith("", "id_token_hint", own)))
		})
	}
}

// OpenID Connect RP-Initiated Logout 1.0, 2: the provider accepts expired ones.
func TestACallersOwnHintGoesToTheProviderWhenItIsOneOfOurs(t *testing.T) {
	for name, mode := range map[string]func(*core.Config){"broker": brokered(), "passthrough": func(*core.Config) {}} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{IDTokenLifetime: time.Hour})
			a := newApp(t, provider, mode)
			last := a.overhear(nil)
			a.signIn("alice")
			own := last["id_token"].(string)
			changed := func(claims map[string]any) string { return resign(t, provider, own, nil, claims) }
			for name, row := range map[string]struct {
				hint string
				sent bool
			}{
				"our own":                {own, true},
				"expired":                {changed(map[string]any{"exp": 1000000000, "iat": 999990000}), true},
				"of another client":      {changed(map[string]any{"aud": "another"}), false},
				"for another party":      {changed(map[string]any{"aud": []string{"app", "another"}, "azp": "another"}), false},
				"of another issuer":      {changed(map[string]any{"iss": "https://id.example.org"}), false},
				"of another provider":    {newProvider(t, oidctest.Options{}).SignedToken(t, nil, claimsOf(t, own)), false},
				"with another subject":   {own[:strings.LastIndexByte(own, '.')-4] + "AAAA" + own[strings.LastIndexByte(own, '.'):], false},
				"a byte more than 4 KiB": {a.ofSize(own, 4<<10+1), false},
				"4 KiB":                  {a.ofSize(own, 4<<10), true},
				"no token":               {"nonsense", false},
				"none":                   {"", false},
			} {
				t.Run(name, func(t *testing.T) {
					want := ""
					if row.sent {
						want = row.hint
					}
					require.Equal(t, want, a.hint(a.get(browser(), logoutRoute+"?"+form("id_token_hint", row.hint).Encode())))
					require.Equal(t, want, a.hint(a.logoutWith("", "id_token_hint", row.hint)))
				})
			}
		})
	}
}

func TestABrokersLogoutFallsBackOnItsOwnHint(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	last := a.overhear(nil)
	one := a.signIn("alice")
	held := last["id_token"].(string)
	require.Equal(t, held, a.hint(a.logoutWith(one.AccessToken, "id_token_hint", "nonsense")))
	another := a.signIn("alice")
	require.NotEqual(t, held, last["id_token"])
	require.Equal(t, held, a.hint(a.logoutWith(another.AccessToken, "id_token_hint", held)), "the caller's goes first")
}

// RFC 7009: the client has the provider's refresh token, and wants it to end.
func TestAPassthroughLogoutRevokesTheRefreshToken(t *testing.T) {
	for _, spelling := range []string{"refresh_token", "refresh-token"} {
		t.Run(spelling, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{})
			a := newApp(t, provider)
			got := a.signIn("alice")
			var revoked url.Values
			provider.Answer(oidctest.RevokePath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
				_ = r.ParseForm()
				revoked = r.PostForm
				real.ServeHTTP(w, r)
			})
			require.Equal(t, got.IDToken, a.hint(a.logoutWith("", spelling, got.RefreshToken, "id_token_hint", got.IDToken)))
			require.Equal(t, got.RefreshToken, revoked.Get("token"))
			require.Equal(t, "refresh_token", revoked.Get("token_type_hint"))
			requireError(t, a.refresh(got.RefreshToken), http.StatusBadRequest, "invalid_grant")
		})
	}
	t.Run("where the provider can", func(t *testing.T) {
		provider := newProvider(t, oidctest.Options{})
		tamper(provider, oidctest.DiscoveryPath, func(body map[string]any) { delete(body, "revocation_endpoint") })
		a := newApp(t, provider)
		got := a.signIn("alice")
		require.Empty(t, a.hint(a.logoutWith("", "refresh_token", got.RefreshToken)))
		require.Zero(t, a.revoked())
		a.tokens(a.refresh(got.RefreshToken))
	})
}
