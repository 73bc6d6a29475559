package core_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

const day = 24 * time.Hour

func TestAUsedRefreshTokenGivesTheSameSuccessorWithinTheGracePeriod(t *testing.T) {
	for name, strict := range map[string]bool{"strict provider": true, "lax provider": false} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{StrictRefresh: strict})
			a := newApp(t, provider, brokered())
			first := a.signIn("alice")
			second := a.tokens(a.refresh(first.RefreshToken))
			require.NotEqual(t, first.RefreshToken, second.RefreshToken)
			calls := provider.Requests(oidctest.TokenPath)
			a.clock.Add(45*time.Second - time.Millisecond)
			again := a.tokens(a.refresh(first.RefreshToken))
			require.Equal(t, second.RefreshToken, again.RefreshToken)
			require.NotEqual(t, second.AccessToken, again.AccessToken)
			require.Equal(t, calls, provider.Requests(oidctest.TokenPath), "the provider is not asked again")
			third := a.tokens(a.refresh(second.RefreshToken))
			require.NotEqual(t, second.RefreshToken, third.RefreshToken)
			require.Empty(t, a.log.ends())
		})
	}
}

func TestAReplayedRefreshTokenEndsTheSession(t *testing.T) {
	for name, row := range map[string]struct {
		refreshes int
		wait      time.Duration
	}{
		"the last one, when the grace period is over":         {1, 45 * time.Second},
		"an older one, though it is within the grace period ": {2, 0},
		"a much older one": {3, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{StrictRefresh: true})
			a := newApp(t, provider, brokered())
			stolen := a.signIn("alice").RefreshToken
			last := stolen
			for range row.refreshes {
				last = a.tokens(a.refresh(last)).RefreshToken
			}
			a.clock.Add(row.wait)
			calls := provider.Requests(oidctest.TokenPath)
			requireError(t, a.refresh(stolen), 400, "invalid_grant")
			require.Equal(t, []string{core.ReasonReplayed}, a.log.ends())
			requireError(t, a.refresh(last), 400, "invalid_grant")
			require.Equal(t, calls, provider.Requests(oidctest.TokenPath))
			require.Zero(t, a.revoked(), "the user may have other sessions")
		})
	}
}

func TestAReplayIsOnlyRefusedWhenThatIsConfigured(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(func(b *core.Broker) { b.InsecureTolerateReplay = true }))
	first := a.signIn("alice")
	second := a.tokens(a.refresh(first.RefreshToken))
	a.clock.Add(time.Minute)
	requireError(t, a.refresh(first.RefreshToken), 400, "invalid_grant")
	require.Empty(t, a.log.ends())
	a.tokens(a.refresh(second.RefreshToken))
}

// A forged token must not even cost a look into the store.
func TestAForgedRefreshTokenIsRefusedWithoutAskingTheStore(t *testing.T) {
	spy := newSpyStore()
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, stored(spy))
	good := a.signIn("alice").RefreshToken
	other := newApp(t, provider, brokered(), func(c *core.Config) {
		c.Secrets = []string{base64.StdEncoding.EncodeToString([]byte("another secret of thirty-two bytes"))}
	}).signIn("alice")
	elsewhere := newApp(t, newProvider(t, oidctest.Options{}), brokered()).signIn("alice")

	forged := map[string]string{
		"another instance's":                   other.RefreshToken,
		"of the same secret, another provider": elsewhere.RefreshToken,
		"an access token":                      other.AccessToken,
		"nonsense":                             "nonsense",
		"only the prefix":                      "ogr1.",
		"without the prefix":                   strings.TrimPrefix(good, "ogr1."),
		"with padding":                         good + "==",
		"another spelling of the last bits":    good[:len(good)-1] + "_",
		"twice":                                good + good,
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(good, "ogr1."))
	require.NoError(t, err)
	for i := range raw {
		changed := append([]byte(nil), raw...)
		changed[i] ^= 0x10
		forged[fmt.Sprintf("byte %d changed", i)] = "ogr1." + base64.RawURLEncoding.EncodeToString(changed)
		forged[fmt.Sprintf("cut to %d bytes", i)] = "ogr1." + base64.RawURLEncoding.EncodeToString(raw[:i])
	}
	for name, token := range forged {
		calls := spy.during(func() { requireError(t, a.refresh(token), 400, "invalid_grant") })
		require.Empty(t, calls, name)
	}
	require.Empty(t, a.log.ends())
	a.tokens(a.refresh(good))
}

