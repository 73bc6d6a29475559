package core_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestTokenExchangeIsOffUntilItIsSwitchedOn(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	for name, mode := range map[string]func(*core.Config){
		"passthrough": func(*core.Config) {}, "broker": brokered(),
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, provider, mode)
			raw := provider.AccessToken(t, "alice")
			requireError(t, a.exchange(raw), http.StatusBadRequest, "unsupported_grant_type")
			requireError(t, a.post(browser(), tokenRoute, "subject_token", raw), http.StatusBadRequest, "unsupported_grant_type")
		})
	}
}

func TestTokenExchangeIsGolden(t *testing.T) {
	store := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(exchanging), func(c *core.Config) { c.Broker.Store = store })
	require.NoError(t, a.auth.Start(t.Context()))
	var got answer
	calls := store.during(func() { got = a.exchange(a.subjectToken(nil), "subject_token_type", accessTokenType) })
	require.Empty(t, calls, "there is no session to keep")
	requireGolden(t, "exchange_token_body.json", a.goldenTokens(got))

	raw := a.tokens(got).AccessToken
	header, payload := jwtParts(t, raw)
	requireGolden(t, "exchange_minted.json", `{"header":`+header+`,"claims":`+sinceNow(a.clock.Now(), payload)+`}`,
		a.api, "<public URL>", a.provider.Issuer, "<issuer>", a.keyID(), "<kid>", claimsOf(t, raw)["jti"].(string), "<jti>")
	require.Len(t, store.all(t), 1, "the key")
	require.Equal(t, "user-alice", me(a.auth, raw).body)
	info := a.get(browser(), userinfoRoute, bearer(raw))
	require.Equal(t, http.StatusOK, info.StatusCode, info.body)
	require.Equal(t, "user-alice", info.json["sub"])
	require.Equal(t, "alice", info.json["username"])
	require.Equal(t, "alice@example.com", info.json["email"])

	event := a.log.last(t)
	require.Equal(t, core.EventExchange, event.Kind)
	require.Equal(t, "user-alice", event.Subject)
	require.Nil(t, event.Error)

	a.tokens(a.post(browser(), tokenRoute, "subject_token", a.subjectToken(nil))) // told from its field
}

func TestAnExchangedTokenNeverOutlivesTheSubjectToken(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(exchanging))
	for name, row := range map[string]struct{ left, want time.Duration }{
		"a minute":          {time.Minute, time.Minute},
		"an hour":           {time.Hour, 15 * time.Minute},
		"29 s ago, leeway ": {-29 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			exp := a.clock.Now().Add(row.left).Unix()
			got := a.tokens(a.exchange(a.subjectToken(map[string]any{"exp": exp})))
			require.EqualValues(t, row.want.Seconds(), got.ExpiresIn)
			require.LessOrEqual(t, got.Expires, exp)
			require.EqualValues(t, got.Expires, claimsOf(t, got.AccessToken)["exp"])
			require.Equal(t, got.Expires, got.RefreshExpires)
			require.Empty(t, got.RefreshToken)
		})
	}
}

