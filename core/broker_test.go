package core_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
	"github.com/stretchr/testify/require"
)

// deviceLogin logs a device in and gives the answer to its last poll.
func (a *app) deviceLogin(user string) answer {
	a.t.Helper()
	got := a.post(browser(), "/auth/v2/device")
	require.Equal(a.t, http.StatusOK, got.StatusCode, got.body)
	a.provider.Device(a.t, got.json["user_code"].(string), user, true)
	return a.post(browser(), tokenRoute, "device_code", got.json["device_code"].(string))
}

// codeLogin gives the answer to a code of a native login.
func (a *app) codeLogin(user string) answer {
	a.t.Helper()
	code, state := a.authorize(browser(), user, "redirect_uri", native)
	return a.post(browser(), tokenRoute, "code", code, "redirect_uri", native, "code_verifier", state)
}

// callbackLogin gives the answer of the callback.
func (a *app) callbackLogin(user string) answer {
	a.t.Helper()
	client := browser()
	code, state := a.authorize(client, user)
	return a.get(client, callback("code", code, "state", state))
}

// overhear lets the provider's tokens be changed, and gives those that it
// handed out last. None of them may ever come out.
func (a *app) overhear(change func(body map[string]any)) map[string]any {
	last := map[string]any{}
	tamper(a.provider, oidctest.TokenPath, func(body map[string]any) {
		if change != nil {
			change(body)
		}
		clear(last)
		for name, value := range body {
			last[name] = value
		}
		for _, name := range []string{"access_token", "refresh_token", "id_token"} {
			if token, ok := body[name].(string); ok {
				a.log.keep(token)
			}
		}
	})
	return last
}

// resigned changes claims of a provider's answer: of its access token and, when
// there is one, of its ID token.
func (a *app) resigned(body map[string]any, access, id map[string]any) {
	changed := map[string]any{"at_hash": nil} // of the access token as it was
	for name, value := range id {
		changed[name] = value
	}
	body["access_token"] = resign(a.t, a.provider, body["access_token"].(string), nil, access)
	body["id_token"] = resign(a.t, a.provider, body["id_token"].(string), nil, changed)
}

// me asks a guarded route who a token stands for.
func me(auth *core.Auth, raw string) answer {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+raw)
	auth.Required().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, core.TokenFrom(r.Context()).Subject())
	})).ServeHTTP(w, r)
	return newAnswer(w)
}

func TestBrokerTokenBodyIsGolden(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	first := a.signIn("alice")
	var documents []string
	for _, row := range []struct {
		grant string
		got   answer
	}{
		{"code", a.codeLogin("alice")},
		{"callback", a.callbackLogin("alice")},
		{"device", a.deviceLogin("alice")},
		{"refresh", a.refresh(first.RefreshToken)},
	} {
		documents = append(documents, fmt.Sprintf("%q:%s", row.grant, a.goldenTokens(row.got)))
	}
	requireGolden(t, "broker_token_body.json", "{"+strings.Join(documents, ",")+"}")
}

func TestBrokerTellsWhenTheRefreshTokenExpires(t *testing.T) {
	const idle = 30 * 24 * 3600
	for name, row := range map[string]struct {
		says    any // refresh_expires_in of the provider
		session time.Duration
		want    int64
	}{
		"the provider's, when that is sooner":      {1800, 0, 1800},
		"as a numeric string":                      {"1800", 0, 1800},
		"the session's end, when that is sooner":   {400 * 24 * 3600, 0, idle},
		"the session's end, when it says 0":        {0, 0, idle},
		"the session's end, when it says nothing":  {nil, 0, idle},
		"the session's end, however short":         {1800, time.Minute, 60},
		"the session's end, when it says for ever": {253402300799, 0, idle},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{}), brokered(func(b *core.Broker) { b.SessionLifetime = row.session }))
			a.overhear(func(body map[string]any) {
				if body["refresh_expires_in"] = row.says; row.says == nil {
					delete(body, "refresh_expires_in")
				}
			})
			first := a.signIn("alice")
			next := a.tokens(a.refresh(first.RefreshToken))
			for _, got := range []tokens{first, next} {
				require.Equal(t, row.want, got.RefreshExpiresIn)
				require.Equal(t, a.clock.Now().Unix()+row.want, got.RefreshExpires)
			}
		})
	}
}

