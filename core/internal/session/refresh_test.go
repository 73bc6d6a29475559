package session

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestARefreshGivesTheNextGenerationAndKeepsTheProvidersNewToken(t *testing.T) {
	s := newStory()
	state, err := s.actor("A", nil).refresh(generation(3))
	require.NoError(t, err)
	require.Equal(t, s.record.state, state)
	require.Equal(t, int64(9), s.record.version, "a lease, and a new generation")
	require.Equal(t, generation(3), state.Previous)
	require.Equal(t, int64(4), state.Current.Number)
	require.Equal(t, "R2", state.RefreshToken)
	require.Equal(t, s.now, state.Used)
	require.Equal(t, `{"a":2}`, string(state.Content))
	require.Zero(t, state.Lease)

	again, err := s.actor("B", nil).refresh(generation(3))
	require.NoError(t, err)
	require.Equal(t, state, again)
	require.Len(t, s.asked, 1)
}

func TestALostAnswerToTheLastSaveCostsNothing(t *testing.T) {
	s := newStory()
	state, err := s.actor("A", script{"save 2": answerIsLost}).refresh(generation(3))
	require.NoError(t, err)
	require.Equal(t, s.record.state, state)
	require.Equal(t, int64(9), s.record.version)
	require.Len(t, s.asked, 1)
}

func TestWhoeverWaitedIsServedWhateverHisClockSays(t *testing.T) {
	s := newStory()
	s.record.state = s.record.state.leased("A", s.now, policy)
	done := func(func() error) error {
		s.record.state = s.record.state.renewed(generation(4), nil, s.now)
		s.now = s.now.Add(policy.Grace)
		return nil
	}
	state, err := s.actor("B", script{"pause 1": done}).refresh(generation(3))
	require.NoError(t, err)
	require.Equal(t, generation(4), state.Current)

	_, err = s.actor("B", nil).refresh(generation(3))
	require.Equal(t, ReasonReplayed, endedFor(t, err), "who did not wait comes too late")
}

func TestWhoeverWaitedWhileTwoGenerationsPassedIsRefusedAndTheSessionGoesOn(t *testing.T) {
	s := newStory()
	s.record.state = s.record.state.leased("A", s.now, policy)
	done := func(func() error) error {
		s.record.state = s.record.state.renewed(generation(4), nil, s.now).renewed(generation(5), nil, s.now)
		return nil
	}
	_, err := s.actor("B", script{"pause 1": done}).refresh(generation(3))
	require.ErrorIs(t, err, ErrReplayed)
	require.False(t, s.record.gone)
}

func TestTheProvidersNewTokenOutlivesATemporaryFailureAfterIt(t *testing.T) {
	for name, fail := range map[string]func(save func() error) error{
		"after it was saved": func(save func() error) error { return errors.Join(save(), errJudge) },
		"before":             func(func() error) error { return errJudge },
	} {
		s := newStory()
		_, err := s.actor("A", script{"judge 1": fail}).refresh(generation(3))
		require.ErrorIs(t, err, errJudge, name)
		want := session3()
		want.RefreshToken, want.RefreshExpires = "R2", time.Time{}
		require.Equal(t, want, s.record.state, "%s: no lease, no doubt, and the same generation", name)

		state, err := s.actor("B", nil).refresh(generation(3))
		require.NoError(t, err, name)
		require.Equal(t, "R3", state.RefreshToken, name)
	}
}

func TestTheProvidersNewTokenOutlivesAProcessThatDiesAfterItWasSaved(t *testing.T) {
	s := newStory()
	var left record
	dies := func(save func() error) error {
		require.NoError(t, save())
		left = s.record
		return errJudge
	}
	_, err := s.actor("A", script{"judge 1": dies}).refresh(generation(3))
	require.Error(t, err)
	s.record = left // nothing that A does later counts
	require.Equal(t, "A", left.state.Lease.Holder)
	state, err := s.actor("B", nil).refresh(generation(3))
	require.NoError(t, err)
	require.Equal(t, "R3", state.RefreshToken)
	require.Equal(t, left.state.Lease.Until, s.now)
}

// A clock may stand still, and then two leases of one instance look the same.
func TestAReplayDuringALeaseEndsTheSession(t *testing.T) {
	s := newStory()
	replay := after(func() {
		_, err := s.actor("B", nil).refresh(generation(1))
		require.Equal(t, ReasonReplayed, endedFor(t, err))
	})
	_, err := s.actor("A", script{"ask 1": replay}).refresh(generation(3))
	require.ErrorIs(t, err, ErrGone)
}

func TestAToleratedReplayChangesNothing(t *testing.T) {
	tolerant := policy
	tolerant.TolerateReplay = true
	s := newStory()
	replay := after(func() {
		for _, used := range []Generation{generation(1), generation(2)} {
			_, err := Refresh(context.Background(), s.actor("B", nil), used, tolerant)
			require.ErrorIs(t, err, ErrReplayed)
		}
	})
	_, err := s.actor("A", script{"ask 1": replay}).refresh(generation(3))
	require.NoError(t, err)
	_, err = Refresh(context.Background(), s.actor("B", nil), generation(9), tolerant)
	require.Equal(t, ReasonForeign, endedFor(t, err), "what was never handed out is not tolerated")
}