// Every single thing that can be wrong with a subject token.
func TestTokenExchangeRefusesAnInvalidSubjectToken(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	other := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, brokered(exchanging))
	stranger := newApp(t, provider, brokered(exchanging))
	last := a.overhear(nil)
	own := a.signIn("alice")
	id := last["id_token"].(string)
	valid := a.subjectToken(nil)
	in := func(d time.Duration) int64 { return a.clock.Now().Add(d).Unix() }
	claims := provider.Claims("alice", nil)
	is := func(name string, value any) string { return a.subjectToken(map[string]any{name: value}) }
	for name, raw := range map[string]string{
		"expired":                            is("exp", in(-31*time.Second)),
		"without an expiry":                  is("exp", nil),
		"not valid yet":                      is("nbf", in(32*time.Second)),
		"issued in the future":               is("iat", in(32*time.Second)),
		"of another audience":                a.subjectToken(map[string]any{"aud": "somebody", "client_id": "other", "azp": "other"}),
		"meant for the broker's tokens":      a.subjectToken(map[string]any{"aud": a.api, "client_id": "other", "azp": "other"}),
		"of another issuer":                  is("iss", other.Issuer),
		"of our own issuer":                  is("iss", a.api),
		"without a subject":                  is("sub", nil),
		"of an empty subject":                is("sub", ""),
		"of a subject that can't be used":    is("sub", "user\nalice"),
		"of a subject that is too long":      is("sub", strings.Repeat("s", 1025)),
		"a logout token":                     is("events", map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}),
		"an ID token by its type":            is("typ", "ID"),
		"an ID token":                        id,
		"of another type":                    provider.SignedToken(t, map[string]any{"typ": "logout+jwt"}, claims),
		"by no algorithm":                    provider.SignedToken(t, map[string]any{"alg": "none"}, claims) + "AA",
		"without a signature":                provider.SignedToken(t, map[string]any{"alg": "none"}, claims),
		"by the public key as a secret":      provider.SignedToken(t, map[string]any{"alg": "HS256"}, claims),
		"with a bad signature":               valid[:len(valid)-8] + "AAAAAAAA",
		"of another key by our key's name":   other.SignedToken(t, map[string]any{"kid": provider.KeyID(t)}, claims),
		"of another key by its own name":     other.SignedToken(t, nil, claims),
		"opaque":                             "an-opaque-access-token",
		"truncated":                          valid[:len(valid)/2],
		"cut at its signature":               valid[:strings.LastIndexByte(valid, '.')+1],
		"with something behind it":           valid + ".x",
		"too long":                           valid + strings.Repeat("A", 16<<10+1-len(valid)),
		"with other characters":              valid + "ä",
		"our own access token":               own.AccessToken,
		"our own refresh token":              own.RefreshToken,
		"an access token of another broker":  stranger.signIn("alice").AccessToken,
		"a refresh token of another broker":  stranger.signIn("alice").RefreshToken,
		"a refresh token of the provider":    last["refresh_token"].(string),
		"the access token of an older login": resign(t, other, valid, nil, nil),
	} {
		t.Run(name, func(t *testing.T) {
			got := a.exchange(raw)
			requireError(t, got, http.StatusBadRequest, "invalid_request")
			require.Empty(t, got.Header.Get("WWW-Authenticate"))
			require.NotNil(t, a.log.last(t).Error)
			for part := range strings.SplitSeq(raw, ".") {
				if len(part) > 8 {
					require.NotContains(t, got.body, part)
				}
			}
		})
	}
	requireError(t, a.exchange(""), http.StatusBadRequest, "invalid_request")
	requireError(t, a.exchange(valid, "subject_token", valid), http.StatusBadRequest, "invalid_request")
	requireError(t, a.post(browser(), tokenRoute, "grant_type", exchangeType), http.StatusBadRequest, "invalid_request")
	requireError(t, a.post(browser(), tokenRoute, "subject_token", valid, "refresh_token", own.RefreshToken), http.StatusBadRequest, "invalid_request")
	a.tokens(a.exchange(valid))
}

