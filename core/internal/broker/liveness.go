package broker

import (
	"context"
	"errors"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/session"
	"github.com/oidcgate/oidcgate/core/internal/vault"
)

// errSessionEnded is the error for a token whose session has ended.
var errSessionEnded = fault.InvalidToken.New("The session has ended.")

// Live tells whether a session goes on. With Options.CheckSession, an answer of the store
// counts for that long, and all who ask meanwhile share it; without, each asks the store.
// It fails with fault.InvalidToken when the session has ended, and with fault.Unavailable
// when the store can't tell.
func (b *Broker) Live(ctx context.Context, id string) error {
	if b.CheckSession == 0 {
		return b.lookLive(ctx, id)
	}
	return b.liveness.check(ctx, id)
}

// lookLive asks the store.
func (b *Broker) lookLive(ctx context.Context, id string) error {
	s := storedSession{b: b, id: id}
	state, _, err := s.Load(ctx)
	switch {
	case errors.Is(err, session.ErrGone):
		return errSessionEnded
	case err == nil && state.RefreshToken != "" && !b.Now().Before(state.End(b.policy)):
		return errSessionEnded
	}
	return err
}

// liveness remembers what the store said of sessions, so that guards need not ask it at
// each request. All methods may be called concurrently.
type liveness struct {
	keep time.Duration // for how long an answer counts, from when the question began
	now  func() time.Time
	// ask is the question, on a context of its own: whoever goes away fails nobody else.
	ask    func(id string) error
	seed   maphash.Seed
	shards [16]livenessShard
}

// maxLooks is how many sessions a shard remembers.
const maxLooks = 4096

type livenessShard struct {
	mu    sync.RWMutex
	looks map[string]*look
}

// look is one question to the store and its answer.
type look struct {
	until time.Time     // when it counts no more
	done  chan struct{} // closed as soon as err is set
	err   error         // nil: the session is live
}

func newLiveness(keep time.Duration, now func() time.Time, ask func(id string) error) *liveness {
	l := &liveness{keep: keep, now: now, ask: ask, seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].looks = map[string]*look{}
	}
	return l
}

func (l *liveness) shard(id string) *livenessShard {
	return &l.shards[maphash.String(l.seed, id)%uint64(len(l.shards))]
}

// check gives the answer for a session. It waits for one that is on its way, until ctx
// ends. A question that began too long ago is not waited for: its answer may be older than
// what a caller who comes now may go by.
func (l *liveness) check(ctx context.Context, id string) error {
	now, s := l.now(), l.shard(id)
	s.mu.RLock()
	known := s.looks[id]
	s.mu.RUnlock()
	if known == nil || !now.Before(known.until) {
		known = l.begin(s, id, now)
	}
	select {
	case <-known.done: // most often
		return known.err
	default:
	}
	select {
	case <-known.done:
		return known.err
	case <-ctx.Done():
		return vault.ErrDown.From(ctx.Err())
	}
}

// begin asks the store, unless somebody else has begun meanwhile.
func (l *liveness) begin(s *livenessShard, id string, now time.Time) *look {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.looks[id]; known != nil && now.Before(known.until) {
		return known
	}
	id = strings.Clone(id) // which may be part of a large token
	begun := &look{until: now.Add(l.keep), done: make(chan struct{})}
	s.put(id, begun, now)
	go func() {
		err := l.ask(id)
		if err != nil && !errors.Is(err, fault.InvalidToken) {
			s.drop(id, begun) // the store could not tell: the next caller asks again
		}
		begun.err = err
		close(begun.done)
	}()
	return begun
}

// end remembers that a session has ended. That is final: the answer to a question that is
// still on its way takes nothing of it back.
func (l *liveness) end(id string) {
	now, s := l.now(), l.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(id, &look{until: now.Add(l.keep), done: closed, err: errSessionEnded}, now)
}

// closed is the channel of an answer that is there from the beginning.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// put remembers a look. Where there is no room, those that count no more make some, and
// then any others; their sessions are asked about again. The caller holds the lock.
func (s *livenessShard) put(id string, l *look, now time.Time) {
	if len(s.looks) >= maxLooks {
		for old, known := range s.looks {
			if !now.Before(known.until) {
				delete(s.looks, old)
			}
		}
		for old := range s.looks {
			if len(s.looks) <= maxLooks*3/4 { // not one at a time, for each time takes long
				break
			}
			delete(s.looks, old)
		}
	}
	s.looks[id] = l
}

// drop forgets a look, unless another one has taken its place.
func (s *livenessShard) drop(id string, l *look) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.looks[id] == l {
		delete(s.looks, id)
	}
}
