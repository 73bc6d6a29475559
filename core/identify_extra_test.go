package core_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// What the broker itself says can't be said otherwise by Identify, in any case
// of the letters: many a JSON decoder takes them for the same.
func TestExtraCannotReplaceTheBrokersClaims(t *testing.T) {
	var name string
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(_ context.Context, who *core.Identity) error {
		who.Extra[name] = "extra value"
		return nil
	}))
	raw := a.provider.AccessToken(t, "alice")
	for _, name = range []string{
		"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "sid", "client_id", "azp", "idp_iss", "auth_time", "acr", "amr",
		"preferred_username", "name", "email", "email_verified", "roles", "scope", "scp",
		"typ", "nonce", "at_hash", "c_hash", "events", "act", "cnf", "SUB", "Exp",
	} {
		t.Run(name, func(t *testing.T) {
			got := a.exchange(raw)
			requireError(t, got, http.StatusInternalServerError, "server_error")
			require.NotContains(t, got.body, "Identify")
			require.NotContains(t, got.body, "extra value")
			require.Contains(t, a.log.logged(), fmt.Sprintf(`Broker.Identify: it set the claim \"%s\" in Extra`, name))
		})
	}
	name = "sub"
	requireError(t, a.codeLogin("alice"), http.StatusInternalServerError, "server_error")
	name = "subject"
	require.Equal(t, "extra value", claimsOf(t, a.signIn("alice").AccessToken)["subject"])
}

func TestTokensHaveExtraAsItWasSet(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(_ context.Context, who *core.Identity) error {
		who.Extra["number"] = int64(9007199254740993) // more than a float64 can hold
		who.Extra["object"] = map[string]any{"b": 1.5, "a": []any{nil, true, "<&>"}}
		who.Extra["nothing"] = nil
		return nil
	}))
	first := a.signIn("alice")
	next := a.tokens(a.refresh(first.RefreshToken))
	again := a.tokens(a.refresh(first.RefreshToken))
	for _, got := range []tokens{first, next, again, a.tokens(a.exchange(a.provider.AccessToken(t, "alice")))} {
		_, payload := jwtParts(t, got.AccessToken)
		require.Contains(t, payload, `,"nothing":null,"number":9007199254740993,"object":{"a":[null,true,"<&>"],"b":1.5}}`)
	}
}

func TestExtraThatIsNoJSONIsAMistakeOfTheApplication(t *testing.T) {
	for name, value := range map[string]any{
		"a channel": make(chan int), "a function": func() {}, "no UTF-8": "\xff", "a name of no UTF-8": map[string]any{"\xff": 1},
	} {
		t.Run(name, func(t *testing.T) {
			broken := true
			a := newApp(t, newProvider(t, oidctest.Options{StrictRefresh: true}), identifying(func(_ context.Context, who *core.Identity) error {
				if broken {
					who.Extra["x"] = value
				}
				return nil
			}))
			requireError(t, a.codeLogin("alice"), http.StatusInternalServerError, "server_error")
			requireError(t, a.exchange(a.provider.AccessToken(t, "alice")), http.StatusInternalServerError, "server_error")
			require.Contains(t, a.log.logged(), "requests fail")

			broken = false
			token := a.signIn("alice").RefreshToken
			broken = true
			requireError(t, a.refresh(token), http.StatusInternalServerError, "server_error")
			broken = false
			a.tokens(a.refresh(token))
			require.Empty(t, a.log.ends())
		})
	}
}

// Guards find the roles of our own tokens in the claim roles alone: where else
// a provider may have them, Identify may have put anything.
func TestNothingInExtraIsARole(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(_ context.Context, who *core.Identity) error {
		who.Roles = []string{"viewer"}
		for _, name := range []string{"groups", "realm_access", "resource_access"} {
			who.Extra[name] = who.Claims[name]
		}
		who.Extra["resource_access"] = map[string]any{"app": map[string]any{"roles": []string{"admin"}}}
		return nil
	}))
	for _, raw := range []string{a.signIn("alice").AccessToken, a.tokens(a.exchange(a.provider.AccessToken(t, "alice"))).AccessToken} {
		require.Equal(t, http.StatusOK, serve(a.auth.Required(core.AnyRole("viewer")), bearer(raw)).StatusCode)
		requireError(t, serve(a.auth.Required(core.AnyRole("admin")), bearer(raw)), http.StatusForbidden, "insufficient_claims")
		token, err := a.auth.Verify(t.Context(), raw)
		require.NoError(t, err)
		require.Equal(t, []string{"viewer"}, token.Roles())
	}
}
