package core_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestGuardsTellMissingInvalidAndValidTokensApart(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	a.guarded("/required", a.auth.Required())
	a.guarded("/optional", a.auth.Optional())
	a.guarded("/strict", a.auth.Optional(core.RefuseBadTokens))
	valid := a.provider.AccessToken(t, "alice")
	bad := valid[:len(valid)-6] + "AAAAAA"
	a.log.keep(valid, bad)

	for name, row := range map[string]struct {
		headers                    []string
		required, optional, strict string // a body, or an error's code
	}{
		"none":               {nil, "missing_token", "anonymous", "anonymous"},
		"another scheme":     {[]string{"Authorization: Basic YTpi"}, "missing_token", "anonymous", "anonymous"},
		"Bearer alone":       {[]string{"Authorization: Bearer"}, "missing_token", "anonymous", "anonymous"},
		"Bearer and spaces":  {[]string{"Authorization: Bearer   "}, "missing_token", "anonymous", "anonymous"},
		"valid":              {[]string{bearer(valid)}, "user-alice", "user-alice", "user-alice"},
		"valid, in any case": {[]string{"Authorization: bEARER  " + valid}, "user-alice", "user-alice", "user-alice"},
		"bad":                {[]string{bearer(bad)}, "invalid_token", "anonymous", "invalid_token"},
		"garbage":            {[]string{bearer("garbage")}, "invalid_token", "anonymous", "invalid_token"},
		"too long":           {[]string{bearer(strings.Repeat("a", 16<<10+1))}, "invalid_token", "anonymous", "invalid_token"},
		"twice":              {[]string{bearer(valid), bearer(valid)}, "invalid_request", "anonymous", "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			for path, want := range map[string]string{"/required": row.required, "/optional": row.optional, "/strict": row.strict} {
				got := a.get(browser(), path, row.headers...)
				status, challenge := http.StatusOK, ""
				switch want {
				case "missing_token":
					status, challenge = http.StatusUnauthorized, `Bearer realm="`+a.api+`"`
				case "invalid_token":
					status, challenge = http.StatusUnauthorized, `Bearer realm="`+a.api+`", error="invalid_token", error_description="`
				case "invalid_request":
					status, challenge = http.StatusBadRequest, `Bearer realm="`+a.api+`", error="invalid_request", error_description="`
				default:
					require.Equal(t, want, got.body)
					continue
				}
				requireError(t, got, status, want)
				require.True(t, strings.HasPrefix(got.Header.Get("WWW-Authenticate"), challenge), got.Header)
				if want == "missing_token" {
					require.Equal(t, challenge, got.Header.Get("WWW-Authenticate"), "no error in the header")
				}
			}
		})
	}
	t.Run("a token in the query is none", func(t *testing.T) {
		requireError(t, a.get(browser(), "/required?access_token="+valid), http.StatusUnauthorized, "missing_token")
	})
}

