package core_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
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
				require.NoError(t, a.verify(before))
			}
			provider.ReplaceKey()
			after := provider.AccessToken(t, "bob")
			for range 3 {
				token, err := a.auth.Verify(t.Context(), after)
				require.NoError(t, err)
				require.Equal(t, "user-bob", token.Subject())
				require.ErrorIs(t, a.verify(before), core.ErrInvalidToken, "its key is gone, though another has its name")
			}
			require.Equal(t, 2, provider.Requests(oidctest.KeysPath))

			// The next one is found as soon as the cool-down is over, and not before.
			provider.ReplaceKey()
			next := provider.AccessToken(t, "bob")
			a.clock.Add(10*time.Second - 1)
			require.ErrorIs(t, a.verify(next), core.ErrInvalidToken)
			a.clock.Add(1)
			require.NoError(t, a.verify(next))
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
					require.ErrorIs(t, a.verify(forged), core.ErrInvalidToken)
					provider.ReplaceKey()
					a.signIn("bob")
				}
				provider.ReplaceKey()
				a.tokens(a.post(browser(), "/auth/v2/token", "refresh_token", tokens.RefreshToken))
			})
		}
	}
}

func TestAFurtherIssuersKeyMayBeReplacedUnderItsName(t *testing.T) {
	for name, options := range renamings {
		t.Run(name, func(t *testing.T) {
			home, other := newProvider(t, oidctest.Options{}), newProvider(t, options)
			a := newApp(t, home, further(core.Issuer{URL: other.Issuer}))
			for range 3 {
				require.NoError(t, a.verify(other.AccessToken(t, "alice")))
				other.ReplaceKey()
				a.clock.Add(10 * time.Second)
			}
		})
	}
}

// Strangers can sign what they like. Whatever they send, the provider is asked for its
// keys once per cool-down, and nobody whose token is valid waits or is refused.
func TestStrangersSignaturesCauseOneFetchPerCoolDown(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	valid := provider.AccessToken(t, "alice")
	require.NoError(t, a.verify(valid))
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
					require.Equal(t, http.StatusOK, serve(a.auth.Required(), bearer(valid)).StatusCode)
				}
			})
		}
		all.Wait()
		require.Equal(t, before+1, provider.Requests(oidctest.KeysPath), "round %d", round)
		a.clock.Add(10 * time.Second)
	}
}

func TestUnknownKidsDoNotBreakTheBackOff(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, func(c *core.Config) { c.Providers[0].JWKSURL = c.Providers[0].Issuer + oidctest.KeysPath })
	require.NoError(t, a.auth.Start(t.Context()))
	provider.Down(true)
	unknown := provider.SignedToken(t, map[string]any{"kid": "x"}, provider.Claims("alice", map[string]any{"exp": a.clock.Now().Add(time.Hour).Unix()}))
	tries := func() int { return provider.Requests(oidctest.KeysPath) }
	require.ErrorIs(t, a.verify(unknown), core.ErrUnavailable, "it may be valid: nobody knows")
	for range 4 { // until the back-off is longer than the cool-down
		before := tries()
		a.clock.Add(10 * time.Second)
		_, _ = a.auth.Verify(t.Context(), unknown)
		require.Equal(t, before+1, tries())
	}
	before := tries()
	a.clock.Add(10 * time.Second)
	_, _ = a.auth.Verify(t.Context(), unknown)
	require.Equal(t, before, tries(), "the provider is left alone for 16 s now")
}

func TestRotatedKeysAreFoundByOneFetchPerCoolDown(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	old := provider.AccessToken(t, "alice")
	require.NoError(t, a.verify(old))
	require.Equal(t, 1, provider.Requests(oidctest.KeysPath))

	provider.RotateKeys()
	rotated := provider.AccessToken(t, "alice")
	require.NoError(t, a.verify(rotated), "a key that is new is fetched at once")
	require.Equal(t, 2, provider.Requests(oidctest.KeysPath))
	require.ErrorIs(t, a.verify(old), core.ErrInvalidToken, "a key that left the set is out")

	_, signed, _ := strings.Cut(rotated, ".")
	for i := range 1000 {
		header := fmt.Sprintf(`{"alg":"RS256","kid":"unknown-%d"}`, i)
		require.ErrorIs(t, a.verify(base64.RawURLEncoding.EncodeToString([]byte(header))+"."+signed), core.ErrInvalidToken)
	}
	require.Equal(t, 2, provider.Requests(oidctest.KeysPath), "within the cool-down")
	a.clock.Add(10*time.Second - time.Millisecond)
	require.ErrorIs(t, a.verify(old), core.ErrInvalidToken)
	require.Equal(t, 2, provider.Requests(oidctest.KeysPath), "within the cool-down")
	a.clock.Add(time.Millisecond)
	for range 10 {
		require.ErrorIs(t, a.verify(old), core.ErrInvalidToken)
	}
	require.Equal(t, 3, provider.Requests(oidctest.KeysPath))

	tampered := rotated[:len(rotated)-8] + "AAAAAAAA"
	a.clock.Add(time.Minute)
	for range 10 {
		require.ErrorIs(t, a.verify(tampered), core.ErrInvalidToken)
	}
	require.Equal(t, 4, provider.Requests(oidctest.KeysPath), "the key may have been replaced under its name")
}

// Who has a key waits for nobody who misses one.
func TestAFetchForAnUnknownKidStopsNobodyElse(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, func(c *core.Config) { c.CacheSize, c.Timeout = -1, time.Hour })
	raw := provider.AccessToken(t, "alice")
	require.NoError(t, a.verify(raw))
	arrived, release := make(chan struct{}), make(chan struct{})
	provider.Answer(oidctest.KeysPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		close(arrived)
		<-release
		real.ServeHTTP(w, r)
	})
	waiting := make(chan error)
	go func() {
		_, err := a.auth.Verify(t.Context(), provider.SignedToken(t, map[string]any{"kid": "unknown"}, provider.Claims("alice", nil)))
		waiting <- err
	}()
	<-arrived
	for range 100 {
		require.NoError(t, a.verify(raw))
	}
	close(release)
	require.ErrorIs(t, <-waiting, core.ErrInvalidToken)
}

// Strangers can use up the fetches for unknown kids; honest logins go on.
func TestForgedTokensDoNotStopLoginsAfterARotation(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	_, signed, _ := strings.Cut(provider.AccessToken(t, "alice"), ".")
	forged := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"x"}`)) + "." + signed
	require.ErrorIs(t, a.verify(forged), core.ErrInvalidToken)
	provider.RotateKeys()
	require.ErrorIs(t, a.verify(forged), core.ErrInvalidToken)
	a.signIn("alice")
}

func TestAValidTokenIsNotCalledInvalidWhenKeysRotateDuringAnOutage(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	require.NoError(t, a.auth.Start(t.Context()))
	provider.RotateKeys()
	rotated := provider.AccessToken(t, "alice")
	fail(provider, oidctest.KeysPath, http.StatusServiceUnavailable, "")
	for range 3 {
		require.ErrorIs(t, a.verify(rotated), core.ErrUnavailable)
	}
	provider.Answer(oidctest.KeysPath, nil)
	a.clock.Add(10 * time.Second)
	require.NoError(t, a.verify(rotated))
}
