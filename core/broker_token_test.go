package core_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/store/memory"
	"github.com/stretchr/testify/require"
)

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