func TestTokenExchangeReadsWhatIsAskedFor(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(exchanging))
	const of = "urn:ietf:params:oauth:token-type:"
	for name, row := range map[string]struct {
		fields []string
		code   string // "" valid
	}{
		"an access token":                  {[]string{"subject_token_type", of + "access_token"}, ""},
		"a JWT":                            {[]string{"subject_token_type", of + "jwt"}, ""},
		"an access token is wanted":        {[]string{"requested_token_type", of + "access_token"}, ""},
		"a JWT is wanted":                  {[]string{"requested_token_type", of + "jwt"}, ""},
		"types without a value":            {[]string{"subject_token_type", "", "requested_token_type", "", "actor_token", ""}, ""},
		"an ID token":                      {[]string{"subject_token_type", of + "id_token"}, "invalid_request"},
		"a refresh token":                  {[]string{"subject_token_type", of + "refresh_token"}, "invalid_request"},
		"a short name":                     {[]string{"subject_token_type", "access_token"}, "invalid_request"},
		"a refresh token is wanted":        {[]string{"requested_token_type", of + "refresh_token"}, "invalid_request"},
		"an ID token is wanted":            {[]string{"requested_token_type", of + "id_token"}, "invalid_request"},
		"a type twice":                     {[]string{"subject_token_type", of + "jwt", "subject_token_type", of + "jwt"}, "invalid_request"},
		"an actor":                         {[]string{"actor_token", "x"}, "invalid_request"},
		"an actor and its type":            {[]string{"actor_token", "x", "actor_token_type", of + "access_token"}, "invalid_request"},
		"another client":                   {[]string{"client_id", "other"}, "invalid_client"},
		"a parameter that nobody knows of": {[]string{"colour", "red"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := a.exchange(a.subjectToken(nil), row.fields...)
			switch row.code {
			case "":
				a.tokens(got)
				require.Equal(t, accessTokenType, got.json["issued_token_type"])
			case "invalid_client":
				requireError(t, got, http.StatusUnauthorized, row.code)
			default:
				requireError(t, got, http.StatusBadRequest, row.code)
			}
		})
	}
}

func TestTokenExchangeTakesWhatIsMeantForTheApplication(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	named := newApp(t, provider, brokered(exchanging), func(c *core.Config) { c.Providers[0].Audiences = []string{"orders"} })
	named.tokens(named.exchange(named.subjectToken(map[string]any{"aud": "orders"})))
	requireError(t, named.exchange(named.subjectToken(map[string]any{"aud": "app"})), http.StatusBadRequest, "invalid_request")
	a := newApp(t, provider, brokered(exchanging))
	a.tokens(a.exchange(a.subjectToken(map[string]any{"aud": "account", "azp": "app"})))
}

// Some ID tokens say neither what they are nor whose login they are of. Where
// the client id is all that a token must be meant for, something must tell that
// it is an access token.
func TestTokenExchangeTakesNoTokenThatMightBeAnIDToken(t *testing.T) {
	type entries = map[string]any
	provider := newProvider(t, oidctest.Options{})
	audiences := func(list ...string) func(*core.Config) {
		return func(c *core.Config) { c.Providers[0].Audiences = list }
	}
	anybody := newApp(t, provider, brokered(exchanging))
	listed := newApp(t, provider, brokered(exchanging), audiences("app", "orders")) // the client id tells nothing
	named := newApp(t, provider, brokered(exchanging), audiences("app", "orders"))
	for name, row := range map[string]struct {
		header, claims entries
		valid          bool
	}{
		"a scope":                    {nil, entries{"scope": "openid"}, true},
		"a scope, spelled scp":       {nil, entries{"scp": []string{"openid"}}, true},
		"the type Bearer":            {nil, entries{"typ": "Bearer"}, true},
		"the header at+jwt":          {entries{"typ": "at+jwt"}, nil, true},
		"the header at+jwt in full":  {entries{"typ": "application/at+jwt"}, nil, true},
		"the header AT+JWT":          {entries{"typ": "AT+JWT"}, nil, true},
		"nothing":                    {nil, nil, false},
		"no header of a type either": {entries{"typ": nil}, nil, false},
		"an empty scope":             {nil, entries{"scope": ""}, false},
		"another type":               {nil, entries{"typ": "bearer"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, a := range []*app{anybody, listed, named} {
				claims := provider.Claims("alice", entries{"scope": nil, "typ": nil})
				maps.Copy(claims, row.claims)
				if a == named {
					claims["aud"] = []string{"app", "orders"} // no ID token is for orders
				}
				claims["exp"] = a.clock.Now().Add(time.Minute).Unix()
				got := a.exchange(provider.SignedToken(t, row.header, claims))
				if row.valid || a == named {
					a.tokens(got)
					continue
				}
				requireError(t, got, http.StatusBadRequest, "invalid_request")
				require.Contains(t, got.json["detail"], "may be an ID token")
			}
		})
	}
	t.Run("a logout's hint", func(t *testing.T) {
		a := newApp(t, provider, brokered(exchanging))
		defer provider.Answer(oidctest.TokenPath, nil)
		token := a.signIn("alice").RefreshToken
		a.overhear(func(body map[string]any) { a.resigned(body, nil, map[string]any{"nonce": nil}) }) // as Entra does
		hint := a.hint(a.logoutWith(a.tokens(a.refresh(token)).AccessToken))
		require.NotEmpty(t, hint)
		requireError(t, a.exchange(hint), http.StatusBadRequest, "invalid_request")
	})
}

