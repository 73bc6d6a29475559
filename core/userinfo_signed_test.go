package core_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// signed has userinfo answer with a JWT (OpenID Connect Core 5.3.2).
func signed(t *testing.T, provider, signer *oidctest.Provider, header, change map[string]any) {
	claims := map[string]any{"iss": provider.Issuer, "aud": provider.ClientID, "sub": "user-alice", "preferred_username": "alice"}
	for name, value := range change {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	raw := signer.SignedToken(t, header, claims)
	provider.Answer(oidctest.UserinfoPath, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/jwt")
		_, _ = io.WriteString(w, raw)
	})
}

func TestSignedUserinfoIsVerifiedAndRead(t *testing.T) {
	provider := newProvider(t, oidctest.Options{OpaqueTokens: true})
	a := newApp(t, provider, brokered())
	signed(t, provider, provider, nil, map[string]any{"aud": []string{"other", provider.ClientID}, "given_name": "Alice of userinfo", "roles": []string{"staff of userinfo"}})
	session := a.signIn("alice")
	got := a.get(browser(), userinfoRoute, bearer(session.AccessToken))
	require.Equal(t, "Alice of userinfo", got.json["first_name"], got.body)
	require.Contains(t, claimsOf(t, session.AccessToken)["roles"], "staff of userinfo")
	provider.RotateKeys()
	signed(t, provider, provider, nil, map[string]any{"given_name": "Alice, later"})
	session = a.tokens(a.refresh(session.RefreshToken)) // with a key that nobody has seen yet
	require.Equal(t, "Alice, later", a.get(browser(), userinfoRoute, bearer(session.AccessToken)).json["first_name"])
}

// Each is one that the provider has not signed for us about this user now.
func TestForgedUserinfoIsRefused(t *testing.T) {
	provider, evil := newProvider(t, oidctest.Options{}), newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	raw := a.bare("alice")
	ask := func() answer { return a.get(browser(), userinfoRoute, bearer(raw)) }
	signed(t, provider, provider, nil, nil)
	require.Equal(t, "alice", ask().json["username"])
	for name, row := range map[string]struct {
		signer         *oidctest.Provider
		header, claims map[string]any
	}{
		"signed by another":           {evil, nil, nil},
		"signed by another, our kid":  {evil, map[string]any{"kid": provider.KeyID(t)}, nil},
		"signed by nobody":            {provider, map[string]any{"alg": "none"}, nil},
		"signed by our public key":    {provider, map[string]any{"alg": "HS256"}, nil},
		"of another issuer":           {provider, nil, map[string]any{"iss": evil.Issuer}},
		"of no issuer":                {provider, nil, map[string]any{"iss": nil}},
		"for another client":          {provider, nil, map[string]any{"aud": "other"}},
		"for nobody":                  {provider, nil, map[string]any{"aud": nil}},
		"about somebody else":         {provider, nil, map[string]any{"sub": "user-bob"}},
		"about nobody":                {provider, nil, map[string]any{"sub": nil}},
		"expired":                     {provider, nil, map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}},
		"an access token of the user": {provider, nil, map[string]any{"aud": "https://api.example.org"}},
	} {
		t.Run(name, func(t *testing.T) {
			signed(t, provider, row.signer, row.header, row.claims)
			requireError(t, ask(), http.StatusBadGateway, "server_error")
		})
	}
	t.Run("encrypted", func(t *testing.T) {
		a.clock.Add(time.Hour)
		fail(provider, oidctest.UserinfoPath, http.StatusOK, "e.k.i.c.t")
		fresh := newApp(t, provider)
		requireError(t, fresh.get(browser(), userinfoRoute, bearer(raw)), http.StatusBadGateway, "server_error")
		require.Len(t, fresh.log.lines("it is encrypted, which is not supported: switch that off"), 1)
	})
	t.Run("keys that can't be had", func(t *testing.T) {
		fresh := newApp(t, provider)
		require.NoError(t, fresh.auth.Start(t.Context()))
		provider.RotateKeys()
		signed(t, provider, provider, nil, nil)
		provider.Answer(oidctest.KeysPath, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		requireError(t, fresh.get(browser(), userinfoRoute, bearer(raw)), http.StatusServiceUnavailable, "temporarily_unavailable")
	})
}