func TestARefreshIsThreeStoreCallsAndOneProviderCall(t *testing.T) {
	for name, opaque := range map[string]bool{"JWT access tokens": false, "opaque access tokens": true} {
		t.Run(name, func(t *testing.T) {
			spy := newSpyStore()
			provider := newProvider(t, oidctest.Options{StrictRefresh: true, OpaqueTokens: opaque})
			a := newApp(t, provider, stored(spy))
			token := a.signIn("alice").RefreshToken
			expected := []string{"get session", "put session", "put session"}
			if opaque {
				// The provider's new token is saved before userinfo is asked.
				expected = append(expected, "put session")
			}
			for range 3 {
				before := provider.Requests(oidctest.TokenPath)
				require.Equal(t, expected, spy.during(func() { token = a.tokens(a.refresh(token)).RefreshToken }))
				require.Equal(t, before+1, provider.Requests(oidctest.TokenPath))
			}
		})
	}
}

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

// mayBeUsedUp is what the log says when a session's outcome is unknown.
const mayBeUsedUp = "the provider may have used up the refresh token of a session"

// A provider fails to refresh in many ways, before it has used the token up or after.
func TestARefreshThatFailsLeavesTheSessionAsItWas(t *testing.T) {
	lost := func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		real.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	status := func(code int, body string) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, row := range map[string]struct {
		trouble func(http.ResponseWriter, *http.Request, http.Handler)
		status  int
		code    string
		used    bool // a strict provider won't take the token again
		sure    bool // the provider has said that it used nothing up
	}{
		"the connection breaks":                 {func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }, 503, "temporarily_unavailable", false, false},
		"the answer is lost":                    {lost, 503, "temporarily_unavailable", true, false},
		"it is overloaded":                      {status(503, ""), 503, "temporarily_unavailable", false, false},
		"it limits us":                          {status(429, ""), 503, "temporarily_unavailable", false, false},
		"it answers 500":                        {status(500, "oops"), 502, "server_error", false, false},
		"it answers 500, as a framework does":   {status(500, `{"error":"Internal Server Error","status":500}`), 502, "server_error", false, false},
		"it does not accept us":                 {status(401, `{"error":"invalid_client"}`), 502, "server_error", false, true},
		"it doesn't like the request":           {status(400, `{"error":"invalid_request"}`), 503, "temporarily_unavailable", false, true},
		"its answer is no JSON":                 {status(200, "<html>"), 502, "server_error", false, false},
		"its answer has no token":               {status(200, "{}"), 502, "server_error", false, false},
		"its answer is of a type unknown to us": {status(200, `{"access_token":"x","token_type":"DPoP"}`), 502, "server_error", false, false},
	} {
		for _, strict := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, strict %t", name, strict), func(t *testing.T) {
				provider := newProvider(t, oidctest.Options{StrictRefresh: strict})
				a := newApp(t, provider, brokered())
				token := a.signIn("alice").RefreshToken
				provider.Answer(oidctest.TokenPath, row.trouble)
				for range 2 {
					requireError(t, a.refresh(token), row.status, row.code)
				}
				provider.Answer(oidctest.TokenPath, nil)
				require.Equal(t, !row.sure, strings.Contains(a.log.logged(), mayBeUsedUp), a.log.logged())
				require.LessOrEqual(t, strings.Count(a.log.logged(), mayBeUsedUp), 1, "it is said once")
				if row.used && strict {
					// The one loss that nobody can prevent, and it is called by its name.
					requireError(t, a.refresh(token), 400, "invalid_grant")
					require.Equal(t, []string{core.ReasonUnknown}, a.log.ends())
					return
				}
				next := a.tokens(a.refresh(token))
				a.tokens(a.refresh(next.RefreshToken))
				require.Empty(t, a.log.ends())
			})
		}
	}
}

