package core_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestAnOpaqueTokenIsValidWhenTheProviderSaysSo(t *testing.T) {
	provider := newProvider(t, oidctest.Options{OpaqueTokens: true})
	a := newApp(t, provider, introspecting)
	raw := provider.AccessToken(t, "alice")
	a.log.keep(raw)
	for range 3 {
		token, err := a.auth.Required(core.Scopes("email"), core.AnyRole("admin")).Check(t.Context(), core.Request{Authorization: []string{"Bearer " + raw}})
		require.NoError(t, err)
		require.Equal(t, "user-alice", token.Subject())
		require.Equal(t, "alice", token.Username())
	}
	require.Equal(t, 1, provider.Requests(oidctest.IntrospectPath), "the answer counts for a minute")

	_, err := a.auth.Required(core.Scopes("orders")).Check(t.Context(), core.Request{Authorization: []string{"Bearer " + raw}})
	require.ErrorIs(t, err, core.ErrInsufficientScope)
	require.ErrorIs(t, a.verify(raw+"x"), core.ErrInvalidToken)
	requireError(t, a.get(browser(), "/auth/v2/userinfo", "Authorization: Bearer "+raw+"y"), http.StatusUnauthorized, "invalid_token")
	require.Equal(t, "alice", a.get(browser(), "/auth/v2/userinfo", "Authorization: Bearer "+raw).json["username"])
}

func TestOpaqueTokensAreTakenOnlyWhenThatIsSwitchedOn(t *testing.T) {
	provider := newProvider(t, oidctest.Options{OpaqueTokens: true})
	a := newApp(t, provider)
	require.ErrorIs(t, a.verify(provider.AccessToken(t, "alice")), core.ErrInvalidToken)
	require.Zero(t, provider.Requests(oidctest.IntrospectPath))

	_, err := core.New(core.Config{Providers: []core.Provider{{Issuer: "https://id.example.org", ClientID: "app", Introspection: true}}, PublicURL: "https://app.example.org/api", Broker: &core.Broker{}})
	require.ErrorContains(t, err, "Config.Providers[0].Introspection is for guards that accept the provider's tokens")
}

func TestARevokedOpaqueTokenIsRefusedAMinuteLater(t *testing.T) {
	provider := newProvider(t, oidctest.Options{OpaqueTokens: true})
	a := newApp(t, provider, introspecting)
	raw := provider.AccessToken(t, "alice")
	require.NoError(t, a.verify(raw))
	introspects(provider, `{"active":false}`)
	a.clock.Add(time.Minute - 1)
	require.NoError(t, a.verify(raw))
	a.clock.Add(1)
	require.ErrorIs(t, a.verify(raw), core.ErrInvalidToken)
}

func TestIntrospectionAnswersFollowTheSameRulesAsTokens(t *testing.T) {
	provider := newProvider(t, oidctest.Options{OpaqueTokens: true})
	a := newApp(t, provider, introspecting, func(c *core.Config) { c.CacheSize = -1 })
	now := a.clock.Now().Unix()
	for body, refused := range map[string]error{
		`{"active":true,"scope":"a","sub":"alice","aud":"app"}`:                                  nil,
		`{"active":true,"scope":"a","sub":"alice","client_id":"app"}`:                            nil,
		`{"active":true,"sub":"alice","aud":"app"}`:                                              core.ErrInvalidToken,
		`{"active":true,"scope":"a","sub":"alice","aud":["other","account"],"azp":"app"}`:        nil,
		`{"active":true,"scope":"a","aud":"app"}`:                                                core.ErrInvalidToken,
		`{"active":true,"scope":"a","sub":"a\u0000","aud":"app"}`:                                core.ErrInvalidToken,
		`{"active":true,"scope":"a","sub":"alice","aud":["x","app"],"exp":NOW+1}`:                nil,
		`{"active":true,"scope":"a","sub":"alice","aud":"app","iss":"ISSUER"}`:                   nil,
		`{"active":true,"scope":"a","sub":"alice","aud":"app","iss":"https://evil.example.org"}`: core.ErrInvalidToken,
		`{"active":true,"scope":"a","sub":"alice","aud":"other"}`:                                core.ErrInvalidToken,
		`{"active":true,"scope":"a","sub":"alice","client_id":"other"}`:                          core.ErrInvalidToken,
		`{"active":true,"scope":"a","sub":"alice"}`:                                              core.ErrInvalidToken,
		`{"active":true,"scope":"a","sub":"alice","aud":"app","exp":NOW-31}`:                     core.ErrInvalidToken,
		`{"active":true,"scope":"a","sub":"alice","aud":"app","exp":"NOW+1"}`:                    nil,
		`{"active":true,"scope":"a","sub":"alice","aud":"app","exp":"NOW-31"}`:                   core.ErrInvalidToken,
		`{"active":true,"scope":"a","sub":"alice","aud":"app","nbf":NOW+32}`:                     core.ErrInvalidToken,
		`{"active":true,"scope":"a","sub":"alice","aud":"app","exp":"never"}`:                    core.ErrUnavailable,
		`{"active":false,"sub":"alice","aud":"app"}`:                                             core.ErrInvalidToken,
		`{"sub":"alice","aud":"app"}`:                                                            core.ErrInvalidToken,
		`{"active":"true","sub":"alice","aud":"app"}`:                                            core.ErrUnavailable,
		`{"active":true,"scope":"a","active":false,"aud":"app"}`:                                 core.ErrUnavailable,
		`[]`:     core.ErrUnavailable,
		`null`:   core.ErrInvalidToken,
		`<html>`: core.ErrUnavailable,
	} {
		body = strings.NewReplacer("NOW+32", decimal(now+32), "NOW+1", decimal(now+1), "NOW-31", decimal(now-31), "ISSUER", provider.Issuer).Replace(body)
		introspects(provider, body)
		require.ErrorIs(t, a.verify("an-opaque-token"), refused, body)
	}
}