func TestASessionWithoutARefreshTokenOfTheProviderServesAsLongAsItsAccessToken(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
	a.overhear(func(body map[string]any) { delete(body, "refresh_token"); delete(body, "refresh_expires_in") })
	got := a.codeLogin("alice")
	requireGolden(t, "broker_token_body_without_refresh.json", a.goldenTokens(got))
	first, second := a.tokens(got), a.signIn("alice")

	for _, record := range spy.all(t) {
		if record.Kind == "session" {
			require.WithinDuration(t, a.clock.Now().Add(15*time.Minute+30*time.Second), record.Expires, time.Second, "nobody needs it for longer")
		}
	}
	a.clock.Add(15*time.Minute + 29*time.Second)
	require.Equal(t, "alice", a.get(browser(), userinfoRoute, bearer(first.AccessToken)).json["username"])
	require.Equal(t, http.StatusFound, a.get(browser(), logoutRoute, bearer(first.AccessToken)).StatusCode)
	requireError(t, a.get(browser(), userinfoRoute, bearer(first.AccessToken)), http.StatusUnauthorized, "invalid_token")
	require.Equal(t, "alice", a.get(browser(), userinfoRoute, bearer(second.AccessToken)).json["username"])
	require.Zero(t, a.provider.Requests(oidctest.RevokePath), "there is nothing to give back")
}

func TestMintedTokenIsGolden(t *testing.T) {
	for name, row := range map[string]struct {
		change func(a *app, body map[string]any)
		broker func(*core.Broker)
	}{
		"minted_full.json": {
			func(a *app, body map[string]any) {
				known := map[string]any{"acr": "gold", "amr": []string{"pwd", "otp"}, "auth_time": 1000000000}
				a.resigned(body, known, known)
			},
			func(b *core.Broker) {
				b.Audience, b.PeerAudiences = "orders", []string{"stock"}
				b.Identify = func(_ context.Context, who *core.Identity) error {
					who.Extra["department"] = map[string]any{"name": "IT", "floor": 3}
					who.Extra["beta"] = true
					return nil
				}
			},
		},
		"minted_minimal.json": {
			func(a *app, body map[string]any) {
				nothing := map[string]any{}
				for _, name := range []string{"preferred_username", "email", "email_verified", "name", "given_name", "family_name", "groups", "realm_access", "auth_time", "amr", "scope"} {
					nothing[name] = nil
				}
				a.resigned(body, nothing, nothing)
				body["scope"] = "openid"
			},
			func(*core.Broker) {},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{}), brokered(row.broker))
			a.overhear(func(body map[string]any) { row.change(a, body) })
			fail(a.provider, oidctest.UserinfoPath, http.StatusOK, `{"sub":"user-alice"}`)
			raw := a.signIn("alice").AccessToken
			header, payload := jwtParts(t, raw)
			claims := claimsOf(t, raw)
			requireGolden(t, name, `{"header":`+header+`,"claims":`+sinceNow(a.clock.Now(), payload)+`}`,
				a.api, "<public URL>", a.provider.Issuer, "<issuer>", a.keyID(), "<kid>",
				claims["jti"].(string), "<jti>", claims["sid"].(string), "<sid>")
		})
	}
}