func TestASessionEndsWhenTheProviderEndsIt(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, brokered())
	token := a.signIn("alice").RefreshToken
	provider.EndSessions()
	for range 2 {
		requireError(t, a.refresh(token), 400, "invalid_grant")
	}
	require.Equal(t, []string{core.ReasonRefused}, a.log.ends())
}

// An access token may name its subject otherwise than the ID token of the login
// did, for another audience; then userinfo says who the user is. It is believed
// only where it was the one to tell in the first place.
func TestARefreshMayNotChangeTheUser(t *testing.T) {
	pairwise := func(a *app, body map[string]any) {
		delete(body, "id_token")
		body["access_token"] = resign(t, a.provider, body["access_token"].(string), nil, map[string]any{
			"sub": "pairwise", "preferred_username": "root", "groups": []string{"root"},
		})
	}
	userinfo := func(a *app, answer string) { fail(a.provider, oidctest.UserinfoPath, http.StatusOK, answer) }
	for name, row := range map[string]struct {
		device bool // a login without an ID token
		opaque bool
		change func(a *app, body map[string]any)
		ends   bool
		roles  []any
	}{
		"by the ID token": {false, false, func(a *app, body map[string]any) {
			body["id_token"] = resign(t, a.provider, body["id_token"].(string), nil, map[string]any{"sub": "user-bob", "at_hash": nil})
		}, true, nil},
		"by userinfo, beside an access token of another subject": {false, false, func(a *app, body map[string]any) {
			pairwise(a, body)
			userinfo(a, `{"sub":"user-bob"}`)
		}, true, nil},
		"by userinfo, beside an opaque access token": {false, true, func(a *app, body map[string]any) {
			delete(body, "id_token")
			userinfo(a, `{"sub":"user-bob"}`)
		}, true, nil},
		"by the access token, which alone said who it was": {true, false, pairwise, true, nil},
		"not by the access token, when userinfo vouches": {false, false, func(a *app, body map[string]any) {
			pairwise(a, body)
			userinfo(a, `{"sub":"user-alice","preferred_username":"alice","groups":["users"]}`)
		}, false, []any{"users"}},
		"by userinfo, beside an access token without a subject": {false, false, func(a *app, body map[string]any) {
			delete(body, "id_token")
			body["access_token"] = resign(t, a.provider, body["access_token"].(string), nil, map[string]any{"sub": nil})
			userinfo(a, `{"sub":"user-bob"}`)
		}, true, nil},
		"not by an access token without a subject, when userinfo vouches": {false, false, func(a *app, body map[string]any) {
			delete(body, "id_token")
			body["access_token"] = resign(t, a.provider, body["access_token"].(string), nil, map[string]any{"sub": nil, "groups": []string{"users"}, "realm_access": nil})
			userinfo(a, `{"sub":"user-alice","preferred_username":"alice"}`)
		}, false, []any{"users"}},
	} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{OpaqueTokens: row.opaque})
			a := newApp(t, provider, brokered())
			var first tokens
			if row.device {
				a.overhear(func(body map[string]any) { delete(body, "id_token") })
				first = a.tokens(a.deviceLogin("alice"))
			} else {
				first = a.signIn("alice")
			}
			a.overhear(func(body map[string]any) { row.change(a, body) })
			got := a.refresh(first.RefreshToken)
			if !row.ends {
				next := a.tokens(got)
				claims := claimsOf(t, next.AccessToken)
				require.Equal(t, "user-alice", claims["sub"])
				require.Equal(t, "alice", claims["preferred_username"])
				require.Equal(t, row.roles, claims["roles"], "of what was said now")
				a.tokens(a.refresh(next.RefreshToken))
				require.Empty(t, a.log.ends())
				return
			}
			requireError(t, got, 400, "invalid_grant")
			require.Equal(t, []string{core.ReasonSubject}, a.log.ends())
			require.Zero(t, a.revoked())
			provider.Answer(oidctest.TokenPath, nil)
			provider.Answer(oidctest.UserinfoPath, nil)
			requireError(t, a.refresh(first.RefreshToken), 400, "invalid_grant")
		})
	}
}

