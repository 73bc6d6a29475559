package core_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// What an issuer may sign, and what none should: each token here has the valid
// signature of the issuer's own key, and one thing that is odd.

func TestHeadersOfATokenAreReadStrictly(t *testing.T) {
	x := newTarget(t, "EdDSA")
	member := func(json string) string { return x.header(json) }
	without := func(kid string) string { return `{"alg":"EdDSA","kid":` + kid + `}` }
	for name, row := range map[string]struct {
		header string
		valid  bool
	}{
		"as it should be":                {x.header(), true},
		"members that nobody knows":      {member(`"x":{"y":[1,null]},"cty":"application/json"`), true},
		"a key that is not looked at":    {member(`"jwk":{"kty":"oct","k":"AA"},"jku":"http://127.0.0.1:1","x5u":1,"x5c":null`), true},
		"spaces inside":                  {`{ "alg" : "EdDSA" }`, true},
		"alg, escaped":                   {`{"\u0061lg":"Ed\u0044SA"}`, true},
		"crit of nothing":                {member(`"crit":[]`), false},
		"crit null":                      {member(`"crit":null`), false},
		"crit of a known member":         {member(`"crit":["exp"],"exp":1`), false},
		"crit of b64":                    {member(`"crit":["b64"],"b64":false`), false},
		"crit of alg":                    {member(`"crit":["alg"]`), false},
		"crit unknown":                   {member(`"crit":["http://example.org/x"],"http://example.org/x":true`), false},
		"crit a string":                  {member(`"crit":"exp"`), false},
		"crit, escaped":                  {member(`"\u0063rit":["exp"]`), false},
		"crit an empty string":           {member(`"crit":""`), false},
		"crit false":                     {member(`"crit":false`), false},
		"b64 false":                      {member(`"b64":false`), false},
		"b64 true":                       {member(`"b64":true`), false},
		"b64 null":                       {member(`"b64":null`), false},
		"kid null":                       {without(`null`), true},
		"kid a number":                   {without(`1`), false},
		"kid a list":                     {without(`["` + x.kid + `"]`), false},
		"kid an object":                  {without(`{}`), false},
		"kid twice":                      {member(`"kid":"` + x.kid + `"`), false},
		"kid twice, once escaped":        {member(`"\u006bid":"x"`), false},
		"alg twice":                      {member(`"alg":"none"`), false},
		"alg twice, once escaped":        {member(`"\u0061lg":"none"`), false},
		"alg in another case besides":    {member(`"ALG":"none","Alg":"none"`), true},
		"a nested member twice":          {member(`"x":{"a":1,"a":2}`), false},
		"typ in another case":            {member(`"typ":"JwT"`), true},
		"typ of an ID token":             {member(`"typ":"id_token+jwt"`), false},
		"typ of a logout token":          {member(`"typ":"logout+jwt"`), false},
		"typ of an introspection":        {member(`"typ":"token-introspection+jwt"`), false},
		"typ of that, as a media type":   {member(`"typ":"application/Token-Introspection+JWT"`), false},
		"typ of a security event":        {member(`"typ":"secevent+jwt"`), false},
		"typ of a DPoP proof":            {member(`"typ":"dpop+jwt"`), false},
		"typ of an authorization":        {member(`"typ":"oauth-authz-req+jwt"`), false},
		"typ of a client's assertion":    {member(`"typ":"client-authentication+jwt"`), false},
		"typ JOSE":                       {member(`"typ":"JOSE"`), false},
		"typ with a space":               {member(`"typ":"at+jwt "`), false},
		"typ with a parameter":           {member(`"typ":"at+jwt;x=y"`), false},
		"typ of look-alikes":             {member(`"typ":"ıd+jwt"`), false},
		"typ a list":                     {member(`"typ":["at+jwt"]`), false},
		"typ twice":                      {member(`"typ":"at+jwt","typ":"JWT"`), false},
		"a byte order mark":              {"\ufeff" + x.header(), false},
		"a space in front":               {" " + x.header(), false},
		"another object behind":          {x.header() + "{}", false},
		"a brace behind":                 {x.header() + "}", false},
		"a comma at the end":             {strings.TrimSuffix(x.header(), "}") + ",}", false},
		"a comment":                      {"/**/" + x.header(), false},
		"single quotes":                  {strings.ReplaceAll(x.header(), `"`, `'`), false},
		"a NUL in a string":              {member("\"x\":\"\x00\""), false},
		"a NUL behind":                   {x.header() + "\x00", false},
		"invalid UTF-8":                  {member("\"x\":\"\xff\""), false},
		"an overlong encoding":           {strings.Replace(x.header(), `"alg"`, "\"\xc1\xa1lg\"", 1), false},
		"half a surrogate pair":          {member(`"x":"\ud800"`), false},
		"UTF-16":                         {"\xff\xfe{\x00}\x00", false},
		"a list":                         {`[` + x.header() + `]`, false},
		"a string":                       {`"EdDSA"`, false},
		"null":                           {`null`, false},
		"nothing but a brace":            {`{`, false},
		"as deep as fits":                {member(`"x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000)), true},
		"deeper than JSON goes":          {member(`"x":` + strings.Repeat("[", 11000)), false},
		"deep objects":                   {member(`"x":` + strings.Repeat(`{"":`, 1500) + "1" + strings.Repeat("}", 1500)), true},
		"deep objects that do not end":   {member(`"x":` + strings.Repeat(`{"":`, 2000)), false},
		"two thousand of a name":         {member(strings.TrimSuffix(strings.Repeat(`"":0,`, 2000), ",")), false},
		"a header that is a valid token": {x.valid(), false},
	} {
		t.Run(name, func(t *testing.T) {
			raw := x.token(t, row.header, x.claims(nil))
			if row.valid {
				x.requireAccepted(t, raw)
			} else {
				x.requireRefused(t, raw)
			}
		})
	}
}

// A kid is a name to compare with and nothing else: none is a path, a query or a
// URL. Whatever it is, it is worth one fetch of the keys in a while.
func TestKidsOfStrangersAreNamesAndNothingElse(t *testing.T) {
	x := newTarget(t, "EdDSA")
	asked := x.provider.Requests("")
	for _, kid := range []string{
		"unknown", "../../../../dev/null", "/dev/null", "file:///dev/null", "http://127.0.0.1:1/key", `' OR '1'='1`, `'; DROP TABLE keys; --`, `" UNION SELECT 'key`,
		"$(id)", "%00", "\x00", x.kid + "\x00", " " + x.kid, x.kid + " ", strings.ToUpper(x.kid), x.kid[:len(x.kid)-1], x.kid + "x", "*", "%", "_", ".*",
		"\u202e" + x.kid, "kid\r\nX-Injected: 1", "${jndi:ldap://127.0.0.1:1/a}", "<script>alert(1)</script>", strings.Repeat("k", 10_000),
	} {
		header, err := json.Marshal(map[string]any{"alg": "EdDSA", "kid": kid})
		require.NoError(t, err)
		raw := x.token(t, string(header), x.claims(nil))
		got := serve(x.guard, bearer(raw))
		requireError(t, got, 401, "invalid_token")
		if len(kid) > 8 {
			x.log.keep(kid)
			require.NotContains(t, got.body+got.Header.Get("WWW-Authenticate"), kid)
		}
	}
	require.Equal(t, 1, x.provider.Requests("")-asked)
	x.requireAccepted(t, x.valid())
}

func TestClaimsOfATokenAreReadStrictly(t *testing.T) {
	x := newTarget(t, "EdDSA")
	claims := func(change map[string]any) string { return x.claims(change) }
	type set = map[string]any
	// more puts members behind those of a valid payload, as they are.
	more := func(members string) string { return strings.TrimSuffix(claims(nil), "}") + "," + members + "}" }
	rows := map[string]struct {
		payload string
		valid   bool
	}{
		"as it should be":              {claims(nil), true},
		"spaces around":                {" \t\r\n" + claims(nil) + "\n", true},
		"a claim in another case":      {more(`"ISS":"https://evil.example.org","Exp":1,"AUD":"x"`), true},
		"iss in another case alone":    {claims(set{"iss": nil, "Iss": x.provider.Issuer}), false},
		"sub, escaped":                 {claims(set{"sub": nil})[:1] + `"\u0073ub":"user-alice",` + claims(set{"sub": nil})[1:], true},
		"iss twice":                    {more(`"iss":"` + x.provider.Issuer + `"`), false},
		"iss twice, once escaped":      {more(`"\u0069ss":"` + x.provider.Issuer + `"`), false},
		"sub twice":                    {more(`"sub":"user-bob"`), false},
		"exp twice":                    {more(`"exp":4102444800`), false},
		"aud twice, once escaped":      {more(`"a\u0075d":"x"`), false},
		"scope twice":                  {more(`"scope":"admin"`), false},
		"an unknown claim twice":       {more(`"x":1,"x":1`), false},
		"a nested claim twice":         {more(`"realm_access":{"roles":["a"],"roles":["admin"]}`), false},
		"a deeply nested claim twice":  {more(`"x":[[{"y":{"z":1,"\u007a":2}}]]`), false},
		"a byte order mark":            {"\ufeff" + claims(nil), false},
		"another object behind":        {claims(nil) + claims(nil), false},
		"a letter behind":              {claims(nil) + "x", false},
		"a NUL behind":                 {claims(nil) + "\x00", false},
		"a comma at the end":           {strings.TrimSuffix(claims(nil), "}") + ",}", false},
		"a NUL in a name":              {more("\"x\x00\":1"), false},
		"an escaped NUL":               {more(`"x\u0000":"\u0000"`), true},
		"iss with an escaped NUL":      {claims(set{"iss": x.provider.Issuer + "\x00"}), false},
		"invalid UTF-8":                {more("\"x\":\"\xc3\x28\""), false},
		"half a surrogate pair":        {more(`"x":"\udc00"`), false},
		"NaN":                          {more(`"x":NaN`), false},
		"a list":                       {`[` + claims(nil) + `]`, false},
		"a string":                     {`"x"`, false},
		"null":                         {`null`, false},
		"a number":                     {`1`, false},
		"nothing":                      {`{}`, false},
		"a token":                      {x.valid(), false},
		"as deep as fits":              {more(`"x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000)), true},
		"deeper than JSON goes":        {more(`"x":` + strings.Repeat("[", 11000)), false},
		"deep objects that do not end": {more(`"x":` + strings.Repeat(`{"":`, 2000)), false},

		"an ID token by typ":                   {claims(set{"typ": "ID"}), false},
		"an ID token by at_hash":               {claims(set{"at_hash": "x"}), false},
		"an ID token by an empty at_hash":      {claims(set{"at_hash": ""}), false},
		"an ID token by c_hash":                {claims(set{"c_hash": "x"}), false},
		"an ID token by its nonce":             {claims(set{"nonce": "x", "scope": nil}), false},
		"a logout token":                       {claims(set{"events": set{"http://schemas.openid.net/event/backchannel-logout": set{}}, "sid": "s"}), false},
		"claims that are null":                 {claims(set{"nbf": json.RawMessage("null"), "iat": json.RawMessage("null"), "nonce": json.RawMessage("null"), "events": json.RawMessage("null"), "cnf": json.RawMessage("null"), "typ": json.RawMessage("null"), "azp": json.RawMessage("null"), "scp": json.RawMessage("null")}), true},
		"an introspection answer":              {claims(set{"exp": nil, "sub": nil, "token_introspection": set{"active": true, "sub": "user-alice", "exp": 4102444800}}), false},
		"an introspection answer that expires": {claims(set{"sub": nil, "scope": nil, "token_introspection": set{"active": true, "sub": "user-alice"}}), false},
		"an authorization answer (JARM)":       {claims(set{"sub": nil, "scope": nil, "nbf": nil, "iat": nil, "code": "x", "state": "y"}), false},
		"a userinfo answer":                    {claims(set{"exp": nil, "iat": nil, "nbf": nil}), false},
	}
	for name, values := range map[string][]any{
		"iss": {json.RawMessage("null"), "", 1, true, []string{x.provider.Issuer}, set{"iss": x.provider.Issuer}, x.provider.Issuer + "/", strings.ToUpper(x.provider.Issuer), " " + x.provider.Issuer, x.provider.Issuer + "#", "https://evil.example.org"},
		"sub": {1, 1.5, true, []string{"user-alice"}, set{}, []any{}},
		"aud": {"", "App", "app ", " app", "app app", 1, true, set{"app": "app"}, []any{}, []any{"app", 1}, []any{"app", set{}}, []any{[]any{"app"}}, []any{1}, []any{""}, "other", []string{"other", "account"}},
		"exp": {"4102444800", true, []int{4102444800}, set{}, json.RawMessage("null"), json.RawMessage("1e400"), json.RawMessage("-1e400"), -1, -4102444800, 0, json.RawMessage("-0"), json.RawMessage("-0.0"), json.RawMessage("1e308"), 253402300800, json.RawMessage("9223372036854775808"), json.RawMessage("18446744073709551616"), json.RawMessage(strings.Repeat("9", 5000)), json.RawMessage("1e-400"), "", "Infinity"},
		"nbf": {"0", true, []int{0}, set{}, -1, json.RawMessage("1e400"), json.RawMessage("-1e-9"), 253402300799, 253402300800, json.RawMessage("1e18")},
		"iat": {"0", false, []int{}, set{}, -1, json.RawMessage("1e400"), json.RawMessage("-1e400"), 253402300799, 253402300800, json.RawMessage("1e300")},
	} {
		for _, value := range values {
			text, err := json.Marshal(value)
			require.NoError(t, err)
			rows[name+" "+string(text[:min(len(text), 40)])] = struct {
				payload string
				valid   bool
			}{claims(set{name: json.RawMessage(text)}), false}
		}
		if name == "iss" || name == "exp" || name == "aud" {
			rows[name+" missing"] = struct {
				payload string
				valid   bool
			}{claims(set{name: nil}), false}
		}
	}
	for name, value := range map[string]string{"exp with an exponent": `"exp":41024448e2`, "exp with a fraction": `"exp":4102444800.999999999`, "the last second of all": `"exp":253402300799`} {
		rows[name] = struct {
			payload string
			valid   bool
		}{strings.TrimSuffix(claims(set{"exp": nil}), "}") + "," + value + "}", true}
	}
	for _, zero := range []string{"0", "-0", "-0.0", "0e5"} {
		for _, name := range []string{"nbf", "iat"} {
			rows[name+" "+zero] = struct {
				payload string
				valid   bool
			}{claims(set{name: json.RawMessage(zero)}), true}
		}
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			raw := x.token(t, x.header(), row.payload)
			if !row.valid {
				x.requireRefused(t, raw)
				return
			}
			token := x.requireAccepted(t, raw)
			require.Equal(t, x.provider.Issuer, token.Issuer())
			require.Equal(t, "user-alice", token.Subject())
			require.Empty(t, token.Roles())
			_ = token.Username() + token.Email() + token.SessionID()
		})
	}
}

// At its edges the leeway is what the contract says, to the nanosecond.
func TestTimesHoldToTheNanosecond(t *testing.T) {
	for _, leeway := range []time.Duration{30 * time.Second, 5 * time.Second, -1} {
		t.Run(fmt.Sprint(leeway), func(t *testing.T) {
			x := newTarget(t, "EdDSA", func(c *core.Config) { c.Leeway = leeway })
			at := x.clock.Now().Add(2 * time.Minute) // and the keys are still fresh
			allowed := max(leeway, 0)
			for claim, edge := range map[string]time.Time{"exp": at.Add(allowed), "nbf": at.Add(-allowed), "iat": at.Add(-allowed)} {
				change := map[string]any{"exp": at.Unix() + 3600, "nbf": nil, "iat": nil}
				change[claim] = at.Unix()
				raw := x.token(t, x.header(), x.claims(change))
				for _, off := range []time.Duration{-time.Second, -1, 0, 1, time.Second} {
					x.clock.Add(edge.Add(off).Sub(x.clock.Now()))
					// exp is over at its time (RFC 7519 4.1.4); the others begin at theirs.
					if valid := off < 0; valid == (claim == "exp") {
						x.requireAccepted(t, raw)
					} else {
						x.requireRefused(t, raw)
					}
				}
			}
		})
	}
	t.Run("of a broker", func(t *testing.T) {
		a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
		raw := a.signIn("alice").AccessToken
		expiry := time.Unix(int64(claimsOf(t, raw)["exp"].(float64)), 0)
		for off, valid := range map[time.Duration]bool{-1: true, 0: false, 1: false} {
			a.clock.Add(expiry.Add(30*time.Second + off).Sub(a.clock.Now()))
			_, err := a.auth.Verify(t.Context(), raw)
			require.Equal(t, valid, err == nil, "%d ns: %v", off, err)
		}
	})
}

// A number may be larger than any float64. It would read as another, and keep a
// check from seeing what comes behind it.
func TestATokenWithANumberThatIsTooLargeIsRefused(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	for number, valid := range map[string]bool{
		"1": true, "-1.5": true, "1e3": true, "1E+3": true, "1e308": true, "1e-400": true, "0." + strings.Repeat("3", 1000): true, strings.Repeat("9", 308): true,
		`"1e400"`: true, `"a,1e400"`: true, `"x:1e400"`: true,
		"1e400": false, "-1e400": false, "1E+400": false, " \t1e400": false, "0.1e9999": false, strings.Repeat("9", 310): false, "1" + strings.Repeat("0", 5000): false,
	} {
		for _, place := range []string{"%s", "[%s]", "[1, %s]", `{"b":%s}`, `{"b":[{"c":[[ %s]]}]}`} {
			value := json.RawMessage(fmt.Sprintf(place, number))
			// Claims are sorted: in front of all others, and behind. The last two are
			// read, and not needed.
			for _, name := range []string{"a", "z", "client_id", "auth_time"} {
				_, err := a.auth.Verify(t.Context(), provider.SignedToken(t, nil, provider.Claims("bob", map[string]any{name: value})))
				if valid {
					require.NoError(t, err, "%.40s", value)
				} else {
					require.ErrorIs(t, err, core.ErrInvalidToken, "%.40s", value)
				}
			}
		}
	}
}
