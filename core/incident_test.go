package core_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/store/memory"
	"github.com/stretchr/testify/require"
)

// Each test runs the recipe of docs/operations.md that has its name.

func TestIncidentALeakedSigningKey(t *testing.T) {
	records := memory.New()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(records))
	b := a.replica(records)
	tokens := a.signIn("alice")
	require.NoError(t, a.verify(tokens.AccessToken))
	require.NoError(t, b.verify(tokens.AccessToken))

	require.NoError(t, a.auth.RotateSigningKey(t.Context(), core.RotateOptions{Compromised: true}))
	require.ErrorIs(t, a.verify(tokens.AccessToken), core.ErrInvalidToken, "here at the next request")
	fresh := a.tokens(a.refresh(tokens.RefreshToken))
	require.NoError(t, a.verify(fresh.AccessToken), "sessions go on")
	a.clock.Add(11 * time.Second)
	require.NoError(t, b.verify(fresh.AccessToken), "the other replica asks the store for a key that it does not know")
	require.ErrorIs(t, b.verify(tokens.AccessToken), core.ErrInvalidToken, "and learns that the other one is withdrawn")
}

func TestIncidentALeakedDatabase(t *testing.T) {
	records := memory.New()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(records))
	tokens := a.signIn("alice")
	for _, kind := range []string{"session", "signing-key"} {
		found, err := records.Find(t.Context(), kind, "", "", 10)
		require.NoError(t, err)
		require.NotEmpty(t, found)
		for _, record := range found {
			for _, secret := range []string{"refresh_token", "private", `"d"`, "alice@", tokens.RefreshToken} {
				require.NotContains(t, string(record.Data), secret)
			}
		}
	}
	// Whoever has the database alone can't even start with it.
	thief := newApp(t, a.provider, stored(records), secrets(secretB), func(c *core.Config) { c.PublicURL = a.api })
	require.Error(t, thief.auth.Start(t.Context()))
}

func TestIncidentALeakedSecret(t *testing.T) {
	records := memory.New()
	provider := newProvider(t, oidctest.Options{})
	before := newApp(t, provider, stored(records))
	tokens := before.signIn("alice")

	during := before.replica(records, secrets(secretB, secret))
	_, err := during.auth.Reseal(t.Context())
	require.NoError(t, err)
	require.NoError(t, during.auth.RotateSigningKey(t.Context(), core.RotateOptions{Compromised: true}))

	after := before.replica(records, secrets(secretB))
	require.NoError(t, after.auth.Start(t.Context()))
	require.ErrorIs(t, after.verify(tokens.AccessToken), core.ErrInvalidToken, "a copy of the database can't sign any more")
	requireError(t, after.refresh(tokens.RefreshToken), http.StatusBadRequest, "invalid_grant")

	// Who has the old secret can do nothing with the database as it is now.
	require.Error(t, before.replica(records).auth.Start(t.Context()))
}

func TestIncidentALeakedRefreshToken(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	stolen := a.signIn("alice")
	owner := a.tokens(a.refresh(stolen.RefreshToken))
	a.clock.Add(time.Hour)
	requireError(t, a.refresh(stolen.RefreshToken), http.StatusBadRequest, "invalid_grant")
	require.Equal(t, []string{core.ReasonReplayed}, a.log.ends())
	requireError(t, a.refresh(owner.RefreshToken), http.StatusBadRequest, "invalid_grant")

	found := a.signIn("bob")
	require.Equal(t, http.StatusOK, a.post(browser(), "/auth/v2/revoke", "token", found.RefreshToken).StatusCode)
	requireError(t, a.refresh(found.RefreshToken), http.StatusBadRequest, "invalid_grant")

	another := a.signIn("bob")
	count, err := a.auth.Revoke(t.Context(), core.Who{Subject: "user-bob"})
	require.NoError(t, err)
	require.Equal(t, 1, count)
	requireError(t, a.refresh(another.RefreshToken), http.StatusBadRequest, "invalid_grant")
}

func TestIncidentACompromisedProvider(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	first, second := a.signIn("alice"), a.signIn("bob")
	a.provider.RotateKeys()
	a.clock.Add(time.Minute)
	count, err := a.auth.Revoke(t.Context(), core.Who{Before: a.clock.Now()})
	require.NoError(t, err)
	require.Equal(t, 2, count)
	for _, tokens := range []tokens{first, second} {
		requireError(t, a.refresh(tokens.RefreshToken), http.StatusBadRequest, "invalid_grant")
	}
	require.NoError(t, a.verify(a.signIn("alice").AccessToken), "the provider's new key is found by itself")
}

func TestIncidentACompromisedPeer(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	peer := newApp(t, provider, brokered())
	a := newApp(t, provider, brokered(func(b *core.Broker) { b.PeerAudiences = []string{"fleet"} }))
	a.trusts(core.Issuer{URL: peer.api, Audiences: []string{peer.api}})
	token := peer.signIn("alice").AccessToken
	require.NoError(t, a.verify(token))
	require.NoError(t, a.auth.SetTrustedIssuers(nil))
	require.ErrorIs(t, a.verify(token), core.ErrInvalidToken, "also one that was verified before")
}
