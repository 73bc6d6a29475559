package verify

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/stretchr/testify/require"
)

// logoutOf is the claim events of a logout token.
func logoutOf(member any) map[string]any { return map[string]any{theLogoutEvent: member} }

// ofLogoutToken are the claims of a valid logout token.
var ofLogoutToken = members{
	"iss": theIssuer, "sub": "u1", "sid": "s1", "aud": theClient, "exp": at(time.Hour), "iat": at(0), "jti": "j1", "events": logoutOf(members{}),
}

const (
	notLogout    = "it has no event of a logout"
	wrongTyp     = "its typ is not that of a logout token"
	nobodys      = "it has neither a sub nor a sid"
	emptySession = "its sid is missing"
	unknownAlg   = "its algorithm is not accepted"
	otherToken   = "it is from another issuer"
)

func TestLogoutTokensAreOfThisProviderForThisClient(t *testing.T) {
	for name, row := range map[string]struct {
		changed members
		reason  string
	}{
		"as issued":                        {nil, ""},
		"another issuer":                   {members{"iss": "https://other.example"}, otherToken},
		"no issuer":                        {members{"iss": nil}, otherToken},
		"another audience":                 {members{"aud": "x"}, otherAud},
		"no audience, but our client id":   {members{"aud": nil, "azp": theClient, "client_id": theClient}, otherAud},
		"us among others":                  {members{"aud": []string{"x", theClient}}, ""},
		"no iat":                           {members{"iat": nil}, "it has no iat"},
		"issued in the future":             {members{"iat": at(leeway + time.Second)}, "it was issued in the future"},
		"issued as far ahead as allowed":   {members{"iat": at(leeway)}, ""},
		"no exp":                           {members{"exp": nil}, "it has no exp"},
		"expired":                          {members{"exp": at(-leeway)}, "it has expired"},
		"a second before":                  {members{"exp": at(-leeway + time.Second)}, ""},
		"not valid yet":                    {members{"nbf": at(leeway + time.Second)}, "it is not valid yet"},
		"a sub alone":                      {members{"sid": nil}, ""},
		"a sid alone":                      {members{"sub": nil}, ""},
		"neither":                          {members{"sub": nil, "sid": nil}, nobodys},
		"empty ones":                       {members{"sub": "", "sid": ""}, emptySession},
		"a sub, and an empty sid":          {members{"sid": ""}, emptySession},
		"a sub, and a sid that is no text": {members{"sid": []string{"s1"}}, emptySession},
		"a sid that no store can find":     {members{"sid": strings.Repeat("x", 1025)}, "its sid is too long"},
		"a sub that no store can find":     {members{"sub": "a\x00"}, "its sub has a control character"},
		"no events":                        {members{"events": nil}, notLogout},
		"events that are a text":           {members{"events": theLogoutEvent}, notLogout},
		"events that are a list":           {members{"events": []string{theLogoutEvent}}, notLogout},
		"another event":                    {members{"events": members{"https://x.example/event": members{}}}, notLogout},
		"two events":                       {members{"events": members{"https://x.example/event": 1, theLogoutEvent: members{}}}, ""},
		"the event, as an object":          {members{"events": logoutOf(members{"x": 1})}, ""},
		"the event, as a list":             {members{"events": logoutOf([]int{})}, ""},
		"the event, as a text":             {members{"events": logoutOf("")}, ""},
		"the event, as a number":           {members{"events": logoutOf(0)}, ""},
		"the event, as false":              {members{"events": logoutOf(false)}, ""},
		"the event, as null":               {members{"events": logoutOf(nil)}, ""},
		"a nonce":                          {members{"nonce": "n"}, "it has a nonce, as an ID token"},
		"an empty nonce":                   {members{"nonce": ""}, "it has a nonce, as an ID token"},
		"Keycloak's claim typ":             {members{"typ": "Logout"}, ""},
		"no jti":                           {members{"jti": nil}, "it has no jti"},
		"an empty jti":                     {members{"jti": ""}, "it has no jti"},
		"a jti that is no text":            {members{"jti": 7}, "it has no jti"},
	} {
		t.Run(name, func(t *testing.T) {
			v, _ := newVerifier(t)
			got, err := v.LogoutToken(t.Context(), sign(t, key, "", ofLogoutToken.with(row.changed)), 1<<20)
			requireReason(t, row.reason, err)
			require.Equal(t, row.reason == "", got != LogoutToken{})
		})
	}
}

func TestALogoutTokenSaysWhoseSessionsHaveEnded(t *testing.T) {
	v, _ := newVerifier(t)
	got, err := v.LogoutToken(t.Context(), sign(t, key, "", ofLogoutToken), 1<<20)
	require.NoError(t, err)
	require.Equal(t, LogoutToken{Issuer: theIssuer, ID: "j1", Subject: "u1", Session: "s1", IssuedAt: now, Expires: now.Add(time.Hour)}, got)
	for _, member := range []struct {
		value any
		want  bool
	}{{true, true}, {false, false}, {"true", false}, {1, false}, {nil, false}} {
		events := members{theLogoutEvent: members{}, "revoke_offline_access": member.value} // as Keycloak has it
		got, err := v.LogoutToken(t.Context(), sign(t, key, "", ofLogoutToken.with(members{"events": events})), 1<<20)
		require.NoError(t, err)
		require.Equal(t, member.want, got.RevokesOfflineToo, member.value)
	}
}

