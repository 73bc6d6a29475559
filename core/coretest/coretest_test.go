package coretest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/coretest"
)

func TestAHandlerSeesTheTokenAsBehindAGuard(t *testing.T) {
	token := coretest.NewToken(t, map[string]any{"sub": "bob", "roles": []string{"admin"}})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	w := httptest.NewRecorder()
	greet(w, r.WithContext(core.WithToken(r.Context(), token)))
	require.Equal(t, "hello bob, admin: true", w.Body.String())
}

func TestClaimsThatAreMissingHaveDefaults(t *testing.T) {
	token := coretest.NewToken(t, nil)
	require.True(t, token.Valid())
	require.Equal(t, coretest.DefaultIssuer, token.Issuer())
	require.Equal(t, coretest.DefaultSubject, token.Subject())
	require.Equal(t, coretest.DefaultClient, token.ClientID())
	require.WithinDuration(t, time.Now().Add(time.Hour), token.Expiry(), time.Minute)
	require.Empty(t, token.Roles())
	require.Empty(t, token.Scopes())

	var claims map[string]any
	require.NoError(t, coretest.NewToken(t, map[string]any{"client_id": nil}).Decode(&claims))
	require.NotContains(t, claims, "client_id")
	require.Equal(t, coretest.DefaultClient, claims["aud"])
}

func TestATokenHasTheClaimsThatItIsGiven(t *testing.T) {
	expiry := time.Now().Add(time.Minute).Truncate(time.Second)
	token := coretest.NewToken(t, map[string]any{
		"iss": "http://id.test/realms/demo/", "aud": []string{"orders"}, "exp": expiry.Unix(), "client_id": "spa", "sid": "s1",
		"email": "alice@example.com", "preferred_username": "ali", "scope": "orders:read", "department": "physics",
		"realm_access": map[string]any{"roles": []string{"chief"}}, "groups": []string{"ops"},
	})
	require.Equal(t, "http://id.test/realms/demo/", token.Issuer())
	require.Equal(t, "ali", token.Username())
	require.Equal(t, "alice@example.com", token.Email())
	require.Equal(t, "spa", token.ClientID())
	require.Equal(t, "s1", token.SessionID())
	require.True(t, expiry.Equal(token.Expiry()))
	require.Equal(t, []string{"orders:read"}, token.Scopes())
	require.Equal(t, []string{"chief", "ops"}, token.Roles())
	var own struct {
		Department string `json:"department"`
	}
	require.NoError(t, token.Decode(&own))
	require.Equal(t, "physics", own.Department)
}

func TestATokenCanBeMadeInABubble(t *testing.T) {
	coretest.NewToken(t, nil)
	synctest.Test(t, func(t *testing.T) {
		token := coretest.NewToken(t, nil)
		require.Equal(t, time.Hour, time.Until(token.Expiry()), "the clock is that of the bubble")
	})
	coretest.NewToken(t, nil)
}

func TestTokensCanBeMadeAtOnce(t *testing.T) {
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			require.Equal(t, fmt.Sprint(i), coretest.NewToken(t, map[string]any{"sub": fmt.Sprint(i)}).Subject())
		})
	}
}

func TestClaimsThatNoTokenMayHaveEndTheTest(t *testing.T) {
	for name, row := range map[string]struct {
		claims map[string]any
		says   string
	}{
		"expired":         {map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}, "it has expired"},
		"exp is a text":   {map[string]any{"exp": time.Now().Add(time.Hour)}, "the claim exp is not a number"},
		"not yet valid":   {map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}, "it is not valid yet"},
		"no sub":          {map[string]any{"sub": nil}, "its sub is missing"},
		"sub is a number": {map[string]any{"sub": 7}, "the claim sub is not a string"},
		"no exp":          {map[string]any{"exp": nil}, "it has no exp"},
		"no iss":          {map[string]any{"iss": nil}, "the claim iss must be"},
		"iss is no URL":   {map[string]any{"iss": "me"}, "the claim iss can't be"},
		"an ID token":     {map[string]any{"at_hash": "x"}, "it is an ID token"},
		"bound to a key":  {map[string]any{"cnf": map[string]any{"jkt": "x"}}, "bound to a key"},
		"not JSON":        {map[string]any{"roles": func() {}}, "can't be written as JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &failing{TB: t}
			require.PanicsWithValue(t, f, func() { coretest.NewToken(f, row.claims) })
			require.Contains(t, f.message, "coretest.NewToken: ")
			require.Contains(t, f.message, row.says)
		})
	}
}

func BenchmarkNewToken(b *testing.B) {
	for b.Loop() {
		coretest.NewToken(b, nil)
	}
}

// failing is a test that NewToken may fail.
type failing struct {
	testing.TB
	message string
}

func (f *failing) Helper() {}
func (f *failing) Fatalf(format string, args ...any) {
	f.message = fmt.Sprintf(format, args...)
	panic(f)
}
