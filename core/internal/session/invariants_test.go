package session

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"
)

// This file has what must hold in the simulated world, whatever happens there.

// seen is what the invariants need to know of a run.
type seen struct {
	violation      error
	successors     map[int64]Generation // that were ever saved, by number
	attempts       []*attempt           // to save a new generation
	uses           []use                // of the provider's tokens
	asks           map[content]int
	contents       int  // that were made
	troubled       bool // since the last new content
	loggedOut      bool
	subjectChanged bool
	revoked        bool // for a replay
	lapsed         bool
	reuseNoted     bool
	serial         int  // of the last write
	collided       bool // see replaces
	forgetful      bool // the store has failed over
	holders        map[Lease]*flight
	overtaken      map[Lease]bool // another instance took one before its flight was done
	outlasted      bool           // the provider has refused for a minute
	ended          int            // the step in which somebody was told that the session has ended
	reached        map[string]int
}

type attempt struct {
	number int64
	begun  time.Duration
	done   bool
}

// use is a token that the provider refreshed.
type use struct {
	f     *flight
	token string
	lost  bool
	lease Lease
	kept  bool // what the provider gave for it
}

func (s *sim) broken(format string, args ...any) {
	if s.violation == nil && !s.collided {
		s.violation = fmt.Errorf(format, args...)
		s.logf("VIOLATION: %v", s.violation)
	}
}

func (s *sim) reach(what string) { s.reached[what]++ }

func (s *sim) trouble() { s.troubled = true }

// fastest is the clock that is furthest ahead, and spread how far they are apart.
func (s *sim) fastest() (fastest, spread time.Duration) {
	slowest := s.instances[0].offset
	fastest = slowest
	for _, in := range s.instances {
		fastest, slowest = max(fastest, in.offset), min(slowest, in.offset)
	}
	return fastest, fastest - slowest
}

// replaces notes which record a write replaces. After a failover it may be another one
// than the writer knew when it sent the write, by the same version number. No store with a version alone can
// tell, and so nothing is asked of the rest of such a run.
func (f *flight) replaces(before record, knew int) {
	if s := f.sim; knew != before.serial {
		s.logf("%s replaces a record that it never saw", f.in.holder)
		s.reach("version repeated")
		s.collided = s.forgetful
	}
}

func (f *flight) saving(state State) *attempt {
	if state.Lease.Holder != "" && !state.Lease.equal(f.lease) {
		f.lease, f.received = state.Lease, ""
	}
	a := &attempt{number: state.Current.Number, begun: f.sim.now}
	if state.Current != f.token {
		f.sim.attempts = append(f.sim.attempts, a)
	}
	return a
}

func (f *flight) saved(a *attempt, before, state State) {
	s := f.sim
	a.done = true
	s.noteLapse(before)
	another := !before.Lease.equal(state.Lease) || s.holders[before.Lease] != f // at one time two are equal
	if before.Lease.Holder != "" && state.Lease.Holder != "" && another {
		s.reach("takeover")
		s.trouble()
	}
	if g, ok := s.successors[state.Current.Number]; ok && g != state.Current {
		s.broken("generation %d has two successors", state.Current.Number-1)
	}
	if !s.forgetful {
		f.savedRefusal(before, state)
	}
	if state.Lease.Holder != "" && !state.Lease.equal(before.Lease) {
		for lease, holder := range s.holders {
			s.overtaken[lease] = s.overtaken[lease] || holder != f && !holder.done
		}
	}
	if state.Lease.Holder != "" {
		s.holders[state.Lease] = f
	}
	if s.forgetful && f.received != "" && !before.Lease.equal(f.lease) {
		s.reach("saved in spite of a failover")
	}
	f.savedContent(before, state)
	if f.received == "" {
		return
	}
	if state.RefreshToken != f.received {
		s.broken("%s was received from the provider, and %s was saved", f.received, state.RefreshToken)
	}
	if p := s.provider; p.strict && !p.reused && state.RefreshToken != providerToken(p.current) && !s.lost(f.lease) {
		s.broken("the provider's last token is %s, and %s was saved", providerToken(p.current), state.RefreshToken)
	}
}

