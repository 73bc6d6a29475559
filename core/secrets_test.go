package core_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/store"
	"github.com/stretchr/testify/require"
)

// eavesdropper keeps the secrets that the provider hands out.
type eavesdropper struct {
	http.RoundTripper
	mu      sync.Mutex
	secrets []string
}

func (e *eavesdropper) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := e.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	res.Body = io.NopCloser(bytes.NewReader(body))
	var answer map[string]any
	if json.Unmarshal(body, &answer) == nil {
		e.mu.Lock()
		for _, name := range []string{"access_token", "refresh_token", "id_token"} {
			if secret, ok := answer[name].(string); ok {
				e.secrets = append(e.secrets, secret)
			}
		}
		e.mu.Unlock()
	}
	return res, err
}

// heard is a copy of the tokens that were handed out so far.
func (e *eavesdropper) heard() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.secrets)
}

func TestNoSecretReachesTheStoreInClear(t *testing.T) {
	spy := newSpyStore()
	provider := newProvider(t, oidctest.Options{StrictRefresh: true})
	ears := &eavesdropper{RoundTripper: http.DefaultTransport}
	a := newApp(t, provider, brokered(func(b *core.Broker) { b.Store, b.Exchange = spy, true }), func(c *core.Config) {
		c.HTTPClient = &http.Client{Transport: ears}
	})
	var ours []tokens
	for range 3 {
		got := a.signIn("alice")
		ours = append(ours, got)
		for range 3 {
			got = a.tokens(a.refresh(got.RefreshToken))
			ours = append(ours, got)
		}
	}
	a.clock.Add(day)
	requireError(t, a.refresh(ours[0].RefreshToken), 400, "invalid_grant")
	provider.EndSessions()
	requireError(t, a.refresh(ours[len(ours)-1].RefreshToken), 400, "invalid_grant")
	a.post(browser(), "/auth/v2/logout", "refresh_token", ours[5].RefreshToken)
	requireError(t, a.refresh("ogr1."+strings.Repeat("A", 102)), 400, "invalid_grant")

	secrets := ears.heard()
	require.Greater(t, len(secrets), 12, "the provider has handed out tokens")
	for _, t := range ours {
		secrets = append(secrets, t.AccessToken, t.RefreshToken)
	}
	require.NotEmpty(t, spy.handed())
	for _, secret := range append(secrets, provider.ClientSecret, `"d":`, `"refresh_token"`, "alice@example.com") {
		require.NotContains(t, spy.handed(), secret)
		require.NotContains(t, spy.handed(), base64.StdEncoding.EncodeToString([]byte(secret)))
	}
	for _, token := range secrets {
		if part := strings.Split(token, "."); len(part) > 1 { // its claims
			require.NotContains(t, spy.handed(), part[1])
		}
	}
	// A refresh token's handle, which is not the session's id.
	for _, token := range ours {
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token.RefreshToken, "ogr1."))
		require.NoError(t, err)
		require.NotContains(t, spy.handed(), string(raw[4:20]))
		require.NotContains(t, spy.handed(), base64.RawURLEncoding.EncodeToString(raw[4:20]))
	}
	a.log.keep(secrets...) // and no log line, event or error has any
}

func TestSecretsAreRolledOverWithoutLosingASession(t *testing.T) {
	const secretA = "c2VjcmV0IG9uZSBmb3IgdGVzdHMgb25seSwgMzIgYnl0ZXMh"
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy), secrets(secretA))
	old := a.signIn("alice")
	both := a.replica(spy, secrets(secretA, secretB)) // step 1: the new one opens
	first := both.tokens(both.refresh(old.RefreshToken))
	moved := a.replica(spy, secrets(secretB, secretA)) // step 2: the new one seals
	second := moved.tokens(moved.refresh(first.RefreshToken))
	// Replicas at step 1 take what those at step 2 made, and the other way round.
	require.Equal(t, second.RefreshToken, both.tokens(both.refresh(first.RefreshToken)).RefreshToken)
	other := both.signIn("bob")

	n, err := moved.auth.Reseal(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, n, "the key, and bob's session; alice's was sealed anew by its refresh")
	n, err = moved.auth.Reseal(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	last := a.replica(spy, secrets(secretB)) // step 3: the old one is gone
	last.guarded("/me", last.auth.Required())
	require.NoError(t, last.auth.Start(t.Context()))
	require.Equal(t, 200, last.get(http.DefaultClient, "/me", "Authorization: Bearer "+old.AccessToken).StatusCode, "the signing key is the same")
	third := last.tokens(last.refresh(second.RefreshToken))
	require.NotEmpty(t, third.RefreshToken)
	requireError(t, last.refresh(other.RefreshToken), 400, "invalid_grant") // its token was made with the old secret
	require.Empty(t, last.log.ends())
}

