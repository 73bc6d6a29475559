package core_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

const backchannelRoute = "/auth/v2/backchannel-logout"

// logoutEvents is the claim events of a logout token.
func logoutEvents(member any) map[string]any {
	return map[string]any{"http://schemas.openid.net/event/backchannel-logout": member}
}

// logoutToken is one of the provider's, for alice, with some claims changed; nil takes one
// away.
func (a *app) logoutToken(claims map[string]any) string {
	a.t.Helper()
	now := a.clock.Now()
	all := map[string]any{
		"iss": a.provider.Issuer, "sub": "user-alice", "aud": a.provider.ClientID, "jti": "once",
		"iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "events": logoutEvents(map[string]any{}),
	}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	raw := a.provider.SignedToken(a.t, map[string]any{"typ": "logout+jwt"}, all)
	a.log.keep(raw)
	return raw
}

// backchannel posts a logout token, as the provider does.
func (a *app) backchannel(raw string, fields ...string) answer {
	a.t.Helper()
	return a.post(a.server.Client(), backchannelRoute, append(fields, "logout_token", raw)...)
}

func requireLoggedOut(t *testing.T, got answer) {
	t.Helper()
	require.Equal(t, http.StatusOK, got.StatusCode, got.body)
	requireProtected(t, got)
}

// signInAt gives the tokens of a login, and the provider's name of the session.
func (a *app) signInAt(user string, scope string) (got tokens, sid string) {
	a.t.Helper()
	last := a.overhear(nil)
	code, state := a.authorize(browser(), user, "redirect_uri", native, "scope", scope)
	got = a.tokens(a.post(browser(), tokenRoute, "code", code, "redirect_uri", native, "code_verifier", state))
	return got, claimsOf(a.t, last["id_token"].(string))["sid"].(string)
}

func TestALogoutAtTheProviderEndsItsSessions(t *testing.T) {
	for name, row := range map[string]struct {
		subject string
		sid     func(first string) any
		ends    []bool // of alice's sessions and bob's
	}{
		"of the session":                          {"", func(first string) any { return first }, []bool{true, false, false}},
		"of the user":                             {"user-alice", nil, []bool{true, true, false}},
		"of the user's session":                   {"user-alice", func(first string) any { return first }, []bool{true, false, false}},
		"of another user's session":               {"user-bob", func(first string) any { return first }, []bool{false, false, false}},
		"of a session that nobody has":            {"", func(string) any { return "elsewhere" }, []bool{false, false, false}},
		"of a user whom nobody knows":             {"user-carol", nil, []bool{false, false, false}},
		"of a session that is called like a user": {"", func(string) any { return "user-alice" }, []bool{false, false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
			first, sid := a.signInAt("alice", "profile")
			second, _ := a.signInAt("alice", "profile")
			bobs, _ := a.signInAt("bob", "profile")
			claims := map[string]any{"sub": nil}
			if row.subject != "" {
				claims["sub"] = row.subject
			}
			if row.sid != nil {
				claims["sid"] = row.sid(sid)
			}
			requireLoggedOut(t, a.backchannel(a.logoutToken(claims)))
			ended := 0
			for i, got := range []tokens{first, second, bobs} {
				if !row.ends[i] {
					a.tokens(a.refresh(got.RefreshToken))
					continue
				}
				ended++
				requireError(t, a.refresh(got.RefreshToken), http.StatusBadRequest, "invalid_grant")
			}
			reasons := a.log.ends()
			require.Len(t, reasons, ended)
			for _, reason := range reasons {
				require.Equal(t, core.ReasonProviderLogout, reason)
			}
			require.Zero(t, a.revoked(), "the provider knows")
		})
	}
	t.Run("by the name that is its subject", func(t *testing.T) {
		a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
		got, sid := a.signInAt("alice", "profile")
		requireLoggedOut(t, a.backchannel(a.logoutToken(map[string]any{"sub": sid})))
		a.tokens(a.refresh(got.RefreshToken))
	})
}

