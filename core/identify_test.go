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

// identifying puts an application into broker mode with an Identify, and token
// exchange switched on.
func identifying(identify func(context.Context, *core.Identity) error) func(*core.Config) {
	return brokered(func(b *core.Broker) { b.Identify, b.Exchange = identify, true })
}

// exchange exchanges a token of the provider.
func (a *app) exchange(subjectToken string, fields ...string) answer {
	a.t.Helper()
	a.log.keep(subjectToken)
	return a.post(browser(), tokenRoute, append(fields, "grant_type", exchangeType, "subject_token", subjectToken)...)
}

// revoked counts the tokens that were given back to the provider.
func (a *app) revoked() int { return a.provider.Requests(oidctest.RevokePath) }

// logged is all that came out so far.
func (j *journal) logged() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

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

func TestARefreshFindsOutAnewWhatTokensSay(t *testing.T) {
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

// What the broker itself says can't be said otherwise by Identify, in any case
// of the letters: many a JSON decoder takes them for the same.
func TestExtraCannotReplaceTheBrokersClaims(t *testing.T) {
	var name string
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(_ context.Context, who *core.Identity) error {
		who.Extra[name] = "extra value"
		return nil
	}))
	raw := a.provider.AccessToken(t, "alice")
	for _, name = range []string{
		"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "sid", "client_id", "azp", "idp_iss", "auth_time", "acr", "amr",
		"preferred_username", "name", "email", "email_verified", "roles", "scope", "scp",
		"typ", "nonce", "at_hash", "c_hash", "events", "act", "cnf", "SUB", "Exp",
	} {
		t.Run(name, func(t *testing.T) {
			got := a.exchange(raw)
			requireError(t, got, http.StatusInternalServerError, "server_error")
			require.NotContains(t, got.body, "Identify")
			require.NotContains(t, got.body, "extra value")
			require.Contains(t, a.log.logged(), fmt.Sprintf(`Broker.Identify: it set the claim \"%s\" in Extra`, name))
		})
	}
	name = "sub"
	requireError(t, a.codeLogin("alice"), http.StatusInternalServerError, "server_error")
	name = "subject"
	require.Equal(t, "extra value", claimsOf(t, a.signIn("alice").AccessToken)["subject"])
}

func TestExtraIsSaidAsItWasSet(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(_ context.Context, who *core.Identity) error {
		who.Extra["number"] = int64(9007199254740993) // more than a float64 can hold
		who.Extra["object"] = map[string]any{"b": 1.5, "a": []any{nil, true, "<&>"}}
		who.Extra["nothing"] = nil
		return nil
	}))
	first := a.signIn("alice")
	next := a.tokens(a.refresh(first.RefreshToken))
	again := a.tokens(a.refresh(first.RefreshToken))
	for _, got := range []tokens{first, next, again, a.tokens(a.exchange(a.provider.AccessToken(t, "alice")))} {
		_, payload := jwtParts(t, got.AccessToken)
		require.Contains(t, payload, `,"nothing":null,"number":9007199254740993,"object":{"a":[null,true,"<&>"],"b":1.5}}`)
	}
}