// keys are the published keys of an application.
func (a *app) keys() jose.JSONWebKeySet {
	a.t.Helper()
	metadata := a.get(browser(), "/.well-known/openid-configuration")
	u, err := url.Parse(metadata.json["jwks_uri"].(string))
	require.NoError(a.t, err)
	path := strings.TrimPrefix(u.Path, "/api")
	var set jose.JSONWebKeySet
	require.NoError(a.t, json.Unmarshal([]byte(a.get(browser(), path).body), &set))
	return set
}

func (a *app) keyID() string { return a.keys().Keys[0].KeyID }

// Whoever knows the issuer's URL alone can verify the tokens, with another
// library than ours.
func TestBrokerTokensVerifyFromTheIssuerURLAlone(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	for _, algorithm := range []string{"RS256", "ES256", "PS256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			a := newApp(t, provider, brokered(func(b *core.Broker) { b.Algorithm = algorithm }))
			raw := a.signIn("alice").AccessToken
			require.Equal(t, "user-alice", me(a.auth, raw).body)

			set := a.keys()
			require.Len(t, set.Keys, 1)
			header, _ := jwtParts(t, raw)
			require.JSONEq(t, fmt.Sprintf(`{"alg":%q,"typ":"at+jwt","kid":%q}`, algorithm, set.Keys[0].KeyID), header)
			require.Equal(t, algorithm, set.Keys[0].Algorithm)
			signed, err := jose.ParseSigned(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
			require.NoError(t, err)
			_, err = signed.Verify(set.Keys[0])
			require.NoError(t, err)
		})
	}
	a := newApp(t, provider, func(c *core.Config) { c.Broker = &core.Broker{} })
	header, _ := jwtParts(t, a.signIn("alice").AccessToken)
	require.Contains(t, header, `"alg":"RS256"`, "what every verifier knows is the default")
}

func TestMintedTokensNameTheirAudiences(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	for name, row := range map[string]struct {
		audience string
		peers    []string
		want     any // nil: the public URL
	}{
		"PublicURL by default": {"", nil, nil},
		"one is a text":        {"orders", nil, "orders"},
		"several are a list":   {"orders", []string{"stock"}, []any{"orders", "stock"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, provider, brokered(func(b *core.Broker) { b.Audience, b.PeerAudiences = row.audience, row.peers }))
			raw := a.signIn("alice").AccessToken
			if row.want == nil {
				row.want = a.api
			}
			require.Equal(t, row.want, claimsOf(t, raw)["aud"])
			require.Equal(t, http.StatusOK, me(a.auth, raw).StatusCode)
		})
	}
}

func TestMintedTokensLiveForAQuarterOfAnHourAndNeverLongerThanTheirSession(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	lifetime := func(got tokens) int64 {
		claims := claimsOf(t, got.AccessToken)
		require.EqualValues(t, got.Expires, claims["exp"])
		return int64(claims["exp"].(float64) - claims["iat"].(float64))
	}
	a := newApp(t, provider, brokered())
	require.EqualValues(t, 900, lifetime(a.signIn("alice")))

	for name, limit := range map[string]func(*core.Broker){
		"lifetime": func(b *core.Broker) { b.SessionLifetime = 5 * time.Minute },
		"idle":     func(b *core.Broker) { b.SessionIdle, b.TokenLifetime = 5*time.Minute, time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, provider, brokered(limit))
			first := a.signIn("alice")
			require.EqualValues(t, 300, lifetime(first))
			require.Equal(t, first.Expires, first.RefreshExpires)
			a.clock.Add(4 * time.Minute)
			next := a.tokens(a.refresh(first.RefreshToken))
			if name == "lifetime" {
				require.Equal(t, first.Expires, next.Expires, "the session's end does not move")
			} else {
				require.EqualValues(t, 300, lifetime(next))
			}
		})
	}
}

