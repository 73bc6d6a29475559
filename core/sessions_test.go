package core_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// sid is the session of an access token.
func sid(t *testing.T, got tokens) string {
	t.Helper()
	return claimsOf(t, got.AccessToken)["sid"].(string)
}

// sessionsOf are the ids of a user's sessions, as an application lists them.
func (a *app) sessionsOf(subject string) []string {
	a.t.Helper()
	found, err := a.auth.Sessions(a.t.Context(), subject)
	require.NoError(a.t, err)
	ids := []string{}
	for _, s := range found {
		ids = append(ids, s.ID)
	}
	return ids
}

// signInAs signs in a user whom the provider knows by another subject and in a session of
// another name.
func (a *app) signInAs(subject, session string) tokens {
	a.t.Helper()
	a.overhear(func(body map[string]any) {
		claims := map[string]any{"sub": subject, "sid": session}
		a.resigned(body, claims, claims)
	})
	defer a.provider.Answer(oidctest.TokenPath, nil)
	return a.signIn("alice")
}

func TestSessionsListsWhereAUserIsSignedInNewestFirst(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(), func(c *core.Config) {
		c.Broker.SessionIdle, c.Broker.SessionLifetime = 2*time.Hour, 3*time.Hour
	})
	require.Empty(t, a.sessionsOf("user-alice"))
	began := a.clock.Now()
	first := a.signInAs("user-alice", "at-home")
	a.clock.Add(time.Hour)
	second := a.signIn("alice")
	a.signIn("bob")
	require.Equal(t, []string{sid(t, second), sid(t, first)}, a.sessionsOf("user-alice"))
	a.clock.Add(30 * time.Minute)
	a.tokens(a.refresh(first.RefreshToken))

	found, err := a.auth.Sessions(t.Context(), "user-alice")
	require.NoError(t, err)
	require.Len(t, found, 2)
	home := found[1]
	require.WithinDuration(t, began, home.Began, 0)
	require.WithinDuration(t, began.Add(90*time.Minute), home.Refreshed, 0)
	require.WithinDuration(t, began.Add(3*time.Hour), home.Ends, 0, "SessionLifetime comes before SessionIdle")
	home.Began, home.Refreshed, home.Ends = time.Time{}, time.Time{}, time.Time{}
	require.Equal(t, core.Session{ID: sid(t, first), Subject: "user-alice", Client: a.provider.ClientID, ProviderSession: "at-home"}, home)
	require.Equal(t, found[0].Began, found[0].Refreshed)

	a.logoutWith("", "refresh_token", second.RefreshToken)
	require.Equal(t, []string{sid(t, first)}, a.sessionsOf("user-alice"))
	a.clock.Add(90 * time.Minute)
	require.Empty(t, a.sessionsOf("user-alice"), "it has expired, and is not purged yet")
}

func TestASessionWithoutARefreshTokenIsListedUntilItsAccessTokenEnds(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	a.overhear(func(body map[string]any) { delete(body, "refresh_token") })
	got := a.signIn("alice")
	a.clock.Add(core.DefaultTokenLifetime - time.Second)
	require.Equal(t, []string{sid(t, got)}, a.sessionsOf("user-alice"))
	a.clock.Add(time.Minute)
	require.Empty(t, a.sessionsOf("user-alice"))
}

// The store finds a session by its subject and by the provider's name for it alike.
func TestAttackSubjectThatIsAnothersProviderSessionGetsNothingOfIt(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	victim := a.signInAs("user-alice", "session-7")
	attacker := a.signInAs("session-7", "user-alice")
	require.Equal(t, []string{sid(t, victim)}, a.sessionsOf("user-alice"))
	require.Equal(t, []string{sid(t, attacker)}, a.sessionsOf("session-7"))

	for _, who := range []core.Who{{Subject: "session-7"}, {ProviderSession: "user-alice"}} {
		attacker := a.signInAs("session-7", "user-alice")
		count, err := a.auth.Revoke(t.Context(), who)
		require.NoError(t, err)
		require.NotZero(t, count)
		requireError(t, a.refresh(attacker.RefreshToken), 400, "invalid_grant")
		require.Equal(t, []string{sid(t, victim)}, a.sessionsOf("user-alice"))
	}

	attacker = a.signInAs("session-7", "user-alice")
	count, err := a.auth.Revoke(t.Context(), core.Who{ProviderSession: "session-7"})
	require.NoError(t, err)
	require.Equal(t, 1, count)
	require.Empty(t, a.sessionsOf("user-alice"))
	require.Equal(t, []string{sid(t, attacker)}, a.sessionsOf("session-7"))
}