// What makes an access token valid, each thing broken by itself. Every token is
// signed by the provider's own key.
func TestGuardChecksOfAnAccessToken(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	a.guarded("/required", a.auth.Required())
	now := a.clock.Now()
	in := func(d time.Duration) int64 { return now.Add(d).Unix() }
	header := func(name string, value any) map[string]any { return map[string]any{name: value} }
	claim := header
	for name, row := range map[string]struct {
		header, claims map[string]any
		valid          bool
	}{
		"as the provider makes it":        {nil, nil, true},
		"typ at+jwt":                      {header("typ", "at+jwt"), nil, true},
		"typ application/at+JWT":          {header("typ", "application/at+JWT"), nil, true},
		"typ absent":                      {header("typ", nil), nil, true},
		"typ of a logout token":           {header("typ", "logout+jwt"), nil, false},
		"typ of an ID token":              {header("typ", "id_token+jwt"), nil, false},
		"typ no string":                   {header("typ", 1), nil, false},
		"crit":                            {header("crit", []string{"exp"}), nil, false},
		"crit unknown":                    {header("crit", []string{"x"}), header("x", 1), false},
		"b64":                             {header("b64", false), nil, false},
		"kid of nobody":                   {header("kid", "../../keys"), nil, false},
		"kid absent, one key fits":        {header("kid", nil), nil, true},
		"jwk of its own is not looked at": {header("jwk", map[string]any{"kty": "RSA"}), nil, true},
		"iss another":                     {nil, claim("iss", "https://evil.example.org"), false},
		"iss with a slash":                {nil, claim("iss", provider.Issuer+"/"), false},
		"iss absent":                      {nil, claim("iss", nil), false},
		"iss a list":                      {nil, claim("iss", []string{provider.Issuer}), false},
		"exp absent":                      {nil, claim("exp", nil), false},
		"exp a string":                    {nil, claim("exp", fmt.Sprint(in(time.Hour))), false},
		"exp negative":                    {nil, claim("exp", -1), false},
		"exp of the year 10000":           {nil, claim("exp", 253402300800), false},
		"exp in another case":             {nil, map[string]any{"exp": nil, "Exp": in(time.Hour)}, false},
		"nbf negative":                    {nil, claim("nbf", -1), false},
		"iat negative":                    {nil, claim("iat", -1), false},
		"exp with a fraction":             {nil, claim("exp", float64(in(time.Hour))+0.5), true},
		"exp 29 s ago":                    {nil, claim("exp", in(-29*time.Second)), true},
		"exp 31 s ago":                    {nil, claim("exp", in(-31*time.Second)), false},
		"nbf in 29 s":                     {nil, claim("nbf", in(29*time.Second)), true},
		"nbf in 32 s":                     {nil, claim("nbf", in(32*time.Second)), false},
		"nbf a list":                      {nil, claim("nbf", []int{1}), false},
		"iat in 29 s":                     {nil, claim("iat", in(29*time.Second)), true},
		"iat in 32 s":                     {nil, claim("iat", in(32*time.Second)), false},
		"iat absent":                      {nil, claim("iat", nil), true},
		"an ID token by typ":              {nil, claim("typ", "ID"), false},
		"an ID token by at_hash":          {nil, claim("at_hash", "x"), false},
		"an ID token by c_hash":           {nil, claim("c_hash", "x"), false},
		"an ID token by its nonce":        {nil, map[string]any{"nonce": "n", "scope": nil, "typ": nil}, false},
		"a nonce beside a scope":          {nil, claim("nonce", "n"), true},
		"a nonce beside scp":              {nil, map[string]any{"nonce": "n", "scope": nil, "typ": nil, "scp": []string{"a"}}, true},
		"a nonce beside typ Bearer":       {nil, map[string]any{"nonce": "n", "scope": nil, "typ": "Bearer"}, true},
		"a logout token":                  {nil, claim("events", map[string]any{}), false},
		"aud another, azp nobody's":       {nil, map[string]any{"aud": "somebody", "client_id": nil, "azp": nil}, false},
		"aud a list with us":              {nil, claim("aud", []string{"somebody", "app"}), true},
		"aud a number":                    {nil, claim("aud", 1), false},
		"aud a list with a number":        {nil, claim("aud", []any{"app", 1}), false},
		"aud absent, azp ours":            {nil, map[string]any{"aud": nil, "azp": "app", "client_id": nil}, true},
		"aud absent, client_id ours":      {nil, map[string]any{"aud": nil, "azp": nil, "client_id": "app"}, true},
		"aud absent, nobody's":            {nil, map[string]any{"aud": nil, "azp": nil, "client_id": nil}, false},
		"aud absent, another's":           {nil, map[string]any{"aud": nil, "azp": "other", "client_id": nil}, false},
		"aud account, azp ours":           {nil, map[string]any{"aud": "account", "azp": "app"}, true},
		"aud others, azp ours (Keycloak)": {nil, map[string]any{"aud": []string{"other", "account"}, "azp": "app", "client_id": nil}, true},
		"aud others, client_id ours":      {nil, map[string]any{"aud": []string{"other", "account"}, "azp": nil, "client_id": "app"}, true},
		"aud others, azp another":         {nil, map[string]any{"aud": []string{"other", "account"}, "azp": "other", "client_id": nil}, false},
		"aud account, azp another":        {nil, map[string]any{"aud": "account", "azp": "other", "client_id": nil}, false},
		"scope a list":                    {nil, claim("scope", []string{"a", "b"}), true},
		"scope a number":                  {nil, claim("scope", 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			raw := provider.SignedToken(t, row.header, provider.Claims("alice", row.claims))
			got := a.get(browser(), "/required", bearer(raw))
			if row.valid {
				require.Equal(t, http.StatusOK, got.StatusCode, got.body)
			} else {
				requireError(t, got, http.StatusUnauthorized, "invalid_token")
			}
		})
	}
	t.Run("a real ID token", func(t *testing.T) {
		requireError(t, a.get(browser(), "/required", bearer(a.signIn("alice").IDToken)), http.StatusUnauthorized, "invalid_token")
	})
}