// A new key beside records of an unknown secret would be the beginning of a
// second application in one store.
func TestStartRefusesAStoreThatItsSecretsDoNotOpenAndChangesNothing(t *testing.T) {
	for name, row := range map[string]struct {
		change  func(spy *spyStore)
		secret  string
		changed bool // since it was sealed
	}{
		"sessions and keys":      {func(*spyStore) {}, secretB, false},
		"sessions only":          {func(spy *spyStore) { spy.remove(t, "signing-key") }, secretB, false},
		"keys only":              {func(spy *spyStore) { spy.remove(t, "session") }, secretB, false},
		"a key that was changed": {func(spy *spyStore) { spy.spoil(t, "signing-key", "") }, secret, true},
		"sessions and no key, which were changed": {func(spy *spyStore) {
			spy.spoil(t, "session", "user-alice")
			spy.remove(t, "signing-key")
		}, secret, false},
	} {
		t.Run(name, func(t *testing.T) {
			spy := newSpyStore()
			a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
			token := a.signIn("alice").RefreshToken
			row.change(spy)
			before := spy.all(t)
			b := a.replica(spy, secrets(row.secret))
			for range 2 {
				err := b.auth.Start(t.Context())
				require.ErrorContains(t, err, "the store can't be used")
				require.NotErrorIs(t, err, core.ErrUnavailable, "waiting won't mend it")
				if !row.changed {
					require.ErrorContains(t, err, "Config.Secrets")
				}
				// A program that goes on regardless does no harm either.
				requireError(t, b.get(http.DefaultClient, "/auth/v2/.well-known/jwks.json"), 503, "temporarily_unavailable")
				requireError(t, b.codeLogin("alice"), 503, "temporarily_unavailable")
				require.Equal(t, before, spy.all(t))
				b.clock.Add(time.Hour)
			}
			requireError(t, b.get(http.DefaultClient, "/auth/v2/userinfo", "Authorization: Bearer x.y.z"), 401, "invalid_token")
			if row.secret == secretB && len(before) == 2 {
				a.tokens(a.refresh(token))
			}
		})
	}
}

// One session that can't be read is its user's trouble, and no reason for all the
// others to be refused.
func TestStartWarnsOfSessionsThatCannotBeReadWhenTheKeyCan(t *testing.T) {
	const warning = "the store holds sessions that no secret of Config.Secrets opens"
	for name, row := range map[string]struct {
		change func(spy *spyStore, a *app)
		warns  bool
	}{
		"all is well":         {func(*spyStore, *app) {}, false},
		"one was changed":     {func(spy *spyStore, _ *app) { spy.spoil(t, "session", "user-alice") }, true},
		"one is of no secret": {func(spy *spyStore, a *app) { spy.foreign(t, a) }, true},
		"one was changed, and has expired": {func(spy *spyStore, a *app) {
			spy.spoil(t, "session", "user-alice")
			a.clock.Add(1000 * day)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			spy := newSpyStore()
			a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
			a.signIn("alice")
			bob := a.signIn("bob").RefreshToken
			row.change(spy, a)
			now := a.clock.Now()
			b := a.replica(spy)
			require.NoError(t, b.auth.Start(t.Context()))
			require.Equal(t, row.warns, strings.Contains(b.log.logged(), warning), b.log.logged())
			if now.Equal(a.clock.Now()) && row.warns {
				b.tokens(b.refresh(bob))
			}
		})
	}
}

// foreign adds a session that another secret has sealed.
func (s *spyStore) foreign(t *testing.T, a *app) {
	t.Helper()
	other := newSpyStore()
	a.replica(other, secrets(secretB)).signIn("alice")
	for _, record := range other.all(t) {
		if record.Kind == "session" {
			record.Version = 0
			_, err := s.Put(t.Context(), record)
			require.NoError(t, err)
		}
	}
}

func TestSessionsThatHaveExpiredKeepNobodyFromAFirstKey(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
	a.signIn("alice")
	spy.remove(t, "signing-key")
	a.clock.Add(1000 * day)
	b := a.replica(spy, secrets(secretB))
	require.NoError(t, b.auth.Start(t.Context()))
	require.Equal(t, http.StatusOK, b.get(http.DefaultClient, "/auth/v2/.well-known/jwks.json").StatusCode)
	require.NotContains(t, b.log.logged(), "no secret of Config.Secrets opens")
}