func TestABadIDTokenAtARefreshIsRefusedAndTheSessionGoesOn(t *testing.T) {
	for name, claims := range map[string]map[string]any{
		"of another nonce":    {"nonce": "another", "at_hash": nil},
		"of another audience": {"aud": "somebody", "at_hash": nil},
		"that has expired":    {"exp": 1, "at_hash": nil},
		"of another issuer":   {"iss": "https://evil.example", "at_hash": nil},
		"of another at_hash":  {"at_hash": "AAAA"},
	} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{StrictRefresh: true})
			a := newApp(t, provider, brokered())
			token := a.signIn("alice").RefreshToken
			tamper(provider, oidctest.TokenPath, func(body map[string]any) {
				body["id_token"] = resign(t, provider, body["id_token"].(string), nil, claims)
			})
			requireError(t, a.refresh(token), 502, "server_error")
			provider.Answer(oidctest.TokenPath, nil)
			// The provider has replaced its token, and what it gave was kept.
			a.tokens(a.refresh(token))
			require.Empty(t, a.log.ends())
		})
	}
}

// What was refused once must not be believed later, when a refresh brings no ID
// token and the session goes by the one that it knows.
func TestAnIDTokenThatWasRefusedIsNotRemembered(t *testing.T) {
	root := func(more map[string]any) map[string]any {
		claims := map[string]any{"at_hash": nil, "groups": []string{"root"}, "preferred_username": "root", "name": "root", "email": "root@example.org", "acr": "root"}
		for name, value := range more {
			claims[name] = value
		}
		return claims
	}
	other := newProvider(t, oidctest.Options{})
	for name, forge := range map[string]func(p *oidctest.Provider, raw string) string{
		"of a bad signature": func(p *oidctest.Provider, raw string) string {
			raw = resign(t, p, raw, nil, root(nil))
			return raw[:len(raw)-8] + "AAAAAAAA"
		},
		"of another key": func(p *oidctest.Provider, raw string) string { return resign(t, other, raw, nil, root(nil)) },
		"of another audience": func(p *oidctest.Provider, raw string) string {
			return resign(t, p, raw, nil, root(map[string]any{"aud": "x"}))
		},
		"of another login": func(p *oidctest.Provider, raw string) string {
			return resign(t, p, raw, nil, root(map[string]any{"nonce": "x"}))
		},
		"that has expired": func(p *oidctest.Provider, raw string) string {
			return resign(t, p, raw, nil, root(map[string]any{"exp": 1}))
		},
		"that is no JWT": func(*oidctest.Provider, string) string { return "root" },
	} {
		t.Run(name, func(t *testing.T) {
			// Its access tokens say nothing to us, and userinfo takes none of them.
			provider := newProvider(t, oidctest.Options{OpaqueTokens: true, StrictRefresh: true})
			fail(provider, oidctest.UserinfoPath, http.StatusUnauthorized, "")
			a := newApp(t, provider, brokered())
			last := a.overhear(nil)
			first := a.signIn("alice")
			verified := last["id_token"]
			a.overhear(func(body map[string]any) { body["id_token"] = forge(provider, body["id_token"].(string)) })
			for range 2 {
				requireError(t, a.refresh(first.RefreshToken), 502, "server_error")
			}
			require.NotContains(t, a.get(http.DefaultClient, userinfoRoute, bearer(first.AccessToken)).body, "root")
			a.overhear(func(body map[string]any) { delete(body, "id_token") })
			before, next := claimsOf(t, first.AccessToken), a.tokens(a.refresh(first.RefreshToken))
			claims := claimsOf(t, next.AccessToken)
			for _, name := range []string{"preferred_username", "name", "email", "acr"} {
				require.Equal(t, before[name], claims[name])
			}
			require.Equal(t, []any{}, claims["roles"], "nobody says any now")
			require.Empty(t, a.log.ends())
			require.Equal(t, verified, a.hint(a.logoutWith(next.AccessToken)))
		})
	}
}

