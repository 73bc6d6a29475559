package core_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// threeJudges are the three who take the provider's access tokens. Each tells whether it
// takes a token of these claims for one.
func threeJudges(t *testing.T, configure ...func(*core.Config)) map[string]func(header, claims map[string]any) bool {
	provider := newProvider(t, oidctest.Options{})
	guards := newApp(t, provider, configure...)
	exchange := newApp(t, provider, append(configure, brokered(exchanging))...)
	opaque := newApp(t, provider, append(configure, introspecting, func(c *core.Config) { c.CacheSize = -1 })...)
	token := func(header, claims map[string]any) string {
		all := provider.Claims("alice", map[string]any{"exp": time.Now().Add(10 * time.Minute).Unix()})
		maps.Copy(all, claims)
		maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
		return provider.SignedToken(t, header, all)
	}
	return map[string]func(header, claims map[string]any) bool{
		"guards": func(header, claims map[string]any) bool {
			return serve(guards.auth.Required(), bearer(token(header, claims))).StatusCode == http.StatusOK
		},
		"token exchange": func(header, claims map[string]any) bool {
			return exchange.exchange(token(header, claims)).StatusCode == http.StatusOK
		},
		"introspection": func(header, claims map[string]any) bool {
			body := map[string]any{"active": true}
			if header["typ"] == "at+jwt" {
				body["token_type"] = "Bearer" // it says the same
			}
			require.NoError(t, json.Unmarshal([]byte(decode(t, strings.Split(token(nil, claims), ".")[1])), &body))
			text, err := json.Marshal(body)
			require.NoError(t, err)
			introspects(provider, string(text))
			_, err = opaque.auth.Verify(t.Context(), "opaque")
			return err == nil
		},
	}
}

