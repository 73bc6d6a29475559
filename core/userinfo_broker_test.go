package core_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestUserinfoOfABrokerIsWhatTheSessionRemembers(t *testing.T) {
	spy := newSpyStore()
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, stored(spy))
	raw := a.signIn("alice").AccessToken
	asked := provider.Requests("")
	for _, down := range []bool{false, true} {
		provider.Down(down)
		var got answer
		calls := spy.during(func() { got = a.get(browser(), userinfoRoute, bearer(raw)) })
		require.Equal(t, http.StatusOK, got.StatusCode, got.body)
		requireProtected(t, got)
		require.Equal(t, `{"sub":"user-alice","username":"alice","first_name":"Alice","last_name":"Liddell","pw_name":"alice","email":"alice@example.com","preferred_username":"alice","given_name":"Alice","family_name":"Liddell","name":"Alice Liddell","email_verified":true}`+"\n", got.body)
		require.Equal(t, []string{"get session"}, calls)
	}
	require.Equal(t, asked, provider.Requests(""), "no token of ours is sent to the provider")

	req, err := http.NewRequest(http.MethodHead, a.api+userinfoRoute, nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+raw)
	require.Equal(t, http.StatusOK, a.do(browser(), req).StatusCode)
	requireError(t, a.get(browser(), userinfoRoute), http.StatusUnauthorized, "missing_token")
}

func TestUserinfoOfABrokerHasNoEmailWhereThereIsNone(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{Users: []oidctest.User{{Username: "x"}}}), brokered())
	got := a.get(browser(), userinfoRoute, bearer(a.signIn("x").AccessToken))
	require.Equal(t, `{"sub":"user-x","username":"x","pw_name":"x","preferred_username":"x"}`+"\n", got.body)
}

func TestUserinfoFollowsARefresh(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	first := a.signIn("alice")
	a.overhear(func(body map[string]any) {
		married := map[string]any{"family_name": "Hargreaves"}
		a.resigned(body, married, married)
	})
	next := a.tokens(a.refresh(first.RefreshToken))
	for _, raw := range []string{first.AccessToken, next.AccessToken} {
		require.Equal(t, "Hargreaves", a.get(browser(), userinfoRoute, bearer(raw)).json["last_name"])
	}
}

func TestUserinfoEndsWithTheSession(t *testing.T) {
	for name, end := range map[string]func(a *app, got tokens){
		"by a logout": func(a *app, got tokens) {
			require.Equal(a.t, http.StatusFound, a.get(browser(), logoutRoute, bearer(got.AccessToken)).StatusCode)
		},
		"by the provider": func(a *app, got tokens) {
			a.provider.EndSessions()
			requireError(a.t, a.refresh(got.RefreshToken), http.StatusBadRequest, "invalid_grant")
		},
		// Guards bear with clocks that are apart, and take the token still.
		"in time": func(a *app, _ tokens) { a.clock.Add(10 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{}), brokered(func(b *core.Broker) { b.SessionLifetime = 10 * time.Minute }))
			got := a.signIn("alice")
			require.Equal(t, http.StatusOK, a.get(browser(), userinfoRoute, bearer(got.AccessToken)).StatusCode)
			end(a, got)
			require.Equal(t, "user-alice", me(a.auth, got.AccessToken).body, "the token itself can't be called back")
			requireError(t, a.get(browser(), userinfoRoute, bearer(got.AccessToken)), http.StatusUnauthorized, "invalid_token")
		})
	}
}

func TestUserinfoOfABrokerWhoseStoreIsDown(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
	raw := a.signIn("alice").AccessToken
	spy.fail(func(context.Context, string, bool) error { return errors.New("unplugged") })
	got := a.get(browser(), userinfoRoute, bearer(raw))
	requireError(t, got, http.StatusServiceUnavailable, "temporarily_unavailable")
	require.NotEmpty(t, got.Header.Get("Retry-After"))
	require.Equal(t, "user-alice", me(a.auth, raw).body, "guards need no store once the keys are known")
	spy.fail(nil)
	require.Equal(t, "alice", a.get(browser(), userinfoRoute, bearer(raw)).json["username"])
}

func TestUserinfoOfASessionThatCannotBeReadIsAnOutage(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
	raw := a.signIn("alice").AccessToken
	for _, record := range spy.all(t) {
		if record.Kind == "session" {
			record.Data = append([]byte(nil), record.Data...)
			record.Data[len(record.Data)-1] ^= 1
			_, err := spy.Put(t.Context(), record)
			require.NoError(t, err)
		}
	}
	requireError(t, a.get(browser(), userinfoRoute, bearer(raw)), http.StatusServiceUnavailable, "temporarily_unavailable")
}
