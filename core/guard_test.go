package core_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func bearer(raw string) string { return "Authorization: Bearer " + raw }

func TestGuardsTellMissingBadAndGoodTokensApart(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	a.guarded("/required", a.auth.Required())
	a.guarded("/optional", a.auth.Optional())
	a.guarded("/strict", a.auth.Optional(core.RefuseBadTokens))
	good := a.provider.AccessToken(t, "alice")
	bad := good[:len(good)-6] + "AAAAAA"
	a.log.keep(good, bad)

	for name, row := range map[string]struct {
		headers                    []string
		required, optional, strict string // a body, or an error's code
	}{
		"none":              {nil, "missing_token", "anonymous", "anonymous"},
		"another scheme":    {[]string{"Authorization: Basic YTpi"}, "missing_token", "anonymous", "anonymous"},
		"Bearer alone":      {[]string{"Authorization: Bearer"}, "missing_token", "anonymous", "anonymous"},
		"Bearer and spaces": {[]string{"Authorization: Bearer   "}, "missing_token", "anonymous", "anonymous"},
		"good":              {[]string{bearer(good)}, "user-alice", "user-alice", "user-alice"},
		"good, in any case": {[]string{"Authorization: bEARER  " + good}, "user-alice", "user-alice", "user-alice"},
		"bad":               {[]string{bearer(bad)}, "invalid_token", "anonymous", "invalid_token"},
		"garbage":           {[]string{bearer("garbage")}, "invalid_token", "anonymous", "invalid_token"},
		"too long":          {[]string{bearer(strings.Repeat("a", 16<<10+1))}, "invalid_token", "anonymous", "invalid_token"},
		"twice":             {[]string{bearer(good), bearer(good)}, "invalid_request", "anonymous", "invalid_request"},
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
		requireError(t, a.get(browser(), "/required?access_token="+good), http.StatusUnauthorized, "missing_token")
	})
}

// What makes an access token good, each thing broken by itself. Every token is
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
		good           bool
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
			if row.good {
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
			_, err := a.auth.Verify(t.Context(), bad)
			require.ErrorIs(t, err, core.ErrInvalidToken)
		})
	}
	_, err := a.auth.Verify(t.Context(), raw)
	require.NoError(t, err)
}

func TestLeewayCanBeSwitchedOff(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, func(c *core.Config) { c.Leeway = -1 })
	for _, row := range []struct {
		exp  time.Duration
		good bool
	}{{2 * time.Second, true}, {-time.Second, false}} {
		raw := provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"exp": a.clock.Now().Add(row.exp).Unix(), "iat": nil, "nbf": nil}))
		_, err := a.auth.Verify(t.Context(), raw)
		require.Equal(t, row.good, err == nil, "%v: %v", row.exp, err)
	}
}

func TestConstraintsCopyTheirArguments(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	scopes, roles := []string{"openid"}, []string{"admin"}
	guard := a.auth.Required(core.Scopes(scopes...), core.AnyRole(roles...))
	scopes[0], roles[0] = "changed", "changed"
	require.Equal(t, http.StatusOK, serve(guard, bearer(provider.AccessToken(t, "alice"))).StatusCode)
}

func TestScopesInWhicheverForm(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	for _, claims := range []map[string]any{
		{"scope": "a b"}, {"scope": []string{"a", "b"}}, {"scope": []string{"a b"}}, {"scope": nil, "scp": "a b"}, {"scope": nil, "scp": []string{"a", "b"}}, {"scope": "", "scp": []string{"a", "b"}},
	} {
		token, err := a.auth.Verify(t.Context(), provider.SignedToken(t, nil, provider.Claims("alice", claims)))
		require.NoError(t, err)
		require.Equal(t, []string{"a", "b"}, token.Scopes(), claims)
	}
}

func TestGuardAudiences(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	named := newApp(t, provider, func(c *core.Config) { c.Providers[0].Audiences = []string{"orders", "stock"} })
	anybody := newApp(t, provider, func(c *core.Config) { c.Providers[0].InsecureAcceptAnyAudience = true })
	for _, row := range []struct {
		app  *app
		aud  any
		good bool
	}{
		{named, "orders", true}, {named, []string{"x", "stock"}, true},
		{named, "app", false}, {named, nil, false}, {named, "account", false},
		{anybody, "somebody", true}, {anybody, nil, true},
	} {
		raw := provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"aud": row.aud, "azp": "app"}))
		_, err := row.app.auth.Verify(t.Context(), raw)
		require.Equal(t, row.good, err == nil, "%v: %v", row.aud, err)
	}
}