// One rule tells access tokens from all else, wherever a token comes from and goes to.
func TestGuardsExchangeAndIntrospectionAgreeOnWhatAnAccessTokenIs(t *testing.T) {
	type set = map[string]any
	judges := threeJudges(t)
	listed := threeJudges(t, func(c *core.Config) { c.Providers[0].Audiences = []string{"app", "orders"} })
	bare := func(claims set) set {
		all := set{"scope": nil, "typ": nil}
		maps.Copy(all, claims)
		return all
	}
	for name, row := range map[string]struct {
		header, claims set
		valid          bool
	}{
		"an access token":             {nil, nil, true},
		"by a scope":                  {nil, bare(set{"scope": "a"}), true},
		"by scp":                      {nil, bare(set{"scp": []string{"a"}}), true},
		"by the claim typ":            {nil, bare(set{"typ": "Bearer"}), true},
		"by token_use":                {nil, bare(set{"token_use": "access"}), true},
		"by its type":                 {set{"typ": "at+jwt"}, bare(nil), true},
		"by nothing":                  {nil, bare(nil), false},
		"an empty scope":              {nil, bare(set{"scope": " "}), false},
		"token_use id":                {nil, set{"token_use": "id"}, false},
		"token_use ID":                {nil, set{"token_use": "ID"}, false},
		"token_use of another kind":   {nil, set{"token_use": "refresh"}, false},
		"token_use null":              {nil, set{"token_use": json.RawMessage("null")}, true},
		"typ ID":                      {nil, set{"typ": "ID"}, false},
		"typ id":                      {nil, set{"typ": "id"}, false},
		"typ Logout":                  {nil, set{"typ": "Logout"}, false},
		"typ Refresh":                 {nil, set{"typ": "Refresh"}, false},
		"typ Offline":                 {nil, set{"typ": "Offline"}, false},
		"at_hash":                     {nil, set{"at_hash": "x"}, false},
		"c_hash":                      {nil, set{"c_hash": "x"}, false},
		"events":                      {nil, set{"events": set{}}, false},
		"a nonce alone":               {set{"typ": "at+jwt"}, bare(set{"nonce": "n"}), false},
		"a nonce beside a scope":      {nil, set{"nonce": "n"}, true},
		"a nonce beside typ Bearer":   {nil, bare(set{"nonce": "n", "typ": "Bearer"}), true},
		"bound to a key (DPoP)":       {nil, set{"cnf": set{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}, false},
		"bound to a key (mTLS)":       {nil, set{"cnf": set{"x5t#S256": "x"}}, false},
		"bound to something":          {nil, set{"cnf": "x"}, false},
		"no subject":                  {nil, set{"sub": nil}, false},
		"an empty subject":            {nil, set{"sub": ""}, false},
		"a subject with NUL":          {nil, set{"sub": "user-alice\x00"}, false},
		"a subject with a line break": {nil, set{"sub": "user\nalice"}, false},
		"a subject with U+0085":       {nil, set{"sub": "user\u0085alice"}, false},
		"a subject that is too long":  {nil, set{"sub": strings.Repeat("s", 1025)}, false},
		"for others, azp another":     {nil, set{"aud": []string{"other", "account"}, "client_id": "other", "azp": "other"}, false},
	} {
		for by, judges := range map[string]map[string]func(header, claims map[string]any) bool{"client id": judges, "Audiences": listed} {
			for judge, takes := range judges {
				t.Run(name+"/"+by+"/"+judge, func(t *testing.T) { require.Equal(t, row.valid, takes(row.header, row.claims)) })
			}
		}
	}
	t.Run("for an audience that is no client, which ID tokens never have", func(t *testing.T) {
		for judge, takes := range listed {
			require.True(t, takes(nil, bare(set{"aud": []string{"app", "orders"}})), judge)
			require.False(t, takes(nil, set{"aud": "account", "azp": "app"}), judge)
		}
	})
}

// Keycloak as it comes: with a role at any other client, the user's token names that one
// in aud, and us in azp alone.
func TestATokenIssuedToOurClientIsForUs(t *testing.T) {
	for judge, takes := range threeJudges(t) {
		t.Run(judge, func(t *testing.T) {
			for _, aud := range []any{[]string{"other", "account"}, "account", nil} {
				require.True(t, takes(nil, map[string]any{"aud": aud, "azp": "app", "client_id": nil, "typ": "Bearer"}), aud)
				require.True(t, takes(nil, map[string]any{"aud": aud, "azp": nil, "client_id": "app"}), aud)
				require.False(t, takes(nil, map[string]any{"aud": aud, "azp": "other", "client_id": nil}), aud)
				require.False(t, takes(nil, map[string]any{"aud": aud, "azp": nil, "client_id": nil}), aud)
				require.False(t, takes(nil, map[string]any{"aud": aud, "azp": "app", "scope": nil, "typ": nil}), "something says that it is an access token")
			}
		})
	}
}

// An ID token goes through browsers and logs. None is an access token, not even the one
// of a refresh, which has no nonce.
func TestIDTokensAreNoAccessTokens(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	first := a.signIn("alice")
	refreshed := a.tokens(a.post(browser(), tokenRoute, "refresh_token", first.RefreshToken))
	require.NotEmpty(t, refreshed.IDToken)
	stripped := resign(t, provider, refreshed.IDToken, nil, map[string]any{"nonce": nil, "at_hash": nil, "c_hash": nil})
	for _, c := range []func(*core.Config){
		func(*core.Config) {},
		func(c *core.Config) { c.Providers[0].Audiences = []string{"app"} },
		func(c *core.Config) { c.Providers[0].InsecureAcceptAnyAudience = true },
	} {
		a := newApp(t, provider, c)
		for _, raw := range []string{first.IDToken, refreshed.IDToken, stripped} {
			requireError(t, serve(a.auth.Required(), bearer(raw)), http.StatusUnauthorized, "invalid_token")
		}
	}
	elsewhere := newApp(t, newProvider(t, oidctest.Options{}), func(c *core.Config) {
		c.TrustedIssuers = []core.Issuer{{URL: provider.Issuer, Audiences: []string{"app"}}}
	})
	requireError(t, serve(elsewhere.auth.Required(), bearer(stripped)), http.StatusUnauthorized, "invalid_token")
	require.Equal(t, http.StatusOK, serve(elsewhere.auth.Required(), bearer(first.AccessToken)).StatusCode)
}

// A peer's tokens and our own are held to the same rule.
func TestABrokersGuardsTakeNoBoundTokenOfAPeer(t *testing.T) {
	home, peer := newProvider(t, oidctest.Options{}), newProvider(t, oidctest.Options{})
	a := newApp(t, home, brokered(), further(core.Issuer{URL: peer.Issuer}))
	for claim, value := range map[string]any{"cnf": map[string]any{"jkt": "x"}, "token_use": "id", "sub": nil, "typ": "Refresh", "at_hash": "x"} {
		claims := map[string]any{"aud": a.api}
		require.Equal(t, http.StatusOK, serve(a.auth.Required(), bearer(peer.SignedToken(t, nil, peer.Claims("alice", claims)))).StatusCode)
		claims[claim] = value
		requireError(t, serve(a.auth.Required(), bearer(peer.SignedToken(t, nil, peer.Claims("alice", claims)))), http.StatusUnauthorized, "invalid_token")
	}
}

// Keycloak's lightweight tokens leave out whom they are about. The provider knows.
func TestATokenThatLeavesOutSubOrAudIsAskedAbout(t *testing.T) {
	provider := newProvider(t, oidctest.Options{AccessTokenLifetime: 24 * time.Hour})
	a := newApp(t, provider, introspecting)
	require.NoError(t, a.auth.Start(t.Context()))
	light := func(claims map[string]any) string {
		return provider.SignedToken(t, nil, provider.Claims("alice", claims))
	}
	asked := func() int { return provider.Requests(oidctest.IntrospectPath) }
	whole := `{"active":true,"sub":"user-alice","aud":"app","scope":"openid","realm_access":{"roles":["chief"]}}`
	for name, raw := range map[string]string{
		"no sub":           light(map[string]any{"sub": nil}),
		"no aud":           light(map[string]any{"aud": nil, "client_id": nil, "azp": nil}),
		"aud empty":        light(map[string]any{"aud": []string{}, "client_id": nil, "azp": nil}),
		"neither":          light(map[string]any{"sub": nil, "aud": nil, "client_id": nil, "azp": nil, "scope": nil}),
		"for another, too": light(map[string]any{"sub": nil, "aud": "other", "client_id": "other", "azp": "other"}),
	} {
		t.Run(name, func(t *testing.T) {
			introspects(provider, whole)
			before := asked()
			for range 2 {
				token, err := a.auth.Required(core.AnyRole("chief")).Check(t.Context(), core.Request{Authorization: []string{"Bearer " + raw}})
				require.NoError(t, err)
				require.Equal(t, "user-alice", token.Subject())
			}
			require.Equal(t, before+1, asked(), "the answer counts for a minute")
			for _, answer := range []string{`{"active":false}`, `{"active":true,"aud":"app","scope":"openid"}`, `{"active":true,"sub":"user-alice","aud":"other","scope":"openid"}`} {
				a.clock.Add(time.Minute)
				introspects(provider, answer)
				require.ErrorIs(t, a.verify(raw), core.ErrInvalidToken, answer)
			}
			plain := newApp(t, provider)
			require.ErrorIs(t, plain.verify(raw), core.ErrInvalidToken, "without Introspection")
		})
	}
	t.Run("but for nothing else that is wrong with it", func(t *testing.T) {
		introspects(provider, whole)
		a := newApp(t, provider, introspecting, further(core.Issuer{URL: "https://other.example.org"}))
		require.NoError(t, a.auth.Start(t.Context()))
		before := asked()
		valid := light(map[string]any{"sub": nil})
		for name, raw := range map[string]string{
			"expired":         light(map[string]any{"sub": nil, "exp": 1}),
			"a bad signature": valid[:len(valid)-8] + "AAAAAAAA",
			"an ID token":     light(map[string]any{"sub": nil, "typ": "ID"}),
			"bound to a key":  light(map[string]any{"sub": nil, "cnf": map[string]any{"jkt": "x"}}),
			"another issuer":  light(map[string]any{"sub": nil, "iss": "https://evil.example.org"}),
			"a sub of no use": light(map[string]any{"sub": "a\x00"}),
			"another's aud":   light(map[string]any{"aud": "other", "client_id": "other", "azp": "other"}),
		} {
			require.ErrorIs(t, a.verify(raw), core.ErrInvalidToken, name)
		}
		require.Equal(t, before, asked())
		require.NoError(t, a.verify(light(nil)))
		require.Equal(t, before, asked(), "a JWT that says all is verified here")
	})
}

// Providers make opaque tokens as they like, with dots in them too.
func TestWhateverIsNoJWTIsAskedAbout(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, introspecting)
	introspects(provider, `{"active":true,"sub":"user-alice","aud":"app","scope":"a"}`)
	for _, raw := range []string{"opaque", "a.b.c", "ya29.a0Af.b-c", "v1.MTIz.NDU2", "a.b", "a.b.c.d.e", "id:secret", "a,b", "=", "a=b", "a|b", "{x}", "..", "W10.e30.eA"} {
		token, err := a.auth.Verify(t.Context(), raw)
		require.NoError(t, err, raw)
		require.Equal(t, "user-alice", token.Subject())
	}
}