func TestASessionThatCannotBeOpenedIsMissingInTheListAndCanBeEnded(t *testing.T) {
	for name, row := range map[string]core.Who{
		"of its user":                     {Subject: "user-alice"},
		"of its user and a client":        {Subject: "user-alice", Client: "app"},
		"of its user, before a time":      {Subject: "user-alice", Before: time.Now().Add(-day)},
		"of the provider's, and a client": {ProviderSession: "of-alice", Client: "app"},
	} {
		t.Run(name, func(t *testing.T) {
			spy := newSpyStore()
			a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
			got, bob := a.signInAs("user-alice", "of-alice"), a.signIn("bob")
			spy.spoil(t, "session", "user-alice")
			require.Empty(t, a.sessionsOf("user-alice"))
			require.Len(t, a.log.lines("a session that can't be read is missing in a list"), 1)

			for _, nobodyKnows := range []core.Who{{Client: "another"}, {Before: a.clock.Now().Add(-day)}} {
				count, err := a.auth.Revoke(t.Context(), nobodyKnows)
				require.ErrorIs(t, err, core.ErrUnavailable, "whether it is one of them")
				require.ErrorContains(t, err, sid(t, got))
				require.Zero(t, count)
			}
			count, err := a.auth.Revoke(t.Context(), core.Who{Subject: "user-bob", Client: "another"})
			require.NoError(t, err)
			require.Zero(t, count)
			require.Empty(t, a.log.ends())

			count, err = a.auth.Revoke(t.Context(), row)
			require.NoError(t, err)
			require.Equal(t, 1, count)
			require.Equal(t, []string{core.ReasonRevoked}, a.log.ends())
			require.Equal(t, "user-alice", a.log.last(t).Subject)
			require.Len(t, a.log.lines(`"a session that can't be read was ended","session":"`+sid(t, got)), 1)
			require.Len(t, spy.sessions(t), 1)
			a.tokens(a.refresh(bob.RefreshToken))
		})
	}
}

func TestSessionsTellsWhenTheStoreIsDown(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
	spy.fail(func(context.Context, string, bool) error { return errors.New("unplugged") })
	_, err := a.auth.Sessions(t.Context(), "user-alice")
	require.ErrorIs(t, err, core.ErrUnavailable)
	_, err = a.auth.Revoke(t.Context(), core.Who{Subject: "user-alice"})
	require.ErrorIs(t, err, core.ErrUnavailable)
}

func TestMistakesInAQuestionForSessionsAreErrors(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	a.signIn("alice")
	_, err := a.auth.Sessions(t.Context(), "")
	require.EqualError(t, err, "core.Auth.Sessions needs a subject")
	_, err = a.auth.Revoke(t.Context(), core.Who{})
	require.ErrorContains(t, err, "the zero Who stands for no session")
	_, err = a.auth.Revoke(t.Context(), core.Who{Before: time.Time{}.In(time.FixedZone("", 60))})
	require.ErrorContains(t, err, "the zero Who stands for no session")
	require.Len(t, a.sessionsOf("user-alice"), 1)
	for _, never := range []string{"user\nalice", "user\xff", "user\x00"} {
		require.Empty(t, a.sessionsOf(never), "a store can't be asked for it")
	}

	passthrough := newApp(t, a.provider)
	_, err = passthrough.auth.Sessions(t.Context(), "user-alice")
	require.EqualError(t, err, "core.Auth.Sessions needs Config.Broker")
	_, err = passthrough.auth.Revoke(t.Context(), core.Who{Subject: "user-alice"})
	require.EqualError(t, err, "core.Auth.Revoke needs Config.Broker")
}