func TestTokensTellTheirSessionAndNotHowToRefreshIt(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
	first, other := a.signIn("alice"), a.signIn("alice")
	sid := claimsOf(t, first.AccessToken)["sid"].(string)
	require.NotEqual(t, sid, claimsOf(t, other.AccessToken)["sid"])
	jtis := map[any]bool{claimsOf(t, first.AccessToken)["jti"]: true}
	last := first
	for range 3 {
		last = a.tokens(a.refresh(last.RefreshToken))
		claims := claimsOf(t, last.AccessToken)
		require.Equal(t, sid, claims["sid"])
		jtis[claims["jti"]] = true
	}
	require.Len(t, jtis, 4)

	// The handle is what the refresh token knows its session by. No part of it is
	// in the sid, the access token or the store.
	decoded, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(first.RefreshToken, "ogr1."))
	require.NoError(t, err)
	name, err := base64.RawURLEncoding.DecodeString(sid)
	require.NoError(t, err)
	require.Len(t, name, 16)
	_, payload := jwtParts(t, first.AccessToken)
	handle := decoded[4:20]
	for i := range len(handle) - 7 {
		part := string(handle[i : i+8])
		require.NotContains(t, string(name), part)
		require.NotContains(t, payload, base64.RawURLEncoding.EncodeToString([]byte(part))[:10])
		require.NotContains(t, spy.handed(), part)
	}
	hash := sha256.Sum256(append([]byte("oidcgate session "), handle...))
	require.Equal(t, hash[:16], name, "it is one way from the handle to the sid")
	require.NotContains(t, spy.handed(), strings.TrimPrefix(first.RefreshToken, "ogr1."))
}

func TestGuardsOfABrokerTakeItsOwnTokensOnly(t *testing.T) {
	spy := newSpyStore()
	provider := newProvider(t, oidctest.Options{})
	audience := func(b *core.Broker) { b.Audience = "orders" }
	a := newApp(t, provider, stored(spy), func(c *core.Config) { audience(c.Broker) })
	last := a.overhear(nil)
	own := a.signIn("alice").AccessToken
	require.Equal(t, "user-alice", me(a.auth, own).body)

	// another gives a token of an instance that differs by one thing.
	another := func(change func(*core.Config)) string {
		return a.replica(spy, func(c *core.Config) { audience(c.Broker); change(c) }).signIn("alice").AccessToken
	}
	header, payload := jwtParts(t, own)
	signature := own[strings.LastIndexByte(own, '.'):]
	forged := func(header, payload string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + signature
	}
	for name, raw := range map[string]string{
		"the provider's access token":               last["access_token"].(string),
		"the provider's, with our audience":         provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"aud": "orders"})),
		"the provider's, with our issuer":           provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"aud": "orders", "iss": a.api})),
		"the provider's, with our issuer and key":   provider.SignedToken(t, map[string]any{"kid": a.keyID()}, provider.Claims("alice", map[string]any{"aud": "orders", "iss": a.api})),
		"the provider's ID token":                   last["id_token"].(string),
		"our refresh token":                         a.signIn("alice").RefreshToken,
		"a broker's with other keys":                another(func(c *core.Config) { c.Broker.Store = memory.New() }),
		"a broker's of another issuer":              another(func(c *core.Config) { c.PublicURL = "http://localhost/api" }),
		"a broker's of another audience":            another(func(c *core.Config) { c.Broker.Audience = "stock" }),
		"with another subject":                      forged(header, strings.Replace(payload, "user-alice", "user-bob", 1)),
		"without a signature":                       forged(`{"alg":"none","typ":"at+jwt"}`, payload),
		"by HS256":                                  forged(strings.Replace(header, "ES256", "HS256", 1), payload),
		"of another type":                           forged(strings.Replace(header, "at+jwt", "logout+jwt", 1), payload),
		"with a key that is not known, by its name": forged(strings.Replace(header, a.keyID(), "x", 1), payload),
	} {
		t.Run(name, func(t *testing.T) {
			requireError(t, me(a.auth, raw), http.StatusUnauthorized, "invalid_token")
			requireError(t, a.get(browser(), userinfoRoute, bearer(raw)), http.StatusUnauthorized, "invalid_token")
		})
	}
	a.clock.Add(15*time.Minute + 29*time.Second)
	require.Equal(t, http.StatusOK, me(a.auth, own).StatusCode)
	a.clock.Add(2 * time.Second)
	requireError(t, me(a.auth, own), http.StatusUnauthorized, "invalid_token")
}

