package core_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestLogoutEndsTheSessionOfTheTokenItBrings(t *testing.T) {
	for name, row := range map[string]struct {
		logout func(a *app, first, previous, current tokens) answer
	}{
		"the access token, by GET": {func(a *app, _, _, current tokens) answer {
			return a.get(browser(), logoutRoute, bearer(current.AccessToken))
		}},
		"the access token, by POST": {func(a *app, _, _, current tokens) answer { return a.logoutWith(current.AccessToken) }},
		"an older access token":     {func(a *app, first, _, _ tokens) answer { return a.logoutWith(first.AccessToken) }},
		"the refresh token": {func(a *app, _, _, current tokens) answer {
			return a.logoutWith("", "refresh_token", current.RefreshToken)
		}},
		"the refresh token, spelled so": {func(a *app, _, _, current tokens) answer {
			return a.logoutWith("", "refresh-token", current.RefreshToken)
		}},
		"the refresh token before": {func(a *app, _, previous, _ tokens) answer {
			return a.logoutWith("", "refresh_token", previous.RefreshToken)
		}},
		"both": {func(a *app, _, _, c tokens) answer {
			return a.logoutWith(c.AccessToken, "refresh_token", c.RefreshToken)
		}},
		"both, of which one is forged": {func(a *app, _, _, c tokens) answer {
			return a.logoutWith(c.AccessToken[:len(c.AccessToken)-8]+"AAAAAAAA", "refresh_token", c.RefreshToken)
		}},
		"both, of which the other is forged": {func(a *app, _, _, c tokens) answer { return a.logoutWith(c.AccessToken, "refresh_token", "ogr1.AAAA") }},
	} {
		t.Run(name, func(t *testing.T) {
			store := newSpyStore()
			a := newApp(t, newProvider(t, oidctest.Options{StrictRefresh: true}), stored(store))
			other := a.signIn("alice")
			first := a.signIn("alice")
			last := a.overhear(nil)
			previous := a.tokens(a.refresh(first.RefreshToken))
			current := a.tokens(a.refresh(previous.RefreshToken))
			var revoked []string
			a.provider.Answer(oidctest.RevokePath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
				if id, secret, ok := r.BasicAuth(); !ok || id != a.provider.ClientID || secret != a.provider.ClientSecret {
					t.Errorf("revoked as %q", id)
				}
				revoked = append(revoked, r.PostFormValue("token"))
				real.ServeHTTP(w, r)
			})
			sid := claimsOf(t, current.AccessToken)["sid"]

			got := row.logout(a, first, previous, current)
			require.Equal(t, last["id_token"], a.hint(got))
			require.Equal(t, []string{last["refresh_token"].(string)}, revoked, "what the provider gave goes back")
			event := a.log.last(t)
			require.Equal(t, core.EventLogout, event.Kind)
			require.Equal(t, "user-alice", event.Subject)
			require.Equal(t, sid, event.Session)
			require.Nil(t, event.Error)

			for _, token := range []string{current.RefreshToken, previous.RefreshToken, first.RefreshToken} {
				requireError(t, a.refresh(token), http.StatusBadRequest, "invalid_grant")
			}
			require.Empty(t, a.log.ends(), "it had ended before")
			require.Len(t, store.all(t), 2, "the key and the other session")
			a.tokens(a.refresh(other.RefreshToken))

			// Once more is no error.
			require.Empty(t, a.hint(a.logoutWith(current.AccessToken, "refresh_token", current.RefreshToken)))
			require.Len(t, revoked, 1)
		})
	}
}

func TestLogoutOfTwoSessionsEndsBoth(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	one, two := a.signIn("alice"), a.signIn("alice")
	require.NotEmpty(t, a.hint(a.logoutWith(one.AccessToken, "refresh_token", two.RefreshToken)))
	for _, token := range []string{one.RefreshToken, two.RefreshToken} {
		requireError(t, a.refresh(token), http.StatusBadRequest, "invalid_grant")
	}
	require.Equal(t, 2, a.revoked())
}