// One record that can't be opened must not keep the others from the new secret.
func TestResealGoesOnPastWhatItCannotOpenAndTellsOfIt(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy), secrets(secret))
	a.signIn("alice")
	for range 3 {
		a.signIn("bob")
	}
	spy.spoil(t, "session", "user-alice")
	spy.foreign(t, a.replica(spy, secrets(secret)))
	const third = "dGhpcmQgc2VjcmV0IGZvciB0ZXN0cyBvbmx5LCAzMiBieXRlcyE="
	moved := a.replica(spy, secrets(third, secret))
	for _, want := range []int{4, 0} { // the key and bob's sessions; and no second time
		n, err := moved.auth.Reseal(t.Context())
		require.Equal(t, want, n)
		require.ErrorContains(t, err, "what was sealed was changed since")
		require.ErrorContains(t, err, "a secret that is not among the configured ones")
		require.Equal(t, 2, strings.Count(err.Error(), "can't be opened"))
	}
	require.Len(t, spy.all(t), 6, "what can't be opened stays as it is")
	b := a.replica(spy, secrets(third))
	require.NoError(t, b.auth.Start(t.Context()))
	b.signIn("bob")

	spy.fail(func(_ context.Context, call string, done bool) error {
		if call == "find session" && !done {
			return errors.New("unplugged")
		}
		return nil
	})
	_, err := moved.auth.Reseal(t.Context())
	require.ErrorIs(t, err, core.ErrUnavailable, "an outage ends it")
}

// Data that was tampered with, or moved from one record to another, is not
// believed.
func TestATamperedRecordIsNotBelieved(t *testing.T) {
	for name, tamper := range map[string]func(mine *store.Record, other store.Record){
		"a flipped bit":                 func(mine *store.Record, _ store.Record) { mine.Data[len(mine.Data)/2] ^= 1 },
		"another session's data":        func(mine *store.Record, other store.Record) { mine.Data = other.Data },
		"another user's key to find it": func(mine *store.Record, other store.Record) { mine.Keys = other.Keys },
		"no data":                       func(mine *store.Record, _ store.Record) { mine.Data = nil },
	} {
		t.Run(name, func(t *testing.T) {
			spy := newSpyStore()
			a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
			alice, bob := a.signIn("alice"), a.signIn("bob")
			find := func(subject string) store.Record {
				found, err := spy.Find(t.Context(), "session", subject, "", 10)
				require.NoError(t, err)
				require.Len(t, found, 1)
				return found[0]
			}
			mine := find("user-alice")
			tamper(&mine, find("user-bob"))
			_, err := spy.Put(t.Context(), mine)
			require.NoError(t, err)
			requireError(t, a.refresh(alice.RefreshToken), 503, "temporarily_unavailable")
			requireError(t, a.get(http.DefaultClient, "/auth/v2/userinfo", "Authorization: Bearer "+alice.AccessToken), 503, "temporarily_unavailable")
			a.tokens(a.refresh(bob.RefreshToken))
		})
	}
}

func TestSecretsRollOver(t *testing.T) {
	const older, newer = "b2xkZXIgc2VjcmV0IGZvciB0ZXN0cywgMzIgYnl0ZXMgbG9uZw", "bmV3ZXIgc2VjcmV0IGZvciB0ZXN0cywgMzIgYnl0ZXMgbG9uZw"
	provider := newProvider(t, oidctest.Options{})
	announcesNoPKCE(provider)
	secrets := func(all ...string) func(*core.Config) {
		return func(c *core.Config) { c.Secrets = all; c.PublicURL = "" }
	}
	before := newApp(t, provider, secrets(older))
	after := newApp(t, provider, secrets(newer, older))
	gone := newApp(t, provider, secrets(newer))
	verifier := strings.Repeat("v", 43)
	for _, own := range []bool{false, true} {
		fields := []string{"redirect_uri", native}
		if own {
			fields = append(fields, "code_challenge", challengeOf(verifier), "code_challenge_method", "S256")
		}
		redeem := func(a *app) answer {
			code, proof := before.authorize(browser(), "alice", fields...)
			if own {
				proof = verifier
			}
			return a.post(browser(), "/auth/v2/token", "code", code, "redirect_uri", native, "code_verifier", proof)
		}
		after.tokens(redeem(after))
		requireError(t, redeem(gone), http.StatusBadRequest, "invalid_grant")
	}
}
