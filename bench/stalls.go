package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// stall is how much longer a request takes whose key is at hand, in nanoseconds,
// while a fetch of the key set hangs. It is empty where no fetch could be caused.
type stall struct {
	name              string
	refresh, rotation times
}

// stalls measures at refresh, when a key set has become old, and at rotation, when
// a token comes with a kid that is not known. The provider lets the fetch hang for a
// while. Each trial has a verifier of its own.
func stalls(ctx context.Context, i *issuer, hang time.Duration, trials int) ([]stall, error) {
	var all []stall
	for _, kind := range stallers(hang) {
		s, mine := stall{name: kind.name}, trials
		if kind.name != nameHit && kind.name != nameMiss {
			mine = (trials + 2) / 3
		}
		for range mine {
			for _, trial := range []struct {
				times *times
				setUp setUpStall
			}{{&s.refresh, kind.refresh}, {&s.rotation, kind.rotation}} {
				if trial.setUp == nil {
					continue
				}
				stalled, ok, err := stallOnce(ctx, i, hang, trial.setUp)
				if err != nil {
					return nil, err
				}
				if ok {
					*trial.times = append(*trial.times, stalled)
				}
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// setUpStall makes a verifier and a function that has it fetch the key set.
type setUpStall func(ctx context.Context, i *issuer) (v verifier, fetch func(), err error)

// staller is how a library is made to fetch. nil: it can't be.
type staller struct {
	name              string
	refresh, rotation setUpStall
}

func stallers(hang time.Duration) []staller {
	return []staller{
		{nameHit, oldKeys(withCache), unknownKey(hit)},
		{nameMiss, oldKeys(withoutCache), unknownKey(miss)},
		{name: nameGoOIDC, rotation: unknownKey(goOIDC)},
		{name: nameZitadel, rotation: unknownKey(zitadelOIDC)},
		// How old their keys may become is set so that they soon are.
		{nameAuth0, byItself(func(ctx context.Context, i *issuer) (verifier, error) {
			return auth0With(ctx, i, floodAlgorithm, hang)
		}), unknownKey(auth0)},
		{nameGolangJWT, byItself(func(ctx context.Context, i *issuer) (verifier, error) {
			return golangJWTWith(ctx, i, floodAlgorithm, hang)
		}), unknownKey(golangJWT)},
		{name: nameJWX, rotation: unknownKey(jwx)},
	}
}

// oldKeys puts our clock forward.
func oldKeys(cacheSize int) setUpStall {
	return func(ctx context.Context, i *issuer) (verifier, func(), error) {
		var ahead atomic.Int64
		v, err := ours(ctx, i, "", cacheSize, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
		return v, func() { ahead.Store(int64(20 * time.Minute)) }, err
	}
}

// unknownKey has a token with an unknown kid come.
func unknownKey(setUp setUp) setUpStall {
	return func(ctx context.Context, i *issuer) (verifier, func(), error) {
		v, err := setUp(ctx, i, floodAlgorithm)
		unknown := i.token(floodAlgorithm, "unknown", nil)
		return v, func() {
			go func() { _, _ = v.subject(unknown) }() // it ends with the fetch, or with the trial's context
		}, err
	}
}

// byItself is for libraries that fetch after a while.
func byItself(setUp func(ctx context.Context, i *issuer) (verifier, error)) setUpStall {
	return func(ctx context.Context, i *issuer) (verifier, func(), error) {
		v, err := setUp(ctx, i)
		return v, func() {}, err
	}
}

// stallOnce makes requests one after another all the time. What the slowest of them
// took while the fetch hung is compared with the slowest of as long a time in which
// no fetch hangs, for the machine has pauses of its own.
func stallOnce(ctx context.Context, i *issuer, hang time.Duration, setUp setUpStall) (stalled float64, fetched bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	v, fetch, err := setUp(ctx, i)
	if err != nil {
		return 0, false, err
	}
	raw := i.token(floodAlgorithm, floodAlgorithm, nil)
	must(v.subject(raw)) // now the keys are there
	quiet := v.slowest(raw, hang*11/10)
	before := i.fetches.Load()
	i.hang.Store(int64(hang))
	defer i.hang.Store(0)
	fetch()
	busy := v.slowest(raw, hang*11/10)
	return max(0, float64(busy-quiet)), i.fetches.Load() > before, nil
}

// slowest verifies a token again and again for a while, and tells how long it took
// at most.
func (v verifier) slowest(raw string, while time.Duration) time.Duration {
	var slowest time.Duration
	for begin := time.Now(); time.Since(begin) < while; {
		start := time.Now()
		must(v.subject(raw))
		slowest = max(slowest, time.Since(start))
	}
	return slowest
}

// worst is the larger of what refresh and rotation cost, in milliseconds.
func (s stall) worst() float64 {
	worst := 0.0
	for _, t := range []times{s.refresh, s.rotation} {
		if len(t) > 0 {
			worst = max(worst, t.median()/1e6)
		}
	}
	return worst
}

func stallTable(all []stall, hang time.Duration) table {
	t := table{
		title:   fmt.Sprintf("How much longer the slowest request takes while a fetch hangs for %d ms", hang.Milliseconds()),
		columns: []string{"", "ms, at refresh", "ms, at rotation"},
	}
	for _, s := range all {
		row := []any{s.name, nil, nil}
		for n, t := range []times{s.refresh, s.rotation} {
			if len(t) > 0 {
				row[n+1] = t.median() / 1e6
			}
		}
		t.add(row...)
	}
	return t
}
