package session

import (
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

func TestASuccessfulRefreshClearsAnEarlierRefusal(t *testing.T) {
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