func TestGuardConstraints(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, func(c *core.Config) { c.Require = []core.Constraint{core.Claim("tenant", "acme")} })
	raw := provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{
		"tenant": "acme", "scope": "orders:read stock:read", "email_verified": true, "level": 3, "ratio": 0.5, "note": "true",
		"realm_access":                   map[string]any{"roles": []string{"chief"}},
		"resource_access":                map[string]any{"a": map[string]any{"roles": []string{"clerk"}}, "app": map[string]any{"roles": []any{"cook", 1}}, "c": "x"},
		"groups":                         []string{"/staff"},
		"roles":                          []string{"poet", ""},
		"https://example.org/department": "physics",
		"mixed":                          []any{1, "two", true, nil},
		"nothing":                        nil,
	}))
	for name, row := range map[string]struct {
		constraints []core.Constraint
		status      int
		missing     string // scopes
	}{
		"nothing more":            {nil, 200, ""},
		"a scope":                 {[]core.Constraint{core.Scopes("orders:read")}, 200, ""},
		"all scopes":              {[]core.Constraint{core.Scopes("orders:read", "stock:read")}, 200, ""},
		"a scope it lacks":        {[]core.Constraint{core.Scopes("orders:read", "orders:write")}, 403, "orders:write"},
		"scopes it lacks":         {[]core.Constraint{core.Scopes("b"), core.AnyRole("nobody"), core.Scopes("a", "b", "stock:read")}, 403, "b a"},
		"part of a scope's name":  {[]core.Constraint{core.Scopes("orders")}, 403, "orders"},
		"a realm role":            {[]core.Constraint{core.AnyRole("x", "chief")}, 200, ""},
		"a role at our client":    {[]core.Constraint{core.AnyRole("cook")}, 200, ""},
		"a role at another":       {[]core.Constraint{core.AnyRole("clerk")}, 403, ""},
		"a group":                 {[]core.Constraint{core.AnyRole("/staff")}, 200, ""},
		"a role":                  {[]core.Constraint{core.AnyRole("poet")}, 200, ""},
		"all roles":               {[]core.Constraint{core.AllRoles("chief", "poet")}, 200, ""},
		"all roles but one":       {[]core.Constraint{core.AllRoles("chief", "admin")}, 403, ""},
		"no scope":                {[]core.Constraint{core.Scopes()}, 200, ""},
		"a role it lacks":         {[]core.Constraint{core.AnyRole("admin", "ops")}, 403, ""},
		"a boolean":               {[]core.Constraint{core.Claim("email_verified", true)}, 200, ""},
		"a boolean, not its text": {[]core.Constraint{core.Claim("note", true)}, 403, ""},
		"a text, not the boolean": {[]core.Constraint{core.Claim("email_verified", "true")}, 403, ""},
		"an integer":              {[]core.Constraint{core.Claim("level", 1, 3)}, 200, ""},
		"a fraction":              {[]core.Constraint{core.Claim("ratio", 0.5)}, 200, ""},
		"a path":                  {[]core.Constraint{core.Claim("realm_access.roles", "chief")}, 200, ""},
		"a longer path":           {[]core.Constraint{core.Claim("resource_access.a.roles", "clerk")}, 200, ""},
		"a path that ends early":  {[]core.Constraint{core.Claim("realm_access.roles.chief", "chief")}, 403, ""},
		"a path to an object":     {[]core.Constraint{core.Claim("realm_access", "chief")}, 403, ""},
		"a claim that is a URL":   {[]core.Constraint{core.Claim("https://example.org/department", "physics")}, 200, ""},
		"a value it has not":      {[]core.Constraint{core.Claim("https://example.org/department", "chemistry")}, 403, ""},
		"a claim it has not":      {[]core.Constraint{core.Claim("department", "physics")}, 403, ""},
		"an unsigned integer":     {[]core.Constraint{core.Claim("level", uint8(3))}, 200, ""},
		"a claim that is null":    {[]core.Constraint{core.Claim("nothing", "")}, 403, ""},
		"one of several values":   {[]core.Constraint{core.Claim("mixed", "three", "two")}, 200, ""},
		"all values of a list":    {[]core.Constraint{core.ClaimAll("mixed", 1, "two", true)}, 200, ""},
		"not all values":          {[]core.Constraint{core.ClaimAll("mixed", 1, "three")}, 403, ""},
		"all of one value":        {[]core.Constraint{core.ClaimAll("level", 3)}, 200, ""},
		"all of one value, twice": {[]core.Constraint{core.ClaimAll("level", 3, 3)}, 200, ""},
		"two of one value":        {[]core.Constraint{core.ClaimAll("level", 3, 4)}, 403, ""},
		"all at a path":           {[]core.Constraint{core.ClaimAll("resource_access.a.roles", "clerk")}, 200, ""},
		"all of a claim it lacks": {[]core.Constraint{core.ClaimAll("department", "physics")}, 403, ""},
		"all of an object":        {[]core.Constraint{core.ClaimAll("realm_access", "chief")}, 403, ""},
		"a value in a list":       {[]core.Constraint{core.Claim("mixed", "two")}, 200, ""},
		"all of several":          {[]core.Constraint{core.Claim("level", 3), core.AnyRole("poet"), core.Scopes("stock:read")}, 200, ""},
		"one of several fails":    {[]core.Constraint{core.Claim("level", 3), core.AnyRole("nobody"), core.Scopes("stock:read")}, 403, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := serve(a.auth.Optional(row.constraints...), bearer(raw))
			require.Equal(t, http.StatusOK, got.StatusCode, "as itself or anonymous: %s", got.body)
			strict := append([]core.Constraint{core.RefuseBadTokens}, row.constraints...)
			for _, guard := range []*core.Guard{a.auth.Required(row.constraints...), a.auth.Optional(strict...)} {
				got := serve(guard, bearer(raw))
				switch {
				case row.status == http.StatusOK:
					require.Equal(t, http.StatusOK, got.StatusCode, got.body)
				case row.missing != "":
					requireError(t, got, http.StatusForbidden, "insufficient_scope")
					require.Equal(t, "The token lacks the scope "+row.missing+".", got.json["detail"])
					require.Contains(t, got.Header.Get("WWW-Authenticate"), `Bearer realm="`+a.api+`", error="insufficient_scope", error_description="The token lacks the scope `+row.missing+`.", scope="`)
				default:
					requireError(t, got, http.StatusForbidden, "insufficient_claims")
					require.Contains(t, got.json["detail"], "claims")
					require.Empty(t, got.Header.Get("WWW-Authenticate"))
				}
			}
		})
	}
	t.Run("Config.Require holds everywhere", func(t *testing.T) {
		other := provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"tenant": "evil"}))
		for _, guard := range []*core.Guard{a.auth.Required(), a.auth.Optional(core.RefuseBadTokens)} {
			requireError(t, serve(guard, bearer(other)), http.StatusForbidden, "insufficient_claims")
		}
		requireError(t, a.get(browser(), userinfoRoute, bearer(other)), http.StatusForbidden, "insufficient_claims")
		_, err := a.auth.Verify(t.Context(), other)
		require.NoError(t, err, "Verify applies no constraint")
	})
	t.Run("anonymous visitors have nothing to satisfy", func(t *testing.T) {
		require.Equal(t, http.StatusOK, serve(a.auth.Optional(core.Scopes("x"))).StatusCode)
	})
}