func TestAnIntrospectionAnswerCountsNoLongerThanItsToken(t *testing.T) {
	provider := newProvider(t, oidctest.Options{OpaqueTokens: true})
	a := newApp(t, provider, introspecting)
	introspects(provider, `{"active":true,"scope":"a","sub":"alice","aud":"app","exp":`+decimal(a.clock.Now().Unix()+10)+`}`)
	for range 2 {
		require.NoError(t, a.verify("an-opaque-token"))
	}
	require.Equal(t, 1, provider.Requests(oidctest.IntrospectPath))
	a.clock.Add(10 * time.Second)
	introspects(provider, `{"active":false}`)
	require.ErrorIs(t, a.verify("an-opaque-token"), core.ErrInvalidToken)
	require.Equal(t, 2, provider.Requests(oidctest.IntrospectPath))
}

func TestAProviderThatCannotIntrospectMakesNoTokenInvalid(t *testing.T) {
	provider := newProvider(t, oidctest.Options{OpaqueTokens: true})
	a := newApp(t, provider, introspecting)
	raw := provider.AccessToken(t, "alice")
	for _, status := range []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusFound, http.StatusInternalServerError, http.StatusServiceUnavailable} {
		fail(provider, oidctest.IntrospectPath, status, `{"error":"invalid_client"}`)
		require.ErrorIs(t, a.verify(raw), core.ErrUnavailable, status)
	}
	provider.Answer(oidctest.IntrospectPath, nil)
	provider.Down(true)
	require.ErrorIs(t, a.verify(raw), core.ErrUnavailable)
	provider.Down(false)
	require.NoError(t, a.verify(raw))

	without := newProvider(t, oidctest.Options{OpaqueTokens: true})
	tamper(without, oidctest.DiscoveryPath, func(body map[string]any) { delete(body, "introspection_endpoint") })
	_, err := newApp(t, without, introspecting).auth.Verify(t.Context(), raw)
	require.ErrorIs(t, err, core.ErrUnavailable)
}