func TestLogoutWithATokenOfNobodyAsksNoStore(t *testing.T) {
	store := newSpyStore()
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, stored(store))
	got := a.signIn("alice")
	stranger := newApp(t, provider, brokered(), func(c *core.Config) { c.Secrets = []string{strings.Repeat("-_", 22)} }).signIn("alice")
	cut := got.RefreshToken[:len(got.RefreshToken)-1]
	for name, row := range map[string]struct{ access, refresh string }{
		"none":                                 {"", ""},
		"a refresh token of another broker":    {"", stranger.RefreshToken},
		"a refresh token that was changed":     {"", cut + string("AB"[strings.Count(got.RefreshToken[len(cut):], "A")])},
		"a refresh token cut short":            {"", cut},
		"a refresh token of nonsense":          {"", "nonsense"},
		"an access token as a refresh token":   {"", got.AccessToken},
		"an access token of another broker":    {stranger.AccessToken, ""},
		"an access token that was changed":     {got.AccessToken[:len(got.AccessToken)-8] + "AAAAAAAA", ""},
		"an access token of the provider":      {provider.AccessToken(t, "alice"), ""},
		"a refresh token as an access token":   {got.RefreshToken, ""},
		"a token too long for an access token": {strings.Repeat("a", 16<<10+1), ""},
	} {
		t.Run(name, func(t *testing.T) {
			calls := store.during(func() {
				require.Empty(t, a.hint(a.logoutWith(row.access, "refresh_token", row.refresh)))
			})
			require.Empty(t, calls)
			event := a.log.last(t)
			require.Equal(t, core.EventLogout, event.Kind)
			require.Empty(t, event.Session)
		})
	}
	require.Zero(t, a.revoked())
	a.tokens(a.refresh(got.RefreshToken))
}

func TestLogoutTakesNoRefreshTokenFromTheURL(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	token := a.signIn("alice").RefreshToken
	for _, spelling := range []string{"refresh_token", "refresh-token"} {
		query := "?" + form(spelling, token).Encode()
		requireError(t, a.get(browser(), logoutRoute+query), http.StatusBadRequest, "invalid_request")
		requireError(t, a.post(browser(), logoutRoute+query), http.StatusBadRequest, "invalid_request")
		requireError(t, a.post(browser(), logoutRoute+query, spelling, token), http.StatusBadRequest, "invalid_request")
	}
	requireError(t, a.post(browser(), logoutRoute, "refresh_token", token, "refresh-token", token), http.StatusBadRequest, "invalid_request")
	requireError(t, a.post(browser(), logoutRoute, "refresh_token", token, "refresh_token", token), http.StatusBadRequest, "invalid_request")
	requireError(t, a.post(browser(), logoutRoute, "refresh_token", strings.Repeat("x", 16<<10+1)), http.StatusBadRequest, "invalid_request")
	a.tokens(a.refresh(token))
}

func TestALogoutThatLeadsNowhereAllowedEndsNothing(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	got := a.signIn("alice")
	requireError(t, a.logoutWith(got.AccessToken, "post_logout_redirect_uri", "https://evil.example.org/"), http.StatusBadRequest, "invalid_request")
	a.tokens(a.refresh(got.RefreshToken))
}

func TestLogoutWithAnExchangedTokenHasNoSessionToEnd(t *testing.T) {
	store := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(exchanging), func(c *core.Config) { c.Broker.Store = store })
	session := a.signIn("alice")
	raw := a.tokens(a.exchange(a.subjectToken(nil))).AccessToken
	require.Empty(t, store.during(func() { require.Empty(t, a.hint(a.logoutWith(raw))) }))
	require.Equal(t, core.EventLogout, a.log.last(t).Kind)
	a.tokens(a.refresh(session.RefreshToken))
}

