package claim

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func claims(t *testing.T, document string) map[string]any {
	var all map[string]any
	require.NoError(t, json.Unmarshal([]byte(document), &all))
	return all
}

func TestAPathMayLeadThroughNamesWithDots(t *testing.T) {
	all := claims(t, `{"a":{"b":{"c":1},"b.c":2,"d":null,"":5},"a.b":{"c":3,"x":4},"a.b.z":6,"text":"t","https://x.example/r":7,"n":null}`)
	for path, want := range map[string]any{
		"text": "t", "a.b.z": 6.0, "https://x.example/r": 7.0,
		"a.b.c": 3.0, // the longest name first
		"a.b.x": 4.0,
		"a.d":   nil, "n": nil, "nowhere": nil, "a.nowhere": nil, "text.x": nil, "": nil, ".": nil, "..": nil, ".a": nil,
		"a.": 5.0,
	} {
		value, found := At(all, path)
		require.Equal(t, want, value, path)
		require.Equal(t, want != nil, found, path)
	}
	value, _ := At(claims(t, `{"a":{"b":{"c":1},"b.c":2}}`), "a.b.c")
	require.Equal(t, 2.0, value, "the rest as a whole, before it is taken apart")
	value, _ = At(claims(t, `{"":{"a":1}}`), ".a")
	require.Equal(t, 1.0, value, "a name may be empty")
	_, found := At(nil, "a.b")
	require.False(t, found)
}

func TestTextsTakesTheFormsThatProvidersUse(t *testing.T) {
	for document, want := range map[string][]string{
		`null`: nil, `1`: nil, `true`: nil, `""`: nil,
		`"a b"`:                  {"a b"},
		`["b","a",1,"",null,[]]`: {"b", "a"},
		`[]`:                     nil,
		`{"b":true,"a":{},"c":1,"d":"yes","e":[]}`:      {"a", "b", "c", "d", "e"},
		`{"a":false,"b":"false","c":null,"d":"","e":0}`: nil,
		`{"":true,"a":"true"}`:                          {"a"},
	} {
		require.Equal(t, want, Texts(claims(t, `{"x":`+document+`}`)["x"]), document)
	}
}

func TestRolesAreThoseAtAllThePaths(t *testing.T) {
	all := claims(t, `{"roles":["b","a"],"realm":{"roles":"c"},"more":["a","d"],"empty":[],"null":null}`)
	require.Equal(t, []string{"a", "b", "c", "d"}, RolePaths{"roles", "nowhere", "realm.roles", "more"}.In(all))
	require.Empty(t, RolePaths{"nowhere", "empty"}.In(all))
	require.Empty(t, RolePaths{}.In(all))

	require.True(t, RolePaths{"nowhere", "roles"}.AreIn(all))
	require.True(t, RolePaths{"empty"}.AreIn(all), "no role is an answer, too")
	require.False(t, RolePaths{"nowhere", "null"}.AreIn(all))
	require.False(t, RolePaths{}.AreIn(all))
}

func TestFirstTextFindsANameInAnySpelling(t *testing.T) {
	names := []string{"user_name", "uid"}
	for document, want := range map[string]string{
		`{"user_name":"a","uid":"b"}`:                       "a",
		`{"uid":"b"}`:                                       "b",
		`{"user_name":"","uid":"b"}`:                        "b",
		`{"user_name":["a"],"uid":7}`:                       "7",
		`{"User-Name":"a"}`:                                 "a",
		`{"USER_NAME":"a"}`:                                 "a",
		`{"username":"a"}`:                                  "",
		`{"user_names":"a"}`:                                "",
		`{"user.name":"a"}`:                                 "",
		`{"user_name":"a","USER_NAME":"b"}`:                 "a",
		`{"USER_NAME":"b","User_Name":"a","user-name":"c"}`: "b",
		`{"USER_NAME":"","User_Name":"a","user-name":"c"}`:  "a",
		`{"user-name":"c","user_name":"","uid":"d"}`:        "c",
		`{"zzz_name":"c"}`:                                  "",
	} {
		for range 20 { // a map has no order
			require.Equal(t, want, FirstText(claims(t, document), names), document)
		}
	}
	require.Equal(t, "b", FirstText(claims(t, `{"uid":"b"}`), []string{"uid"}))
	require.Empty(t, FirstText(nil, names))
	require.Empty(t, FirstText(claims(t, `{"uid":"b"}`), nil))
	// The long s folds to s, but is more bytes.
	require.Empty(t, FirstText(claims(t, `{"\u017furname":"x"}`), []string{"surname"}))
}

func TestTextIsATextOrAnExactNumber(t *testing.T) {
	for document, want := range map[string]string{
		`"a"`: "a", `""`: "", `1`: "1", `-1`: "-1", `1.5`: "1.5", `0`: "0", `1e3`: "1000", `true`: "", `null`: "", `[]`: "", `{}`: "",
		`9007199254740991`: "9007199254740991", `-9007199254740991`: "-9007199254740991",
		`9007199254740992`: "", `-9007199254740992`: "", `1e300`: "",
	} {
		require.Equal(t, want, Text(claims(t, `{"x":`+document+`}`)["x"]), document)
	}
}