func TestScopesAndRolesOfMintedTokensAreEnforced(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	raw := a.signIn("alice").AccessToken
	require.Equal(t, http.StatusOK, serve(a.auth.Required(core.Scopes("openid", "email"), core.AnyRole("admin"), core.Claim("email_verified", true)), bearer(raw)).StatusCode)
	got := serve(a.auth.Required(core.Scopes("openid", "orders")), bearer(raw))
	requireError(t, got, http.StatusForbidden, "insufficient_scope")
	require.Contains(t, got.Header.Get("WWW-Authenticate"), `scope="openid orders"`)
	requireError(t, serve(a.auth.Required(core.AnyRole("root")), bearer(raw)), http.StatusForbidden, "insufficient_claims")
}

func TestAStoreThatIsDownAtTheFirstRequestIsNotTheTokensFault(t *testing.T) {
	spy := newSpyStore()
	provider := newProvider(t, oidctest.Options{})
	first := newApp(t, provider, stored(spy))
	raw := first.signIn("alice").AccessToken
	a := first.replica(spy)
	a.guarded("/required", a.auth.Required())
	a.guarded("/optional", a.auth.Optional())
	spy.fail(func(context.Context, string, bool) error { return errors.New("unplugged") })
	for _, path := range []string{"/required", "/optional", userinfoRoute, "/auth/v2/.well-known/jwks.json"} {
		got := a.get(browser(), path, bearer(raw))
		requireError(t, got, http.StatusServiceUnavailable, "temporarily_unavailable")
		require.NotEmpty(t, got.Header.Get("Retry-After"))
		require.NotContains(t, got.body, "unplugged")
	}
	requireError(t, a.codeLogin("alice"), http.StatusServiceUnavailable, "temporarily_unavailable")
	require.ErrorIs(t, a.auth.Start(t.Context()), core.ErrUnavailable)

	spy.fail(nil)
	a.clock.Add(time.Minute)
	require.Equal(t, "user-alice", a.get(browser(), "/required", bearer(raw)).body)
}

func TestInstancesThatStartAtOncePublishOneKey(t *testing.T) {
	const instances = 10
	provider := newProvider(t, oidctest.Options{})
	for range 3 {
		spy := newSpyStore()
		// Nobody goes on before all have found that there is no key.
		var looked atomic.Int32
		all := make(chan struct{})
		spy.fail(func(_ context.Context, call string, done bool) error {
			if call == "find signing-key" && done {
				if looked.Add(1) == instances {
					close(all)
				}
				<-all
			}
			return nil
		})
		documents := make([]string, instances)
		var done sync.WaitGroup
		for i := range instances {
			done.Go(func() {
				config := goodConfig()
				config.Providers[0].Issuer, config.Broker = provider.Issuer, &core.Broker{Algorithm: "ES256", Store: spy}
				auth, err := core.New(config)
				if err == nil {
					defer auth.Close()
					err = auth.Start(t.Context())
				}
				if err != nil {
					t.Error(err)
					return
				}
				documents[i] = ask(auth, "jwks").body
			})
		}
		done.Wait()
		for _, document := range documents {
			require.Equal(t, documents[0], document)
		}
		require.Equal(t, 1, strings.Count(documents[0], `"kid"`))
		require.Len(t, spy.all(t), 1)
	}
}

// ask asks a route without a server.
func ask(auth *core.Auth, name string, headers ...string) answer {
	for _, e := range auth.Endpoints() {
		if e.Name == name {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			for _, header := range headers {
				name, value, _ := strings.Cut(header, ": ")
				r.Header.Add(name, value)
			}
			w := httptest.NewRecorder()
			e.Handler.ServeHTTP(w, r)
			return newAnswer(w)
		}
	}
	panic("there is no route " + name)
}