func TestExtraThatIsNoJSONIsAMistakeOfTheApplication(t *testing.T) {
	for name, value := range map[string]any{
		"a channel": make(chan int), "a function": func() {}, "no UTF-8": "\xff", "a name of no UTF-8": map[string]any{"\xff": 1},
	} {
		t.Run(name, func(t *testing.T) {
			broken := true
			a := newApp(t, newProvider(t, oidctest.Options{StrictRefresh: true}), identifying(func(_ context.Context, who *core.Identity) error {
				if broken {
					who.Extra["x"] = value
				}
				return nil
			}))
			requireError(t, a.codeLogin("alice"), http.StatusInternalServerError, "server_error")
			requireError(t, a.exchange(a.provider.AccessToken(t, "alice")), http.StatusInternalServerError, "server_error")
			require.Contains(t, a.log.logged(), "requests fail")

			broken = false
			token := a.signIn("alice").RefreshToken
			broken = true
			requireError(t, a.refresh(token), http.StatusInternalServerError, "server_error")
			broken = false
			a.tokens(a.refresh(token))
			require.Empty(t, a.log.ends())
		})
	}
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

func TestWithOpaqueAccessTokensClaimsAreTheIDTokensAndUserinfos(t *testing.T) {
	provider := newProvider(t, oidctest.Options{OpaqueTokens: true, StrictRefresh: true})
	a := newApp(t, provider, brokered())
	a.overhear(func(body map[string]any) {
		body["id_token"] = resign(t, provider, body["id_token"].(string), nil, map[string]any{
			"preferred_username": nil, "email": "id@example.org", "groups": []string{"of-the-id-token"}, "realm_access": nil,
		})
	})
	fail(provider, oidctest.UserinfoPath, http.StatusOK, `{"sub":"user-alice","preferred_username":"carroll","email":"info@example.org","roles":["of-userinfo"]}`)
	first := a.signIn("alice")
	check := func(got tokens) {
		t.Helper()
		claims := claimsOf(t, got.AccessToken)
		require.Equal(t, "carroll", claims["preferred_username"])
		require.Equal(t, "info@example.org", claims["email"])
		require.Equal(t, []any{"of-the-id-token", "of-userinfo"}, claims["roles"])
	}
	check(first)
	require.Equal(t, 1, provider.Requests(oidctest.UserinfoPath))
	check(a.tokens(a.refresh(first.RefreshToken)))

	for name, row := range map[string]struct {
		trouble func()
		status  int // of a refresh, and of a login too if that is an outage
		code    string
	}{
		"userinfo is down": {func() {
			provider.Answer(oidctest.UserinfoPath, func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) })
		}, http.StatusServiceUnavailable, "temporarily_unavailable"},
		"userinfo is overloaded":          {func() { fail(provider, oidctest.UserinfoPath, 503, "") }, http.StatusServiceUnavailable, "temporarily_unavailable"},
		"userinfo is of no subject":       {func() { fail(provider, oidctest.UserinfoPath, 200, `{"preferred_username":"bob"}`) }, http.StatusBadGateway, "server_error"},
		"userinfo is of an empty subject": {func() { fail(provider, oidctest.UserinfoPath, 200, `{"sub":""}`) }, http.StatusBadGateway, "server_error"},
		"userinfo is no JSON":             {func() { fail(provider, oidctest.UserinfoPath, 200, `<html>`) }, http.StatusBadGateway, "server_error"},
	} {
		t.Run(name, func(t *testing.T) {
			provider.Answer(oidctest.UserinfoPath, nil)
			token := a.signIn("alice").RefreshToken
			row.trouble()
			if row.status == http.StatusServiceUnavailable {
				requireError(t, a.codeLogin("alice"), row.status, row.code)
				requireError(t, a.callbackLogin("alice"), row.status, row.code)
			} else {
				require.Equal(t, []any{"of-the-id-token"}, claimsOf(t, a.signIn("alice").AccessToken)["roles"])
			}
			require.Zero(t, a.revoked())
			// A refresh that fails there has lost nothing either.
			requireError(t, a.refresh(token), row.status, row.code)
			provider.Answer(oidctest.UserinfoPath, nil)
			a.tokens(a.refresh(token))
			require.Empty(t, a.log.ends())
		})
	}
	t.Run("userinfo is of another subject", func(t *testing.T) {
		fail(provider, oidctest.UserinfoPath, http.StatusOK, `{"sub":"user-bob","preferred_username":"bob"}`)
		for _, got := range []answer{a.codeLogin("alice"), a.callbackLogin("alice"), a.deviceLogin("alice")} {
			requireError(t, got, http.StatusBadGateway, "server_error")
		}
	})
	t.Run("userinfo does not take the token", func(t *testing.T) {
		for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
			fail(provider, oidctest.UserinfoPath, status, "")
			require.Equal(t, []any{"of-the-id-token"}, claimsOf(t, a.signIn("alice").AccessToken)["roles"], "the rest is good without it")
		}
	})
}