// Ours would work for whoever has it (RFC 7800, RFC 8705, RFC 9449).
func TestTokenExchangeTakesNoTokenThatIsBoundToAKey(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, brokered(exchanging))
	named := newApp(t, provider, brokered(exchanging), func(c *core.Config) { c.Providers[0].Audiences = []string{"app"} })
	for name, cnf := range map[string]any{
		"DPoP":    map[string]any{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
		"mTLS":    map[string]any{"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"},
		"unknown": "x",
		"empty":   map[string]any{},
	} {
		t.Run(name, func(t *testing.T) {
			for _, a := range []*app{a, named} {
				got := a.exchange(a.subjectToken(map[string]any{"cnf": cnf}))
				requireError(t, got, http.StatusBadRequest, "invalid_request")
				require.Contains(t, got.json["detail"], "bound to a key")
			}
		})
	}
}

func TestTokenExchangeReadsTheFormAlone(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(exchanging))
	raw := a.subjectToken(nil)
	a.log.keep(raw)
	query := "?" + form("grant_type", exchangeType, "subject_token", raw).Encode()
	requireError(t, a.post(browser(), tokenRoute+query), http.StatusBadRequest, "invalid_request")
	requireError(t, a.post(browser(), tokenRoute+query, "grant_type", exchangeType), http.StatusBadRequest, "invalid_request")
	got := a.tokens(a.post(browser(), tokenRoute+"?audience=billing&scope=admin", "subject_token", raw))
	require.Equal(t, a.api, claimsOf(t, got.AccessToken)["aud"])
}

func TestTokenExchangeAsksUserinfoForWhatTheTokenLeavesOut(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, brokered(exchanging))
	raw := a.bare("alice")
	require.Equal(t, "alice", claimsOf(t, a.tokens(a.exchange(raw)).AccessToken)["preferred_username"])
	require.Equal(t, 1, provider.Requests(oidctest.UserinfoPath))
	fail(provider, oidctest.UserinfoPath, http.StatusServiceUnavailable, "")
	requireError(t, a.exchange(raw), http.StatusServiceUnavailable, "temporarily_unavailable")
	fail(provider, oidctest.UserinfoPath, http.StatusOK, `{"sub":"user-bob","preferred_username":"bob"}`)
	requireError(t, a.exchange(raw), http.StatusBadGateway, "server_error")
}

func TestTokenExchangeWithoutKeysIsAnOutage(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	store := newSpyStore()
	a := newApp(t, provider, brokered(exchanging), func(c *core.Config) { c.Broker.Store = store })
	raw := a.subjectToken(nil)
	for name, row := range map[string]struct{ begin, end func() }{
		"the provider's": {func() { provider.Down(true) }, func() { provider.Down(false) }},
		"our own": {
			func() {
				store.fail(func(context.Context, string, bool) error { return errors.New("unplugged") })
			}, func() { store.fail(nil) }},
	} {
		t.Run(name, func(t *testing.T) {
			fresh := a.replica(store, func(c *core.Config) { exchanging(c.Broker) })
			row.begin()
			got := fresh.exchange(raw)
			row.end()
			requireError(t, got, http.StatusServiceUnavailable, "temporarily_unavailable")
			require.NotEmpty(t, got.Header.Get("Retry-After"))
			fresh.clock.Add(2 * time.Second)
			fresh.tokens(fresh.exchange(raw))
		})
	}
}
