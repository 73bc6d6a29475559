package core_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// A provider may give a new key the name of the old one, or none to any.
var renamings = map[string]oidctest.Options{
	"a key replaced under its kid": {},
	"keys without kids":            {NoKeyIDs: true},
}

func TestAGuardFindsAKeyThatWasReplacedUnderItsName(t *testing.T) {
	for name, options := range renamings {
		t.Run(name, func(t *testing.T) {
			options.AccessTokenLifetime = 1000 * time.Hour
			provider := newProvider(t, options)
			a := newApp(t, provider)
			before := provider.AccessToken(t, "alice")
			for range 2 { // the second time it is remembered
				_, err := a.auth.Verify(t.Context(), before)
				require.NoError(t, err)
			}
			provider.ReplaceKey()
			after := provider.AccessToken(t, "bob")
			for range 3 {
				token, err := a.auth.Verify(t.Context(), after)
				require.NoError(t, err)
				require.Equal(t, "user-bob", token.Subject())
				_, err = a.auth.Verify(t.Context(), before)
				require.ErrorIs(t, err, core.ErrInvalidToken, "its key is gone, though another has its name")
			}
			require.Equal(t, 2, provider.Requests(oidctest.KeysPath))

			// The next one is found as soon as the cool-down is over, and not before.
			provider.ReplaceKey()
			next := provider.AccessToken(t, "bob")
			a.clock.Add(10*time.Second - 1)
			_, err := a.auth.Verify(t.Context(), next)
			require.ErrorIs(t, err, core.ErrInvalidToken)
			a.clock.Add(1)
			_, err = a.auth.Verify(t.Context(), next)
			require.NoError(t, err)
			require.Equal(t, 3, provider.Requests(oidctest.KeysPath))
		})
	}
}

// What comes straight from the provider is worth a fetch at any time, also when
// strangers have just used up theirs.
func TestALoginFindsAKeyThatWasReplacedUnderItsName(t *testing.T) {
	for name, options := range renamings {
		for mode, configure := range map[string]func(*core.Config){"passthrough": func(*core.Config) {}, "broker": brokered()} {
			t.Run(name+", "+mode, func(t *testing.T) {
				provider := newProvider(t, options)
				a := newApp(t, provider, configure)
				tokens := a.signIn("alice")
				for range 3 {
					forged := otherSignature(t, provider.AccessToken(t, "alice"), flipped)
					_, err := a.auth.Verify(t.Context(), forged)
					require.ErrorIs(t, err, core.ErrInvalidToken)
					provider.ReplaceKey()
					a.signIn("bob")
				}
				provider.ReplaceKey()
				a.tokens(a.post(browser(), "/auth/v2/token", "refresh_token", tokens.RefreshToken))
			})
		}
	}
}

func flipped(signature []byte) []byte { signature[len(signature)/2] ^= 1; return signature }

func TestAFurtherIssuersKeyMayBeReplacedUnderItsName(t *testing.T) {
	for name, options := range renamings {
		t.Run(name, func(t *testing.T) {
			home, other := newProvider(t, oidctest.Options{}), newProvider(t, options)
			a := newApp(t, home, further(core.Issuer{URL: other.Issuer}))
			for range 3 {
				_, err := a.auth.Verify(t.Context(), other.AccessToken(t, "alice"))
				require.NoError(t, err)
				other.ReplaceKey()
				a.clock.Add(10 * time.Second)
			}
		})
	}
}

// Strangers can sign what they like. Whatever they send, the provider is asked for its
// keys once per cool-down, and nobody whose token is good waits or is refused.
func TestStrangersSignaturesCauseOneFetchPerCoolDown(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	good := provider.AccessToken(t, "alice")
	_, err := a.auth.Verify(t.Context(), good)
	require.NoError(t, err)
	stranger := newForger(t, "RS256")
	stranger.private = rsaKeys()[1]
	payload := func(i int) string {
		return `{"iss":"` + provider.Issuer + `","sub":"user-alice","aud":"app","scope":"openid","exp":4e9,"i":` + decimal(int64(i)) + `}`
	}
	kids := []string{provider.KeyID(t), "made up", ""}
	for round := range 3 {
		before := provider.Requests(oidctest.KeysPath)
		var all sync.WaitGroup
		for i := range 60 {
			all.Go(func() {
				signer := stranger.named(kids[i%3], []string{"RS256", "PS256", "ES256", "RS512"}[i%4])
				header := signer.header()
				if signer.kid == "" {
					header = `{"alg":"` + signer.alg + `"}`
				}
				for range 5 {
					got := serve(a.auth.Required(), bearer(signer.token(t, header, payload(i))))
					require.Equal(t, http.StatusUnauthorized, got.StatusCode, got.body)
					require.Equal(t, http.StatusOK, serve(a.auth.Required(), bearer(good)).StatusCode)
				}
			})
		}
		all.Wait()
		require.Equal(t, before+1, provider.Requests(oidctest.KeysPath), "round %d", round)
		a.clock.Add(10 * time.Second)
	}
}
