package session

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// keeps renews a session for the sake of the provider's answer alone.
func (a *actor) keeps(seen State) (State, error) {
	return Renew(context.Background(), a, seen, true, policy)
}

func TestWhoKeepsTheGenerationChangesWhatTheProviderAnsweredAndNothingElse(t *testing.T) {
	s := newStory()
	before := s.record.state
	state, err := s.actor("A keeps", nil).keeps(before)
	require.NoError(t, err)
	require.Equal(t, s.record.state, state)
	want := before
	want.RefreshToken, want.RefreshExpires, want.Content, want.Renewed = "R2", time.Time{}, state.Content, s.now
	require.Equal(t, want, state)
	require.Equal(t, s.now, state.Made())
	require.Equal(t, before.End(policy), state.End(policy), "the client has not come")

	again, err := s.actor("B keeps", nil).keeps(before)
	require.NoError(t, err)
	require.Equal(t, state, again)
	require.Len(t, s.asked, 1)

	next, err := s.actor("A", nil).refresh(generation(3))
	require.NoError(t, err)
	require.Equal(t, int64(4), next.Current.Number)
	require.Zero(t, next.Renewed)
	require.Equal(t, next.Used, next.Made())
}

func TestWhoKeepsTheGenerationOpensNoGracePeriodAgain(t *testing.T) {
	s := newStory()
	s.now = s.record.state.Used.Add(policy.Grace)
	_, err := s.actor("A keeps", nil).keeps(s.record.state)
	require.NoError(t, err)
	_, err = s.actor("A", nil).refresh(generation(2))
	require.Equal(t, ReasonReplayed, endedFor(t, err))
}

// One instance may do both at once, and a strict provider takes a token once.
func TestAClientsRefreshWaitsForWhoKeepsTheGeneration(t *testing.T) {
	s := newStory()
	seen := s.record.state
	refreshed := after(func() {
		_, err := s.actor("A", script{"pause 1": fails}).refresh(generation(3))
		require.ErrorIs(t, err, errStore, "it waits")
	})
	_, err := s.actor("A keeps", script{"save 1": refreshed}).keeps(seen)
	require.NoError(t, err)
	require.Len(t, s.asked, 1)

	seen = s.record.state
	kept := after(func() {
		_, err := s.actor("A keeps", script{"pause 1": fails}).keeps(seen)
		require.ErrorIs(t, err, errStore, "it waits as well")
	})
	state, err := s.actor("A", script{"save 1": kept}).refresh(generation(3))
	require.NoError(t, err)
	got, err := s.actor("A keeps", nil).keeps(seen)
	require.NoError(t, err)
	require.Equal(t, state, got, "a refresh has what was wanted")
	require.Len(t, s.asked, 2)
}

func TestALostAnswerToTheLastSaveOfWhoKeepsTheGenerationCostsNothing(t *testing.T) {
	for _, strict := range []bool{true, false} {
		s := newStory()
		s.provider.strict = strict
		state, err := s.actor("A keeps", script{"save 2": answerIsLost}).keeps(s.record.state)
		require.NoError(t, err)
		require.Equal(t, s.record.state, state)
		require.Equal(t, int64(9), s.record.version, "nothing is written twice")
		require.Len(t, s.asked, 1)
	}
}

// A lax provider's token is the same, and the generation is: only the time tells.
func TestAnAnswerIsNotWrittenOverALaterOneOfTheSameGenerationAfterAFailover(t *testing.T) {
	s := newStory()
	s.provider.strict = false
	seen := s.record.state
	want := record{state: seen.renewed(seen.Current, nil, s.now.Add(time.Second)), version: s.record.version}
	state, err := s.actor("A keeps", script{"ask 1": after(func() { s.record = want })}).keeps(seen)
	require.NoError(t, err)
	require.Equal(t, want, s.record)
	require.Equal(t, want.state, state)
}

// What the provider answered may be about somebody else.
func TestAnAnswerThatIsNotJudgedIsNoNewContent(t *testing.T) {
	s := newStory()
	seen := s.record.state
	unjudged := script{"judge 1": func(save func() error) error {
		require.NoError(t, save())
		return errJudge
	}}
	_, err := s.actor("A keeps", unjudged).keeps(seen)
	require.ErrorIs(t, err, errJudge)
	require.Equal(t, "R2", s.record.state.RefreshToken)
	require.True(t, s.record.state.sameContent(seen))
	require.Equal(t, seen.Content, s.record.state.Content)
	_, err = s.actor("B keeps", nil).keeps(seen)
	require.NoError(t, err)
	require.Len(t, s.asked, 2)
}

func TestASessionBehindACookieGetsTheNextGenerationThoughItWasKept(t *testing.T) {
	s := newStory()
	seen := s.record.state
	_, err := s.actor("A keeps", nil).keeps(seen)
	require.NoError(t, err)
	state, err := Renew(t.Context(), s.actor("A", nil), seen, false, policy)
	require.NoError(t, err)
	require.Equal(t, int64(4), state.Current.Number)
	require.Equal(t, s.now, state.Used)

	again, err := Renew(t.Context(), s.actor("B", nil), seen, false, policy)
	require.NoError(t, err)
	require.Equal(t, state, again)
	require.Len(t, s.asked, 2)
}
