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

func TestIdentifyDecidesWhatTokensSay(t *testing.T) {
	shared := []string{"zeta", "alpha", "zeta"}
	var seen core.Identity
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(_ context.Context, who *core.Identity) error {
		seen = *who
		who.Issuer, who.Subject = "https://evil.example.org", "somebody else"
		who.Username, who.FirstName, who.LastName, who.Name = "lizzy", "Liz", "Queen", "Liz Queen"
		who.Email, who.EmailVerified = "liz@example.org", false
		who.Roles = shared
		who.Scopes = []string{"orders", "stock"}
		who.Extra["groups_of"] = who.Claims["groups"]
		return nil
	}))
	check := func(raw, scope string) {
		t.Helper()
		require.Equal(t, a.provider.Issuer, seen.Issuer)
		require.Equal(t, "user-alice", seen.Subject)
		require.Equal(t, "alice", seen.Username)
		require.Equal(t, "Alice", seen.FirstName)
		require.Equal(t, "Liddell", seen.LastName)
		require.Equal(t, "Alice Liddell", seen.Name)
		require.Equal(t, "alice@example.com", seen.Email)
		require.True(t, seen.EmailVerified)
		require.Equal(t, []string{"admin", "user", "users"}, seen.Roles)
		require.Equal(t, strings.Fields(scope), seen.Scopes)
		require.Equal(t, "user-alice", seen.Claims["sub"])

		claims := claimsOf(t, raw)
		require.Equal(t, "user-alice", claims["sub"])
		require.Equal(t, a.provider.Issuer, claims["idp_iss"])
		require.Equal(t, a.api, claims["iss"])
		require.Equal(t, "lizzy", claims["preferred_username"])
		require.Equal(t, "Liz Queen", claims["name"])
		require.Equal(t, "liz@example.org", claims["email"])
		require.Equal(t, false, claims["email_verified"])
		require.Equal(t, []any{"alpha", "zeta"}, claims["roles"])
		require.Equal(t, "orders stock", claims["scope"])
		require.Equal(t, []any{"admin", "users"}, claims["groups_of"])
		require.Equal(t, []string{"zeta", "alpha", "zeta"}, shared, "the application's own list is left alone")
	}
	got := a.signIn("alice")
	check(got.AccessToken, "openid profile email")
	require.Equal(t, "orders stock", got.Scope)
	info := a.get(browser(), userinfoRoute, bearer(got.AccessToken))
	require.Equal(t, `{"sub":"user-alice","username":"lizzy","first_name":"Liz","last_name":"Queen","pw_name":"lizzy","email":"liz@example.org","preferred_username":"lizzy","given_name":"Liz","family_name":"Queen","name":"Liz Queen","email_verified":false}`+"\n", info.body)

	next := a.tokens(a.refresh(got.RefreshToken))
	check(next.AccessToken, "openid profile email")
	check(a.tokens(a.exchange(a.provider.AccessToken(t, "alice"))).AccessToken, "openid profile email")
}

func TestARefreshAsksIdentifyAgain(t *testing.T) {
	role := "first"
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(_ context.Context, who *core.Identity) error {
		who.Roles = []string{role}
		return nil
	}))
	got := a.signIn("alice")
	role = "second"
	next := a.tokens(a.refresh(got.RefreshToken))
	require.Equal(t, []any{"second"}, claimsOf(t, next.AccessToken)["roles"])
}

