package session

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestALeaseWhoseSaveSeemedToFailKeepsOnlyOthersOut(t *testing.T) {
	s := newStory()
	_, err := s.actor("A", script{"save 1": answerIsLost}).refresh(generation(3))
	require.ErrorIs(t, err, errStore)
	_, err = s.actor("B", script{"pause 1": fails}).refresh(generation(3))
	require.ErrorIs(t, err, errStore, "B had to wait")
	require.Empty(t, s.asked)

	before := s.now
	state, err := s.actor("A", nil).refresh(generation(3))
	require.NoError(t, err)
	require.Equal(t, before, s.now, "A had not")
	require.True(t, s.asked[0].Unsure)
	require.False(t, state.Unsure, "the provider has answered")
}

func TestAnotherInstanceTakesOverWhenTheLeaseOfADeadOneEnds(t *testing.T) {
	for _, acted := range []bool{false, true} {
		s := newStory()
		s.record.state = s.record.state.leased("dead", s.now, policy)
		until := s.record.state.Lease.Until
		if acted {
			s.provider.refresh("R1", false)
		}
		state, err := s.actor("B", nil).refresh(generation(3))
		require.Equal(t, until, s.now)
		require.True(t, s.asked[0].Unsure)
		if acted {
			require.Equal(t, ReasonUnknown, endedFor(t, err), "nobody can tell that from an end by the provider's will")
			require.True(t, s.record.gone)
		} else {
			require.NoError(t, err)
			require.Equal(t, "R2", state.RefreshToken)
			require.False(t, state.Unsure)
		}
	}
}

func TestAHolderThatComesBackTooLateGetsWhatItsSuccessorMade(t *testing.T) {
	s := newStory()
	s.provider.strict = false
	var others State
	back := after(func() {
		s.now = s.now.Add(policy.Lease)
		var err error
		others, err = s.actor("B", nil).refresh(generation(3))
		require.NoError(t, err)
		s.now = s.now.Add(policy.Grace) // it has waited, and this doesn't count
	})
	state, err := s.actor("A", script{"ask 1": back}).refresh(generation(3))
	require.NoError(t, err)
	require.Equal(t, others, state)
	require.Equal(t, others, s.record.state)
}

func TestAHolderThatSleptDoesNotAskTheProviderAfterItsSuccessor(t *testing.T) {
	s := newStory()
	var others State
	sleep := after(func() {
		s.now = s.now.Add(policy.Lease)
		var err error
		others, err = s.actor("B", nil).refresh(generation(3))
		require.NoError(t, err)
	})
	state, err := s.actor("A", script{"save 1": sleep}).refresh(generation(3))
	require.NoError(t, err)
	require.Equal(t, others, state)
	require.Len(t, s.asked, 1)
	require.False(t, s.provider.reused)
}

func TestAHolderThatSleptAloneBeginsAnew(t *testing.T) {
	s := newStory()
	sleep := after(func() { s.now = s.now.Add(policy.Lease/2 + 1) })
	state, err := s.actor("A", script{"save 1": sleep}).refresh(generation(3))
	require.NoError(t, err)
	require.Equal(t, int64(4), state.Current.Number)
	require.Len(t, s.asked, 1)
	require.False(t, s.asked[0].Unsure, "nobody has asked before")

	s = newStory()
	sleep = after(func() { s.now = s.now.Add(policy.Lease / 2) })
	_, err = s.actor("A", script{"save 1": sleep}).refresh(generation(3))
	require.NoError(t, err)
	require.Equal(t, int64(9), s.record.version, "half of the lease is left, which is enough")
}

func TestALeaseOfALaterGenerationIsNotTakenForTheOwn(t *testing.T) {
	s := newStory()
	var next State
	lost := func(do func() error) error {
		require.NoError(t, do())
		next = s.record.state.leased("A", s.now, policy)
		s.record.state = next
		s.record.version++
		return errStore
	}
	state, err := s.actor("A", script{"save 2": lost}).refresh(generation(3))
	require.NoError(t, err)
	require.Equal(t, next, state)
	require.Equal(t, next, s.record.state)
}

func TestARecordThatWasOnlySealedAnewIsNoReasonToGiveUp(t *testing.T) {
	sealed := func(s *story) func(do func() error) error {
		return func(do func() error) error {
			s.record.version++
			return do()
		}
	}
	for _, step := range []string{"save 1", "save 2", "judge 1"} {
		s := newStory()
		_, err := s.actor("A", script{step: sealed(s)}).refresh(generation(3))
		require.NoError(t, err, step)
		require.Len(t, s.asked, 1, step)
	}
	s := newStory()
	s.provider.ended = true
	_, err := s.actor("A", script{"delete 1": sealed(s)}).refresh(generation(3))
	require.Equal(t, ReasonRefused, endedFor(t, err))
	require.True(t, s.record.gone)
}

func TestOnlyTheFirstConflictIsTriedAgainAtOnce(t *testing.T) {
	for conflicts, wait := range []time.Duration{0, 0, time.Second, 2 * time.Second} {
		s := newStory()
		sealed := script{}
		for n := range conflicts {
			sealed[fmt.Sprint("save ", 2+n)] = func(do func() error) error {
				s.record.version++
				return do()
			}
		}
		begun := s.now
		_, err := s.actor("A", sealed).refresh(generation(3))
		require.NoError(t, err)
		require.Equal(t, begun.Add(wait), s.now, "%d conflicts", conflicts)
	}
}

func TestTheStoreIsAskedAgainOnlyAsLongAsTheLeaseLasts(t *testing.T) {
	s := newStory()
	down := script{}
	for n := 2; n < 100; n++ {
		down[fmt.Sprint("save ", n)] = fails
	}
	begun := s.now
	_, err := s.actor("A", down).refresh(generation(3))
	require.ErrorIs(t, err, errStore)
	require.Equal(t, begun.Add(policy.Lease), s.now)
}
