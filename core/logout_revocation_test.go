package core_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

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