func TestIdentifyRefusesLogins(t *testing.T) {
	for name, row := range map[string]struct {
		err  error
		says string
	}{
		"an error of any kind":    {errors.New("the directory says no to alice"), "The application does not let this user in."},
		"ErrAccessDenied":         {core.ErrAccessDenied, core.ErrAccessDenied.Description},
		"ErrAccessDenied wrapped": {fmt.Errorf("%w: the directory says no to alice", core.ErrAccessDenied), core.ErrAccessDenied.Description},
		"Refuse":                  {core.Refuse("Only our staff may sign in."), "Only our staff may sign in."},
		"Refuse wrapped":          {fmt.Errorf("alice: %w", core.Refuse("Only our staff may sign in.")), "Only our staff may sign in."},
		"its own Error": {
			fmt.Errorf("the directory says no to alice: %w", &core.Error{Code: core.ErrAccessDenied.Code, Description: "Only our staff may sign in."}), "Only our staff may sign in."},
	} {
		t.Run(name, func(t *testing.T) {
			store := newSpyStore()
			a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(context.Context, *core.Identity) error { return row.err }),
				func(c *core.Config) { c.Broker.Store = store })
			a.overhear(nil) // so that none of its tokens may be logged
			for _, grant := range []struct {
				name   string
				got    answer
				status int
			}{
				{"code", a.codeLogin("alice"), http.StatusForbidden},
				{"callback", a.callbackLogin("alice"), http.StatusForbidden},
				{"device", a.deviceLogin("alice"), http.StatusBadRequest}, // RFC 8628 3.5
				{"exchange", a.exchange(a.provider.AccessToken(t, "alice")), http.StatusForbidden},
			} {
				requireError(t, grant.got, grant.status, "access_denied")
				require.Equal(t, row.says, grant.got.json["detail"], grant.name)
			}
			require.Zero(t, a.revoked(), "the user may have other sessions")
			require.Len(t, store.all(t), 1, "the key and no session")
			event := a.log.last(t)
			require.Equal(t, core.EventExchange, event.Kind)
			require.Equal(t, "user-alice", event.Subject)
			require.ErrorIs(t, event.Error, core.ErrAccessDenied)
		})
	}
}

func TestIdentifyThatCannotTellAtALoginIsAnOutage(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(context.Context, *core.Identity) error {
		return fmt.Errorf("the directory is down: %w", core.ErrUnavailable)
	}))
	for _, got := range []answer{a.codeLogin("alice"), a.callbackLogin("alice"), a.exchange(a.provider.AccessToken(t, "alice"))} {
		requireError(t, got, http.StatusServiceUnavailable, "temporarily_unavailable")
		require.Equal(t, "1", got.Header.Get("Retry-After"))
	}
	requireError(t, a.deviceLogin("alice"), http.StatusServiceUnavailable, "")
	require.Zero(t, a.revoked())
}

func TestIdentifyEndsASessionByErrAccessDeniedAlone(t *testing.T) {
	for name, row := range map[string]struct {
		fails func() error
		ends  bool
	}{
		"ErrAccessDenied":         {func() error { return core.ErrAccessDenied }, true},
		"ErrAccessDenied wrapped": {func() error { return fmt.Errorf("%w: left the company", core.ErrAccessDenied) }, true},
		"Refuse":                  {func() error { return core.Refuse("You have left the company.") }, true},
		"another error":           {func() error { return errors.New("the directory is down") }, false},
		"ErrUnavailable":          {func() error { return core.ErrUnavailable }, false},
		"another Error":           {func() error { return core.ErrInvalidGrant }, false},
		"its time is up":          {func() error { return context.DeadlineExceeded }, false},
		"a panic":                 {func() error { panic("at the disco") }, false},
		"a panic with nil":        {func() error { var p *core.Identity; return errors.New(p.Email) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			fails := func() error { return nil }
			a := newApp(t, newProvider(t, oidctest.Options{StrictRefresh: true}), identifying(func(context.Context, *core.Identity) error { return fails() }))
			first := a.signIn("alice")
			last := a.overhear(nil)
			fails = row.fails
			got := a.refresh(first.RefreshToken)
			if row.ends {
				requireError(t, got, http.StatusBadRequest, "invalid_grant")
				require.Equal(t, []string{core.ReasonDenied}, a.log.ends())
				require.Zero(t, a.revoked())
				fails = func() error { return nil }
				requireError(t, a.refresh(first.RefreshToken), http.StatusBadRequest, "invalid_grant")
				requireError(t, a.get(browser(), userinfoRoute, bearer(first.AccessToken)), http.StatusUnauthorized, "invalid_token")
				return
			}
			for range 2 {
				requireError(t, got, http.StatusServiceUnavailable, "temporarily_unavailable")
				require.Equal(t, "1", got.Header.Get("Retry-After"))
				got = a.refresh(first.RefreshToken)
			}
			rotated := last["refresh_token"]
			fails = func() error { return nil }
			next := a.tokens(a.refresh(first.RefreshToken)) // a strict provider would not take the first one again
			require.NotEqual(t, rotated, last["refresh_token"])
			a.tokens(a.refresh(next.RefreshToken))
			require.Empty(t, a.log.ends())
			require.Zero(t, a.revoked())
		})
	}
}

