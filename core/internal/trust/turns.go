package trust

import (
	"context"
	"sync"
	"sync/atomic"
)

// turns gives out the turns to ask the provider about a token. Strangers can make up as
// many tokens as they like. So half of the turns are for tokens that were valid before:
// whoever has one is served while strangers fill the other half.
type turns struct {
	known, anyone        chan struct{} // one place for each turn that is taken
	knownWaits, anyWaits atomic.Int64
	waiting              int64 // how many may wait, of either kind
}

// waitingPerTurn is how many tokens may wait for each turn. Those that come then are told
// to come again: waiting longer would end in the time-out of whoever waits.
const waitingPerTurn = 8

func newTurns(count int) *turns {
	half := count / 2
	return &turns{
		known: make(chan struct{}, half), anyone: make(chan struct{}, count-half),
		waiting: int64(half * waitingPerTurn),
	}
}

// take waits for a turn, and gives what ends it; it fails at once when too many wait.
// Tokens that were valid before may take any turn, the others those that are for anyone.
func (l *turns) take(ctx context.Context, validBefore bool) (done func(), ok bool) {
	known, waits := l.known, &l.knownWaits
	if !validBefore {
		known, waits = nil, &l.anyWaits
	}
	defer waits.Add(-1)
	if waits.Add(1) > l.waiting {
		return nil, false
	}
	select {
	case known <- struct{}{}:
		return func() { <-l.known }, true
	case l.anyone <- struct{}{}:
		return func() { <-l.anyone }, true
	case <-ctx.Done():
		return nil, false
	}
}

// maxValid is how many tokens a generation of validBefore holds, of 32 bytes each.
const maxValid = 1 << 14

// validBefore knows tokens that the provider has called valid, by their names: the latest
// ones, one generation of them in full and the one before it. Its zero value knows none.
type validBefore struct {
	mu           sync.Mutex
	latest, last map[tokenName]struct{}
}

func (g *validBefore) has(name tokenName) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, latest := g.latest[name]
	_, last := g.last[name]
	return latest || last
}

func (g *validBefore) add(name tokenName) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.latest == nil || len(g.latest) >= maxValid {
		g.latest, g.last = map[tokenName]struct{}{}, g.latest
	}
	g.latest[name] = struct{}{}
}

func (g *validBefore) remove(name tokenName) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.latest, name)
	delete(g.last, name)
}
