package core_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// hint is the id_token_hint of a logout's redirect to the provider.
func (a *app) hint(got answer) string {
	a.t.Helper()
	require.Equal(a.t, http.StatusFound, got.StatusCode, got.body)
	requireProtected(a.t, got)
	u, err := url.Parse(got.Header.Get("Location"))
	require.NoError(a.t, err)
	require.Equal(a.t, a.provider.Issuer+oidctest.EndSessionPath, "http://"+u.Host+u.Path)
	require.Equal(a.t, a.provider.ClientID, u.Query().Get("client_id"))
	return u.Query().Get("id_token_hint")
}

// logoutWith posts to the logout route with an access token.
func (a *app) logoutWith(accessToken string, fields ...string) answer {
	a.t.Helper()
	req, err := http.NewRequest(http.MethodPost, a.api+logoutRoute, strings.NewReader(form(fields...).Encode()))
	require.NoError(a.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if accessToken != "" {
		req.Header.Set("Authorization", "Bearer "+accessToken)
	}
	return a.do(browser(), req)
}

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

// The provider takes the hint for what it is, and signs the user out.
func TestLogoutsHintIsTakenByTheProvider(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	client := browser()
	code, state := a.authorize(client, "alice", "redirect_uri", native)
	got := a.tokens(a.post(client, tokenRoute, "code", code, "redirect_uri", native, "code_verifier", state))
	back := a.api + "/bye"
	redirect := a.get(client, logoutRoute+"?"+form("post_logout_redirect_uri", back, "state", "s").Encode(), bearer(got.AccessToken))
	require.NotEmpty(t, a.hint(redirect))
	res, err := client.Get(redirect.Header.Get("Location"))
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusSeeOther, res.StatusCode)
	require.Equal(t, back+"?state=s", res.Header.Get("Location"))
	u := a.provider.Authorize(t, client, a.api+"/auth/v2/login?"+form("redirect_uri", native, "prompt", "none").Encode(), "alice")
	require.Equal(t, "login_required", u.Query().Get("error"))
}

func TestALongHintIsLeftOut(t *testing.T) {
	for name, row := range map[string]struct {
		size int
		sent bool
	}{"4 KiB": {4 << 10, true}, "a byte more": {4<<10 + 1, false}} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
			last := a.overhear(func(body map[string]any) { body["id_token"] = a.ofSize(body["id_token"].(string), row.size) })
			got := a.signIn("alice")
			hint := a.hint(a.logoutWith(got.AccessToken))
			if row.sent {
				require.Equal(t, last["id_token"], hint)
			} else {
				require.Empty(t, hint)
			}
			requireError(t, a.refresh(got.RefreshToken), http.StatusBadRequest, "invalid_grant")
		})
	}
}

