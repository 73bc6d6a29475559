package core_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// claiming is a token of the provider with these claims, and no roles but those in them.
func (a *app) claiming(claims map[string]any) string {
	all := map[string]any{"realm_access": nil, "groups": nil}
	maps.Copy(all, claims)
	return a.provider.SignedToken(a.t, nil, a.provider.Claims("alice", all))
}

// claimed is a token of claiming, verified.
func (a *app) claimed(t *testing.T, claims map[string]any) core.Token {
	t.Helper()
	token, err := a.auth.Verify(t.Context(), a.claiming(claims))
	require.NoError(t, err)
	return token
}

// A role of another client is another application's business: an administrator there is
// none here.
func TestRolesOfOtherClientsAreNoRolesHere(t *testing.T) {
	type object = map[string]any
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	admin := object{"roles": []string{"admin"}}
	foreign := a.claiming(object{
		"resource_access": object{"other": admin, "app.other": admin, "ap": object{"p": admin}, "app2": admin, "": admin},
		"app":             admin, "other": admin, "resource_access.other.roles": []string{"admin"},
	})
	requireError(t, serve(a.auth.Required(core.AnyRole("admin")), bearer(foreign)), 403, "insufficient_claims")
	require.Empty(t, a.claimed(t, object{"resource_access": object{"other": admin}}).Roles())
	require.Equal(t, []string{"admin"}, a.claimed(t, object{"resource_access": object{"app": admin}}).Roles())

	broker := newApp(t, provider, brokered(exchanging))
	minted := broker.tokens(broker.exchange(foreign)).AccessToken
	require.Empty(t, claimsOf(t, minted)["roles"])

	named := newApp(t, provider, func(c *core.Config) { c.Providers[0].RoleClaims = []string{"resource_access.other.roles"} })
	require.Equal(t, []string{"admin"}, named.claimed(t, object{"resource_access": object{"other": admin}, "roles": []string{"not asked for"}}).Roles())
	none := newApp(t, provider, func(c *core.Config) { c.Providers[0].RoleClaims = []string{} })
	require.Empty(t, none.claimed(t, object{"roles": []string{"admin"}}).Roles())
}

func TestRolesAreReadInEveryFormInUse(t *testing.T) {
	type object = map[string]any
	provider := newProvider(t, oidctest.Options{ClientID: "my.shop"})
	const zitadel = "urn:zitadel:iam:org:project:roles"
	a := newApp(t, provider, func(c *core.Config) {
		c.Providers[0].RoleClaims = []string{"realm_access.roles", "resource_access.my.shop.roles", "roles", "groups", zitadel}
	})
	b := newApp(t, provider, brokered(exchanging), func(c *core.Config) { c.Providers[0].RoleClaims = []string{"roles", "groups", zitadel} })
	for name, row := range map[string]struct {
		claims object
		want   []string
	}{
		"lists":                            {object{"roles": []string{"b", "a"}, "groups": []string{"a", "/staff"}}, []string{"/staff", "a", "b"}},
		"a group as plain text":            {object{"groups": "staff"}, []string{"staff"}},
		"a text is one role":               {object{"roles": "a b,c"}, []string{"a b,c"}},
		"names of an object's members":     {object{zitadel: object{"admin": object{"1": "example.org"}, "user": object{}}}, []string{"admin", "user"}},
		"members that say no":              {object{"roles": object{"a": nil, "b": false, "c": true, "d": "false", "e": "", "f": 0}}, []string{"c"}},
		"null":                             {object{"roles": json.RawMessage("null"), "groups": []any{nil, "a", "", 1, object{"x": 1}}}, []string{"a"}},
		"a number is none":                 {object{"roles": 1}, nil},
		"a client id with a dot":           {object{"resource_access": object{"my.shop": object{"roles": []string{"a"}}}}, []string{"a"}},
		"the longest name of a path first": {object{"resource_access": object{"my.shop": object{"roles": []string{"a"}}, "my": object{"shop": object{"roles": []string{"b"}}}}}, []string{"a"}},
		"a path that ends in a text":       {object{"realm_access": "x"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, row.want, a.claimed(t, row.claims).Roles())
		})
	}
	t.Run("of a broker's logins as well", func(t *testing.T) {
		raw := a.claiming(object{"groups": "staff", zitadel: object{"admin": object{}}})
		require.Equal(t, []any{"admin", "staff"}, claimsOf(t, b.tokens(b.exchange(raw)).AccessToken)["roles"])
	})
}