// Some providers leave the nonce out of an ID token at a refresh, others repeat
// that of the login.
func TestTheNonceOfALoginIsRememberedHoweverManyRefreshesLeaveItOut(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, brokered())
	last := a.overhear(nil)
	token := a.signIn("alice").RefreshToken
	nonce := claimsOf(t, last["id_token"].(string))["nonce"]
	require.NotEmpty(t, nonce)
	for _, row := range []struct {
		nonce any
		good  bool
	}{{nil, true}, {nonce, true}, {nil, true}, {"another", false}, {"", false}, {nonce, true}} {
		a.overhear(func(body map[string]any) { a.resigned(body, nil, map[string]any{"nonce": row.nonce}) })
		got := a.refresh(token)
		if row.good {
			token = a.tokens(got).RefreshToken
		} else {
			requireError(t, got, 502, "server_error")
		}
	}
	require.Empty(t, a.log.ends())
}

// A client must not lose its session because its user has come to have too many
// roles: the operator mends that, and the same token works again.
func TestARefreshThatNoTokenCanBeMintedForUsesNothingUp(t *testing.T) {
	for name, size := range map[string]int{"more than guards accept": 16 << 10, "more than a record holds": 2 << 20} {
		t.Run(name, func(t *testing.T) {
			size, tooLarge := size, false
			provider := newProvider(t, oidctest.Options{StrictRefresh: true})
			a := newApp(t, provider, identifying(func(_ context.Context, who *core.Identity) error {
				if tooLarge {
					who.Roles = append(who.Roles, strings.Repeat("r", size))
				}
				return nil
			}))
			first := a.signIn("alice")
			last := a.overhear(nil)
			tooLarge = true
			for range 2 {
				requireError(t, a.refresh(first.RefreshToken), 500, "server_error")
				require.NotEmpty(t, last["refresh_token"], "the provider has rotated its token")
			}
			tooLarge = false
			a.clock.Add(time.Hour) // long after the grace period
			next := a.tokens(a.refresh(first.RefreshToken))
			a.tokens(a.refresh(next.RefreshToken))
			require.Empty(t, a.log.ends())
		})
	}
}

// Strangers who name keys that nobody has use up the fetches that are allowed
// for those. A token that the provider itself has just given is not one of them.
func TestStrangersCannotKeepARefreshFromTheProvidersNewKeys(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, identifying(nil))
	token := a.signIn("alice").RefreshToken
	forged := provider.SignedToken(t, map[string]any{"kid": "x"}, provider.Claims("bob", nil))
	requireError(t, a.exchange(forged), 400, "invalid_request")
	fetched := provider.Requests(oidctest.KeysPath)
	requireError(t, a.exchange(forged), 400, "invalid_request")
	require.Equal(t, fetched, provider.Requests(oidctest.KeysPath), "the cool-down has begun")
	provider.RotateKeys()
	a.overhear(func(body map[string]any) {
		delete(body, "id_token")
		body["access_token"] = resign(t, provider, body["access_token"].(string), nil, map[string]any{"groups": []string{"fresh"}, "realm_access": nil})
	})
	require.Equal(t, []any{"fresh"}, claimsOf(t, a.tokens(a.refresh(token)).AccessToken)["roles"])
}

// One client of the provider may serve two applications with one store.
func TestARefreshTokenIsOfOnePublicURL(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
	b := newApp(t, a.provider, stored(spy)) // on another port
	require.NoError(t, b.auth.Start(t.Context()))
	token := a.signIn("alice").RefreshToken
	calls := spy.during(func() {
		requireError(t, b.refresh(token), 400, "invalid_grant")
		require.Empty(t, b.hint(b.logoutWith("", "refresh_token", token)))
	})
	require.Empty(t, calls)
	require.Empty(t, b.log.ends())
	c := a.replica(spy) // elsewhere, by the same name
	c.tokens(c.refresh(token))
}