func TestAnotherAlgorithmHasAKeyOfItsOwnAndOldTokensStayGood(t *testing.T) {
	spy := newSpyStore()
	before := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
	old := before.signIn("alice")
	after := before.replica(spy, func(c *core.Config) { c.Broker.Algorithm = "EdDSA" })
	// Who makes the new key publishes the old one with it, from the first request on.
	var algorithms []string
	for _, key := range after.keys().Keys {
		algorithms = append(algorithms, key.Algorithm)
	}
	require.ElementsMatch(t, []string{"ES256", "EdDSA"}, algorithms)
	require.Equal(t, "user-alice", me(after.auth, old.AccessToken).body)
	next := after.tokens(after.refresh(old.RefreshToken))
	header, _ := jwtParts(t, next.AccessToken)
	require.Contains(t, header, `"alg":"EdDSA"`)
	require.Equal(t, "user-alice", me(before.auth, next.AccessToken).body, "an instance that still has the older configuration finds the key")
	require.Len(t, spy.all(t), 3, "two keys and a session")
}

func TestNewReportsEachMistakeOfABroker(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*core.Config)
		named  string
	}{
		"no public URL":                {func(c *core.Config) { c.PublicURL = "" }, "Config.PublicURL is missing: in broker mode it is the issuer"},
		"no token route":               {func(c *core.Config) { c.Routes.Token = core.Off }, "Config.Routes.Token is off: in broker mode clients get and refresh their tokens there"},
		"algorithm of shared secrets":  {algorithm("HS256"), `Config.Broker.Algorithm "HS256"`},
		"algorithm none":               {algorithm("none"), "RS256, ES256, PS256, EdDSA"},
		"algorithm of another size":    {algorithm("ES384"), "Config.Broker.Algorithm"},
		"algorithm in another case":    {algorithm("rs256"), "Config.Broker.Algorithm"},
		"a grace of less than 2 s":     {inBroker(func(b *core.Broker) { b.RefreshGrace = 2*time.Second - 1 }), "Config.Broker.RefreshGrace"},
		"a negative grace":             {inBroker(func(b *core.Broker) { b.RefreshGrace = -1 }), "Config.Broker.RefreshGrace"},
		"an empty audience":            {peerAudiences("a", ""), "Config.Broker.PeerAudiences holds an empty value"},
		"an audience twice":            {peerAudiences("a", "b", "a"), `Config.Broker.PeerAudiences holds "a" twice`},
		"its own audience":             {peerAudiences("https://shop.example.org/api"), "which is Broker.Audience"},
		"a negative token lifetime":    {inBroker(func(b *core.Broker) { b.TokenLifetime = -1 }), "Config.Broker.TokenLifetime"},
		"a negative session lifetime":  {inBroker(func(b *core.Broker) { b.SessionLifetime = -1 }), "Config.Broker.SessionLifetime"},
		"a negative idle time":         {inBroker(func(b *core.Broker) { b.SessionIdle = -1 }), "Config.Broker.SessionIdle"},
		"a store, and no secrets":      {func(c *core.Config) { c.Secrets, c.Broker.Store = nil, newSpyStore() }, "openssl rand -base64 32"},
		"a grace of more than an hour": {inBroker(func(b *core.Broker) { b.RefreshGrace = time.Hour + 1 }), "Config.Broker.RefreshGrace"},
		"tokens for more than a day":   {inBroker(func(b *core.Broker) { b.TokenLifetime = day + 1 }), "Config.Broker.TokenLifetime"},
		"the provider's issuer":        {func(c *core.Config) { c.PublicURL = c.Providers[0].Issuer }, "Config.PublicURL is the provider's issuer"},
		"two routes at one path":       {func(c *core.Config) { c.Routes.JWKS = "/.well-known/openid-configuration" }, "Config.Routes.JWKS"},
		"a route that is a pattern":    {func(c *core.Config) { c.Routes.AuthorizationServer = "/{x}" }, "Config.Routes.AuthorizationServer"},
		"a metadata route of no slash": {func(c *core.Config) { c.Routes.OpenIDConfiguration = "x" }, "Config.Routes.OpenIDConfiguration"},
	} {
		t.Run(name, func(t *testing.T) {
			config := goodConfig()
			config.Broker = &core.Broker{}
			row.change(&config)
			_, err := core.New(config)
			require.ErrorContains(t, err, row.named)
			require.NotContains(t, err.Error(), secret)
		})
	}
}