// A token that was held up on its way must not end what began after it.
func TestALogoutAtTheProviderEndsNoSessionThatBeganLater(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	raw := a.logoutToken(nil)
	a.clock.Add(30 * time.Second)
	before := a.signIn("alice")
	a.clock.Add(2 * time.Second)
	after := a.signIn("alice")
	requireLoggedOut(t, a.backchannel(raw))
	requireError(t, a.refresh(before.RefreshToken), http.StatusBadRequest, "invalid_grant")
	a.tokens(a.refresh(after.RefreshToken))
}

func TestASessionWithOfflineAccessOutlivesALogoutAtTheProvider(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	offline, _ := a.signInAt("alice", "profile offline_access")
	online, _ := a.signInAt("alice", "profile")
	requireLoggedOut(t, a.backchannel(a.logoutToken(nil)))
	requireError(t, a.refresh(online.RefreshToken), http.StatusBadRequest, "invalid_grant")
	offline = a.tokens(a.refresh(offline.RefreshToken))

	events := logoutEvents(map[string]any{})
	events["revoke_offline_access"] = true // where Keycloak has it
	requireLoggedOut(t, a.backchannel(a.logoutToken(map[string]any{"jti": "twice", "events": events})))
	requireError(t, a.refresh(offline.RefreshToken), http.StatusBadRequest, "invalid_grant")
}

func TestALogoutTokenWorksOnceAtWhicheverReplica(t *testing.T) {
	store := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(store))
	b := a.replica(store)
	raw := a.logoutToken(nil)
	requireLoggedOut(t, a.backchannel(raw))
	later := a.signIn("alice")
	for _, replica := range []*app{a, b} {
		requireError(t, replica.backchannel(raw), http.StatusBadRequest, "invalid_request")
	}
	a.clock.Add(2*time.Minute + 29*time.Second)
	requireError(t, a.backchannel(raw), http.StatusBadRequest, "invalid_request")
	// It is forgotten only after it has expired.
	record, err := store.Store.Find(t.Context(), "logout-token", "", "", 2)
	require.NoError(t, err)
	require.Len(t, record, 1)
	require.True(t, a.clock.Now().Before(record[0].Expires))
	a.tokens(a.refresh(later.RefreshToken))
	requireLoggedOut(t, a.backchannel(a.logoutToken(map[string]any{"jti": "another"})))
	requireError(t, a.refresh(later.RefreshToken), http.StatusBadRequest, "invalid_grant")
}

func TestALogoutTokenThatTheStoreFailedWorksLater(t *testing.T) {
	for _, lost := range []bool{false, true} { // the call, or its answer
		for n := 1; ; n++ {
			store := newSpyStore()
			a := newApp(t, newProvider(t, oidctest.Options{}), stored(store))
			got := []tokens{a.signIn("alice"), a.signIn("alice")}
			raw := a.logoutToken(nil)
			failed := false
			store.failAt(n, func(_ context.Context, done bool) error {
				if done == lost {
					failed = true
					return errors.New("unplugged")
				}
				return nil
			})
			answer := a.backchannel(raw)
			store.fail(nil)
			if !failed {
				require.Greater(t, n, 4, "two records of the token, and each session's")
				break
			}
			if answer.StatusCode != http.StatusOK { // a session that is gone needs no answer
				requireError(t, answer, http.StatusServiceUnavailable, "temporarily_unavailable")
				requireLoggedOut(t, a.backchannel(raw))
			}
			for _, got := range got {
				requireError(t, a.refresh(got.RefreshToken), http.StatusBadRequest, "invalid_grant")
			}
			a.backchannel(raw) // the answer before may have come without the mark
			requireError(t, a.backchannel(raw), http.StatusBadRequest, "invalid_request")
		}
	}
}