func TestUserinfoIsNotAskedForWhatAJWTSays(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	a.tokens(a.refresh(a.signIn("alice").RefreshToken))
	require.Zero(t, a.provider.Requests(oidctest.UserinfoPath))
}

// An access token says something about the user only when it is certain that the
// provider says so, and about whom.
func TestAccessTokensThatProveNothingSayNothing(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	other := newProvider(t, oidctest.Options{})
	root := func(more map[string]any) map[string]any {
		claims := map[string]any{"groups": []string{"root"}, "roles": []string{"root"}, "preferred_username": "root", "acr": "root"}
		for name, value := range more {
			claims[name] = value
		}
		return claims
	}
	for name, row := range map[string]struct {
		forge func(raw string) string
		used  bool
	}{
		"as the provider signs it": {func(raw string) string { return resign(t, provider, raw, nil, root(nil)) }, true},
		"meant for somebody else":  {func(raw string) string { return resign(t, provider, raw, nil, root(map[string]any{"aud": "x"})) }, true},
		"of another subject":       {func(raw string) string { return resign(t, provider, raw, nil, root(map[string]any{"sub": "user-bob"})) }, false},
		"of no subject":            {func(raw string) string { return resign(t, provider, raw, nil, root(map[string]any{"sub": nil})) }, true}, // as Keycloak's lightweight tokens
		"of another issuer": {func(raw string) string {
			return resign(t, provider, raw, nil, root(map[string]any{"iss": other.Issuer}))
		}, false},
		"that has expired":  {func(raw string) string { return resign(t, provider, raw, nil, root(map[string]any{"exp": 1})) }, false},
		"without an expiry": {func(raw string) string { return resign(t, provider, raw, nil, root(map[string]any{"exp": nil})) }, false},
		"without a signature": {func(raw string) string {
			return resign(t, provider, raw, map[string]any{"alg": "none"}, root(nil)) + "AA"
		}, false},
		"by the public key as a secret": {func(raw string) string { return resign(t, provider, raw, map[string]any{"alg": "HS256"}, root(nil)) }, false},
		"with a bad signature": {func(raw string) string {
			raw = resign(t, provider, raw, nil, root(nil))
			return raw[:len(raw)-8] + "AAAAAAAA"
		}, false},
		"of another key by our key's name": {func(raw string) string {
			return resign(t, other, raw, map[string]any{"kid": provider.KeyID(t)}, root(nil))
		}, false},
		"of another key by its own name": {func(raw string) string { return resign(t, other, raw, nil, root(nil)) }, false},
		"with a key of its own in it": {func(raw string) string {
			return resign(t, other, raw, map[string]any{"jwk": map[string]any{"kty": "RSA"}}, root(nil))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var identity core.Identity
			a := newApp(t, provider, identifying(func(_ context.Context, who *core.Identity) error { identity = *who; return nil }))
			defer provider.Answer(oidctest.TokenPath, nil)
			first := a.signIn("alice")
			a.overhear(func(body map[string]any) {
				body["id_token"] = resign(t, provider, body["id_token"].(string), nil, map[string]any{"at_hash": nil})
				body["access_token"] = row.forge(body["access_token"].(string))
			})
			for _, got := range []tokens{a.tokens(a.codeLogin("alice")), a.tokens(a.refresh(first.RefreshToken))} {
				claims := claimsOf(t, got.AccessToken)
				require.Equal(t, "user-alice", claims["sub"])
				if row.used {
					require.Contains(t, claims["roles"], "root")
					continue
				}
				require.NotContains(t, fmt.Sprint(claims), "root")
				require.NotContains(t, fmt.Sprint(identity), "root")
				require.Equal(t, "alice", claims["preferred_username"])
				require.Equal(t, []any{"admin", "user", "users"}, claims["roles"], "of the ID token")
			}
		})
	}
}