func TestWhatAProviderLeavesOutOfARefreshStaysAsItWas(t *testing.T) {
	for name, row := range map[string]struct {
		strict bool
		change func(body map[string]any)
	}{
		"the refresh token":      {false, func(body map[string]any) { delete(body, "refresh_token") }},
		"an empty refresh token": {false, func(body map[string]any) { body["refresh_token"] = "" }},
		"the scope":              {true, func(body map[string]any) { delete(body, "scope") }},
		"the ID token":           {true, func(body map[string]any) { delete(body, "id_token") }},
		"the refresh expiry":     {true, func(body map[string]any) { delete(body, "refresh_expires_in") }},
		"a refresh expiry of 0":  {true, func(body map[string]any) { body["refresh_expires_in"] = 0 }},
		"all of it, and the expiry": {false, func(body map[string]any) {
			for name := range body {
				if name != "access_token" && name != "token_type" {
					delete(body, name)
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{StrictRefresh: row.strict})
			a := newApp(t, provider, brokered())
			first := a.signIn("alice")
			tamper(provider, oidctest.TokenPath, row.change)
			last := first
			for range 3 {
				last = a.tokens(a.refresh(last.RefreshToken))
				require.Equal(t, first.Scope, last.Scope)
				require.Greater(t, last.RefreshExpires, a.clock.Now().Unix())
			}
			info := a.get(http.DefaultClient, "/auth/v2/userinfo", "Authorization: Bearer "+last.AccessToken)
			require.Equal(t, "alice", info.json["username"], info.body)
		})
	}
}

func TestASessionEndsWhenItIsIdleOrOld(t *testing.T) {
	provider := newProvider(t, oidctest.Options{RefreshTokenLifetime: 400 * day, IDTokenLifetime: 400 * day})
	a := newApp(t, provider, brokered())
	idle, used := a.signIn("alice").RefreshToken, a.signIn("alice").RefreshToken
	a.clock.Add(30*day - time.Second)
	used = a.tokens(a.refresh(used)).RefreshToken
	a.clock.Add(2 * time.Second)
	requireError(t, a.refresh(idle), 400, "invalid_grant")
	a.clock.Add(29 * day)
	used = a.tokens(a.refresh(used)).RefreshToken
	a.clock.Add(29 * day)
	last := a.tokens(a.refresh(used))
	require.Less(t, last.RefreshExpiresIn, int64((2*day + time.Minute).Seconds()), "the session ends 90 days after the login")
	a.clock.Add(2*day + time.Minute)
	requireError(t, a.refresh(last.RefreshToken), 400, "invalid_grant")
	require.Empty(t, a.log.ends(), "that sessions end in time is no event")
}

// A database that was restored from a backup knows older salts only. It must not
// give the sessions of then to whoever has the tokens of then, nor mistake the
// tokens of now for its own.
func TestARestoredStoreRevivesNothing(t *testing.T) {
	for name, refreshesSince := range map[string]int{"by one refresh": 1, "by three": 3} {
		t.Run(name, func(t *testing.T) {
			spy := newSpyStore()
			a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
			token := a.signIn("alice").RefreshToken
			backup := spy.all(t)
			for range refreshesSince {
				token = a.tokens(a.refresh(token)).RefreshToken
			}
			for _, record := range spy.all(t) {
				require.NoError(t, spy.Delete(t.Context(), record.Kind, record.ID, record.Version))
			}
			for _, record := range backup {
				record.Version = 0
				_, err := spy.Put(t.Context(), record)
				require.NoError(t, err)
			}
			requireError(t, a.refresh(token), 400, "invalid_grant")
			require.Equal(t, []string{core.ReasonForeign}, a.log.ends())
		})
	}
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