func TestAProviderThatGoesAwayStopsNoLogout(t *testing.T) {
	store := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(store))
	got := a.signIn("alice")
	ctx, leave := context.WithCancel(t.Context())
	store.fail(func(ctx context.Context, call string, _ bool) error {
		if call == "put logout-token" {
			leave()
		}
		return ctx.Err()
	})
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form("logout_token", a.logoutToken(nil)).Encode())).WithContext(ctx)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, e := range a.auth.Endpoints() {
		if e.Path == backchannelRoute {
			e.Handler.ServeHTTP(httptest.NewRecorder(), r)
		}
	}
	store.fail(nil)
	require.Error(t, ctx.Err())
	requireError(t, a.refresh(got.RefreshToken), http.StatusBadRequest, "invalid_grant")
}

func TestInvalidLogoutTokensEndNothing(t *testing.T) {
	store := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(store))
	last := a.overhear(nil)
	got := a.signIn("alice")
	good := a.logoutToken(nil)
	stranger := newProvider(t, oidctest.Options{})
	for name, raw := range map[string]string{
		"nonsense":                      "nonsense",
		"the user's ID token":           last["id_token"].(string),
		"the user's access token":       last["access_token"].(string),
		"the broker's access token":     got.AccessToken,
		"expired":                       a.logoutToken(map[string]any{"exp": a.clock.Now().Add(-time.Minute).Unix()}),
		"for another client":            a.logoutToken(map[string]any{"aud": "another"}),
		"with a nonce":                  a.logoutToken(map[string]any{"nonce": "n"}),
		"of another provider":           stranger.SignedToken(t, nil, claimsOf(t, good)),
		"changed":                       otherSignature(t, good, flipped),
		"unsigned":                      a.provider.SignedToken(t, map[string]any{"alg": "none"}, claimsOf(t, good)),
		"signed with the public key":    a.provider.SignedToken(t, map[string]any{"alg": "HS256"}, claimsOf(t, good)),
		"of a key that nobody has seen": stranger.SignedToken(t, map[string]any{"kid": "new"}, claimsOf(t, good)),
		"too long":                      strings.Repeat("a", 16<<10+1),
		"none":                          "",
	} {
		t.Run(name, func(t *testing.T) {
			before := a.provider.Requests(oidctest.KeysPath)
			calls := store.during(func() {
				for range 3 {
					requireError(t, a.backchannel(raw), http.StatusBadRequest, "invalid_request")
				}
			})
			require.Empty(t, calls)
			require.LessOrEqual(t, a.provider.Requests(oidctest.KeysPath)-before, 1, "strangers cause no more fetches than the cool-down allows")
		})
	}
	requireError(t, a.backchannel(good, "logout_token", good), http.StatusBadRequest, "invalid_request")
	requireError(t, a.post(browser(), backchannelRoute+"?logout_token="+good), http.StatusBadRequest, "invalid_request")
	a.tokens(a.refresh(got.RefreshToken))
}

func TestALogoutTokenWaitsForTheProvidersKeys(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	raw := a.logoutToken(nil)
	a.provider.Down(true)
	requireError(t, a.backchannel(raw), http.StatusServiceUnavailable, "temporarily_unavailable")
	a.provider.Down(false)
	a.clock.Add(time.Minute)
	requireLoggedOut(t, a.backchannel(raw))
}

// Nobody can refresh such a session, and an answer of 503 would have the provider try for ever.
func TestALogoutAtTheProviderEndsTheUsersSessionsThatCannotBeRead(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
	readable := a.signIn("alice")
	other := a.replica(spy, secrets(secretB, secret)) // whose first secret is unknown here
	unreadable, bobs := other.signIn("alice"), other.signIn("bob")
	requireLoggedOut(t, a.backchannel(a.logoutToken(nil)))
	for _, got := range []tokens{readable, unreadable} {
		requireError(t, other.refresh(got.RefreshToken), http.StatusBadRequest, "invalid_grant")
	}
	require.Equal(t, []string{core.ReasonProviderLogout, core.ReasonProviderLogout}, a.log.ends())
	require.Len(t, a.log.lines("a session that can't be read was ended"), 1)
	other.tokens(other.refresh(bobs.RefreshToken))
}
