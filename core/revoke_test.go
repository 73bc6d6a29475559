package core_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

const revokeRoute = "/auth/v2/revoke"

func (a *app) revoke(token string, fields ...string) answer {
	a.t.Helper()
	a.log.keep(token)
	return a.post(browser(), revokeRoute, append(fields, "token", token)...)
}

// requireRevoked makes sure that a revocation was accepted; whatever it has done.
func requireRevoked(t *testing.T, got answer) {
	t.Helper()
	require.Equal(t, http.StatusOK, got.StatusCode, got.body)
	require.JSONEq(t, "{}", got.body)
	requireProtected(t, got)
}

func TestARevokedTokenEndsItsSession(t *testing.T) {
	for name, row := range map[string]struct {
		which  func(a *app, old, current tokens) string
		fields []string
	}{
		"the refresh token":                    {func(_ *app, _, c tokens) string { return c.RefreshToken }, nil},
		"the refresh token, in its grace time": {func(_ *app, old, _ tokens) string { return old.RefreshToken }, nil},
		"the access token":                     {func(_ *app, _, c tokens) string { return c.AccessToken }, nil},
		"an access token that has expired": {func(a *app, old, _ tokens) string {
			a.clock.Add(2 * day)
			requireError(a.t, me(a.auth, old.AccessToken), http.StatusUnauthorized, "invalid_token")
			return old.AccessToken
		}, nil},
		"an access token for a peer alone": {func(a *app, _, c tokens) string {
			return a.tokens(a.refresh(c.RefreshToken, "resource", "https://peer.example")).AccessToken
		}, nil},
		"the right hint": {func(_ *app, _, c tokens) string { return c.RefreshToken }, []string{"token_type_hint", "refresh_token"}},
		"a wrong hint":   {func(_ *app, _, c tokens) string { return c.RefreshToken }, []string{"token_type_hint", "access_token"}},
		"another wrong hint": {func(_ *app, _, c tokens) string { return c.AccessToken },
			[]string{"token_type_hint", "refresh_token"}},
		"an unknown hint": {func(_ *app, _, c tokens) string { return c.AccessToken },
			[]string{"token_type_hint", "urn:ietf:params:oauth:token-type:☂"}},
		"our credentials": {func(_ *app, _, c tokens) string { return c.AccessToken },
			[]string{"client_id", oidctest.DefaultClientID, "client_secret", oidctest.DefaultClientSecret}},
	} {
		t.Run(name, func(t *testing.T) {
			store := newSpyStore()
			a := newApp(t, newProvider(t, oidctest.Options{}), stored(store), inBroker(func(b *core.Broker) { b.PeerAudiences = []string{"https://peer.example"} }))
			other, old := a.signIn("alice"), a.signIn("alice")
			current := a.tokens(a.refresh(old.RefreshToken))
			token := row.which(a, old, current)

			requireRevoked(t, a.revoke(token, row.fields...))
			event := a.log.last(t)
			require.Equal(t, core.EventLogout, event.Kind)
			require.Equal(t, "user-alice", event.Subject)
			require.Equal(t, claimsOf(t, old.AccessToken)["sid"], event.Session)
			require.Equal(t, 1, a.revoked(), "the provider's refresh token goes back")
			requireError(t, a.refresh(current.RefreshToken), http.StatusBadRequest, "invalid_grant")

			// Once more is no error, and does no more.
			requireRevoked(t, a.revoke(token, row.fields...))
			require.Equal(t, 1, a.revoked())
			a.tokens(a.refresh(other.RefreshToken))
		})
	}
}

// The thief may be who revokes it, or whose token was revoked: nobody can tell.
func TestRevokingAUsedUpRefreshTokenIsAReplay(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	used := a.signIn("alice")
	current := a.tokens(a.refresh(used.RefreshToken))
	a.clock.Add(time.Minute)
	requireRevoked(t, a.revoke(used.RefreshToken))
	require.Equal(t, []string{core.ReasonReplayed}, a.log.ends())
	require.Zero(t, a.revoked(), "a thief must not sign out the user's other devices")
	requireError(t, a.refresh(current.RefreshToken), http.StatusBadRequest, "invalid_grant")
}

func TestRevokingATokenThatIsNotOursIsNoErrorAndAsksNoStore(t *testing.T) {
	store := newSpyStore()
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, stored(store))
	got := a.signIn("alice")
	stranger := newApp(t, provider, brokered(), secrets(strings.Repeat("-_", 22))).signIn("alice")
	for name, token := range map[string]string{
		"nonsense":                          "nonsense",
		"a refresh token of another broker": stranger.RefreshToken,
		"an access token of another broker": stranger.AccessToken,
		"an access token of the provider":   provider.AccessToken(t, "alice"),
		"a refresh token cut short":         got.RefreshToken[:len(got.RefreshToken)-1],
		// The attack: whoever knows a session's id, as every receiver of an access token
		// does, writes himself a token for it.
		"an access token that was changed":    otherSignature(t, got.AccessToken, flipped),
		"an access token without a signature": encode(`{"alg":"none"}`) + "." + strings.Split(got.AccessToken, ".")[1] + ".",
	} {
		t.Run(name, func(t *testing.T) {
			require.Empty(t, store.during(func() { requireRevoked(t, a.revoke(token)) }))
		})
	}
	require.Zero(t, a.revoked())
	a.tokens(a.refresh(got.RefreshToken))
}

func TestAnAccessTokenWithoutASessionCannotBeRevoked(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(exchanging))
	minted, err := a.auth.Mint(t.Context(), core.Identity{Subject: "job"}, core.MintOptions{})
	require.NoError(t, err)
	for _, token := range []string{minted, a.tokens(a.exchange(a.subjectToken(nil))).AccessToken} {
		requireError(t, a.revoke(token), http.StatusBadRequest, "unsupported_token_type")
	}
}

func TestRevokeRefusesInvalidRequests(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	got := a.signIn("alice")
	token := got.RefreshToken
	for _, row := range []struct {
		status int
		code   string
		answer answer
	}{
		{400, "invalid_request", a.post(browser(), revokeRoute)},
		{400, "invalid_request", a.post(browser(), revokeRoute, "token", token, "token", token)},
		{400, "invalid_request", a.post(browser(), revokeRoute, "token", strings.Repeat("x", 16<<10+1))},
		{400, "invalid_request", a.post(browser(), revokeRoute+"?token="+token)},
		{401, "invalid_client", a.revoke(token, "client_id", "stranger")},
		{401, "invalid_client", a.revoke(token, "client_secret", "guess")},
	} {
		requireError(t, row.answer, row.status, row.code)
	}
	a.tokens(a.refresh(token))
}

func TestARevocationThatTheStoreFailsEndsNothingAndSaysSo(t *testing.T) {
	store := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(store))
	got := a.signIn("alice")
	unplugged := func(context.Context, string, bool) error { return errors.New("unplugged") }
	fresh := a.replica(store) // which can't verify an access token without the store
	for _, token := range []string{got.RefreshToken, got.AccessToken} {
		store.fail(unplugged)
		requireError(t, a.revoke(token), http.StatusServiceUnavailable, "temporarily_unavailable")
		requireError(t, fresh.revoke(token), http.StatusServiceUnavailable, "temporarily_unavailable")
		store.fail(nil)
		got = a.tokens(a.refresh(got.RefreshToken))
	}
	require.Zero(t, a.revoked())
	requireRevoked(t, a.revoke(got.AccessToken))
	requireError(t, a.refresh(got.RefreshToken), http.StatusBadRequest, "invalid_grant")
}