// savedContent: content goes with a new generation, or with the time at which it was made
// for the same one. What a client's token is worth changes with a generation alone.
func (f *flight) savedContent(before, state State) {
	s := f.sim
	s.successors[state.Current.Number] = state.Current
	worth := func(s State) State { return State{Current: s.Current, Previous: s.Previous, Used: s.Used} }
	same := reflect.DeepEqual(worth(before), worth(state))
	switch {
	case before.sameContent(state):
		if !same || string(before.Content) != string(state.Content) {
			s.broken("the content has changed, and nothing tells that")
		}
		return
	case before.Current == state.Current:
		s.reach("kept")
		if !f.keep || !same {
			s.broken("who keeps the generation has changed what its token is worth")
		}
	default:
		s.reach("refreshed")
		if f.keep {
			s.broken("there is a generation that no client knows")
		}
	}
	s.troubled, s.writes = state.Unsure, nil
}

// landedKeeping: whoever saw some content gets another one.
func (f *flight) landedKeeping(state State) {
	s := f.sim
	switch {
	case state.sameContent(f.seen):
		s.broken("the content was not renewed")
	case s.ended != 0 && f.begun > s.ended:
		s.broken("the content was renewed after the session had ended")
	case state.Current != f.seen.Current:
		s.reach("refreshed for one who keeps")
	case f.lease.Holder == "":
		s.reach("seen to be kept")
	}
}

// savedRefusal: since when the provider refuses is written down when it is heard for the
// first time, and taken away by a yes, and by nothing else.
func (f *flight) savedRefusal(before, state State) {
	s := f.sim
	switch {
	case before.Refused.Equal(state.Refused):
	case state.Refused.IsZero():
		s.reach("refused, and then not")
		if f.heard != saidYes {
			s.broken("the provider has not said yes, and its refusal was forgotten")
		}
	case !before.Refused.IsZero():
		s.broken("the refusal at %v was moved to %v", before.Refused, state.Refused)
	case f.heard != saidUnclear:
		s.broken("a refusal was saved that nobody has heard")
	}
}

func (f *flight) deleting() {
	switch {
	case f.logout || f.lease.Holder != "":
	case f.sim.browser:
		f.sim.broken("generation %d, which is old, was taken for a replay", f.token.Number)
	case f.honest:
		f.sim.broken("an honest client's token %d was taken for a replay", f.token.Number)
	case f.sim.policy.TolerateReplay:
		f.sim.broken("a replay that is tolerated ends the session")
	default:
		f.sim.revoked = true
	}
}

func (f *flight) deleted() {
	s := f.sim
	if since := s.record.state.Refused; f.heard == saidUnclear && !since.IsZero() {
		s.outlasted = f.heardAt.Sub(since) >= patience
		if !s.provider.ended && !s.provider.reused {
			s.reach("ended by a glitch that lasted")
		}
	}
	if !s.rightlyOver() {
		s.broken("the record was deleted without a reason")
	}
}

func (f *flight) asking(state State) {
	s := f.sim
	of := contentOf(state)
	if s.asks[of]++; s.asks[of] > 1 && !s.troubles.any {
		s.broken("nothing went wrong, and the provider was asked twice in generation %d", state.Current.Number)
	}
}

func (f *flight) asked(state State, yes, lost bool) {
	s := f.sim
	if yes {
		s.uses = append(s.uses, use{f: f, token: state.RefreshToken, lost: lost, lease: state.Lease})
	}
	if !s.provider.reused || s.forgetful && s.reuseNoted {
		return
	}
	s.reuseNoted = true
	fastest, _ := s.fastest()
	again := func(u use) bool { return u.token == state.RefreshToken }
	excused := func(u use) bool {
		return again(u) && !u.kept && (u.lost || s.lost(u.lease) || u.f.dead || !epoch.Add(s.now+fastest).Before(u.lease.Until))
	}
	if !s.provider.ended && !s.lost(state.Lease) && slices.ContainsFunc(s.uses, again) && !slices.ContainsFunc(s.uses, excused) {
		s.broken("%s was presented to the provider again without need", state.RefreshToken)
	}
	s.reach("token reused after a loss")
}

