package session

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Things that the provider answers.

func unclear(func() error) error { return &Unclear{Cause: errProvider} }

func down(func() error) error { return errProvider }

func unsure(func() error) error { return &Unsure{Cause: errProvider} }

func TestARefusalThatIsNotAboutTheSessionForSureEndsItWhenItIsSaidAgainAMinuteLater(t *testing.T) {
	for name, row := range map[string]struct {
		first, between func(func() error) error // nil: the provider says yes
		later          time.Duration
		ends           bool
	}{
		"a minute later":                     {unclear, nil, time.Minute, true},
		"long after":                         {unclear, nil, 50 * time.Minute, true},
		"before the minute is over":          {unclear, nil, time.Minute - 1, false},
		"long after an outage":               {down, nil, 50 * time.Minute, false},
		"long after a lost answer":           {unsure, nil, 50 * time.Minute, false},
		"with another one between":           {unclear, unclear, time.Minute, true},
		"with an outage between":             {unclear, down, time.Minute, true},
		"by a clock that is a minute behind": {unclear, nil, -time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory()
			begun := s.now
			_, err := s.actor("A", script{"ask 1": row.first}).refresh(generation(3))
			require.ErrorIs(t, err, errProvider)
			require.False(t, s.record.gone)
			if row.between != nil {
				s.now = begun.Add(30 * time.Second)
				_, err = s.actor("C", script{"ask 1": row.between}).refresh(generation(3))
				require.ErrorIs(t, err, errProvider)
			}
			s.now = begun.Add(row.later)
			_, err = s.actor("B", script{"ask 1": unclear}).refresh(generation(3))
			require.ErrorIs(t, err, errProvider)
			require.Equal(t, row.ends, s.record.gone)
			if row.ends {
				require.Equal(t, ReasonRefused, endedFor(t, err))
				return
			}
			var ended *Ended
			require.NotErrorAs(t, err, &ended)
			require.Zero(t, s.record.state.Lease)
			state, err := s.actor("A", nil).refresh(generation(3))
			require.NoError(t, err, "the token is as valid as before")
			require.Zero(t, state.Refused)
		})
	}
}

func TestAGoodAnswerTakesAnEarlierRefusalAway(t *testing.T) {
	s := newStory()
	_, err := s.actor("A", script{"ask 1": unclear}).refresh(generation(3))
	require.ErrorIs(t, err, errProvider)
	require.Equal(t, s.now, s.record.state.Refused)
	state, err := s.actor("A", nil).refresh(generation(3))
	require.NoError(t, err)
	s.now = s.now.Add(30 * time.Minute)
	_, err = s.actor("A", script{"ask 1": unclear}).refresh(state.Current)
	require.ErrorIs(t, err, errProvider)
	require.False(t, s.record.gone, "it is the first one again")
}

func TestARefusalAfterALostAnswerEndsTheSessionForThat(t *testing.T) {
	s := newStory()
	_, err := s.actor("A", script{"ask 1": unsure}).refresh(generation(3))
	require.ErrorIs(t, err, errProvider)
	for range 2 {
		_, err = s.actor("A", script{"ask 1": unclear}).refresh(generation(3))
		require.ErrorIs(t, err, errProvider)
		s.now = s.now.Add(time.Minute)
	}
	require.Equal(t, ReasonUnknown, endedFor(t, err))
}

func TestALogoutIsOfWhoeverHasATokenThatIsStillGood(t *testing.T) {
	tolerant := policy
	tolerant.TolerateReplay = true
	for name, row := range map[string]struct {
		token  Generation
		after  time.Duration
		policy Policy
		reason Reason // of an Ended
		err    error
		gone   bool
	}{
		"the current one":                                 {token: generation(3), policy: policy, gone: true},
		"the current one, an hour later":                  {token: generation(3), after: time.Hour, policy: policy, err: ErrGone},
		"the one before, in its grace period":             {token: generation(2), after: 44 * time.Second, policy: policy, gone: true},
		"the one before, later":                           {token: generation(2), after: 45 * time.Second, policy: policy, reason: ReasonReplayed, gone: true},
		"the one before, where replays count for nothing": {token: generation(2), after: 45 * time.Second, policy: tolerant, err: ErrReplayed},
		"an older one":                                    {token: generation(1), policy: policy, reason: ReasonReplayed, gone: true},
		"one that the store never had":                    {token: generation(7), policy: tolerant, reason: ReasonForeign, gone: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory()
			s.now = epoch.Add(row.after)
			before := s.record.state
			state, err := Logout(context.Background(), s.actor("A", nil), row.token, s.now, row.policy)
			require.Equal(t, row.gone, s.record.gone)
			switch {
			case row.reason != "":
				require.Equal(t, &Ended{Reason: row.reason, Last: before}, err)
				require.Zero(t, state, "who has stolen a token learns nothing")
			case row.err != nil:
				require.ErrorIs(t, err, row.err)
				require.Zero(t, state)
			default:
				require.NoError(t, err)
				require.Equal(t, before, state)
			}
		})
	}
}
