package core_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// north and south are two brokers. South takes the tokens of north's users, and can do
// with such a token whatever the token allows.
func northAndSouth(t *testing.T) (north, south *app) {
	south = newApp(t, newProvider(t, oidctest.Options{}), brokered())
	north = newApp(t, newProvider(t, oidctest.Options{}), brokered(exchanging, func(b *core.Broker) { b.PeerAudiences = []string{south.api, "east"} }))
	south.trusts(core.Issuer{URL: north.api})
	return north, south
}

// The attack: a user of north visits south, and south plays the user's token back.
func TestATokenThatIsNarrowedToAPeerIsValidThereAndNowhereElse(t *testing.T) {
	north, south := northAndSouth(t)
	first := north.signIn("alice")
	refreshed := north.tokens(north.refresh(first.RefreshToken, "resource", south.api))
	exchanged := north.tokens(north.exchange(north.subjectToken(nil), "audience", south.api))
	for name, visiting := range map[string]string{"by a refresh": refreshed.AccessToken, "by an exchange": exchanged.AccessToken} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, south.api, claimsOf(t, visiting)["aud"])
			require.NoError(t, south.verify(visiting))
			requireError(t, me(north.auth, visiting), http.StatusUnauthorized, "invalid_token")
			requireError(t, north.get(browser(), userinfoRoute, bearer(visiting)), http.StatusUnauthorized, "invalid_token")
			requireError(t, north.exchange(visiting), http.StatusBadRequest, "invalid_request")
			require.Empty(t, north.hint(north.logoutWith(visiting)), "it signs nobody out")
		})
	}
	next := north.tokens(north.refresh(refreshed.RefreshToken))
	require.Equal(t, []any{north.api, south.api, "east"}, claimsOf(t, next.AccessToken)["aud"], "the session is not narrowed")
	require.NoError(t, north.verify(next.AccessToken))
	require.NoError(t, south.verify(next.AccessToken))
}

func TestAGuardTakesNoTokenThatIsForItsPeersAlone(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, brokered(func(b *core.Broker) { b.Audience, b.PeerAudiences = "orders", []string{"stock", "billing"} }))
	got := a.signIn("alice")
	for resources, valid := range map[string]bool{"orders": true, "stock": false, "stock billing": false, "stock orders": true} {
		var fields []string
		for resource := range strings.FieldsSeq(resources) {
			fields = append(fields, "resource", resource)
		}
		got = a.tokens(a.refresh(got.RefreshToken, fields...))
		require.Equal(t, valid, a.verify(got.AccessToken) == nil, resources)
	}
}

func TestARefreshNarrowsTheAudience(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(func(b *core.Broker) { b.Audience, b.PeerAudiences = "orders", []string{"stock"} }))
	got := a.signIn("alice")
	for name, row := range map[string]struct {
		fields []string
		want   any // nil: invalid_target
	}{
		"none":                       {nil, []any{"orders", "stock"}},
		"one":                        {[]string{"resource", "stock"}, "stock"},
		"both":                       {[]string{"resource", "stock", "resource", "orders"}, []any{"stock", "orders"}},
		"one twice":                  {[]string{"resource", "stock", "resource", "stock"}, "stock"},
		"without a value":            {[]string{"resource", ""}, []any{"orders", "stock"}},
		"another":                    {[]string{"resource", "billing"}, nil},
		"one of ours and another":    {[]string{"resource", "orders", "resource", "billing"}, nil},
		"ours with a space":          {[]string{"resource", "orders "}, nil},
		"the issuer, which is none":  {[]string{"resource", a.api}, nil},
		"audience, an exchange's":    {[]string{"audience", "stock"}, []any{"orders", "stock"}},
		"the provider's, of course":  {[]string{"resource", a.provider.Issuer}, nil},
		"a list in one, as no RFC's": {[]string{"resource", "orders stock"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			answer := a.refresh(got.RefreshToken, row.fields...)
			if row.want == nil {
				requireError(t, answer, http.StatusBadRequest, "invalid_target")
				got = a.tokens(a.refresh(got.RefreshToken)) // it was not used up
				return
			}
			got = a.tokens(answer)
			require.Equal(t, row.want, claimsOf(t, got.AccessToken)["aud"])
		})
	}
}