func TestGuardTakesATokenInOneSpellingOnly(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	raw := provider.AccessToken(t, "alice")
	parts := strings.Split(raw, ".")
	// The last character of a signature of 256 bytes has four bits to spare.
	alphabet := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, raw[len(raw)-1])
	twin := raw[:len(raw)-1] + string(alphabet[last+1])
	decode := func(s string) string {
		b, err := base64.RawURLEncoding.DecodeString(s)
		require.NoError(t, err)
		return string(b)
	}
	require.Equal(t, decode(parts[2]), decode(strings.Split(twin, ".")[2]), "the twin is the same to a lax decoder")
	claims := decode(parts[1])
	for name, bad := range map[string]string{
		"another last character": twin, "padding": raw + "=", "a line break": raw[:20] + "\n" + raw[20:], "a break at the end": raw + "\r\n",
		"a space in it": raw[:20] + " " + raw[20:], "a space behind": raw + " ", "a dot behind": raw + ".", "a dot before": "." + raw,
		"two parts": parts[0] + "." + parts[1], "no signature": parts[0] + "." + parts[1] + ".", "nothing": "..", "five parts": raw + ".a.b",
		"standard base64": parts[0] + "." + strings.NewReplacer("-", "+", "_", "/").Replace(parts[1]) + "+." + parts[2],
		"signature cut":   raw[:len(raw)-8], "a claim changed": parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(claims, "user-alice", "user-malic", 1))) + "." + parts[2],
		"JSON serialization": `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`,
		"alg none":           "eyJhbGciOiJub25lIn0." + parts[1] + ".AA",
		"alg None":           base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"None"}`)) + "." + parts[1] + ".AA",
		"alg HS256":          base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + parts[1] + "." + parts[2],
		"alg twice":          base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","alg":"none"}`)) + "." + parts[1] + "." + parts[2],
		"alg of another":     base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS384"}`)) + "." + parts[1] + "." + parts[2],
		"header a list":      base64.RawURLEncoding.EncodeToString([]byte(`["RS256"]`)) + "." + parts[1] + "." + parts[2],
		"header null":        base64.RawURLEncoding.EncodeToString([]byte(`null`)) + "." + parts[1] + "." + parts[2],
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, a.verify(bad), core.ErrInvalidToken)
		})
	}
	require.NoError(t, a.verify(raw))
}

func TestLeewayCanBeSwitchedOff(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, func(c *core.Config) { c.Leeway = -1 })
	for _, row := range []struct {
		exp   time.Duration
		valid bool
	}{{2 * time.Second, true}, {-time.Second, false}} {
		raw := provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"exp": a.clock.Now().Add(row.exp).Unix(), "iat": nil, "nbf": nil}))
		_, err := a.auth.Verify(t.Context(), raw)
		require.Equal(t, row.valid, err == nil, "%v: %v", row.exp, err)
	}
}

// On fasthttp the header is a view of a buffer that the next request reuses.
func TestGuardKeepsNoStringOfTheRequest(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	guard := a.auth.Required()
	buffer := []byte("Bearer " + a.provider.AccessToken(t, "alice"))
	token, err := guard.Check(t.Context(), core.Request{Authorization: []string{unsafe.String(&buffer[0], len(buffer))}})
	require.NoError(t, err)
	_, err = guard.Check(t.Context(), core.Request{Authorization: []string{unsafe.String(&buffer[0], len(buffer)-1)}})
	for i := range buffer {
		buffer[i] = 'x'
	}
	require.Equal(t, "user-alice", token.Subject())
	require.Equal(t, "alice", token.Username())
	require.Equal(t, a.provider.Issuer, token.Issuer())
	require.Equal(t, []string{"openid", "profile", "email"}, token.Scopes())
	require.NotContains(t, err.Error(), "xxxx")
	var claims map[string]any
	require.NoError(t, token.Decode(&claims))
	require.Equal(t, "user-alice", claims["sub"])
}

func TestGuardsObserveWhatTheyRefuse(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	guard := a.auth.Required(core.AnyRole("admin"))
	serve(guard)
	require.Empty(t, a.log.events, "a missing token is no event")
	serve(guard, bearer(a.provider.AccessToken(t, "alice")))
	require.Empty(t, a.log.events, "a valid token is no event")

	serve(guard, bearer("garbage"))
	event := a.log.last(t)
	require.Equal(t, core.EventToken, event.Kind)
	require.ErrorIs(t, event.Error, core.ErrInvalidToken)
	require.Equal(t, a.provider.Issuer, event.Issuer)
	require.Equal(t, a.clock.Now(), event.Time)

	serve(guard, bearer(a.provider.AccessToken(t, "bob")))
	event = a.log.last(t)
	require.ErrorIs(t, event.Error, core.ErrInsufficientClaims)
	require.Equal(t, "user-bob", event.Subject)

	a.provider.Down(true)
	events := len(a.log.events)
	a.clock.Add(25 * time.Hour)
	serve(guard, bearer(a.provider.SignedToken(t, nil, a.provider.Claims("alice", map[string]any{"exp": a.clock.Now().Add(time.Hour).Unix()}))))
	require.Len(t, a.log.events, events, "an outage is no event")
}

func TestGuardsShareNoConstraints(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), func(c *core.Config) {
		c.Require = append(make([]core.Constraint, 0, 8), core.Scopes("openid"))
	})
	first, second := a.auth.Required(core.AnyRole("admin")), a.auth.Required(core.AnyRole("user"))
	bob := bearer(a.provider.AccessToken(t, "bob"))
	require.Equal(t, http.StatusForbidden, serve(first, bob).StatusCode)
	require.Equal(t, http.StatusOK, serve(second, bob).StatusCode)
}

func TestAProviderThatSignsWithES256(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{SigningAlgorithm: "ES256"}))
	require.Equal(t, http.StatusOK, serve(a.auth.Required(), bearer(a.signIn("alice").AccessToken)).StatusCode)
}
