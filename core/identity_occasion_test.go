package core_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestIdentifyKnowsTheOccasionAndTheSession(t *testing.T) {
	var seen core.Identity
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(_ context.Context, who *core.Identity) error {
		seen = *who
		who.SessionID, who.Occasion = "of its own", "another"
		return nil
	}))
	first := a.signIn("alice")
	require.Equal(t, core.OccasionLogin, seen.Occasion)
	require.Equal(t, sid(t, first), seen.SessionID)
	refreshed := a.tokens(a.refresh(first.RefreshToken))
	require.Equal(t, core.OccasionRefresh, seen.Occasion)
	require.Equal(t, sid(t, first), seen.SessionID)
	require.Equal(t, sid(t, first), sid(t, refreshed))
	a.tokens(a.exchange(a.provider.AccessToken(t, "alice")))
	require.Equal(t, core.OccasionExchange, seen.Occasion)
	require.Empty(t, seen.SessionID)
}

// actorOf is who acts, as a token says, with the application's own view of it.
func (a *app) actorOf(raw string) (claim string, actor *core.Actor) {
	a.t.Helper()
	token, err := a.auth.Verify(a.t.Context(), raw)
	require.NoError(a.t, err)
	text, err := json.Marshal(claimsOf(a.t, raw)["act"])
	require.NoError(a.t, err)
	return string(text), token.Actor()
}

func TestAnActorOfIdentifyIsInTheTokensOfItsSession(t *testing.T) {
	actor := &core.Actor{Subject: "support-7"}
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(_ context.Context, who *core.Identity) error {
		who.Actor = actor
		return nil
	}))
	got := a.signIn("alice")
	said, acts := a.actorOf(got.AccessToken)
	require.JSONEq(t, `{"sub":"support-7"}`, said)
	require.Equal(t, actor, acts)
	got = a.tokens(a.refresh(got.RefreshToken))
	said, _ = a.actorOf(got.AccessToken)
	require.JSONEq(t, `{"sub":"support-7"}`, said)

	actor = nil
	said, acts = a.actorOf(a.tokens(a.refresh(got.RefreshToken)).AccessToken)
	require.Equal(t, "null", said, "each call of Identify says it anew")
	require.Nil(t, acts)
}

func TestAnActorIsAroundThoseOfTheExchangedToken(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), identifying(func(_ context.Context, who *core.Identity) error {
		who.Actor = &core.Actor{Issuer: "https://staff.example.org", Subject: "support-7"}
		return nil
	}))
	got := a.tokens(a.exchange(a.subjectToken(map[string]any{"act": map[string]any{"sub": "bot", "act": map[string]any{"sub": "cron"}}})))
	said, acts := a.actorOf(got.AccessToken)
	require.JSONEq(t, `{"iss":"https://staff.example.org","sub":"support-7","act":{"sub":"bot","act":{"sub":"cron"}}}`, said)
	require.Equal(t, &core.Actor{Issuer: "https://staff.example.org", Subject: "support-7"}, acts)
	got = a.tokens(a.exchange(a.subjectToken(nil)))
	said, _ = a.actorOf(got.AccessToken)
	require.JSONEq(t, `{"iss":"https://staff.example.org","sub":"support-7"}`, said)
}

func TestAMintedTokenNamesItsActor(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	who := core.Identity{Subject: "user-alice", Issuer: a.provider.Issuer, Actor: &core.Actor{Subject: "nightly-report"}}
	raw, err := a.auth.Mint(t.Context(), who, core.MintOptions{})
	require.NoError(t, err)
	a.log.keep(raw)
	said, acts := a.actorOf(raw)
	require.JSONEq(t, `{"sub":"nightly-report"}`, said)
	require.Equal(t, who.Actor, acts)
	require.Nil(t, core.Token{}.Actor())

	for _, nobody := range []string{"", "a\x00b"} {
		who.Actor = &core.Actor{Subject: nobody}
		_, err = a.auth.Mint(t.Context(), who, core.MintOptions{})
		require.ErrorContains(t, err, "the subject of the actor")
	}
}

// Who asks whether somebody acts must not be told that nobody does.
func TestAttackAnActorWithoutANameIsStillAnActor(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider)
	for _, act := range []any{map[string]any{}, "support", []any{}, map[string]any{"sub": []string{"x"}}, false} {
		raw := resign(t, provider, provider.AccessToken(t, "alice"), nil, map[string]any{"act": act})
		a.log.keep(raw)
		require.Equal(t, http.StatusOK, me(a.auth, raw).StatusCode)
		_, acts := a.actorOf(raw)
		require.Equal(t, &core.Actor{}, acts)
	}
}
