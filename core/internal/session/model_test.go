package session

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strconv"
	"time"
)

// This file is the world of the simulation: a clock, a store, a provider, and
// instances whose goroutines run one at a time, in an order that a seed decides.

const timeLimit = 10 * time.Second // of one call

var (
	epoch       = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	errStore    = errors.New("the store is in trouble")
	errProvider = errors.New("the provider is in trouble")
	errJudge    = errors.New("the claims can't be made now")
)

// record is what a store promises: compare and swap.
type record struct {
	state   State
	version int64
	gone    bool
	serial  int // of the write, which no failover repeats
}

// write is one that a failover may lose.
type write struct {
	f      *flight
	before record
}

func (r *record) load() (State, int64, error) {
	if r.gone {
		return State{}, 0, ErrGone
	}
	return r.state, r.version, nil
}

func (r *record) save(s State, version int64) (int64, error) {
	if r.gone || r.version != version {
		return 0, ErrConflict
	}
	r.state, r.version = s, version+1
	return r.version, nil
}

func (r *record) delete(version int64) error {
	if r.gone || r.version != version {
		return ErrConflict
	}
	r.gone = true
	return nil
}

// provider refreshes tokens. A strict one takes each of them once, and ends the
// session when it is shown a used one; to a lax one the same is always valid.
type provider struct {
	strict  bool
	current int
	ended   bool // of its own will
	vague   bool // it doesn't say that a session has ended, but only refuses
	reused  bool // it was shown a used token
}

func providerToken(n int) string { return "R" + strconv.Itoa(n) }

// refresh does what the provider does. keep has it hand out no new token.
func (p *provider) refresh(token string, keep bool) (Tokens, bool) {
	switch {
	case p.ended || p.reused:
		return Tokens{}, false
	case !p.strict:
		if keep {
			return Tokens{}, true
		}
		return Tokens{RefreshToken: token}, true
	case token != providerToken(p.current):
		p.reused = true
		return Tokens{}, false
	case keep:
		return Tokens{}, true
	}
	p.current++
	return Tokens{RefreshToken: providerToken(p.current)}, true
}

// sim is one run of the simulation.
type sim struct {
	rng       *rand.Rand
	now       time.Duration // the true time, since epoch
	steps     int
	queue     []event
	policy    Policy
	instances []*instance
	record    record
	writes    []write // since the last generation
	provider  provider
	troubles  troubles
	down      time.Duration // until when the store is down
	storeMax  time.Duration // how long a call to the store takes at most
	client    client
	browser   bool     // the client has a cookie, and instances know the generation: they Renew
	incidents []func() // what may happen at any time
	seen               // for the invariants
	trace     []string
	tracing   bool
}

// troubles are how often something goes wrong, in percent of the occasions.
type troubles struct {
	storeFails, storeLoses, storeLags         int // before it is done; after; before it is done in the end
	unavailable, unsure, answerLost, unclear  int // the provider: plainly; before it acted; after; by a strange word
	judgeFails, subjectChanges, responseLost  int
	crash, stall, storeDown, provEnds, logout int
	reseal, thief, failover, keep             int
	any                                       bool
}

type event struct {
	at   time.Duration
	task *task // nil: something outside of the instances
	run  func()
}

// instance is one process. The same token has one flight in it at a time.
type instance struct {
	holder  string
	offset  time.Duration // of its clock
	stalled time.Duration // until when
	flights map[Generation]*flight
	keeping map[content]*flight // those that keep the generation, by what was seen
	tasks   []*task
}

// content tells the contents of a session apart.
type content struct {
	number  int64
	renewed time.Time
}

func contentOf(s State) content { return content{s.Current.Number, s.Renewed} }

// task is a goroutine of an instance. It runs until it sleeps, and nothing else
// does meanwhile.
type task struct {
	sim    *sim
	in     *instance
	resume func() (struct{}, bool)
	kill   func()
	yield  func(struct{}) bool
	dead   bool
}

type death struct{}