// A text or a number is a name, in any letter case, with - or _.
func TestNamesAreReadInEveryFormInUse(t *testing.T) {
	provider := newProvider(t, oidctest.Options{Users: []oidctest.User{{Username: "alice", Password: "x"}}})
	a := newApp(t, provider)
	for name, row := range map[string]struct {
		claims          string
		username, email string
	}{
		"a number":                           {`{"uid":1234567}`, "1234567", ""},
		"a number, written otherwise":        {`{"uid":1.234567e6}`, "1234567", ""},
		"a number with a fraction":           {`{"uid":1.5}`, "1.5", ""},
		"a number that may be rounded":       {`{"uid":9007199254740993}`, "", ""},
		"letter case":                        {`{"Preferred_Username":"u","EMAIL":"m@x"}`, "u", "m@x"},
		"letter case and hyphen":             {`{"USER-NAME":"u","Mail":"m@x"}`, "u", "m@x"},
		"exact spelling first":               {`{"EMAIL":"b@x","email":"a@x","Email":"c@x"}`, "", "a@x"},
		"an empty one is none":               {`{"username":"","UserName":"","USERNAME":"u"}`, "u", ""},
		"null is none":                       {`{"preferred_username":null,"uid":"u","email":null,"mail":"m@x"}`, "u", "m@x"},
		"lists and booleans are none":        {`{"preferred_username":["u"],"user_name":true,"email":{}}`, "", ""},
		"another letter that folds to s":     {`{"uſername":"u"}`, "", ""},
		"one name goes before another":       {`{"USERNAME":"later","UID":"first"}`, "first", ""},
		"never wherever else they turn up":   {`{"friend":{"username":"u"},"x_username":"u"}`, "", ""},
		"two spellings, always in one order": {`{"userName":"c","UserName":"b","USERNAME":"a"}`, "a", ""},
	} {
		t.Run(name, func(t *testing.T) {
			claims := map[string]any{"preferred_username": nil, "email": nil, "name": nil, "given_name": nil, "family_name": nil}
			var written map[string]json.RawMessage
			require.NoError(t, json.Unmarshal([]byte(row.claims), &written))
			for name, value := range written {
				claims[name] = value
			}
			token := a.claimed(t, claims)
			require.Equal(t, row.username, token.Username())
			require.Equal(t, row.email, token.Email())
		})
	}
}

// Keycloak has numbers for acr, and others one method as a text.
func TestHowSomebodySignedInIsReadInEveryFormInUse(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(exchanging))
	for claims, want := range map[string][2]any{
		`{"acr":"gold","amr":["pwd","otp"]}`:            {"gold", []any{"pwd", "otp"}},
		`{"acr":1,"amr":"pwd"}`:                         {"1", []any{"pwd"}},
		`{"acr":9007199254740993,"amr":[null,"pwd",1]}`: {nil, []any{"pwd"}},
		`{"acr":["gold"],"amr":1}`:                      {nil, nil},
		`{"acr":null,"amr":null}`:                       {nil, nil},
	} {
		var said map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(claims), &said))
		minted := claimsOf(t, a.tokens(a.exchange(a.claiming(map[string]any{"acr": said["acr"], "amr": said["amr"]}))).AccessToken)
		require.Equal(t, want, [2]any{minted["acr"], minted["amr"]}, claims)
	}
}

// What no check needs can't make a token bad, and what one needs is named.
func TestOnlyClaimsThatAreNeededMakeATokenInvalid(t *testing.T) {
	x := newTarget(t, "EdDSA")
	for claim, values := range map[string][]string{
		"auth_time": {`"yesterday"`, `-1`, `true`, `[]`, `{}`, `null`, `1e300`, `253402300800`, `""`},
		"client_id": {`7`, `true`, `[]`, `{}`, `null`},
		"jti":       {`7`, `null`, `[]`},
		"sid":       {`7`, `null`, `[]`},
		"acr":       {`1`, `null`, `[]`},
		"email":     {`7`, `null`, `[]`},
		"roles":     {`7`, `null`, `"x"`},
	} {
		for _, value := range values {
			token := x.requireAccepted(t, x.token(t, x.header(), x.claims(map[string]any{claim: json.RawMessage(value)})))
			_ = token.ClientID() + token.SessionID() + token.Email()
		}
	}
	for claim, value := range map[string]string{
		"exp": `"soon"`, "nbf": `[]`, "iat": `-1`, "aud": `[1]`, "sub": `7`, "iss": `{}`, "scope": `1`, "scp": `[null]`, "typ": `1`, "nonce": `1`,
		"at_hash": `[]`, "azp": `7`, "auth_time": `1e999`, "ratio": `{"a":[1,-1e999]}`,
	} {
		raw := x.token(t, x.header(), x.claims(map[string]any{claim: json.RawMessage(value)}))
		x.requireRefused(t, raw)
		require.Contains(t, serve(x.guard, bearer(raw)).json["detail"], "the claim "+claim+" ", "%s: %s", claim, value)
	}
}