func TestRolesAreGatheredFromWhereProvidersPutThem(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	a.overhear(func(body map[string]any) {
		a.resigned(body, map[string]any{
			"realm_access": map[string]any{"roles": []any{"b", "a", 1, ""}},
			"resource_access": map[string]any{
				"app": map[string]any{"roles": []string{"c", "a"}}, "other": map[string]any{"roles": []string{"d"}}, "odd": "e",
			},
			"groups": []string{"/staff", "a"}, "roles": []string{"z"}, "friends": map[string]any{"roles": []string{"not mine"}},
		}, nil)
	})
	require.Equal(t, []any{"/staff", "a", "b", "c", "z"}, claimsOf(t, a.signIn("alice").AccessToken)["roles"])
}

func TestSubjectIsUsernameOnRequest(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(nil), func(c *core.Config) { c.Broker.SubjectIsUsername = true })
	first := a.signIn("alice")
	exchanged := a.tokens(a.exchange(a.provider.AccessToken(t, "alice")))
	for _, got := range []tokens{first, a.tokens(a.refresh(first.RefreshToken)), exchanged} {
		claims := claimsOf(t, got.AccessToken)
		require.Equal(t, "alice", claims["sub"])
		require.Equal(t, a.provider.Issuer, claims["idp_iss"])
		info := a.get(browser(), userinfoRoute, bearer(got.AccessToken))
		require.Equal(t, "alice", info.json["sub"])
		require.Equal(t, "alice", info.json["username"])
	}

	a.overhear(func(body map[string]any) {
		nobody := map[string]any{"preferred_username": nil}
		a.resigned(body, nobody, nobody)
	})
	fail(a.provider, oidctest.UserinfoPath, http.StatusOK, `{"sub":"user-alice"}`)
	requireError(t, a.codeLogin("alice"), http.StatusForbidden, "access_denied")
	require.Zero(t, a.revoked())
	requireError(t, a.exchange(a.bare("alice")), http.StatusForbidden, "access_denied")
}

func TestWithoutAUsernameTheSubjectStandsForTheUser(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	a.overhear(func(body map[string]any) {
		nobody := map[string]any{"preferred_username": nil}
		a.resigned(body, nobody, nobody)
	})
	fail(a.provider, oidctest.UserinfoPath, http.StatusOK, `{"sub":"user-alice"}`)
	got := a.signIn("alice")
	claims := claimsOf(t, got.AccessToken)
	require.Equal(t, "user-alice", claims["sub"])
	require.NotContains(t, claims, "preferred_username")
	requireError(t, a.get(browser(), userinfoRoute, bearer(got.AccessToken)), http.StatusNotFound, "not_found")
}

func TestEmailVerifiedInBothSpellings(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	for _, row := range []struct{ says, want any }{
		{true, true}, {"true", true}, {false, false}, {"false", false}, {nil, false}, {1, false}, {"yes", false},
	} {
		a.overhear(func(body map[string]any) {
			says := map[string]any{"email_verified": row.says}
			a.resigned(body, says, says)
		})
		require.Equal(t, row.want, claimsOf(t, a.signIn("alice").AccessToken)["email_verified"], "%#v", row.says)
	}
}

func TestNamesComeFromTheConfiguredPaths(t *testing.T) {
	provider := newProvider(t, oidctest.Options{Users: []oidctest.User{{Username: "x", Claims: map[string]any{
		"ident": map[string]any{"person": map[string]any{"given_name": "Ada", "surname": "Lovelace", "mail": "ada@example.org"}},
	}}}})
	a := newApp(t, provider, brokered(), func(c *core.Config) { c.Providers[0].ProfilePaths = []string{"ident.person"} })
	got := a.signIn("x")
	info := a.get(browser(), userinfoRoute, bearer(got.AccessToken))
	require.Equal(t, `{"sub":"user-x","username":"x","first_name":"Ada","last_name":"Lovelace","pw_name":"x","email":"ada@example.org","preferred_username":"x","given_name":"Ada","family_name":"Lovelace","email_verified":false}`+"\n", info.body)
	require.Equal(t, "ada@example.org", claimsOf(t, got.AccessToken)["email"])
}