// serve sends one request through a guard.
func serve(guard *core.Guard, headers ...string) answer {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	return newAnswer(w)
}

func TestMalformedConstraintsPanicAtStart(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	for name, c := range map[string]core.Constraint{
		"the zero value": {}, "an empty scope": core.Scopes(""), "two scopes in one": core.Scopes("a b"),
		"no role": core.AnyRole(), "none of all roles": core.AllRoles(), "an empty one of all roles": core.AllRoles("a", ""), "an empty role": core.AnyRole(""), "no path": core.Claim("", 1), "no value": core.Claim("a"), "none of all": core.ClaimAll("a"), "nil among all": core.ClaimAll("a", 1, nil),
		"a number that has neighbours": core.Claim("a", int64(1)<<53), "a large fraction": core.Claim("a", float64(1<<53)), "a large unsigned number": core.Claim("a", uint64(1)<<63),
		"a list as value": core.Claim("a", []string{"x"}), "nil as value": core.Claim("a", nil),
	} {
		require.Panics(t, func() { a.auth.Required(c) }, name)
		require.Panics(t, func() { a.auth.Optional(c) }, name)
	}
	require.PanicsWithValue(t, "oidcgate: core.RefuseBadTokens is for Optional: Required always refuses them", func() { a.auth.Required(core.RefuseBadTokens) })
	require.NotPanics(t, func() { a.auth.Required(core.Scopes()) }, "a list of scopes that is empty demands nothing")
}