func TestThePreviousTokenIsValidDuringALease(t *testing.T) {
	s := newStory()
	s.now = epoch
	repeat := after(func() {
		state, err := s.actor("B", nil).refresh(generation(2))
		require.NoError(t, err)
		require.Equal(t, generation(3), state.Current)
	})
	_, err := s.actor("A", script{"ask 1": repeat}).refresh(generation(3))
	require.NoError(t, err)
}

func TestARestoredStoreKnowsNoLaterToken(t *testing.T) {
	s := newStory()
	backup := s.record
	lost, err := s.actor("A", nil).refresh(generation(3))
	require.NoError(t, err)
	for _, generations := range []int{0, 1, 2} {
		s.record, s.provider = backup, provider{strict: true, current: 1}
		token := generation(3)
		for range generations { // it counts up again
			state, err := s.actor("A", nil).refresh(token)
			require.NoError(t, err)
			token = state.Current
		}
		last := s.record.state
		_, err = s.actor("B", nil).refresh(lost.Current)
		var ended *Ended
		require.ErrorAs(t, err, &ended, "%d generations later", generations)
		require.Equal(t, &Ended{Reason: ReasonForeign, Last: last}, ended)
		require.True(t, s.record.gone)
	}
}

func TestOnlyAnEndAfterALostAnswerIsOfUnknownReason(t *testing.T) {
	unsure := func(do func() error) error {
		_ = do()
		return &Unsure{Cause: errProvider}
	}
	unavailable := func(func() error) error { return errProvider }

	s := newStory()
	_, err := s.actor("A", script{"ask 1": unsure}).refresh(generation(3))
	require.ErrorIs(t, err, errProvider)
	_, err = s.actor("B", script{"ask 1": unavailable}).refresh(generation(3))
	require.ErrorIs(t, err, errProvider)
	require.True(t, s.record.state.Unsure, "an outage answers nothing")
	require.Zero(t, s.record.state.Lease)
	_, err = s.actor("B", nil).refresh(generation(3))
	require.Equal(t, ReasonUnknown, endedFor(t, err))

	s = newStory()
	_, err = s.actor("A", script{"ask 1": unavailable}).refresh(generation(3))
	require.ErrorIs(t, err, errProvider)
	require.Equal(t, session3(), s.record.state)
	s.provider.ended = true
	_, err = s.actor("A", nil).refresh(generation(3))
	require.Equal(t, ReasonRefused, endedFor(t, err))
	require.True(t, s.record.gone)
}

func TestTheEndOfASessionIsToldAlthoughTheStoreStumbledOverIt(t *testing.T) {
	for reason, token := range map[Reason]Generation{
		ReasonReplayed: generation(1), ReasonForeign: generation(9), ReasonRefused: generation(3),
	} {
		for name, trouble := range map[string]func(func() error) error{"fails": fails, "answer is lost": answerIsLost} {
			s := newStory()
			s.provider.ended = true
			_, err := s.actor("A", script{"delete 1": trouble}).refresh(token)
			require.Equal(t, reason, endedFor(t, err), name)
			require.True(t, s.record.gone, name)

			s = newStory()
			s.provider.ended = true
			_, err = s.actor("A", script{"delete 1": trouble, "load 2": fails}).refresh(token)
			require.Equal(t, reason, endedFor(t, err), "%s, and then it is away for a moment", name)
			require.True(t, s.record.gone, name)
		}
	}
}

func TestTheGracePeriodBeginsWhenTheNewGenerationIsSaved(t *testing.T) {
	s := newStory()
	for s.provider.current < 2 {
		late := script{}
		for n := 2; n < 20; n++ {
			late[fmt.Sprint("save ", n)] = fails
		}
		_, err := s.actor("A", late).refresh(generation(3))
		require.NoError(t, err)
	}
	require.Equal(t, epoch.Add(time.Minute+18*time.Second), s.now)
	s.now = s.now.Add(policy.Grace - 1)
	_, err := s.actor("B", nil).refresh(generation(3))
	require.NoError(t, err)
}

func TestATokenIsJudgedByTheTimeWhenItCame(t *testing.T) {
	s := newStory()
	s.now = epoch.Add(policy.Grace - 1)
	slow := after(func() { s.now = s.now.Add(timeLimit) })
	state, err := s.actor("A", script{"load 1": slow}).refresh(generation(2))
	require.NoError(t, err)
	require.Equal(t, generation(3), state.Current)
}

func TestACallerWhoGoesAwayStopsNothingThatHasBegun(t *testing.T) {
	s := newStory()
	ctx, cancel := context.WithCancel(context.Background())
	a := s.actor("A", script{"ask 1": after(cancel), "save 2": fails})
	state, err := Refresh(ctx, a, generation(3), policy)
	require.NoError(t, err)
	require.Equal(t, s.record.state, state)

	s.record.state = s.record.state.leased("other", s.now, policy)
	_, err = Refresh(ctx, s.actor("A", nil), state.Current, policy)
	require.ErrorIs(t, err, context.Canceled, "but he waits for nobody")
}

func TestErrorsOfARefreshSayWhyAndKeepTheirCause(t *testing.T) {
	ended := &Ended{Reason: ReasonRefused, Cause: errProvider}
	require.EqualError(t, ended, "the session was ended: provider_refused: the provider is in trouble")
	require.ErrorIs(t, ended, errProvider)
	require.EqualError(t, &Ended{Reason: ReasonForeign}, "the session was ended: refresh_token_unknown")
	require.EqualError(t, &Unsure{Cause: errProvider}, errProvider.Error())
	require.EqualError(t, &Unclear{Cause: errProvider}, errProvider.Error())
}