func TestSubjectsThatAStoreCannotHoldAreRefused(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	for name, row := range map[string]struct {
		subject string
		good    bool
	}{
		"1,024 bytes":         {strings.Repeat("s", 1024), true},
		"1,025 bytes":         {strings.Repeat("s", 1025), false},
		"a control character": {"user\x00alice", false},
		"a line break":        {"user\nalice", false},
		"other letters":       {"Алиса", true},
	} {
		t.Run(name, func(t *testing.T) {
			a.overhear(func(body map[string]any) {
				subject := map[string]any{"sub": row.subject}
				a.resigned(body, subject, subject)
			})
			got := a.codeLogin("alice")
			if row.good {
				require.Equal(t, row.subject, claimsOf(t, a.tokens(got).AccessToken)["sub"])
				return
			}
			requireError(t, got, http.StatusBadGateway, "server_error")
			require.Zero(t, a.revoked())
		})
	}
}

// Not every provider gives an ID token to a device.
func TestADeviceLoginWithoutAnIDTokenIsWhoTheAccessTokenSays(t *testing.T) {
	provider := newProvider(t, oidctest.Options{StrictRefresh: true})
	a := newApp(t, provider, brokered())
	a.overhear(func(body map[string]any) { delete(body, "id_token") })
	first := a.tokens(a.deviceLogin("alice"))
	next := a.tokens(a.refresh(first.RefreshToken))
	for _, got := range []tokens{first, next} {
		claims := claimsOf(t, got.AccessToken)
		require.Equal(t, "user-alice", claims["sub"])
		require.Equal(t, []any{"admin", "user", "users"}, claims["roles"])
	}
	require.Empty(t, a.hint(a.logoutWith(next.AccessToken)), "there is no ID token to hint with")
	require.Equal(t, 1, a.revoked())

	opaque := newApp(t, newProvider(t, oidctest.Options{OpaqueTokens: true}), brokered())
	opaque.overhear(func(body map[string]any) { delete(body, "id_token") })
	requireError(t, opaque.deviceLogin("alice"), http.StatusBadGateway, "server_error")
	require.Zero(t, opaque.revoked())
}

// Guards would not take it, and a session that nobody has a token of is none.
func TestATokenThatIsTooLongIsNotHandedOut(t *testing.T) {
	store := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(_ context.Context, who *core.Identity) error {
		who.Extra["x"] = strings.Repeat("x", 16<<10)
		return nil
	}), func(c *core.Config) { c.Broker.Store = store })
	for _, got := range []answer{a.codeLogin("alice"), a.callbackLogin("alice"), a.deviceLogin("alice"), a.exchange(a.provider.AccessToken(t, "alice"))} {
		requireError(t, got, http.StatusInternalServerError, "server_error")
	}
	require.Len(t, store.all(t), 1, "the key and no session: nobody has its tokens")
	require.Zero(t, a.revoked())
	require.Contains(t, a.log.logged(), "larger than the 16 KiB that guards accept")
}

