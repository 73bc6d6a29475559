package session

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A database that replicates asynchronously may lose its last writes when it fails over.

// losesTheLease has the store forget, after a step, all that was written since backup.
func losesTheLease(s *story, backup record) func(do func() error) error {
	return after(func() { s.record = backup })
}

func TestAFailoverThatLosesTheLeaseDoesNotLoseTheProvidersAnswer(t *testing.T) {
	for name, row := range map[string]struct {
		step string // after which the store fails over
		save bool   // the answer is saved before it is judged
	}{
		"before the answer":              {step: "ask 1"},
		"after the answer was saved":     {step: "save 2", save: true},
		"between the answer and the end": {step: "judge 1"},
	} {
		s := newStory()
		happens := script{row.step: losesTheLease(s, s.record)}
		if row.save {
			happens["judge 1"] = func(save func() error) error { return save() }
		}
		begun := s.now
		state, err := s.actor("A", happens).refresh(generation(3))
		require.NoError(t, err, name)
		require.Equal(t, "R2", state.RefreshToken, name)
		require.Equal(t, s.record.state, state, name)
		require.Len(t, s.asked, 1, name)
		require.Equal(t, begun, s.now, "%s: there is nothing to wait for", name)

		_, err = s.actor("B", nil).refresh(generation(2))
		require.Equal(t, ReasonReplayed, endedFor(t, err), "%s: a replay is found as ever", name)
	}
}

func TestTheAnswerSurvivesAFailoverAndATemporaryFailure(t *testing.T) {
	s := newStory()
	backup := s.record
	fail := func(func() error) error {
		s.record = backup
		return errJudge
	}
	_, err := s.actor("A", script{"judge 1": fail}).refresh(generation(3))
	require.ErrorIs(t, err, errJudge)
	require.Equal(t, "R2", s.record.state.RefreshToken)
	require.Zero(t, s.record.state.Lease)
	require.Equal(t, generation(3), s.record.state.Current)
}

func TestAnAnswerIsNotWrittenOverSomebodyElsesWorkAfterAFailover(t *testing.T) {
	for name, others := range map[string]func(State, *story) State{
		"a lease":        func(before State, s *story) State { return before.leased("B", s.now, policy) },
		"a generation":   func(before State, s *story) State { return before.renewed(generation(4), nil, s.now) },
		"a later answer": func(before State, _ *story) State { return before.received(Tokens{RefreshToken: "R9"}) },
	} {
		s := newStory()
		want := record{state: others(s.record.state, s), version: s.record.version}
		stops := func(func() error) error { return errStore }
		_, err := s.actor("A", script{
			"ask 1":  after(func() { s.record = want }),
			"load 3": stops, // A has given up, and begins anew
		}).refresh(generation(3))
		require.ErrorIs(t, err, errStore, name)
		require.Equal(t, want, s.record, name)
	}
}

func TestAnAnswerReplacesWhatSomebodyElseTriedInVainAfterAFailover(t *testing.T) {
	for name, others := range map[string]func(State, *story) State{
		"released":       func(before State, _ *story) State { return before.released(true) },
		"never released": func(before State, s *story) State { return before.leased("dead", s.now.Add(-policy.Lease), policy) },
	} {
		s := newStory()
		version := s.record.version
		failover := after(func() { s.record = record{state: others(session3(), s), version: version} })
		state, err := s.actor("A", script{"ask 1": failover}).refresh(generation(3))
		require.NoError(t, err, name)
		require.Equal(t, "R2", state.RefreshToken, name)
		require.False(t, state.Unsure, "%s: the provider has answered", name)
		require.Len(t, s.asked, 1, name)
	}
}

// Between the look at the record and the change, somebody else takes a lease.
func TestWhoComesFirstAfterAFailoverWins(t *testing.T) {
	s := newStory()
	backup := s.record
	a := s.actor("A", script{
		"ask 1": losesTheLease(s, backup),
		"save 3": func(do func() error) error {
			_, err := s.record.save(backup.state.leased("B", s.now, policy), backup.version)
			require.NoError(t, err)
			return do()
		},
		"pause 2": fails,
	})
	_, err := a.refresh(generation(3))
	require.ErrorIs(t, err, errStore, "A waits for B")
	require.Equal(t, "B", s.record.state.Lease.Holder)
}

// The number of a version may come again. What was seen to be somebody else's is not
// written over by it.
func TestWhoHasLostTheRecordGivesNoLeaseBack(t *testing.T) {
	s := newStory()
	others := record{state: session3().renewed(generation(4), nil, s.now), version: s.record.version}
	lose := after(func() { s.record = others })
	again := after(func() { s.record.version = others.version + 1 })
	state, err := s.actor("A", script{
		"ask 1":   lose,
		"judge 1": func(save func() error) error { return save() },
		"load 2":  again,
	}).refresh(generation(3))
	require.NoError(t, err)
	require.Equal(t, generation(4), state.Current)
	require.Equal(t, others.state, s.record.state)
}

func TestARefusalIsNoAnswerToSaveAfterAFailover(t *testing.T) {
	s := newStory()
	backup := s.record
	backup.state.Unsure = true // somebody else has found that out
	_, err := s.actor("A", script{"ask 1": func(func() error) error {
		s.record = backup
		return errProvider
	}}).refresh(generation(3))
	require.ErrorIs(t, err, errProvider)
	require.Equal(t, backup, s.record)
}

// A record that is gone can't be told from a logout.
func TestALogoutThatTheFailoverDidNotLoseWins(t *testing.T) {
	s := newStory()
	_, err := s.actor("A", script{"ask 1": after(func() { s.record.gone = true })}).refresh(generation(3))
	require.ErrorIs(t, err, ErrGone)
}

func TestWhatAFailoverLosesBesides(t *testing.T) {
	s := newStory()
	backup := s.record
	lost, err := s.actor("A", nil).refresh(generation(3))
	require.NoError(t, err)
	s.record = backup
	_, err = s.actor("B", nil).refresh(lost.Current)
	require.Equal(t, ReasonForeign, endedFor(t, err), "a generation that the store has lost ends the session")
}

// The token is the same, and an answer to the other's question may have been lost.
func TestWhoGivesALeaseBackTwiceForgetsNoDoubtOfSomebodyElse(t *testing.T) {
	s := newStory()
	s.provider.strict = false
	_, err := s.actor("A", script{
		"judge 1": fails,
		"save 2":  answerIsLost,
		"pause 1": after(func() {
			s.record.state.Unsure = true
			s.record.version += 2
		}),
	}).refresh(generation(3))
	require.ErrorIs(t, err, errStore)
	require.True(t, s.record.state.Unsure)
	require.Zero(t, s.record.state.Lease)
}
