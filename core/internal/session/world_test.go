package session

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// flight is a refresh that an instance does for all who come with one token, or without a
// token: one that keeps the generation, for all who saw one content, or a logout. It is the
// World of all of them.
type flight struct {
	*task
	sim      *sim
	in       *instance
	token    Generation
	keep     bool
	seen     State // with keep
	begun    int   // the step
	honest   bool
	waiting  []bool // each who waits: is it the honest client?
	loaded   bool
	lease    Lease  // that it wrote last
	received string // from the provider, since then
	heard    verdict
	heardAt  time.Time
	logout   bool
	done     bool
	serials  map[int64]int // of the records that it knows, by version
}

// verdict is what the provider has said to a flight last.
type verdict int

const (
	_ verdict = iota
	saidYes
	saidNo      // the session is over
	saidUnclear // no, and not why
)

func (f *flight) Load(ctx context.Context) (State, int64, error) {
	var state State
	var version int64
	err := f.store(ctx, "load", func() (err error) {
		f.loaded = true
		state, version, err = f.sim.record.load()
		f.serials[version] = f.sim.record.serial
		return err
	})
	if err != nil {
		return State{}, 0, err
	}
	return state, version, nil
}

func (f *flight) Save(ctx context.Context, state State, version int64) (int64, error) {
	a, knew := f.saving(state), f.serials[version]
	saved := int64(0)
	err := f.store(ctx, fmt.Sprintf("save %d %s lease %q", state.Current.Number, state.RefreshToken, state.Lease.Holder), func() (err error) {
		before := f.sim.record
		if saved, err = f.sim.record.save(state, version); err == nil {
			f.replaces(before, knew)
			f.sim.serial++
			f.sim.record.serial, f.serials[saved] = f.sim.serial, f.sim.serial
			f.sim.writes = append(f.sim.writes, write{f, before})
			f.saved(a, before.state, state)
		}
		return err
	})
	return saved, err
}

func (f *flight) Delete(ctx context.Context, version int64) error {
	f.deleting()
	knew := f.serials[version]
	return f.store(ctx, "delete", func() error {
		before := f.sim.record
		err := f.sim.record.delete(version)
		if err == nil {
			f.replaces(before, knew)
			f.deleted()
		}
		return err
	})
}

func (f *flight) Holder() string {
	if f.keep {
		return f.in.holder + " keeps"
	}
	return f.in.holder
}

func (f *flight) Now() time.Time { return epoch.Add(f.sim.now + f.in.offset) }

func (f *flight) Next(number int64) (Generation, error) {
	if f.sim.chance(f.sim.troubles.judgeFails) {
		return Generation{}, errJudge
	}
	g := Generation{Number: number}
	for i := range 8 {
		g.Salt[i] = byte(f.sim.rng.Uint32())
	}
	return g, nil
}

func (f *flight) Pause(ctx context.Context) error {
	if ctx.Err() == nil {
		f.sleep([]time.Duration{50 * time.Millisecond, time.Second, 3 * time.Second}[f.sim.rng.IntN(3)])
	}
	return ctx.Err()
}

func (f *flight) Ask(_ context.Context, state State) (Answer, error) {
	s := f.sim
	f.asking(state)
	switch {
	case s.chance(s.troubles.unavailable):
		f.sleep(s.latency(timeLimit))
		return nil, errProvider
	case s.chance(s.troubles.unsure):
		f.sleep(s.latency(timeLimit))
		s.trouble()
		return nil, &Unsure{Cause: errProvider}
	case s.chance(s.troubles.unclear):
		f.sleep(s.latency(timeLimit))
		return nil, f.refused(true)
	}
	lost := s.chance(s.troubles.answerLost)
	var tokens Tokens
	var yes bool
	f.call(timeLimit, func() {
		tokens, yes = s.provider.refresh(state.RefreshToken, s.chance(20))
		f.asked(state, yes, lost)
	})
	s.logf("%s ask %s: %s %v, lost %v", f.in.holder, state.RefreshToken, tokens.RefreshToken, yes, lost)
	switch {
	case lost:
		s.trouble()
		return nil, &Unsure{Cause: errProvider}
	case !yes:
		return nil, f.refused(s.provider.vague)
	}
	f.received, f.heard = tokens.RefreshToken, saidYes
	return &answer{f, tokens}, nil
}

// refused is the error of a provider that says no.
func (f *flight) refused(vague bool) error {
	if vague {
		f.heard, f.heardAt = saidUnclear, f.Now()
		return &Unclear{Cause: errProvider}
	}
	f.heard = saidNo
	return &Ended{Reason: ReasonRefused, Cause: errProvider}
}

type answer struct {
	f      *flight
	tokens Tokens
}

func (a *answer) Tokens() Tokens { return a.tokens }

func (a *answer) Judge(_ context.Context, save func() error) (jsontext.Value, error) {
	s := a.f.sim
	if s.chance(40) {
		if err := save(); err != nil {
			return nil, err
		}
		a.f.checkpointed()
		a.f.sleep(s.latency(timeLimit / 2))
	}
	switch {
	case s.chance(s.troubles.judgeFails):
		s.logf("%s judge fails", a.f.in.holder)
		return nil, errJudge
	case s.chance(s.troubles.subjectChanges):
		s.subjectChanged = true
		return nil, &Ended{Reason: ReasonSubject}
	}
	s.contents++
	return jsontext.Value(fmt.Sprint(s.contents)), nil
}