// ofSize pads a token of the provider. Not every size can be had by its claims
// alone.
func (a *app) ofSize(raw string, size int) string {
	a.t.Helper()
	for header := range 4 {
		for claims := size / 2; claims < size; claims++ {
			padded := resign(a.t, a.provider, raw, map[string]any{"x": strings.Repeat("x", header)},
				map[string]any{"at_hash": nil, "x": strings.Repeat("x", claims)})
			if len(padded) == size {
				return padded
			} else if len(padded) > size {
				break
			}
			claims += max(0, (size-len(padded))/2-4)
		}
	}
	a.t.Fatalf("there is no token of %d bytes", size)
	return ""
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

func TestLogoutDoesNotHangOnTheProvidersRevocation(t *testing.T) {
	for name, trouble := range map[string]func(p *oidctest.Provider){
		"it fails": func(p *oidctest.Provider) { fail(p, oidctest.RevokePath, 500, "") },
		"it is cut": func(p *oidctest.Provider) {
			p.Answer(oidctest.RevokePath, func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) })
		},
		"it refuses": func(p *oidctest.Provider) {
			fail(p, oidctest.RevokePath, 400, `{"error":"unsupported_token_type"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
			a.overhear(nil) // so that none of its tokens may be logged
			got := a.signIn("alice")
			trouble(a.provider)
			require.NotEmpty(t, a.hint(a.logoutWith(got.AccessToken)))
			requireError(t, a.refresh(got.RefreshToken), http.StatusBadRequest, "invalid_grant")
			if name != "it refuses" {
				require.Len(t, a.log.lines("the provider's revocation endpoint"), 1)
			}
		})
	}
	t.Run("it has none", func(t *testing.T) {
		provider := newProvider(t, oidctest.Options{})
		tamper(provider, oidctest.DiscoveryPath, func(body map[string]any) { delete(body, "revocation_endpoint") })
		a := newApp(t, provider, brokered())
		got := a.signIn("alice")
		require.NotEmpty(t, a.hint(a.logoutWith(got.AccessToken)))
		require.Zero(t, a.revoked())
		requireError(t, a.refresh(got.RefreshToken), http.StatusBadRequest, "invalid_grant")
	})
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

// At Keycloak a revocation ends all sessions of the user with the client. Only
// who asks to be signed out may cause that.
func TestOnlyALogoutRevokesAtTheProvider(t *testing.T) {
	identify := func(err error) func(*core.Config) {
		return inBroker(func(b *core.Broker) {
			var calls atomic.Int32
			b.Identify = func(context.Context, *core.Identity) error {
				if calls.Add(1) == 2 { // the first is the other session's
					return err
				}
				return nil
			}
		})
	}
	refused := func(a *app, _ *spyStore) {
		requireError(a.t, a.codeLogin("alice"), http.StatusForbidden, "access_denied")
	}
	ends := func(reason string, change func(a *app, token string) string) func(*app, *spyStore) {
		return func(a *app, _ *spyStore) {
			token := change(a, a.signIn("alice").RefreshToken)
			requireError(a.t, a.refresh(token), http.StatusBadRequest, "invalid_grant")
			require.Equal(a.t, []string{reason}, a.log.ends())
		}
	}
	for name, row := range map[string]struct {
		configure func(*core.Config)
		happens   func(a *app, store *spyStore)
	}{
		"not when Identify refuses a login": {identify(core.ErrAccessDenied), refused},
		"not when Identify fails at one":    {identify(errors.New("out of order")), refused},
		"not when Identify can't tell": {identify(core.ErrUnavailable), func(a *app, _ *spyStore) {
			requireError(a.t, a.callbackLogin("alice"), http.StatusServiceUnavailable, "temporarily_unavailable")
		}},
		"not when a device is refused": {identify(core.ErrAccessDenied), func(a *app, _ *spyStore) {
			requireError(a.t, a.deviceLogin("alice"), http.StatusBadRequest, "access_denied")
		}},
		"not when an ID token is bad": {nil, func(a *app, _ *spyStore) {
			a.overhear(func(body map[string]any) { body["id_token"] = "x" })
			requireError(a.t, a.codeLogin("alice"), http.StatusBadGateway, "server_error")
		}},
		"not when the store fails": {quick, func(a *app, store *spyStore) {
			store.fail(func(context.Context, string, bool) error { return errors.New("unplugged") })
			requireError(a.t, a.codeLogin("alice"), http.StatusServiceUnavailable, "temporarily_unavailable")
			store.fail(nil)
		}},
		"not at a replay": {nil, ends(core.ReasonReplayed, func(a *app, token string) string {
			a.tokens(a.refresh(token))
			a.clock.Add(time.Hour)
			return token
		})},
		"not when the subject changes": {nil, ends(core.ReasonSubject, func(a *app, token string) string {
			a.overhear(func(body map[string]any) { a.resigned(body, nil, map[string]any{"sub": "user-bob"}) })
			return token
		})},
		"not when Identify ends a session": {inBroker(func(b *core.Broker) {
			var calls atomic.Int32
			b.Identify = func(context.Context, *core.Identity) error {
				if calls.Add(1) == 3 {
					return core.ErrAccessDenied
				}
				return nil
			}
		}), ends(core.ReasonDenied, func(_ *app, token string) string { return token })},
	} {
		t.Run(name, func(t *testing.T) {
			store := newSpyStore()
			a := newApp(t, newProvider(t, oidctest.Options{}), stored(store), func(c *core.Config) {
				if row.configure != nil {
					row.configure(c)
				}
			})
			a.provider.Answer(oidctest.RevokePath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
				a.provider.EndSessions()
				real.ServeHTTP(w, r)
			})
			phone := a.signIn("alice").RefreshToken
			row.happens(a, store)
			a.provider.Answer(oidctest.TokenPath, nil)
			phone = a.tokens(a.refresh(phone)).RefreshToken
			require.Zero(t, a.revoked())

			a.logoutWith("", "refresh_token", a.signIn("alice").RefreshToken)
			require.Equal(t, 1, a.revoked())
			requireError(t, a.refresh(phone), http.StatusBadRequest, "invalid_grant")
		})
	}
}

func TestALogoutThatOvertakesARefreshGivesBackWhatTheRefreshGot(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	last := a.overhear(nil)
	got := a.signIn("alice")
	old := last["refresh_token"]
	var revoked []any
	a.provider.Answer(oidctest.RevokePath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		revoked = append(revoked, r.PostFormValue("token"))
		real.ServeHTTP(w, r)
	})
	last = a.overhear(func(body map[string]any) {
		body["refresh_token"] = "the provider's next refresh token"
		a.logoutWith(got.AccessToken)
	})
	requireError(t, a.refresh(got.RefreshToken), http.StatusBadRequest, "invalid_grant")
	require.Equal(t, []any{old, last["refresh_token"]}, revoked)
	require.Empty(t, a.log.ends(), "it had ended before")
}

// Where to send the browser is one thing, and the session another.
func TestLogoutEndsTheSessionThoughNothingIsKnownOfTheProvider(t *testing.T) {
	store := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(store))
	for name, logout := range map[string]func(b *app, got tokens) answer{
		"by the refresh token": func(b *app, got tokens) answer { return b.logoutWith("", "refresh_token", got.RefreshToken) },
		"by the access token":  func(b *app, got tokens) answer { return b.logoutWith(got.AccessToken) },
	} {
		t.Run(name, func(t *testing.T) {
			got := a.signIn("alice")
			b := a.replica(store) // it has never talked to the provider
			a.provider.Down(true)
			answer := logout(b, got)
			a.provider.Down(false)
			requireError(t, answer, http.StatusServiceUnavailable, "temporarily_unavailable")
			requireError(t, a.refresh(got.RefreshToken), http.StatusBadRequest, "invalid_grant")
			requireError(t, a.get(browser(), userinfoRoute, bearer(got.AccessToken)), http.StatusUnauthorized, "invalid_token")
			event := b.log.last(t)
			require.Equal(t, core.EventLogout, event.Kind)
			require.Equal(t, "user-alice", event.Subject)
		})
	}
}