func inBroker(change func(*core.Broker)) func(*core.Config) {
	return func(c *core.Config) { change(c.Broker) }
}

func peerAudiences(list ...string) func(*core.Config) {
	return inBroker(func(b *core.Broker) { b.PeerAudiences = list })
}

func algorithm(name string) func(*core.Config) {
	return inBroker(func(b *core.Broker) { b.Algorithm = name })
}

func TestNewReportsAllMistakesOfABrokerAtOnce(t *testing.T) {
	_, err := core.New(core.Config{Broker: &core.Broker{Algorithm: "x", RefreshGrace: 1, SessionIdle: 1, Store: newSpyStore()}})
	for _, field := range []string{"Providers is empty", "PublicURL", "Broker.Algorithm", "Broker.RefreshGrace", "Broker.SessionIdle", "Secrets"} {
		require.ErrorContains(t, err, "Config."+field)
	}
	require.NotContains(t, err.Error(), "Audience", "what follows from another mistake is not one more")
	require.NotContains(t, err.Error(), "is the provider's issuer")
}

func TestTheZeroBrokerIsComplete(t *testing.T) {
	config := goodConfig()
	config.Secrets, config.Broker = nil, &core.Broker{}
	auth, err := core.New(config)
	require.NoError(t, err, "a store in memory needs no secret")
	require.NoError(t, auth.Close())
	require.Equal(t, &core.Broker{}, config.Broker, "the defaults go into a copy")

	for _, limit := range []*core.Broker{
		{RefreshGrace: 2 * time.Second, TokenLifetime: time.Second, SessionLifetime: time.Second, SessionIdle: time.Second},
		{RefreshGrace: time.Hour, TokenLifetime: day},
	} {
		config.Broker = limit
		auth, err = core.New(config)
		require.NoError(t, err)
		require.NoError(t, auth.Close())
	}
}

func TestABrokersConfigurationIsCopied(t *testing.T) {
	audiences := []string{"orders"}
	broker := &core.Broker{Algorithm: "ES256", PeerAudiences: audiences}
	a := newApp(t, newProvider(t, oidctest.Options{}), func(c *core.Config) { c.Broker = broker })
	audiences[0], broker.TokenLifetime, broker.Exchange = "stock", time.Hour, true
	claims := claimsOf(t, a.signIn("alice").AccessToken)
	require.Equal(t, []any{a.api, "orders"}, claims["aud"])
	require.EqualValues(t, 900, claims["exp"].(float64)-claims["iat"].(float64))
	requireError(t, a.post(browser(), tokenRoute, "grant_type", exchangeType, "subject_token", "x"), http.StatusBadRequest, "unsupported_grant_type")
}