// To the provider, other spaces of Unicode are part of a scope. If we split at them,
// "a<no-break space>admin" would be two scopes here.
func TestScopesAreSplitAtSpacesAndTabsOnly(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	for text, want := range map[string][]string{
		"a b": {"a", "b"}, " a\t b ": {"a", "b"}, "a\u00a0admin": {"a\u00a0admin"}, "a\nadmin": {"a\nadmin"},
		"a\u2003admin": {"a\u2003admin"}, "a\u3000admin": {"a\u3000admin"}, "a\u0085admin": {"a\u0085admin"}, "a\u2028admin": {"a\u2028admin"},
	} {
		for _, claims := range []map[string]any{{"scope": text}, {"scope": []string{text}}, {"scope": nil, "scp": text}} {
			require.Equal(t, want, a.claimed(t, claims).Scopes())
		}
	}
}

// A number that is larger than 2^53 reads as its neighbour: one tenant would be another.
func TestNumbersThatMayBeRoundedSatisfyNoConstraint(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	const most = 1<<53 - 1
	guard := a.auth.Required(core.Claim("tenant", most, -most, float64(most)))
	for number, status := range map[string]int{
		"9007199254740991": 200, "-9007199254740991": 200, "9007199254740991.0": 200,
		"9007199254740992": 403, "9007199254740993": 403, "9007199254740990": 403, "-9007199254740992": 403, "9007199254740991.4": 200, "9007199254740991.6": 403,
	} {
		raw := provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"tenant": json.RawMessage(number)}))
		require.Equal(t, status, serve(guard, bearer(raw)).StatusCode, number)
	}
}

// A path is tried as a whole, then member by member, the longest name first.
func TestPathsFindClaimsWithDotsInTheirNames(t *testing.T) {
	type object = map[string]any
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	for name, row := range map[string]struct {
		path   string
		claims object
		status int
	}{
		"whole":                           {"a.b", object{"a.b": "x", "a": object{"b": "y"}}, 200},
		"member by member":                {"a.b", object{"a": object{"b": "x"}}, 200},
		"a dot in the first name":         {"https://x.example/c.roles", object{"https://x.example/c": object{"roles": []string{"x"}}}, 200},
		"a dot in a name within":          {"resource_access.my.app.roles", object{"resource_access": object{"my.app": object{"roles": []string{"x"}}}}, 200},
		"the longest name first":          {"a.b.c", object{"a.b": object{"c": "x"}, "a": object{"b.c": "y"}}, 200},
		"a shorter one where it leads on": {"a.b.c", object{"a.b": object{"d": "y"}, "a": object{"b.c": "x"}}, 200},
		"null is no claim":                {"a.b", object{"a.b": json.RawMessage("null"), "a": object{"b": "x"}}, 200},
		"the value of the longer name":    {"a.b.c", object{"a.b": object{"c": "y"}, "a": object{"b.c": "x"}}, 403},
		"a name that is the path's end":   {"a.b", object{"b": "x"}, 403},
		"a dot too many":                  {"a..b", object{"a": object{"b": "x"}}, 403},
		"an empty name":                   {"a..b", object{"a": object{"": object{"b": "x"}}}, 200},
		"a list has no members":           {"a.0", object{"a": []string{"x"}}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			raw := provider.SignedToken(t, nil, provider.Claims("alice", row.claims))
			require.Equal(t, row.status, serve(a.auth.Required(core.Claim(row.path, "x")), bearer(raw)).StatusCode)
		})
	}
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

func TestClientIDComesFromAzpWhereThereIsNoOther(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	for _, row := range []struct {
		client, party any
		want          string
	}{{"c", "p", "c"}, {nil, "p", "p"}, {nil, nil, ""}} {
		token, err := a.auth.Verify(t.Context(), provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"client_id": row.client, "azp": row.party})))
		require.NoError(t, err)
		require.Equal(t, row.want, token.ClientID())
	}
}