func TestALogoutThatTheStoreFailsEndsNothingAndSaysSo(t *testing.T) {
	store := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(store))
	got := a.signIn("alice")
	for _, failing := range []string{"get session", "delete session"} {
		store.fail(func(_ context.Context, call string, done bool) error {
			if call == failing && !done {
				return errors.New("unplugged")
			}
			return nil
		})
		for _, answer := range []answer{a.logoutWith(got.AccessToken), a.logoutWith("", "refresh_token", got.RefreshToken)} {
			requireError(t, answer, http.StatusServiceUnavailable, "temporarily_unavailable")
			require.NotEmpty(t, answer.Header.Get("Retry-After"))
		}
		store.fail(nil)
		got = a.tokens(a.refresh(got.RefreshToken))
	}
	fresh := a.replica(store) // which can't verify an access token without the store
	store.fail(func(context.Context, string, bool) error { return errors.New("unplugged") })
	requireError(t, fresh.logoutWith(got.AccessToken), http.StatusServiceUnavailable, "temporarily_unavailable")
	require.Zero(t, a.revoked())
	require.NotEqual(t, core.EventLogout, a.log.last(t).Kind)
}

func TestALogoutOfWhichTheStoresAnswerIsLostIsWhole(t *testing.T) {
	store := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(store))
	got := a.signIn("alice")
	store.fail(func(_ context.Context, call string, done bool) error {
		if call == "delete session" && done {
			return errors.New("cut")
		}
		return nil
	})
	require.NotEmpty(t, a.hint(a.logoutWith(got.AccessToken)))
	require.Equal(t, 1, a.revoked())
	store.fail(nil)
	requireError(t, a.refresh(got.RefreshToken), http.StatusBadRequest, "invalid_grant")
}

func TestALogoutDuringARefreshWins(t *testing.T) {
	provider := newProvider(t, oidctest.Options{StrictRefresh: true})
	a := newApp(t, provider, brokered())
	got := a.signIn("alice")
	var rotated string
	provider.Answer(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		a.logoutWith(got.AccessToken)
		real.ServeHTTP(w, r)
		rotated = "asked"
	})
	requireError(t, a.refresh(got.RefreshToken), http.StatusBadRequest, "invalid_grant")
	require.Equal(t, "asked", rotated)
	provider.Answer(oidctest.TokenPath, nil)
	requireError(t, a.refresh(got.RefreshToken), http.StatusBadRequest, "invalid_grant")
	requireError(t, a.get(browser(), userinfoRoute, bearer(got.AccessToken)), http.StatusUnauthorized, "invalid_token")
}

// Where to send the browser is one thing, and the session another.
func TestLogoutEndsTheSessionThoughNothingIsKnownOfTheProvider(t *testing.T) {
	for name, logout := range map[string]func(b *app, got tokens) answer{
		"by the refresh token": func(b *app, got tokens) answer { return b.logoutWith("", "refresh_token", got.RefreshToken) },
		"by the access token":  func(b *app, got tokens) answer { return b.logoutWith(got.AccessToken) },
	} {
		t.Run(name, func(t *testing.T) {
			// Each has a provider of its own: an application whose idle connections were cut
			// may notice only when it sends the next request, which then fails.
			store := newSpyStore()
			a := newApp(t, newProvider(t, oidctest.Options{}), stored(store))
			got := a.signIn("alice")
			b := a.replica(store) // it has never talked to the provider
			a.provider.Down(true)
			requireError(t, logout(b, got), http.StatusServiceUnavailable, "temporarily_unavailable")
			requireError(t, a.refresh(got.RefreshToken), http.StatusBadRequest, "invalid_grant")
			requireError(t, a.get(browser(), userinfoRoute, bearer(got.AccessToken)), http.StatusUnauthorized, "invalid_token")
			event := b.log.last(t)
			require.Equal(t, core.EventLogout, event.Kind)
			require.Equal(t, "user-alice", event.Subject)
		})
	}
}

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
