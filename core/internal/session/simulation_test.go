package session

import (
	"context"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// This file has what happens in the simulated world.

// client is honest: it has the last token that it received, and presents it to
// any instance, sometimes to several at once.
type client struct {
	token Generation
	acts  int // that it will still do
	lost  bool
}

// mayPresent is whether an honest client may present its token: not when it may
// be a used one for longer than the grace period, by anybody's clock, and not
// while an older one that it has sent is still on its way.
func (s *sim) mayPresent(token Generation) bool {
	if s.browser { // an instance may have slept since it saw this generation
		return true
	}
	_, spread := s.fastest()
	for _, a := range s.attempts {
		possible := a.done || s.now-a.begun <= timeLimit
		if a.number == token.Number+1 && possible && s.now-a.begun+spread >= s.policy.Grace {
			return false
		}
	}
	for _, in := range s.instances {
		for _, f := range in.flights {
			if f.honest && !f.loaded && f.token != token {
				return false
			}
		}
	}
	return true
}

// request presents a token to an instance that answers.
func (s *sim) request(token Generation, honest bool) {
	in := s.instances[s.rng.IntN(len(s.instances))]
	if in.stalled > s.now {
		return
	}
	f := in.flights[token]
	if f == nil {
		f = &flight{sim: s, in: in, token: token, begun: s.steps, serials: map[int64]int{}}
		in.flights[token] = f
		ctx, cancel := context.WithCancel(context.Background())
		s.after(2*timeLimit, cancel)
		f.task = s.start(in, func(*task) {
			defer cancel()
			if s.browser {
				f.landed(Renew(ctx, f, State{Current: f.token}, false, s.policy))
				return
			}
			f.landed(Refresh(ctx, f, f.token, s.policy))
		})
		f.wake()
	}
	s.logf("%s is presented %d, honest %v", in.holder, token.Number, honest)
	f.honest = f.honest || honest
	f.waiting = append(f.waiting, honest)
}

// keep has an instance ask the provider without a client's token.
func (s *sim) keep() {
	in, seen := s.instances[s.rng.IntN(len(s.instances))], s.record.state
	if in.stalled > s.now || s.record.gone || in.keeping[contentOf(seen)] != nil {
		return
	}
	f := &flight{sim: s, in: in, keep: true, token: seen.Current, seen: seen, begun: s.steps, serials: map[int64]int{}}
	in.keeping[contentOf(seen)] = f
	ctx, cancel := context.WithCancel(context.Background())
	s.after(2*timeLimit, cancel)
	f.task = s.start(in, func(*task) {
		defer cancel()
		state, err := Renew(ctx, f, seen, true, s.policy)
		f.landed(state, err)
	})
	f.wake()
}

// act is what the client does from time to time, and what happens meanwhile.
func (s *sim) act() {
	if s.client.acts--; s.client.acts < 0 || s.client.lost {
		return
	}
	longest := []time.Duration{0, time.Second, 10 * time.Second, time.Minute, 2 * time.Minute}
	s.after(s.latency(longest[s.rng.IntN(len(longest))]), s.act)
	for _, incident := range s.incidents {
		incident()
	}
	if s.mayPresent(s.client.token) {
		for range 1 + max(0, s.rng.IntN(6)-2) {
			s.request(s.client.token, true)
		}
	}
}

// sometimes has something happen soon, with that probability.
func (s *sim) sometimes(percent func() int, run func()) {
	s.incidents = append(s.incidents, func() {
		if s.chance(percent()) {
			s.after(s.latency(30*time.Second), func() {
				if percent() > 0 { // not when all is well again
					run()
				}
			})
		}
	})
}

func (s *sim) crash() {
	in := s.instances[s.rng.IntN(len(s.instances))]
	s.logf("%s crashes", in.holder)
	s.reach("crash")
	s.trouble()
	for _, t := range in.tasks {
		t.stop()
	}
	in.tasks, in.flights, in.keeping = nil, map[Generation]*flight{}, map[content]*flight{}
	in.holder += "'"
}

func (s *sim) stall() {
	in := s.instances[s.rng.IntN(len(s.instances))]
	in.stalled = s.now + time.Duration(s.rng.Int64N(int64(2*s.policy.Lease)))
	s.logf("%s stalls until %v", in.holder, in.stalled)
	s.reach("stall")
	s.trouble()
}

// failover has the store lose its last writes, acknowledged or not: some of those of
// refreshes that are under way. None of them is a new generation. What that
// costs is told in TestWhatAFailoverLosesBesides.
func (s *sim) failover() {
	lost := 0
	for limit := 1 + s.rng.IntN(3); lost < limit && len(s.writes) > 0; lost++ {
		last := s.writes[len(s.writes)-1]
		if last.f.done || s.record.gone {
			break
		}
		s.writes = s.writes[:len(s.writes)-1]
		s.record = last.before
	}
	if lost == 0 {
		return
	}
	s.logf("the store fails over and loses %d writes", lost)
	s.reach("failover")
	s.failedOver()
}

func (s *sim) replay() {
	if n := s.record.state.Current.Number; n > 1 {
		s.reach("replay")
		s.request(s.successors[1+s.rng.Int64N(n-1)], false)
	}
}

func newSim(seed uint64) *sim {
	s := &sim{rng: rand.New(rand.NewPCG(seed, 0)), provider: provider{current: 1}, browser: seed%4 == 0}
	// at is a number of percent, in half of the runs, if anything goes wrong at all.
	at := func(percent int) int {
		if !s.troubles.any || s.chance(50) {
			return 0
		}
		return percent
	}
	s.troubles.any = s.chance(85)
	s.troubles = troubles{
		any:        s.troubles.any,
		storeFails: at(10), storeLoses: at(10), storeLags: at(7),
		unavailable: at(10), unsure: at(7), answerLost: at(7), unclear: at(15),
		judgeFails: at(10), subjectChanges: at(1), responseLost: at(30),
		crash: at(15), storeDown: at(10), provEnds: at(3), logout: at(3), thief: at(10), failover: at(30),
		reseal: 20, keep: []int{0, 50}[s.rng.IntN(2)],
	}
	if s.troubles.any && s.chance(20) {
		s.troubles.stall = 40
	}
	s.storeMax = 100 * time.Millisecond
	if at(1) == 1 {
		s.storeMax = timeLimit
	}
	s.provider.strict, s.provider.vague = s.chance(70), s.chance(30)
	s.policy = Policy{
		Lifetime: 24 * time.Hour, Idle: time.Hour, Grace: []time.Duration{2, 10, 45}[s.rng.IntN(3)] * time.Second,
		Lease: 2*timeLimit + 5*time.Second, TolerateReplay: s.chance(30),
	}
	if s.chance(10) {
		s.policy.Lifetime, s.policy.Idle = 10*time.Minute, 3*time.Minute
	}
	// Clocks are up to 5 s apart, and by less than the grace period.
	apart := min(5*time.Second, s.policy.Grace-100*time.Millisecond)
	for i := range 2 + s.rng.IntN(3) {
		s.instances = append(s.instances, &instance{
			holder: string(rune('A' + i)), offset: time.Duration(s.rng.Int64N(int64(apart)+1)) - apart/2,
			flights: map[Generation]*flight{}, keeping: map[content]*flight{},
		})
	}
	s.client = client{token: Generation{Number: 1}, acts: 4 + s.rng.IntN(12)}
	s.record = record{version: 1, state: State{
		Created: epoch, Used: epoch, Current: s.client.token, Tokens: Tokens{RefreshToken: providerToken(1)},
	}}
	s.successors = map[int64]Generation{1: s.client.token}
	s.asks, s.reached = map[content]int{}, map[string]int{}
	s.holders, s.overtaken = map[Lease]*flight{}, map[Lease]bool{}

	s.sometimes(func() int { return s.troubles.crash }, s.crash)
	s.sometimes(func() int { return s.troubles.stall }, s.stall)
	s.incidents = append(s.incidents, func() {
		// Soon after the client came, while its refresh is under way.
		if s.chance(s.troubles.failover) {
			s.after(s.latency(timeLimit), s.failover)
		}
	})
	s.incidents = append(s.incidents, func() {
		if s.chance(s.troubles.keep) {
			for range 1 + s.rng.IntN(3) {
				s.after(s.latency(3*time.Second), s.keep)
			}
		}
	})
	s.sometimes(func() int { return s.troubles.logout }, s.end)
	s.sometimes(func() int { return s.troubles.thief }, s.replay)
	s.sometimes(func() int { return s.troubles.provEnds }, func() { s.provider.ended = true })
	s.sometimes(func() int { return s.troubles.storeDown }, func() {
		s.down = s.now + s.latency(time.Minute)
		s.trouble()
	})
	s.sometimes(func() int { return s.troubles.reseal }, func() { s.record.version++ })
	return s
}

// settle runs until nothing is left to do.
func (s *sim) settle() {
	for limit := s.steps + 20_000; len(s.queue) > 0 && s.violation == nil && !s.collided; s.step() {
		if s.steps > limit {
			s.broken("a refresh does not come to its end")
		}
	}
}

// run is the whole life of a world: trouble, then none any more.
func (s *sim) run() {
	s.after(0, s.act)
	s.settle()
	s.troubles, s.down, s.incidents = troubles{any: s.troubles.any}, 0, nil
	for range 2 {
		s.presentAtTheEnd()
	}
	for _, in := range s.instances {
		for _, t := range in.tasks {
			t.stop()
		}
	}
}

// presentAtTheEnd has the client come once more when all is well. Its session
// goes on, or has ended for a reason.
func (s *sim) presentAtTheEnd() {
	if s.record.state.Current == s.client.token {
		s.now += s.policy.Lease + 5*time.Second
	}
	for _, in := range s.instances {
		in.stalled = 0
	}
	before := s.client.token
	switch {
	case s.violation != nil, s.collided:
		return
	case s.client.lost:
		if !s.rightlyOver() {
			s.broken("an honest client has lost its session without a reason")
		}
		return
	case !s.mayPresent(before):
		s.reach("came too late")
		return
	}
	s.logf("all is well again")
	s.request(before, true)
	s.settle()
	if !s.record.state.Refused.IsZero() && !s.record.gone && (s.provider.ended || s.provider.reused) {
		s.reach("refused for a minute")
		s.now += patience + 5*time.Second
		s.request(before, true)
		s.settle()
	}
	if s.client.token == before && !s.client.lost {
		s.broken("all is well again, and token %d does not work", before.Number)
	}
}

func simulate(seed uint64, tracing bool) *sim {
	s := newSim(seed)
	s.tracing = tracing
	s.run()
	return s
}

func TestInAnyOrderOfStepsAndFailuresNoHonestClientLosesItsSessionAndNoRevokedOneWorks(t *testing.T) {
	const seeds = 40_000 // a quarter with browsers
	var next atomic.Uint64
	var mu sync.Mutex
	var failed []uint64
	reached := map[string]int{}
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for seed := next.Add(1); seed <= seeds; seed = next.Add(1) {
				s := simulate(seed, false)
				mu.Lock()
				for what, n := range s.reached {
					reached[what] += n
				}
				if s.violation != nil {
					failed = append(failed, seed)
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	slices.Sort(failed)
	for _, seed := range failed[:min(len(failed), 3)] {
		s := simulate(seed, true)
		t.Errorf("seed %d: %v\n%s", seed, s.violation, strings.Join(s.trace[max(0, len(s.trace)-50):], "\n"))
	}
	require.False(t, t.Failed(), "%d of %d seeds", len(failed), seeds)
	// A simulation in which nothing happens proves nothing.
	for _, what := range []string{
		"refreshed", "kept", "seen to be kept", "refreshed for one who keeps", "takeover", "token reused after a loss", "gone",
		"replay", "replay refused", "error", "crash", "stall",
		"logout", "revoked", "revoked as a page had it", "logout by a token", "logout by a used token", "logout by a used token refused",
		"failover", "saved in spite of a failover", "version repeated",
		"renewed by somebody else meanwhile", "refused for a minute", "refused, and then not", "ended by a glitch that lasted", string(ReasonRefused), string(ReasonUnknown), string(ReasonSubject), string(ReasonReplayed),
	} {
		require.GreaterOrEqual(t, reached[what], 20, "%s: of %v in %v", what, slices.Sorted(maps.Keys(reached)), reached)
	}
}
