package examples_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// TestAnotherLibraryVerifiesBrokerTokens gives go-oidc the issuer's URL, as any
// resource server would, and nothing else.
func TestAnotherLibraryVerifiesBrokerTokens(t *testing.T) {
	provider := oidctest.New(t, oidctest.Options{})
	for _, algorithm := range []string{"RS256", "ES256", "PS256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			mux := http.NewServeMux()
			server := httptest.NewServer(mux)
			t.Cleanup(server.Close)
			issuer := server.URL + "/api"
			auth, err := core.New(core.Config{
				Providers: []core.Provider{{Issuer: provider.Issuer, ClientID: provider.ClientID, ClientSecret: provider.ClientSecret}}, PublicURL: issuer,
				Broker: &core.Broker{Algorithm: algorithm, Audience: "orders", PeerAudiences: []string{"stock"}},
			})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, auth.Close()) })
			for _, e := range auth.Endpoints() {
				mux.Handle("/api"+e.Path, e.Handler)
			}
			raw := provider.SignIn(t, issuer+"/auth/v2/login", "alice").AccessToken

			discovered, err := oidc.NewProvider(t.Context(), issuer)
			require.NoError(t, err)
			for _, audience := range []string{"orders", "stock"} {
				token, err := discovered.Verifier(&oidc.Config{ClientID: audience}).Verify(t.Context(), raw)
				require.NoError(t, err)
				require.Equal(t, "user-alice", token.Subject)
				var claims struct {
					Username string   `json:"preferred_username"`
					Roles    []string `json:"roles"`
				}
				require.NoError(t, token.Claims(&claims))
				require.Equal(t, "alice", claims.Username)
				require.Equal(t, []string{"admin", "user", "users"}, claims.Roles)
			}
			_, err = discovered.Verifier(&oidc.Config{ClientID: "billing"}).Verify(t.Context(), raw)
			require.Error(t, err)
			info, err := discovered.UserInfo(t.Context(), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: raw}))
			require.NoError(t, err)
			require.Equal(t, "user-alice", info.Subject)
		})
	}
}

// A verifier that has read the metadata once verifies what later keys sign, of whatever
// algorithm, and rejects what a compromised one has signed.
func TestAnotherLibraryFollowsTheSigningKeys(t *testing.T) {
	provider := oidctest.New(t, oidctest.Options{})
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	auth, err := core.New(core.Config{
		Providers: []core.Provider{{Issuer: provider.Issuer, ClientID: provider.ClientID}}, PublicURL: server.URL, Broker: &core.Broker{},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, auth.Close()) })
	for _, e := range auth.Endpoints() {
		mux.Handle(e.Path, e.Handler)
	}
	discovered, err := oidc.NewProvider(t.Context(), server.URL)
	require.NoError(t, err)
	verifier := discovered.Verifier(&oidc.Config{ClientID: server.URL})
	// go-oidc wakes those who wait for keys before it stores them and forgets the fetch. For an
	// instant the next look at keys is at what it had before.
	requireVerifies := func(want bool, raw, algorithm string) {
		require.Eventually(t, func() bool {
			_, err := verifier.Verify(t.Context(), raw)
			return want == (err == nil)
		}, 10*time.Second, time.Millisecond, algorithm)
	}
	var last string
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA", "PS256"} {
		require.NoError(t, auth.RotateSigningKey(t.Context(), core.RotateOptions{Algorithm: algorithm, Compromised: true}))
		raw, err := auth.Mint(t.Context(), core.Identity{Subject: "job"}, core.MintOptions{})
		require.NoError(t, err)
		requireVerifies(true, raw, algorithm)
		if last != "" {
			requireVerifies(false, last, algorithm)
		}
		last = raw
	}
}