func TestTheHeaderOfALogoutTokenNamesNoOtherKindOfToken(t *testing.T) {
	for typ, reason := range map[string]string{
		"": "", "JWT": "", "jwt": "", "logout+jwt": "", "Logout+JWT": "", "application/logout+jwt": "", "APPLICATION/LOGOUT+JWT": "",
		"at+jwt": wrongTyp, "application/at+jwt": wrongTyp, "logout": wrongTyp, "secevent+jwt": wrongTyp, "dpop+jwt": wrongTyp, " JWT": wrongTyp,
	} {
		t.Run(typ, func(t *testing.T) {
			v, _ := newVerifier(t)
			_, err := v.LogoutToken(t.Context(), sign(t, key, typ, ofLogoutToken), 1<<20)
			requireReason(t, reason, err)
		})
	}
}

// The attacks of RFC 8725 2.1, and what anybody can send.
func TestForgedLogoutTokensAreRefused(t *testing.T) {
	v, keys := newVerifier(t)
	payload, err := json.Marshal(ofLogoutToken)
	require.NoError(t, err)
	for name, row := range map[string]struct{ raw, reason string }{
		"alg none":              {unsigned("none", string(payload)), unknownAlg},
		"alg HS256":             {unsigned("HS256", string(payload)), unknownAlg},
		"no JWT":                {"opaque", jose.ErrNoJWT.Error()},
		"signed by a stranger":  {sign(t, named(stranger, key.ID), "", ofLogoutToken), mismatch},
		"a key that nobody has": {sign(t, stranger, "", ofLogoutToken), notPublished},
		"an ID token":           {sign(t, key, "JWT", ofID), notLogout},
		"an access token":       {sign(t, key, "at+jwt", ofAccess), wrongTyp},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := v.LogoutToken(t.Context(), row.raw, 1<<20)
			requireReason(t, row.reason, err)
		})
	}
	require.NotContains(t, keys.renewals, true, "strangers cause no fetch but by the cool-down")
	raw := sign(t, key, "", ofLogoutToken)
	_, err = v.LogoutToken(t.Context(), raw, len(raw)-1)
	require.ErrorIs(t, err, ErrTooLong)
}

// Of claims that are whatever they are, those that are taken say what any decoder reads.
func FuzzALogoutTokenSaysWhatWasSigned(f *testing.F) {
	signer, err := jose.ParsePrivateKey([]byte(`{"kty":"OKP","crv":"Ed25519","kid":"a","alg":"EdDSA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}`))
	if err != nil {
		f.Fatal(err)
	}
	good, _ := json.Marshal(ofLogoutToken)
	for _, change := range [][2]string{
		{"", ""}, {`"jti"`, `"jti":"x","jti"`}, {`"sid"`, `"SID"`}, {`"s1"`, `null`}, {`"u1"`, `"\u0000"`}, {`{}`, `null`}, {`{}`, `1e400`}, {`"events":{`, `"events":{"revoke_offline_access":true,`},
		{`"events":{`, `"events":[{`}, {`"sub"`, `"nonce":null,"sub"`}, {`"sub"`, `"nonce":"n","sub"`}, {`"app"`, `["x","app"]`}, {`"app"`, `"APP"`},
	} {
		f.Add([]byte(strings.Replace(string(good), change[0], change[1], 1)))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		v, keys := newVerifier(t)
		keys.have = published(t, signer)
		raw, err := signer.Sign("logout+jwt", payload)
		require.NoError(t, err, "whatever the payload is")
		got, err := v.LogoutToken(t.Context(), raw, 1<<20)
		if err != nil {
			return
		}
		var claims map[string]any
		require.NoError(t, json.Unmarshal(payload, &claims))
		// encoding/json takes the last of several members, of which there must be one.
		maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
		sub, _ := claims["sub"].(string)
		sid, _ := claims["sid"].(string)
		events, _ := claims["events"].(map[string]any)
		require.Contains(t, events, theLogoutEvent)
		require.NotContains(t, claims, "nonce")
		require.Equal(t, []any{theIssuer, got.ID, got.Subject, got.Session}, []any{claims["iss"], claims["jti"], sub, sid})
		require.NotEmpty(t, got.ID)
		require.NotEmpty(t, got.Subject+got.Session)
		audience, several := claims["aud"].([]any)
		require.True(t, claims["aud"] == theClient || several && slices.Contains(audience, any(theClient)))
		require.InDelta(t, claims["exp"], float64(got.Expires.Unix()), 1)
	})
}
