package verify

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	isLogout  = "it is a logout token, not an access token"
	isID      = "it is an ID token, not an access token"
	isRefresh = "it is a refresh token, not an access token"
	isAnother = "its token_use is not access"
	isBound   = "it is bound to a key of its sender (cnf), which is not supported"
	noSubject = "its sub "
	ambiguous = "it may be an ID token: it has neither a scope nor the type of an access token"
	otherType = "its typ is not that of an access token"
)

func TestAccessTokensAreOfATypeOfTheirs(t *testing.T) {
	v, _ := newVerifier(t)
	for typ, reason := range map[string]string{
		"": "", "JWT": "", "jwt": "", "at+jwt": "", "AT+JWT": "", "application/at+jwt": "",
		"logout+jwt": otherType, "dpop+jwt": otherType, "id_token": otherType, "token-introspection+jwt": otherType, "xat+jwt": otherType,
	} {
		t.Run(typ, func(t *testing.T) { requireReason(t, reason, access(t, v, sign(t, key, typ, ofAccess))) })
	}
}

func TestOtherTokensOfTheIssuerAreNoAccessTokens(t *testing.T) {
	v, _ := newVerifier(t)
	for name, row := range map[string]struct {
		changed members
		reason  string
	}{
		"as issued":                       {nil, ""},
		"events":                          {members{"events": members{}}, isLogout},
		"typ Logout":                      {members{"typ": "Logout"}, isLogout},
		"typ ID":                          {members{"typ": "ID"}, isID},
		"token_use id":                    {members{"token_use": "Id"}, isID},
		"at_hash":                         {members{"at_hash": ""}, isID},
		"c_hash":                          {members{"c_hash": "x"}, isID},
		"a nonce":                         {members{"nonce": "n", "scope": nil}, isID},
		"a nonce and an empty scope":      {members{"nonce": "n", "scope": ""}, isID},
		"a nonce and a scope":             {members{"nonce": "n"}, ""},
		"a nonce and the type Bearer":     {members{"nonce": "n", "scope": nil, "typ": "Bearer"}, ""},
		"typ Refresh":                     {members{"typ": "Refresh"}, isRefresh},
		"typ Offline":                     {members{"typ": "Offline"}, isRefresh},
		"token_use access":                {members{"token_use": "Access"}, ""},
		"token_use access_token":          {members{"token_use": "ACCESS_token"}, ""},
		"token_use refresh":               {members{"token_use": "refresh"}, isAnother},
		"another typ":                     {members{"typ": "DPoP"}, ""},
		"bound to a key":                  {members{"cnf": members{"jkt": "x"}}, isBound},
		"bound to nothing":                {members{"cnf": "x"}, isBound},
		"no subject":                      {members{"sub": nil}, noSubject + "is missing"},
		"an empty subject":                {members{"sub": ""}, noSubject + "is missing"},
		"a subject with a line break":     {members{"sub": "a\nb"}, noSubject + "has a control character"},
		"a subject that is too long":      {members{"sub": strings.Repeat("x", 1025)}, noSubject + "is too long"},
		"another issuer":                  {members{"iss": theIssuer + "/"}, "it is from another issuer"},
		"no issuer":                       {members{"iss": nil}, "it is from another issuer"},
		"no expiry":                       {members{"exp": nil}, "it has no exp"},
		"another audience":                {members{"aud": "other"}, "it is meant for another audience"},
		"no sign that it is for access":   {members{"scope": nil}, ambiguous},
		"nothing that an ID token has":    {members{"scope": nil, "typ": "Bearer"}, ""},
		"the type Bearer in another case": {members{"scope": nil, "typ": "bearer"}, ambiguous},
	} {
		t.Run(name, func(t *testing.T) {
			requireReason(t, row.reason, access(t, v, sign(t, key, "JWT", ofAccess.with(row.changed))))
		})
	}
}

func TestClaimsThatAreNullAreAbsent(t *testing.T) {
	v, _ := newVerifier(t)
	raw, err := key.Sign("JWT", []byte(`{"iss":"https://issuer.example","sub":"u1","aud":"app","exp":1800000001,"scope":"read",
		"events":null,"cnf":null,"nonce":null,"at_hash":null,"c_hash":null,"typ":null,"token_use":null,"nbf":null,"iat":null}`))
	require.NoError(t, err)
	require.NoError(t, access(t, v, raw))
}

func TestATokenIsIncompleteIfOnlyItsSubjectOrAudienceIsMissing(t *testing.T) {
	v, _ := newVerifier(t)
	for name, row := range map[string]struct {
		changed members
		typ     string
		want    bool
	}{
		"complete":                    {nil, "", false},
		"no subject":                  {members{"sub": nil}, "", true},
		"no audience":                 {members{"aud": nil}, "", true},
		"neither":                     {members{"aud": nil, "sub": nil}, "", true},
		"neither subject nor scope":   {members{"sub": nil, "scope": nil}, "", true},
		"no subject, another issuer":  {members{"sub": nil, "iss": "x"}, "", false},
		"no subject, expired":         {members{"sub": nil, "exp": at(-time.Hour)}, "", false},
		"no subject, no expiry":       {members{"sub": nil, "exp": nil}, "", false},
		"no subject, of another type": {members{"sub": nil}, "logout+jwt", false},
		"no subject, a refresh token": {members{"sub": nil, "typ": "Refresh"}, "", false},
		"no subject, bound to a key":  {members{"sub": nil, "cnf": members{}}, "", false},
		"an empty list of audiences":  {members{"aud": []string{}}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Read(sign(t, key, row.typ, ofAccess.with(row.changed)), 1<<20, now)
			require.NoError(t, err)
			require.Equal(t, row.want, v.Incomplete(t.Context(), c))
		})
	}
	c, err := Read(sign(t, stranger, "", ofAccess.with(members{"sub": nil})), 1<<20, now)
	require.NoError(t, err)
	require.False(t, v.Incomplete(t.Context(), c), "no key of the issuer has signed it")
}

func TestIntrospectedClaimsAreHeldToTheRulesOfAccessTokens(t *testing.T) {
	for name, row := range map[string]struct {
		changed  members
		declared bool
		reason   string
	}{
		"as introspected":               {nil, false, ""},
		"no issuer":                     {members{"iss": nil}, false, ""},
		"no expiry":                     {members{"exp": nil}, false, ""},
		"another issuer":                {members{"iss": "https://other.example"}, false, "it is from another issuer"},
		"expired":                       {members{"exp": at(-leeway)}, false, "it has expired"},
		"an ID token":                   {members{"typ": "ID"}, false, isID},
		"bound to a key":                {members{"cnf": members{}}, false, isBound},
		"no subject":                    {members{"sub": nil}, false, noSubject + "is missing"},
		"another audience":              {members{"aud": "other"}, true, "it is meant for another audience"},
		"no sign that it is for access": {members{"scope": nil}, false, ambiguous},
		"the answer says so":            {members{"scope": nil}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v, keys := newVerifier(t)
			requireReason(t, row.reason, v.Introspected(ofAccess.with(row.changed).set(t), row.declared))
			require.Zero(t, keys.gets, "the provider has answered: no key is needed")
		})
	}
}
