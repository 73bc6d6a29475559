package claim

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const noObject = "the claims are not a JSON object, or a claim occurs twice"

func TestClaimsAreDecodedStrictly(t *testing.T) {
	long := strings.Repeat("n", 65)
	for payload, reason := range map[string]string{
		`{}`:                                 "",
		` { "sub" : "u1" , "a" : [1, {}] } `: "",

		``:                                noObject,
		`null`:                            noObject,
		`[]`:                              noObject,
		`"sub"`:                           noObject,
		`{`:                               noObject,
		`{"sub":`:                         noObject,
		`{"sub":"u1"`:                     noObject,
		`{"sub":"u1"} {}`:                 noObject,
		`{"aud":["a"`:                     noObject,
		`{"aud":[`:                        noObject,
		`{"a":`:                           noObject,
		`{"client_id":`:                   noObject,
		`{"auth_time":`:                   noObject,
		`{"auth_time":1x}`:                noObject,
		`{"exp":`:                         noObject,
		`{"sub":"u1","sub":"u1"}`:         noObject,
		`{"sub":"u1","\u0073ub":"u2"}`:    noObject,
		`{"a":1,"a":1}`:                   noObject,
		`{"a":{"b":1,"b":2}}`:             noObject,
		"{\"sub\":\"\xff\"}":              noObject,
		"{\"\xff\":1}":                    noObject,
		`{"\ud800":1}`:                    noObject,
		`{"a":"\ud800"}`:                  noObject,
		`{"a":01}`:                        noObject,
		`{"iss":1}`:                       "the claim iss is not a string",
		`{"sub":true}`:                    "the claim sub is not a string",
		`{"azp":{}}`:                      "the claim azp is not a string",
		`{"typ":[]}`:                      "the claim typ is not a string",
		`{"token_use":0}`:                 "the claim token_use is not a string",
		`{"nonce":1}`:                     "the claim nonce is not a string",
		`{"at_hash":1}`:                   "the claim at_hash is not a string",
		`{"c_hash":1}`:                    "the claim c_hash is not a string",
		`{"\u0073ub":1}`:                  "the claim sub is not a string",
		`{"aud":1}`:                       "the claim aud is not a string",
		`{"aud":["a",1]}`:                 "the claim aud contains something other than strings",
		`{"aud":[null]}`:                  "the claim aud contains something other than strings",
		`{"scope":1}`:                     "the claim scope is not a string",
		`{"scp":[["a"]]}`:                 "the claim scp contains something other than strings",
		`{"exp":"1"}`:                     "the claim exp is not a number",
		`{"nbf":[]}`:                      "the claim nbf is not a number",
		`{"iat":true}`:                    "the claim iat is not a number",
		`{"exp":-1}`:                      "the claim exp is not a date",
		`{"nbf":1e400}`:                   "the claim nbf is not a date",
		`{"iat":253402300800}`:            "the claim iat is not a date",
		`{"auth_time":1e400}`:             "the claim auth_time contains a number that is too large",
		`{"client_id":1e400}`:             "the claim client_id contains a number that is too large",
		`{"a":1e400}`:                     "the claim a contains a number that is too large",
		`{"a":{"b":[1E999]}}`:             "the claim a contains a number that is too large",
		`{"a/b":1e400}`:                   "the claim a/b contains a number that is too large",
		`{"a\"\n~b":1e400}`:               "the claim a~b contains a number that is too large",
		`{"cnf":1e400}`:                   "the claim cnf contains a number that is too large",
		`{"events":{"a":1e400}}`:          "the claim events contains a number that is too large",
		`{"a":1e308,"b":"1e400"}`:         "",
		`{"` + long[:64] + `":1e400}`:     "the claim " + long[:64] + " contains a number that is too large",
		`{"` + long + `":1e400}`:          "the claim " + long[:64] + " contains a number that is too large",
		`{"a":1` + zeros(308) + `}`:       "",
		`{"a":1` + zeros(309) + `}`:       "the claim a contains a number that is too large",
		`{"a":0.` + zeros(400) + `1}`:     "",
		`{"a":1e-400}`:                    "",
		`{"client_id":1` + zeros(9) + `}`: "",
	} {
		_, err := Parse([]byte(payload))
		if reason == "" {
			require.NoError(t, err, payload)
		} else {
			require.EqualError(t, err, reason, payload)
		}
	}
}

func zeros(n int) string { return strings.Repeat("0", n) }

func TestMayOverflowPicksTheNumbersThatAreWorthDecoding(t *testing.T) {
	for value, want := range map[string]bool{
		"": false, "0": false, "true": false, "false": false, "null": false, `["e","E"]`: false, `{"e":1}`: false,
		"1e1": true, "1E1": true, "9e9": true, "0e0": true, "1.e": true, "1,e": false,
		zeros(300): false, zeros(301): true, strings.Repeat("9", 301): true, zeros(150) + "." + zeros(149): false, zeros(150) + "." + zeros(150): true,
		zeros(300) + "," + zeros(300): false, "-" + zeros(300): false,
	} {
		require.Equal(t, want, mayOverflow([]byte(value)), value)
	}
}