// What a user may do is said by one source: the provider's access token, if it
// can be read and is about the user, else the ID token and userinfo.
func TestRolesComeFromOneSource(t *testing.T) {
	type claims = map[string]any
	none := claims{"groups": nil, "realm_access": nil}
	for name, row := range map[string]struct {
		access, id claims
		userinfo   string
		want       []any
	}{
		"the access token's, though the ID token has others": {
			claims{"groups": nil, "realm_access": claims{"roles": []string{"user"}}}, claims{"groups": []string{"admin"}}, "", []any{"user"}},
		"none of the access token's, which has an empty list, though the ID token has some": {
			claims{"groups": []string{}, "realm_access": nil}, claims{"groups": []string{"admin"}}, "", nil},
		"the ID token's, when the access token is silent": {none, claims{"groups": []string{"admin"}, "realm_access": nil}, `{"sub":"user-alice"}`, []any{"admin"}},
		"userinfo's, when both tokens are silent":         {none, none, `{"sub":"user-alice","groups":["writer"]}`, []any{"writer"}},
		"those of both, when the access token is silent": {
			none, claims{"groups": []string{"admin"}, "realm_access": nil}, `{"sub":"user-alice","roles":["writer"]}`, []any{"admin", "writer"}},
		"the access token's, though userinfo was asked for a name": {
			claims{"groups": []string{"user"}, "realm_access": nil, "preferred_username": nil}, claims{"groups": nil, "realm_access": nil, "preferred_username": nil},
			`{"sub":"user-alice","preferred_username":"alice","roles":["admin"]}`, []any{"user"}},
		"the ID token's, when the access token is of another subject": {
			claims{"sub": "pairwise", "groups": []string{"admin"}}, claims{"groups": []string{"user"}, "realm_access": nil},
			`{"sub":"user-alice"}`, []any{"user"}},
		"the ID token's and userinfo's, when the access token is of another subject": {
			claims{"sub": "pairwise", "groups": []string{"admin"}}, claims{"groups": []string{"user"}, "realm_access": nil},
			`{"sub":"user-alice","roles":["writer"]}`, []any{"user", "writer"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
			a.overhear(func(body map[string]any) { a.resigned(body, row.access, row.id) })
			if row.userinfo != "" {
				fail(a.provider, oidctest.UserinfoPath, http.StatusOK, row.userinfo)
			}
			first := a.signIn("alice")
			for _, got := range []tokens{first, a.tokens(a.refresh(first.RefreshToken))} {
				said := claimsOf(t, got.AccessToken)
				require.ElementsMatch(t, row.want, said["roles"])
				require.Equal(t, "alice", said["preferred_username"], "names come from whoever says them")
				require.Equal(t, "Alice Liddell", said["name"])
			}
		})
	}
}

// An ID token of the login, which a refresh need not renew, keeps nothing alive
// that the access token no longer says.
func TestARefreshWithoutAnIDTokenSaysWhatTheAccessTokenSaysNow(t *testing.T) {
	type claims = map[string]any
	for name, row := range map[string]struct {
		login, now claims
		claim      string
		want       any
	}{
		"roles that were taken away": {nil, claims{"groups": []string{}, "realm_access": nil}, "roles", []any{}},
		"a role that is left":        {nil, claims{"groups": []string{"users"}, "realm_access": nil}, "roles", []any{"users"}},
		"another acr":                {claims{"acr": "mfa"}, claims{"acr": "pwd"}, "acr", "pwd"},
		"another amr":                {claims{"amr": []string{"pwd", "otp"}}, claims{"amr": []string{"pwd"}}, "amr", []any{"pwd"}},
		"another auth_time":          {claims{"auth_time": 1000000000}, claims{"auth_time": 1000000001}, "auth_time", 1000000001.0},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
			a.overhear(func(body map[string]any) { a.resigned(body, row.login, row.login) })
			first := a.signIn("alice")
			require.NotEqual(t, row.want, claimsOf(t, first.AccessToken)[row.claim])
			a.overhear(func(body map[string]any) {
				delete(body, "id_token")
				body["access_token"] = resign(t, a.provider, body["access_token"].(string), nil, row.now)
			})
			require.Equal(t, row.want, claimsOf(t, a.tokens(a.refresh(first.RefreshToken)).AccessToken)[row.claim])
		})
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