// noteLapse notes that a state is over by somebody's clock. To one instance it
// may be too late while another still refreshes.
func (s *sim) noteLapse(state State) {
	fastest, _ := s.fastest()
	s.lapsed = s.lapsed || !epoch.Add(s.now+fastest).Before(state.End(s.policy))
}

// checkpointed notes that a flight was told that its provider's answer is safe.
func (f *flight) checkpointed() {
	for i := range f.sim.uses {
		u := &f.sim.uses[i]
		u.kept = u.kept || u.f == f && !u.lost && f.sim.record.state.RefreshToken != u.token
	}
}

// lost is whether the store may have lost a lease before another instance took one.
func (s *sim) lost(l Lease) bool { return s.forgetful && s.overtaken[l] }

// failedOver notes that writes of flights that are under way are lost.
func (s *sim) failedOver() {
	s.forgetful = true
	s.trouble()
	for i := range s.uses {
		u := &s.uses[i]
		u.kept = u.kept && (u.f.done || s.record.state.RefreshToken != u.token)
	}
}

// rightlyOver is whether something happened after which a session may be over.
func (s *sim) rightlyOver() bool {
	s.noteLapse(s.record.state)
	return s.loggedOut || s.provider.ended || s.provider.reused || s.subjectChanged || s.revoked || s.lapsed || s.outlasted
}

// landed checks the outcome of a flight, and tells it to all who wait for it.
func (f *flight) landed(state State, err error) {
	s := f.sim
	f.done = true
	s.logf("%s refresh of %d: %d %v", f.in.holder, f.token.Number, state.Current.Number, err)
	if f.in.flights[f.token] == f {
		delete(f.in.flights, f.token)
	}
	if f.in.keeping[contentOf(f.seen)] == f {
		delete(f.in.keeping, contentOf(f.seen))
	}
	var ended *Ended
	switch {
	case err == nil && f.keep:
		f.landedKeeping(state)
	case err == nil:
		if s.browser && state.Current.Number > f.token.Number+1 {
			s.reach("renewed by somebody else meanwhile")
		} else if state.Current.Number != f.token.Number+1 {
			s.broken("a caller with token %d got %d, which is not its successor", f.token.Number, state.Current.Number)
		}
		if s.successors[state.Current.Number] != state.Current {
			s.broken("a caller with token %d got a generation %d that was never saved", f.token.Number, state.Current.Number)
		}
		if s.ended != 0 && f.begun > s.ended {
			s.broken("a refresh worked after the session had ended")
		}
	case errors.As(err, &ended):
		s.over()
		s.reach(string(ended.Reason))
		outlasted := f.heard == saidUnclear && f.heardAt.Sub(ended.Last.Refused) >= patience
		right := map[Reason]bool{
			ReasonRefused:  s.provider.ended || s.outlasted || outlasted || s.forgetful && s.provider.reused,
			ReasonUnknown:  (s.troubled || s.forgetful) && ended.Last.Unsure,
			ReasonSubject:  s.subjectChanged,
			ReasonReplayed: s.revoked,
		}
		if !right[ended.Reason] {
			s.broken("the session ended for the reason %s, which is not true", ended.Reason)
		}
	case errors.Is(err, ErrGone):
		s.reach("gone")
		if !s.rightlyOver() {
			s.broken("the session is gone without a reason")
		}
	case errors.Is(err, ErrReplayed):
		s.reach("replay refused")
		if s.browser || f.honest && f.token.Number >= s.client.token.Number {
			s.broken("an honest client's last token %d was refused", f.token.Number)
		}
	case !s.troubles.any && !errors.Is(err, context.Canceled):
		s.broken("nothing went wrong, and a refresh failed: %v", err)
	default:
		s.reach("error")
	}
	for _, honest := range f.waiting {
		if !honest || s.chance(s.troubles.responseLost) {
			continue
		}
		if err == nil && state.Current.Number > s.client.token.Number {
			s.client.token = state.Current
		} else if errors.As(err, &ended) || errors.Is(err, ErrGone) {
			s.client.lost = true
		}
	}
}

// over notes that somebody knows by now that the session has ended.
func (s *sim) over() {
	if s.ended == 0 {
		s.ended = s.steps
	}
}
