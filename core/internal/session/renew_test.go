package session

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func (a *actor) renew(seen Generation) (State, error) {
	return Renew(context.Background(), a, State{Current: seen}, false, policy)
}

// Whoever was paused brings a generation that was current long ago. A refresh token of that
// age ends its session. A browser has brought none.
func TestRenewingAfterAPauseOfTheProcessIsNoReplay(t *testing.T) {
	for name, away := range map[string]time.Duration{"at once": 0, "within the grace period": policy.Grace - 1, "after it": policy.Grace, "after half an hour": 30 * time.Minute} {
		for generations := range 4 {
			s := newStory()
			seen := s.record.state.Current
			for range generations {
				_, err := s.actor("B", nil).renew(s.record.state.Current)
				require.NoError(t, err)
			}
			before := s.record
			asked := len(s.asked)
			require.Equal(t, generations, asked)
			s.now = s.now.Add(away)
			state, err := s.actor("A", nil).renew(seen)
			require.NoError(t, err, name)
			require.False(t, s.record.gone)
			require.Equal(t, s.record.state, state)
			if generations > 0 {
				require.Len(t, s.asked, asked, "%s, %d generations later: somebody has asked already", name, generations)
				require.Equal(t, before, s.record)
				continue
			}
			require.Len(t, s.asked, 1)
			require.Equal(t, seen, state.Previous)
		}
	}
}

// The process is paused at a step, and another one renews the session meanwhile.
func TestWhoeverIsPausedWhileARenewalAsksTheProviderNoSecondTime(t *testing.T) {
	for _, step := range []string{"load 1", "save 1"} {
		s := newStory()
		seen := s.record.state.Current
		meanwhile := func(do func() error) error {
			err := do()
			if step == "save 1" { // with the lease, which ends in the pause
				s.now = s.now.Add(policy.Lease + time.Second)
			}
			_, other := s.actor("B", nil).renew(seen)
			require.NoError(t, other)
			return err
		}
		state, err := s.actor("A", script{step: meanwhile}).renew(seen)
		require.NoError(t, err, step)
		require.Equal(t, s.record.state, state, step)
		require.Len(t, s.asked, 1, step)
	}
}

func TestARenewalWaitsForTheOneThatIsUnderWay(t *testing.T) {
	s := newStory()
	seen := s.record.state.Current
	s.record.state = s.record.state.leased("B", s.now, policy)
	done := func(func() error) error {
		s.record.state = s.record.state.renewed(generation(4), nil, s.now)
		return nil
	}
	state, err := s.actor("A", script{"pause 2": done}).renew(seen)
	require.NoError(t, err)
	require.Equal(t, generation(4), state.Current)
	require.Empty(t, s.asked)

	// One whose holder went away is taken over, and the provider may have been asked.
	s.record.state = s.record.state.leased("B", s.now, policy)
	s.now = s.now.Add(policy.Lease)
	_, err = s.actor("A", nil).renew(generation(4))
	require.NoError(t, err)
	require.Len(t, s.asked, 1)
	require.True(t, s.asked[0].Unsure)
}

func TestASessionThatEndsDuringARenewalStaysEnded(t *testing.T) {
	for _, step := range []string{"load 1", "save 1", "ask 1", "judge 1", "save 2"} {
		s := newStory()
		a := s.actor("A", nil)
		a.script = script{step: func(do func() error) error {
			if step != "save 1" && step != "save 2" {
				defer func() { _, _ = End(context.Background(), s.actor("B", nil)) }()
				return do()
			}
			_, err := End(context.Background(), s.actor("B", nil))
			require.NoError(t, err)
			return do()
		}}
		_, err := a.renew(s.record.state.Current)
		require.ErrorIs(t, err, ErrGone, step)
		require.True(t, s.record.gone, step)
	}
	s := newStory()
	s.now = s.record.state.End(policy)
	_, err := s.actor("A", nil).renew(s.record.state.Current)
	require.ErrorIs(t, err, ErrGone)
	require.Empty(t, s.asked)
}

func TestARenewalThatTheProviderRefusesEndsTheSession(t *testing.T) {
	s := newStory()
	s.provider.ended = true
	_, err := s.actor("A", nil).renew(s.record.state.Current)
	require.Equal(t, ReasonRefused, endedFor(t, err))
	require.True(t, s.record.gone)

	s = newStory()
	before := s.record.state
	_, err = s.actor("A", script{"ask 1": fails}).renew(before.Current)
	require.ErrorIs(t, err, errStore)
	require.Equal(t, before, s.record.state, "as it was")
}