// Whoever vouches for one address has said nothing about another.
func TestEmailVerifiedCountsForTheEmailOfItsSourceOnly(t *testing.T) {
	type claims = map[string]any
	const address = "ceo@example.org"
	says := claims{"email": address, "email_verified": true}
	unsaid := claims{"email": nil, "email_verified": nil}
	for name, row := range map[string]struct {
		access   claims // nil: the access token is opaque
		id       claims
		userinfo string
		email    string
		verified any
	}{
		"the access token's own":             {says, unsaid, "", address, true},
		"of the ID token alone":              {claims{"email": address, "email_verified": nil}, claims{"email": "alice@example.com", "email_verified": true}, "", address, false},
		"of the ID token, of the same":       {claims{"email": address, "email_verified": nil}, says, "", address, false},
		"the ID token's own":                 {unsaid, says, "", address, true},
		"of the access token, ID token's":    {claims{"email": nil, "email_verified": true}, claims{"email": address, "email_verified": nil}, "", address, false},
		"userinfo's own":                     {nil, unsaid, `{"sub":"user-alice","email":"ceo@example.org","email_verified":true}`, address, true},
		"userinfo's, which does not vouch":   {nil, claims{"email": "alice@example.com", "email_verified": true}, `{"sub":"user-alice","email":"ceo@example.org"}`, address, false},
		"the ID token's, userinfo has none":  {nil, says, `{"sub":"user-alice","email_verified":false}`, address, true},
		"of the claim email, not of mail":    {claims{"email": nil, "mail": address, "email_verified": true}, unsaid, "", address, false},
		"of the claim email, not of a path":  {claims{"email": nil, "person": claims{"email": address}, "email_verified": true}, unsaid, "", address, false},
		"of the claim email, of a path, too": {claims{"email": nil, "person": claims{"email": address, "email_verified": true}}, unsaid, "", address, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{OpaqueTokens: row.access == nil}), brokered(),
				func(c *core.Config) { c.Providers[0].ProfilePaths = []string{"person"} })
			a.overhear(func(body map[string]any) {
				if row.access != nil {
					a.resigned(body, row.access, row.id)
					return
				}
				body["id_token"] = resign(t, a.provider, body["id_token"].(string), nil, row.id)
			})
			fail(a.provider, oidctest.UserinfoPath, http.StatusOK, row.userinfo)
			said := claimsOf(t, a.signIn("alice").AccessToken)
			require.Equal(t, row.email, said["email"])
			require.Equal(t, row.verified, said["email_verified"])
		})
	}
}

// Guards find the roles of our own tokens in the claim roles alone: where else
// a provider may have them, Identify may have put anything.
func TestNothingInExtraIsARole(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(_ context.Context, who *core.Identity) error {
		who.Roles = []string{"viewer"}
		for _, name := range []string{"groups", "realm_access", "resource_access"} {
			who.Extra[name] = who.Claims[name]
		}
		who.Extra["resource_access"] = map[string]any{"app": map[string]any{"roles": []string{"admin"}}}
		return nil
	}))
	for _, raw := range []string{a.signIn("alice").AccessToken, a.tokens(a.exchange(a.provider.AccessToken(t, "alice"))).AccessToken} {
		require.Equal(t, http.StatusOK, serve(a.auth.Required(core.AnyRole("viewer")), bearer(raw)).StatusCode)
		requireError(t, serve(a.auth.Required(core.AnyRole("admin")), bearer(raw)), http.StatusForbidden, "insufficient_claims")
		token, err := a.auth.Verify(t.Context(), raw)
		require.NoError(t, err)
		require.Equal(t, []string{"viewer"}, token.Roles())
	}
}