func (s *sim) logf(format string, args ...any) {
	if s.tracing {
		s.trace = append(s.trace, fmt.Sprintf("%8.3f ", s.now.Seconds())+fmt.Sprintf(format, args...))
	}
}

func (s *sim) chance(percent int) bool { return percent > 0 && s.rng.IntN(100) < percent }

// latency is often nothing, so that several things happen at one time and in any
// order, and sometimes as long as it may be.
func (s *sim) latency(longest time.Duration) time.Duration {
	switch s.rng.IntN(10) {
	case 0, 1, 2:
		return 0
	case 3, 4, 5:
		return min(longest, time.Duration(s.rng.Int64N(int64(30*time.Millisecond))))
	case 6, 7:
		return time.Duration(s.rng.Int64N(int64(longest)/8 + 1))
	case 8:
		return longest
	}
	return time.Duration(s.rng.Int64N(int64(longest) + 1))
}

func (s *sim) after(d time.Duration, run func()) {
	s.queue = append(s.queue, event{at: s.now + d, run: run})
}

// step does the next thing that is due, any of those that are due at one time.
func (s *sim) step() {
	s.steps++
	next, same := 0, 0
	for i, e := range s.queue {
		switch first := s.queue[next].at; {
		case e.at < first:
			next, same = i, 1
		case e.at == first:
			if same++; s.rng.IntN(same) == 0 {
				next = i
			}
		}
	}
	e := s.queue[next]
	s.queue[next] = s.queue[len(s.queue)-1]
	s.queue = s.queue[:len(s.queue)-1]
	s.now = max(s.now, e.at)
	if e.task != nil && e.task.in.stalled > s.now {
		s.queue = append(s.queue, event{at: e.task.in.stalled, task: e.task, run: e.run})
		return
	}
	e.run()
}

// start makes a task of an instance; its first wake begins it.
func (s *sim) start(in *instance, body func(t *task)) *task {
	t := &task{sim: s, in: in}
	t.resume, t.kill = iter.Pull(func(yield func(struct{}) bool) {
		defer func() {
			if cause := recover(); cause != nil && cause != (death{}) {
				panic(cause)
			}
		}()
		t.yield = yield
		body(t)
		t.dead = true
	})
	in.tasks = append(in.tasks, t)
	return t
}

func (t *task) wake() {
	if !t.dead {
		t.resume()
	}
}

// stop ends a task wherever it is.
func (t *task) stop() {
	if !t.dead {
		t.dead = true
		t.kill()
	}
}

func (t *task) pass() {
	if !t.yield(struct{}{}) {
		panic(death{})
	}
}

func (t *task) sleep(d time.Duration) {
	t.sim.queue = append(t.sim.queue, event{at: t.sim.now + d, task: t, run: t.wake})
	t.pass()
}

// call is a call over the network. Once it was sent it is done, whatever has
// become of the caller.
func (t *task) call(longest time.Duration, do func()) {
	there := t.sim.latency(longest)
	back := min(t.sim.latency(longest), longest-there)
	t.sim.after(there, func() {
		do()
		t.sim.queue = append(t.sim.queue, event{at: t.sim.now + back, task: t, run: t.wake})
	})
	t.pass()
}

// store is a call to the store, with all that can go wrong.
func (t *task) store(ctx context.Context, what string, do func() error) error {
	s := t.sim
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err := errStore
	arrive := func() error {
		if s.down > s.now {
			return errStore
		}
		return do()
	}
	switch {
	case s.chance(s.troubles.storeFails):
		t.sleep(s.latency(s.storeMax))
	case s.chance(s.troubles.storeLoses):
		t.call(s.storeMax, func() { _ = arrive() })
	case s.chance(s.troubles.storeLags):
		s.after(s.latency(timeLimit), func() { _ = arrive() })
		t.sleep(s.latency(s.storeMax))
	default:
		t.call(s.storeMax, func() { err = arrive() })
	}
	s.logf("%s %s: %v", t.in.holder, what, err)
	return err
}