func TestRegisteredClaims(t *testing.T) {
	c, err := Parse([]byte(`{"\u0069ss":"i","sub":"s","aud":["a","b"],"exp":3,"nbf":2.5,"iat":0,"auth_time":4,
		"typ":"Bearer","token_use":"access","azp":"p","client_id":"c","scope":"x y","scp":["z"],
		"nonce":"n","at_hash":"h","c_hash":"","events":{},"cnf":false}`))
	require.NoError(t, err)
	require.Equal(t, "i", c.Issuer)
	require.Equal(t, "s", c.Subject)
	require.Equal(t, textList{"a", "b"}, c.Audience)
	require.Equal(t, time.Unix(3, 0), c.Expires.Time)
	require.Equal(t, time.Unix(2, 500_000_000), c.NotBefore.Time)
	require.Equal(t, time.Unix(0, 0), c.IssuedAt.Time)
	require.False(t, c.IssuedAt.IsZero(), "1970 is a date")
	require.Equal(t, time.Unix(4, 0), c.AuthTime.Time)
	require.Equal(t, []string{"Bearer", "access", "p", "c"}, []string{c.Type, c.Use, c.AuthorizedParty, c.ClientID})
	require.Equal(t, scopeList{"x", "y"}, c.Scope)
	require.Equal(t, scopeList{"z"}, c.ScopeShort)
	require.Equal(t, []*string{new("n"), new("h"), new("")}, []*string{c.Nonce, c.AccessTokenHash, c.CodeHash})
	require.True(t, c.Events)
	require.True(t, c.Confirmation)
}

func TestClaimsThatAreNullAreAbsent(t *testing.T) {
	payload := []byte(`{"iss":null,"sub":null,"aud":null,"exp":null,"nbf":null,"iat":null,"auth_time":null,"typ":null,"token_use":null,
		"azp":null,"client_id":null,"scope":null,"scp":null,"nonce":null,"at_hash":null,"c_hash":null,"events":null,"cnf":null}`)
	c, err := Parse(payload)
	require.NoError(t, err)
	require.Equal(t, &Set{Payload: payload}, c)
}

func TestDatesAreSecondsUntilTheYear9999(t *testing.T) {
	for value, want := range map[string]time.Time{
		"0": time.Unix(0, 0), "1.25": time.Unix(1, 250_000_000), "1e3": time.Unix(1000, 0),
		"253402300799": time.Unix(Latest, 0), "-0": time.Unix(0, 0),
	} {
		c, err := Parse([]byte(`{"exp":` + value + `,"auth_time":` + value + `}`))
		require.NoError(t, err, value)
		require.Equal(t, want, c.Expires.Time, value)
		require.Equal(t, want, c.AuthTime.Time, value)
	}
	require.Equal(t, "9999-12-31T23:59:59Z", time.Unix(Latest, 0).UTC().Format(time.RFC3339))
	for _, value := range []string{`"1"`, `-1`, `253402300800`, `[]`, `{}`, `true`, `null`} {
		c, err := Parse([]byte(`{"auth_time":` + value + `}`))
		require.NoError(t, err, "access tokens need no auth_time: %s", value)
		require.True(t, c.AuthTime.IsZero(), value)
	}
}

func TestListsMayBeATextByItself(t *testing.T) {
	for value, want := range map[string]struct{ list, scopes []string }{
		`null`:              {},
		`[]`:                {},
		`""`:                {[]string{""}, nil},
		`"a"`:               {[]string{"a"}, []string{"a"}},
		`"a b"`:             {[]string{"a b"}, []string{"a", "b"}},
		`" a  b\t\tc "`:     {[]string{" a  b\t\tc "}, []string{"a", "b", "c"}},
		`["a","b c"]`:       {[]string{"a", "b c"}, []string{"a", "b", "c"}},
		`["a","","\u0061"]`: {[]string{"a", "", "a"}, []string{"a", "a"}},
		`"a\u00a0b"`:        {[]string{"a\u00a0b"}, []string{"a\u00a0b"}},
	} {
		c, err := Parse([]byte(`{"aud":` + value + `,"scope":` + value + `,"scp":` + value + `}`))
		require.NoError(t, err, value)
		require.Equal(t, want.list, []string(c.Audience), value)
		require.Equal(t, want.scopes, []string(c.Scope), value)
		require.Equal(t, want.scopes, []string(c.ScopeShort), value)
	}
}

func TestClientIDMayBeANumber(t *testing.T) {
	for value, want := range map[string]string{
		`"app"`: "app", `12`: "12", `-1`: "-1", `1.50`: "1.50", `true`: "", `["app"]`: "", `{}`: "", `""`: "",
	} {
		c, err := Parse([]byte(`{"client_id":` + value + `}`))
		require.NoError(t, err, value)
		require.Equal(t, want, c.ClientID, value)
	}
}

func TestScopesAreThoseOfScopeOrElseOfScp(t *testing.T) {
	for payload, want := range map[string][]string{
		`{}`: nil, `{"scope":"a"}`: {"a"}, `{"scp":"b"}`: {"b"}, `{"scope":"a","scp":"b"}`: {"a"}, `{"scope":"","scp":"b"}`: {"b"},
	} {
		c, err := Parse([]byte(payload))
		require.NoError(t, err)
		require.Equal(t, want, c.Scopes(), payload)
	}
}

func TestAllClaimsAreDecodedWhenSomebodyAsks(t *testing.T) {
	c, err := Parse([]byte(`{"sub":"u1","n":1.5,"list":["a",null],"object":{"b":false}}`))
	require.NoError(t, err)
	want := map[string]any{"sub": "u1", "n": 1.5, "list": []any{"a", nil}, "object": map[string]any{"b": false}}
	require.Equal(t, want, c.All())
	require.Equal(t, want, c.All())
	require.Equal(t, "u1", c.Text("sub"))
	require.Empty(t, c.Text("n"))
	require.Empty(t, c.Text("nowhere"))

	var none *Set
	require.Nil(t, none.All())
	require.Empty(t, none.Text("sub"))
	decoded := Of([]string{"a"}, map[string]any{"sub": "u2"})
	require.Equal(t, map[string]any{"sub": "u2"}, decoded.All())
	require.Equal(t, []string{"a"}, decoded.Scopes())
}