// A function that returns a *core.Error gives an error that is not nil.
func TestAnErrorOfIdentifyThatIsNilIsAnErrorAndNoPanic(t *testing.T) {
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

// Where the username is the subject, another username is another user. None at
// all is nobody yet.
func TestARefreshMayNotChangeTheUsernameThatIsTheSubject(t *testing.T) {
	for name, row := range map[string]struct {
		says any // preferred_username
		ends bool
	}{"another": {"root", true}, "none": {nil, false}} {
		t.Run(name, func(t *testing.T) {
			for _, isSubject := range []bool{true, false} {
				a := newApp(t, newProvider(t, oidctest.Options{StrictRefresh: true}), brokered(func(b *core.Broker) { b.SubjectIsUsername = isSubject }))
				token := a.signIn("alice").RefreshToken
				a.overhear(func(body map[string]any) {
					username := map[string]any{"preferred_username": row.says}
					a.resigned(body, username, username)
				})
				fail(a.provider, oidctest.UserinfoPath, http.StatusOK, `{"sub":"user-alice"}`)
				got := a.refresh(token)
				switch {
				case !isSubject:
					require.Equal(t, "user-alice", claimsOf(t, a.tokens(got).AccessToken)["sub"])
				case row.ends:
					requireError(t, got, http.StatusBadRequest, "invalid_grant")
					require.Equal(t, []string{core.ReasonSubject}, a.log.ends())
				default:
					requireError(t, got, http.StatusServiceUnavailable, "temporarily_unavailable")
					a.provider.Answer(oidctest.TokenPath, nil)
					require.Equal(t, "alice", claimsOf(t, a.tokens(a.refresh(token)).AccessToken)["sub"])
					require.Empty(t, a.log.ends())
				}
			}
		})
	}
}

// An access token for somebody else's API may be signed by a key that is not
// published. The login does not hang on it.
func TestBesideAnIDTokenAnAccessTokenWhoseKeyCannotBeHadIsOpaque(t *testing.T) {
	for name, trouble := range map[string]func(p *oidctest.Provider){
		"the key is not published":    func(*oidctest.Provider) {},
		"the keys can't be had":       func(p *oidctest.Provider) { fail(p, oidctest.KeysPath, http.StatusServiceUnavailable, "") },
		"the keys are no JSON object": func(p *oidctest.Provider) { fail(p, oidctest.KeysPath, http.StatusOK, "oops") },
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{StrictRefresh: true}), brokered())
			require.NoError(t, a.auth.Start(t.Context()))
			a.overhear(func(body map[string]any) {
				body["id_token"] = resign(t, a.provider, body["id_token"].(string), nil, map[string]any{"at_hash": nil, "groups": []string{"mine"}, "realm_access": nil})
				body["access_token"] = resign(t, a.provider, body["access_token"].(string), map[string]any{"kid": "the API's"}, map[string]any{"groups": []string{"root"}})
			})
			fail(a.provider, oidctest.UserinfoPath, http.StatusOK, `{"sub":"user-alice"}`)
			trouble(a.provider)
			first := a.signIn("alice")
			for _, got := range []tokens{first, a.tokens(a.refresh(first.RefreshToken))} {
				require.Equal(t, []any{"mine"}, claimsOf(t, got.AccessToken)["roles"])
			}
		})
	}
}

// Where userinfo tells the roles, an ID token of the first day does not bring
// back those that were taken away.
func TestRolesThatUserinfoNoLongerTellsAreGoneAtTheNextRefresh(t *testing.T) {
	for name, trouble := range map[string]func(p *oidctest.Provider){
		"it leaves them out": func(p *oidctest.Provider) {
			tamper(p, oidctest.UserinfoPath, func(body map[string]any) {
				delete(body, "groups")
				delete(body, "realm_access")
			})
		},
		"it refuses the token": func(p *oidctest.Provider) { fail(p, oidctest.UserinfoPath, http.StatusUnauthorized, "") },
	} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{OpaqueTokens: true})
			a := newApp(t, provider, brokered())
			got := a.signIn("alice")
			require.Contains(t, claimsOf(t, got.AccessToken)["roles"], "admin")
			tamper(provider, oidctest.TokenPath, func(body map[string]any) { delete(body, "id_token") })
			got = a.tokens(a.refresh(got.RefreshToken))
			require.Contains(t, claimsOf(t, got.AccessToken)["roles"], "admin", "userinfo still tells it")
			trouble(provider)
			got = a.tokens(a.refresh(got.RefreshToken))
			require.Empty(t, claimsOf(t, got.AccessToken)["roles"])
		})
	}
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