func TestAPanicOfIdentifyAtALoginRefusesThatLogin(t *testing.T) {
	fails := true
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(context.Context, *core.Identity) error {
		if fails {
			panic("at the disco")
		}
		return nil
	}))
	for _, got := range []answer{a.codeLogin("alice"), a.callbackLogin("alice"), a.exchange(a.provider.AccessToken(t, "alice"))} {
		requireError(t, got, http.StatusForbidden, "access_denied")
		require.NotContains(t, got.body, "disco")
	}
	require.Contains(t, a.log.logged(), "at the disco")
	fails = false
	a.signIn("alice")
}

func TestIdentifyHasALimitedTime(t *testing.T) {
	var mu sync.Mutex
	var left []time.Duration
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(ctx context.Context, _ *core.Identity) error {
		mu.Lock()
		defer mu.Unlock()
		deadline, ok := ctx.Deadline()
		require.True(t, ok)
		left = append(left, time.Until(deadline))
		return nil
	}), func(c *core.Config) { c.Timeout = 7 * time.Second })
	a.tokens(a.refresh(a.signIn("alice").RefreshToken))
	a.tokens(a.exchange(a.provider.AccessToken(t, "alice")))
	require.Len(t, left, 3)
	for _, limit := range left {
		require.Greater(t, limit, time.Duration(0))
		require.LessOrEqual(t, limit, 7*time.Second)
	}
}

// What the provider granted is one thing, and what Identify makes of it another:
// each call begins with the former.
func TestIdentifyBeginsEachTimeWithTheGrantedScopes(t *testing.T) {
	for name, change := range map[string]func(body map[string]any){
		"the provider repeats them at a refresh":    func(map[string]any) {},
		"the provider leaves them out (RFC 6749 6)": func(body map[string]any) { delete(body, "scope") },
	} {
		t.Run(name, func(t *testing.T) {
			admin := true
			var began [][]string
			a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(_ context.Context, who *core.Identity) error {
				began = append(began, append([]string(nil), who.Scopes...))
				if admin {
					who.Scopes = append(who.Scopes, "orders:admin")
				} else {
					who.Scopes = who.Scopes[:1]
				}
				return nil
			}))
			got := a.signIn("alice")
			a.overhear(change)
			for range 2 {
				require.Equal(t, "openid profile email orders:admin", got.Scope)
				got = a.tokens(a.refresh(got.RefreshToken))
			}
			admin = false
			got = a.tokens(a.refresh(got.RefreshToken))
			require.Equal(t, "openid", got.Scope, "it was withdrawn")
			admin = true
			got = a.tokens(a.refresh(got.RefreshToken))
			require.Equal(t, "openid profile email orders:admin", got.Scope, "and nothing was lost for good")
			for _, scopes := range began {
				require.Equal(t, []string{"openid", "profile", "email"}, scopes)
			}
		})
	}
}

// A function that returns a *core.Error gives an error that is not nil.
func TestANilPointerToAnErrorFromIdentifyIsAnErrorAndNoPanic(t *testing.T) {
	fails := true
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(context.Context, *core.Identity) error {
		if fails {
			var e *core.Error
			return e
		}
		return nil
	}))
	requireError(t, a.codeLogin("alice"), http.StatusForbidden, "access_denied")
	requireError(t, a.exchange(a.provider.AccessToken(t, "alice")), http.StatusForbidden, "access_denied")
	fails = false
	token := a.signIn("alice").RefreshToken
	fails = true
	requireError(t, a.refresh(token), http.StatusServiceUnavailable, "temporarily_unavailable")
	fails = false
	a.tokens(a.refresh(token))
	require.Empty(t, a.log.ends())
	require.NotContains(t, a.log.logged(), "panic")
}

// What can't be written as JSON is the application's mistake at a refresh, too.
func TestANameThatIsNoTextIsAMistakeAtARefreshAsAtALogin(t *testing.T) {
	name := "Alice"
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(_ context.Context, who *core.Identity) error {
		who.Name = name
		return nil
	}))
	token := a.signIn("alice").RefreshToken
	name = "caf\xe9"
	requireError(t, a.refresh(token), http.StatusInternalServerError, "server_error")
	name = "café"
	a.tokens(a.refresh(token))
}