func TestRoutesOfABrokerAreThereInBrokerModeOnly(t *testing.T) {
	routes := func(auth *core.Auth) (all []string) {
		for _, e := range auth.Endpoints() {
			all = append(all, e.Name+" "+e.Path)
		}
		return all
	}
	always := []string{
		"login /auth/v2/login", "callback /auth/v2/callback", "token /auth/v2/token",
		"device /auth/v2/device", "logout /auth/v2/logout", "userinfo /auth/v2/userinfo",
	}
	config := goodConfig()
	auth, err := core.New(config)
	require.NoError(t, err)
	require.Equal(t, always, routes(auth))
	require.Empty(t, auth.RootEndpoints())

	config.Broker = &core.Broker{}
	auth, err = core.New(config)
	require.NoError(t, err)
	require.Equal(t, append(always, "jwks /auth/v2/.well-known/jwks.json",
		"metadata /.well-known/openid-configuration", "metadata /.well-known/oauth-authorization-server"), routes(auth))

	config.Routes = core.Routes{JWKS: "/keys", OpenIDConfiguration: core.Off, AuthorizationServer: "/about"}
	auth, err = core.New(config)
	require.NoError(t, err)
	require.Equal(t, append(always, "jwks /keys", "metadata /about"), routes(auth))
}

// opened are the URLs that the store of this test was opened with.
var opened []string

func init() {
	store.Register("brokertest", func(u *url.URL) (store.Store, error) {
		opened = append(opened, u.String())
		if u.Host == "refused" {
			return nil, errors.New("there is no such database")
		}
		return newSpyStore(), nil
	})
}

func TestConfigFromEnvOpensAStore(t *testing.T) {
	unsetOIDC(t)
	const location = "brokertest://user:hunter22hunter22@db.example.org/sessions"
	file := filepath.Join(t.TempDir(), "store")
	require.NoError(t, os.WriteFile(file, []byte(location+"\n"), 0o600))
	for name, value := range map[string]string{"OIDC_STORE": location, "OIDC_STORE_FILE": file} {
		t.Run(name, func(t *testing.T) {
			opened = nil
			t.Setenv(name, value)
			config, err := core.ConfigFromEnv()
			require.NoError(t, err)
			require.Equal(t, []string{location}, opened)
			require.IsType(t, &spyStore{}, config.Broker.Store)
			config.Broker.Store = nil
			require.Equal(t, &core.Broker{}, config.Broker)
		})
	}
	config, err := core.ConfigFromEnv()
	require.NoError(t, err)
	require.Nil(t, config.Broker, "passthrough mode")
}

func TestConfigFromEnvRepeatsNoPasswordOfAStore(t *testing.T) {
	for name, row := range map[string]struct{ location, named string }{
		"a scheme of nobody":         {"unknown://user:hunter22hunter22@h/db", "unknown:"},
		"a module not imported":      {"postgres://user:hunter22hunter22@h/db", "github.com/oidcgate/oidcgate/store/postgres"},
		"no scheme":                  {"hunter22hunter22", "no scheme"},
		"no scheme, a password":      {"user:hunter22hunter22@h/db", "user:"},
		"malformed":                  {"brokertest://user:hunter22hunter22%zz@h/db", "percent-encoded"},
		"a port that is none":        {"brokertest://user:hunter22hunter22@h:port/db", "percent-encoded"},
		"a store that can't be made": {"brokertest://user:hunter22hunter22@refused/db", "no such database"},
	} {
		t.Run(name, func(t *testing.T) {
			unsetOIDC(t)
			t.Setenv("OIDC_STORE", row.location)
			_, err := core.ConfigFromEnv()
			require.ErrorContains(t, err, "OIDC_STORE")
			require.ErrorContains(t, err, row.named)
			require.NotContains(t, err.Error(), "hunter22")

			t.Setenv("OIDC_STORE_FILE", "/nowhere")
			_, err = core.ConfigFromEnv()
			require.ErrorContains(t, err, "OIDC_STORE and OIDC_STORE_FILE are both set")
			require.NotContains(t, err.Error(), "hunter22")
		})
	}
	unsetOIDC(t)
	t.Setenv("OIDC_STORE_FILE", "/nowhere")
	_, err := core.ConfigFromEnv()
	require.ErrorContains(t, err, "OIDC_STORE_FILE")
}
