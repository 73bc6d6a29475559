package core_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestRevokeEndsTheSessionsForWhichAllHolds(t *testing.T) {
	for name, row := range map[string]struct {
		who  func(a *app, early, late, bob tokens) core.Who
		want string // the first letters of those that end
	}{
		"a session": {func(a *app, early, _, _ tokens) core.Who { return core.Who{Session: sid(a.t, early)} }, "e"},
		"a session of hers": {func(a *app, early, _, _ tokens) core.Who {
			return core.Who{Session: sid(a.t, early), Subject: "user-alice"}
		}, "e"},
		"a session of somebody else": {func(a *app, early, _, _ tokens) core.Who {
			return core.Who{Session: sid(a.t, early), Subject: "user-bob"}
		}, ""},
		"a session that is younger": {func(a *app, _, late, _ tokens) core.Who {
			return core.Who{Session: sid(a.t, late), Before: a.clock.Now().Add(-time.Hour)}
		}, ""},
		"no session":                {func(*app, tokens, tokens, tokens) core.Who { return core.Who{Session: "AAAAAAAAAAAAAAAAAAAAAA"} }, ""},
		"what can't be a session":   {func(*app, tokens, tokens, tokens) core.Who { return core.Who{Session: "\x00"} }, ""},
		"a user":                    {func(*app, tokens, tokens, tokens) core.Who { return core.Who{Subject: "user-alice"} }, "el"},
		"what can't be a user":      {func(*app, tokens, tokens, tokens) core.Who { return core.Who{Subject: "\x00"} }, ""},
		"a user, before a time":     {func(a *app, _, _, _ tokens) core.Who { return core.Who{Subject: "user-alice", Before: a.clock.Now()} }, "e"},
		"a client":                  {func(a *app, _, _, _ tokens) core.Who { return core.Who{Client: a.provider.ClientID} }, "elb"},
		"another client":            {func(*app, tokens, tokens, tokens) core.Who { return core.Who{Client: "another"} }, ""},
		"another client and a user": {func(*app, tokens, tokens, tokens) core.Who { return core.Who{Client: "another", Subject: "user-bob"} }, ""},
		"before a time":             {func(a *app, _, _, _ tokens) core.Who { return core.Who{Before: a.clock.Now()} }, "e"},
		"before a time to come":     {func(a *app, _, _, _ tokens) core.Who { return core.Who{Before: a.clock.Now().Add(1)} }, "elb"},
		"the provider's":            {func(*app, tokens, tokens, tokens) core.Who { return core.Who{ProviderSession: "of-late"} }, "l"},
		"the provider's, and a user": {func(*app, tokens, tokens, tokens) core.Who {
			return core.Who{ProviderSession: "of-late", Subject: "user-alice"}
		}, "l"},
		"the provider's, and another": {func(*app, tokens, tokens, tokens) core.Who {
			return core.Who{ProviderSession: "of-late", Subject: "user-bob"}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
			early := a.signInAs("user-alice", "of-early")
			a.clock.Add(time.Minute)
			late, bob := a.signInAs("user-alice", "of-late"), a.signIn("bob")
			count, err := a.auth.Revoke(t.Context(), row.who(a, early, late, bob))
			require.NoError(t, err)
			require.Equal(t, len(row.want), count)
			require.Len(t, a.log.ends(), count, "each is an event")
			require.Zero(t, a.revoked(), "the provider is not told")
			ended := ""
			for _, s := range []struct {
				letter string
				tokens
			}{{"e", early}, {"l", late}, {"b", bob}} {
				if got := a.refresh(s.RefreshToken); got.StatusCode != http.StatusOK {
					requireError(t, got, http.StatusBadRequest, "invalid_grant")
					ended += s.letter
				}
			}
			require.Equal(t, row.want, ended)
		})
	}
}

func TestARevocationIsAnEventOfItsSession(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	id := sid(t, a.signIn("alice"))
	_, err := a.auth.Revoke(t.Context(), core.Who{Session: id})
	require.NoError(t, err)
	event := a.log.last(t)
	event.Time, event.Issuer = time.Time{}, ""
	require.Equal(t, core.Event{
		Kind: core.EventEnd, Reason: "revoked", Subject: "user-alice", Client: a.provider.ClientID, Session: id,
	}, event)
}

func TestASessionThatFailsKeepsNoOtherFromBeingRevoked(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
	for range 3 {
		a.signIn("alice")
	}
	first, deletes := "", 0
	spy.fail(func(_ context.Context, call string, done bool) error {
		if call != "delete session" || done {
			return nil
		}
		if deletes++; deletes <= 2 { // the first session's, which is tried twice
			return errors.New("unplugged")
		}
		return nil
	})
	first = spy.sessions(t)[0].ID
	count, err := a.auth.Revoke(t.Context(), core.Who{Subject: "user-alice"})
	require.ErrorIs(t, err, core.ErrUnavailable)
	require.ErrorContains(t, err, first)
	require.Equal(t, 2, count)
	require.Equal(t, []string{first}, a.sessionsOf("user-alice"))

	count, err = a.auth.Revoke(t.Context(), core.Who{Subject: "user-alice"})
	require.NoError(t, err)
	require.Equal(t, 1, count)
	require.Empty(t, a.sessionsOf("user-alice"))
}

func TestASessionThatSomebodyElseEndsIsNotCounted(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
	a.signIn("alice")
	other := false
	spy.fail(func(_ context.Context, call string, done bool) error {
		if call == "delete session" && !other {
			other = true
			for _, record := range spy.sessions(t) {
				require.NoError(t, spy.Store.Delete(t.Context(), record.Kind, record.ID, record.Version))
			}
		}
		return nil
	})
	count, err := a.auth.Revoke(t.Context(), core.Who{Subject: "user-alice"})
	require.NoError(t, err)
	require.True(t, other)
	require.Zero(t, count)
	require.Empty(t, a.log.ends())
}

func TestASessionThatChangesMeanwhileIsRevokedAllTheSame(t *testing.T) {
	spy := newSpyStore()
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy))
	a.signIn("alice")
	changed := false
	spy.fail(func(_ context.Context, call string, done bool) error {
		if call == "delete session" && !changed {
			changed = true
			_, err := spy.Store.Put(t.Context(), spy.sessions(t)[0])
			require.NoError(t, err)
		}
		return nil
	})
	count, err := a.auth.Revoke(t.Context(), core.Who{Before: a.clock.Now().Add(time.Hour)})
	require.NoError(t, err)
	require.Equal(t, 1, count)
	require.Empty(t, spy.sessions(t))
}

func TestARefreshThatIsUnderWayGivesNoTokensOfARevokedSession(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{StrictRefresh: true}), brokered())
	token := a.signIn("alice").RefreshToken
	a.provider.Answer(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
		count, err := a.auth.Revoke(context.WithoutCancel(r.Context()), core.Who{Subject: "user-alice"})
		if err != nil || count != 1 {
			t.Errorf("revoked %d: %v", count, err)
		}
		real.ServeHTTP(w, r)
	})
	requireError(t, a.refresh(token), http.StatusBadRequest, "invalid_grant")
	require.Equal(t, 1, a.revoked(), "what the provider gave meanwhile goes back")
	require.Empty(t, a.sessionsOf("user-alice"))
	require.Equal(t, []string{core.ReasonRevoked}, a.log.ends())
}