// RFC 6749 6: less than was granted, and what is left out is all of it.
func TestARefreshNarrowsTheScopeOfTheAccessTokenAlone(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{StrictRefresh: true}), brokered())
	got := a.signIn("alice")
	granted := got.Scope
	require.Equal(t, "openid profile email", granted)
	for name, row := range map[string]struct {
		fields []string
		want   string // or an error's code
	}{
		"nothing asked for":       {nil, granted},
		"less":                    {[]string{"scope", "email"}, "email"},
		"all, in another order":   {[]string{"scope", " email  openid profile"}, "email openid profile"},
		"one twice":               {[]string{"scope", "email email"}, "email"},
		"without a value":         {[]string{"scope", ""}, granted},
		"spaces":                  {[]string{"scope", "  "}, granted},
		"more":                    {[]string{"scope", granted + " admin"}, "invalid_scope"},
		"another":                 {[]string{"scope", "admin"}, "invalid_scope"},
		"in another case":         {[]string{"scope", "Email"}, "invalid_scope"},
		"a space of another kind": {[]string{"scope", "openid\u00a0email"}, "invalid_scope"},
		"no text":                 {[]string{"scope", "email\x00"}, "invalid_request"},
		"too long":                {[]string{"scope", strings.Repeat("email ", 400)}, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			requests := a.provider.Requests(oidctest.TokenPath)
			answer := a.refresh(got.RefreshToken, row.fields...)
			if strings.HasPrefix(row.want, "invalid") {
				requireError(t, answer, http.StatusBadRequest, row.want)
				require.Equal(t, requests, a.provider.Requests(oidctest.TokenPath), "nothing was used up")
				return
			}
			got = a.tokens(answer)
			require.Equal(t, row.want, got.Scope)
			require.Equal(t, row.want, claimsOf(t, got.AccessToken)["scope"])
		})
	}
	require.Equal(t, granted, a.tokens(a.refresh(got.RefreshToken)).Scope, "the session keeps its grant")
}

// All of these share one question to the provider, or come in the grace period after it.
func TestEachOfManyRefreshesGetsTheScopeThatItAskedFor(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{StrictRefresh: true}), brokered())
	token := a.signIn("alice").RefreshToken
	scopes := []string{"openid", "email", "profile", "openid profile email"}
	requests := a.provider.Requests(oidctest.TokenPath)
	answers := make([]answer, 4*len(scopes))
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = a.refresh(token, "scope", scopes[i%len(scopes)]) })
	}
	all.Wait()
	for i, answer := range answers {
		got := a.tokens(answer)
		require.Equal(t, scopes[i%len(scopes)], got.Scope)
		require.Equal(t, got.Scope, claimsOf(t, got.AccessToken)["scope"])
	}
	require.Equal(t, requests+1, a.provider.Requests(oidctest.TokenPath))
}

// However a client asks, a used-up token stays one.
func TestAReplayThatAsksForTooMuchIsAReplay(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	first := a.signIn("alice")
	second := a.tokens(a.refresh(first.RefreshToken))
	third := a.tokens(a.refresh(second.RefreshToken))
	requireError(t, a.refresh(first.RefreshToken, "scope", "admin"), http.StatusBadRequest, "invalid_grant")
	require.Equal(t, []string{core.ReasonReplayed}, a.log.ends())
	requireError(t, a.refresh(third.RefreshToken, "scope", "admin"), http.StatusBadRequest, "invalid_grant")
}

// RFC 8707 2.2: the first token of a login may be for less already.
func TestALoginNarrowsTheAudienceOfItsFirstToken(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(func(b *core.Broker) { b.Audience, b.PeerAudiences = "orders", []string{"stock"} }))
	for name, login := range map[string]func(fields ...string) answer{
		"a sealed state": func(fields ...string) answer {
			code, state := a.authorize(browser(), "alice", "redirect_uri", native)
			return a.post(browser(), tokenRoute, append(fields, "code", code, "redirect_uri", native, "code_verifier", state)...)
		},
		"the client's own PKCE": func(fields ...string) answer {
			verifier := strings.Repeat("v", 43)
			code, _ := a.authorize(browser(), "alice", "redirect_uri", native, "state", "s", "code_challenge", challengeOf(verifier), "code_challenge_method", "S256")
			return a.post(browser(), tokenRoute, append(fields, "code", code, "redirect_uri", native, "code_verifier", verifier)...)
		},
		"a device": func(fields ...string) answer {
			got := a.post(browser(), "/auth/v2/device")
			a.provider.Device(t, got.json["user_code"].(string), "alice", true)
			return a.post(browser(), tokenRoute, append(fields, "device_code", got.json["device_code"].(string))...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := a.tokens(login("resource", "stock"))
			require.Equal(t, "stock", claimsOf(t, got.AccessToken)["aud"])
			require.Error(t, a.verify(got.AccessToken))
			next := a.tokens(a.refresh(got.RefreshToken))
			require.Equal(t, []any{"orders", "stock"}, claimsOf(t, next.AccessToken)["aud"], "the session is for all")

			asked := a.provider.Requests(oidctest.TokenPath)
			requireError(t, login("resource", "billing"), http.StatusBadRequest, "invalid_target")
			require.Equal(t, asked, a.provider.Requests(oidctest.TokenPath), "the code is not used up")
		})
	}
}