// What strangers send is asked about once at a time, in turns, and not at all if
// it can be no token.
func TestStrangersCannotOverwhelmTheProviderWithOpaqueTokens(t *testing.T) {
	provider := newProvider(t, oidctest.Options{OpaqueTokens: true})
	a := newApp(t, provider, introspecting)
	require.NoError(t, a.verify(provider.AccessToken(t, "alice")))
	before := provider.Requests(oidctest.IntrospectPath)
	for _, raw := range []string{"a b", "a\nb", "a\x00b", "é", "a\u00a0b", strings.Repeat("a", 16<<10+1), "eyJhbGciOiJub25lIn0.e30.x", "eyJhbGciOiJSUzI1NiJ9.e30.eA", "eyJhbGciOjF9.e30.eA"} {
		require.ErrorIs(t, a.verify(raw), core.ErrInvalidToken, raw)
	}
	require.Equal(t, before, provider.Requests(oidctest.IntrospectPath))

	const tokens = 400 // in pairs
	held, release := make(chan struct{}, tokens), make(chan struct{})
	provider.Answer(oidctest.IntrospectPath, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		held <- struct{}{}
		<-release
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"active":false}`))
	})
	var all sync.WaitGroup
	answered := make(chan error, 2*tokens)
	for n := range 2 * tokens {
		all.Go(func() {
			_, err := a.auth.Verify(t.Context(), "made-up-"+decimal(int64(n/2)))
			answered <- err
		})
	}
	// 16 are asked about, 128 wait, and the rest are told at once to come again.
	for range 16 {
		<-held
	}
	for range 2 * (tokens - 16 - 128) {
		require.ErrorIs(t, <-answered, core.ErrUnavailable)
	}
	require.Empty(t, answered)
	require.Empty(t, held, "no more than 16 at once")
	close(release)
	all.Wait()
	for range 2 * (16 + 128) {
		require.ErrorIs(t, <-answered, core.ErrInvalidToken)
	}
	require.Equal(t, 16+128, provider.Requests(oidctest.IntrospectPath)-before)

	// What was refused is not asked about again for a while.
	for range 10 {
		require.ErrorIs(t, a.verify("another-made-up"), core.ErrInvalidToken)
	}
	require.Equal(t, 16+128+1, provider.Requests(oidctest.IntrospectPath)-before)
	a.clock.Add(10 * time.Second)
	introspects(provider, `{"active":true,"scope":"a","sub":"alice","aud":"app"}`)
	require.NoError(t, a.verify("another-made-up"))
}

// The provider knows tokens of other kinds, too, and says that they are active.
func TestAnIntrospectedTokenOfAnotherKindIsRefused(t *testing.T) {
	provider := newProvider(t, oidctest.Options{OpaqueTokens: true})
	a := newApp(t, provider, introspecting, func(c *core.Config) { c.CacheSize = -1 })
	for member, refused := range map[string]bool{
		`"token_type":"Bearer"`:                                        false,
		`"token_type":"bearer","typ":"Bearer","nonce":"n"`:             false,
		`"token_use":"access_token"`:                                   false,
		`"token_type":"urn:ietf:params:oauth:token-type:access_token"`: false,
		`"token_type":"refresh_token"`:                                 true,
		`"token_type":"DPoP","cnf":{"jkt":"x"}`:                        true,
		`"token_use":"refresh_token"`:                                  true,
		`"token_use":"id"`:                                             true,
		`"scope":"a","token_use":"refresh"`:                            true,
		`"token_type":"Bearer","cnf":{"x5t#S256":"x"}`:                 true,
		`"jti":"1"`:                 true,
		`"typ":"Refresh"`:           true,
		`"typ":"Offline"`:           true,
		`"typ":"ID"`:                true,
		`"nonce":"n","at_hash":"h"`: true,
		`"events":{}`:               true,
	} {
		introspects(provider, `{"active":true,"sub":"alice","aud":"app",`+member+`}`)
		_, err := a.auth.Verify(t.Context(), "an-opaque-token")
		if refused {
			require.ErrorIs(t, err, core.ErrInvalidToken, member)
		} else {
			require.NoError(t, err, member)
		}
	}
}

// A mistake below us, or the end of the program, says nothing about a token, and its
// text is for the log alone.
func TestAnIntrospectionThatFailsMakesNoTokenInvalid(t *testing.T) {
	provider := newProvider(t, oidctest.Options{OpaqueTokens: true})
	broken := newApp(t, provider, introspecting, func(c *core.Config) {
		c.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == oidctest.IntrospectPath {
				panic("a mistake, with a secret in it")
			}
			return http.DefaultTransport.RoundTrip(r)
		})}
	})
	closed := newApp(t, provider, introspecting)
	require.NoError(t, closed.auth.Start(t.Context()))
	require.NoError(t, closed.auth.Close())
	for _, a := range []*app{broken, closed} {
		got := serve(a.auth.Required(), bearer(provider.AccessToken(t, "alice")))
		requireError(t, got, 503, "temporarily_unavailable")
		require.NotContains(t, got.body, "secret")
	}
}

// On fasthttp a token is a view of a buffer that the next request overwrites, and the
// question goes on when whoever asked has gone.
func TestTheQuestionAboutATokenOutlastsItsCallersBuffer(t *testing.T) {
	provider := newProvider(t, oidctest.Options{OpaqueTokens: true})
	a := newApp(t, provider, introspecting)
	arrived, release, asked := make(chan struct{}), make(chan struct{}), make(chan string, 1)
	provider.Answer(oidctest.DiscoveryPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		close(arrived)
		<-release
		real.ServeHTTP(w, r)
	})
	provider.Answer(oidctest.IntrospectPath, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		asked <- r.FormValue("token")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"active":false}`))
	})
	first, second := strings.Repeat("A", 40), strings.Repeat("B", 40)
	buffer := []byte("Bearer " + first)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	gone := make(chan error)
	go func() {
		_, err := a.auth.Required().Check(ctx, core.Request{Authorization: []string{unsafe.String(&buffer[0], len(buffer))}})
		gone <- err
	}()
	<-arrived
	cancel()
	require.ErrorIs(t, <-gone, core.ErrUnavailable)
	copy(buffer[len("Bearer "):], second)
	close(release)
	require.Equal(t, first, <-asked)
}