func TestTokenTellsWhatItHolds(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	exp := a.clock.Now().Add(time.Hour).Truncate(time.Second)
	raw := provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"exp": exp.Unix(), "sid": "s1", "scp": []string{"c"}, "scope": "a b", "groups": []string{"z", "y"}, "realm_access": map[string]any{"roles": []string{"y"}}, "department": "x", "azp": "p"}))
	token, err := a.auth.Verify(t.Context(), raw)
	require.NoError(t, err)
	require.True(t, token.Valid())
	require.Equal(t, provider.Issuer, token.Issuer())
	require.Equal(t, "user-alice", token.Subject())
	require.Equal(t, "alice", token.Username())
	require.Equal(t, "alice@example.com", token.Email())
	require.Equal(t, "app", token.ClientID())
	require.Equal(t, "s1", token.SessionID())
	require.True(t, exp.Equal(token.Expiry()))
	require.Equal(t, []string{"a", "b"}, token.Scopes())
	require.Equal(t, []string{"y", "z"}, token.Roles())
	require.True(t, token.HasScope("a") && token.HasRole("z") && !token.HasScope("c") && !token.HasRole("a"))

	type person struct {
		Department string `json:"department"`
	}
	claims, err := core.ClaimsFrom[person](core.WithToken(t.Context(), token))
	require.NoError(t, err)
	require.Equal(t, person{"x"}, claims)
	_, err = core.ClaimsFrom[map[string]int](core.WithToken(t.Context(), token))
	require.Error(t, err)

	t.Run("it can't be changed through what it gives", func(t *testing.T) {
		token.Scopes()[0], token.Roles()[0] = "admin", "admin"
		require.False(t, token.HasScope("admin") || token.HasRole("admin"))
	})
	t.Run("printing it shows no claim but who it is", func(t *testing.T) {
		var out strings.Builder
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "token", token)
		fmt.Fprintf(&out, "%v %+v %#v %s", token, token, token, token)
		require.Contains(t, out.String(), "user-alice")
		require.NotContains(t, out.String(), "department")
		require.NotContains(t, out.String(), "alice@example.com")
	})
	t.Run("the zero token is nobody's", func(t *testing.T) {
		zero := core.TokenFrom(t.Context())
		require.False(t, zero.Valid())
		require.Empty(t, zero.Issuer()+zero.Subject()+zero.Username()+zero.Email()+zero.ClientID()+zero.SessionID())
		require.True(t, zero.Expiry().IsZero())
		require.Empty(t, zero.Scopes())
		require.Empty(t, zero.Roles())
		require.False(t, zero.HasScope("") || zero.HasRole(""))
		require.ErrorIs(t, zero.Decode(&struct{}{}), core.ErrMissingToken)
		require.Equal(t, "anonymous", zero.String())
	})
}

func TestWriteErrorAnswersWithTheSentinels(t *testing.T) {
	w := httptest.NewRecorder()
	core.WriteError(w, core.ErrInvalidToken)
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.Equal(t, `Bearer realm="oidcgate", error="invalid_token", error_description="The token is not good."`, w.Header().Get("WWW-Authenticate"))
	for _, err := range []error{nil, (*core.Error)(nil), &core.Error{Code: "x"}} {
		w := httptest.NewRecorder()
		core.WriteError(w, err)
		require.Equal(t, http.StatusInternalServerError, w.Code)
	}
}

func TestWriteErrorTellsNothingAboutForeignErrors(t *testing.T) {
	w := httptest.NewRecorder()
	core.WriteError(w, fmt.Errorf("wrapped: %w", core.ErrNotFound))
	require.Equal(t, http.StatusNotFound, w.Code)
	w = httptest.NewRecorder()
	core.WriteError(w, io.ErrUnexpectedEOF)
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Equal(t, `{"error":"server_error","error_description":"Something went wrong on the server.","detail":"Something went wrong on the server."}`+"\n", w.Body.String())
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