func TestTokenExchangeNarrowsTheAudience(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(exchanging, func(b *core.Broker) { b.Audience, b.PeerAudiences = "orders", []string{"stock"} }))
	for name, row := range map[string]struct {
		fields []string
		want   any // nil: invalid_target
	}{
		"none":                          {nil, []any{"orders", "stock"}},
		"one":                           {[]string{"audience", "stock"}, "stock"},
		"both":                          {[]string{"audience", "stock", "audience", "orders"}, []any{"stock", "orders"}},
		"one twice":                     {[]string{"audience", "stock", "audience", "stock"}, "stock"},
		"a resource":                    {[]string{"resource", "orders"}, "orders"},
		"a resource and an audience":    {[]string{"resource", "orders", "audience", "stock"}, []any{"stock", "orders"}},
		"the same as resource":          {[]string{"resource", "orders", "audience", "orders"}, "orders"},
		"without a value":               {[]string{"audience", "", "resource", ""}, []any{"orders", "stock"}},
		"without a value, and one":      {[]string{"audience", "", "audience", "stock"}, "stock"},
		"another":                       {[]string{"audience", "billing"}, nil},
		"one of ours and another":       {[]string{"audience", "orders", "audience", "billing"}, nil},
		"another resource":              {[]string{"resource", "https://billing.example.org"}, nil},
		"ours, and another resource":    {[]string{"audience", "orders", "resource", "https://billing.example.org"}, nil},
		"the issuer, which is not one":  {[]string{"audience", a.api}, nil},
		"ours with a space":             {[]string{"audience", "orders "}, nil},
		"ours in one, as a list":        {[]string{"audience", "orders stock"}, nil},
		"the provider's own, of course": {[]string{"audience", "app"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := a.exchange(a.subjectToken(nil), row.fields...)
			if row.want == nil {
				requireError(t, got, http.StatusBadRequest, "invalid_target")
				return
			}
			require.Equal(t, row.want, claimsOf(t, a.tokens(got).AccessToken)["aud"])
		})
	}
}

func TestTokenExchangeNarrowsTheScope(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(exchanging))
	for name, row := range map[string]struct {
		has    any
		fields []string
		want   string // or an error's code
	}{
		"nothing asked for":               {"openid orders", nil, "openid orders"},
		"less":                            {"openid orders", []string{"scope", "orders"}, "orders"},
		"all, in another order":           {"openid orders", []string{"scope", " orders  openid "}, "orders openid"},
		"without a value":                 {"openid orders", []string{"scope", ""}, "openid orders"},
		"spaces":                          {"openid orders", []string{"scope", "  "}, "openid orders"},
		"more":                            {"openid orders", []string{"scope", "openid admin"}, "invalid_scope"},
		"another":                         {"openid orders", []string{"scope", "admin"}, "invalid_scope"},
		"in another case":                 {"openid orders", []string{"scope", "Orders"}, "invalid_scope"},
		"of a token that has none":        {nil, []string{"scope", "openid"}, "invalid_scope"},
		"nothing, of a token without one": {nil, nil, ""},
		"of a token that has a list":      {[]string{"openid", "orders"}, []string{"scope", "orders"}, "orders"},
		"twice":                           {"openid orders", []string{"scope", "openid", "scope", "orders"}, "invalid_request"},
		"no text":                         {"openid orders", []string{"scope", "orders\x00"}, "invalid_request"},
		"too long":                        {"openid orders", []string{"scope", strings.Repeat("orders ", 300)}, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			got := a.exchange(a.subjectToken(map[string]any{"scope": row.has}), row.fields...)
			if strings.HasPrefix(row.want, "invalid") {
				requireError(t, got, http.StatusBadRequest, row.want)
				return
			}
			body := a.tokens(got)
			require.Equal(t, row.want, body.Scope)
			require.Equal(t, row.want, claimsOf(t, body.AccessToken)["scope"])
		})
	}
}
