package broker

import (
	"context"
	"errors"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/vault"
)

// looks remembers what the store said of sessions, so that guards need not ask it at each
// request. All methods may be called concurrently.
type looks[T any] struct {
	keep time.Duration // for how long an answer counts, from when the question began
	now  func() time.Time
	// ask makes the question, which has a context of its own: whoever goes away fails nobody
	// else. What it is given is the context of the first who asks, for its values, which are not
	// there any more when he has gone. until is when the answer counts no more, if that is before
	// keep is over; zero: it is not.
	ask    func(first context.Context, id string) (question func() (answer T, until time.Time, err error))
	seed   maphash.Seed
	shards [16]looksShard[T]
}

// maxLooks is how many sessions a shard remembers.
const maxLooks = 4096

type looksShard[T any] struct {
	mu    sync.RWMutex
	looks map[string]*look[T]
}

// look is one question to the store and its answer.
type look[T any] struct {
	until time.Time     // when it counts no more
	done  chan struct{} // closed as soon as what follows is set

	answer T
	sooner time.Time // when the answer counts no more; zero: until
	err    error     // nil: the session is live
}

func newLooks[T any](keep time.Duration, now func() time.Time, ask func(context.Context, string) func() (T, time.Time, error)) *looks[T] {
	l := &looks[T]{keep: keep, now: now, ask: ask, seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].looks = map[string]*look[T]{}
	}
	return l
}

func (l *looks[T]) shard(id string) *looksShard[T] {
	return &l.shards[maphash.String(l.seed, id)%uint64(len(l.shards))]
}

// answered reports whether the look has its answer.
func (k *look[T]) answered() bool {
	select {
	case <-k.done:
		return true
	default:
		return false
	}
}

// counts reports whether whoever comes now may go by the look. A question that began too
// long ago is not waited for either: its answer may be too old.
func (k *look[T]) counts(now time.Time) bool {
	return k != nil && now.Before(k.until) && (!k.answered() || k.sooner.IsZero() || now.Before(k.sooner))
}

// known gives the answer for a session, if it is there and counts, and the zero T otherwise.
func (l *looks[T]) known(id sessionName) (answer T) {
	s := &l.shards[maphash.Bytes(l.seed, id[:])%uint64(len(l.shards))]
	s.mu.RLock()
	known := s.looks[string(id[:])]
	s.mu.RUnlock()
	if known.counts(l.now()) && known.answered() {
		return known.answer
	}
	return answer
}

// check gives the answer for a session. It waits for one that is on its way, until ctx
// ends.
func (l *looks[T]) check(ctx context.Context, id string) (answer T, err error) {
	now, s := l.now(), l.shard(id)
	s.mu.RLock()
	known := s.looks[id]
	s.mu.RUnlock()
	if !known.counts(now) {
		known = l.begin(ctx, s, id, now)
	}
	if known.answered() { // most often
		return known.answer, known.err
	}
	select {
	case <-known.done:
		return known.answer, known.err
	case <-ctx.Done():
		return answer, vault.ErrDown.From(ctx.Err())
	}
}

// begin asks the store, unless somebody else has begun meanwhile.
func (l *looks[T]) begin(ctx context.Context, s *looksShard[T], id string, now time.Time) *look[T] {
	id = strings.Clone(id) // which may be part of a large token
	question := l.ask(ctx, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.looks[id]; known.counts(now) {
		return known
	}
	begun := &look[T]{until: now.Add(l.keep), done: make(chan struct{})}
	s.put(id, begun, now)
	go func() {
		answer, sooner, err := question()
		if err != nil && !errors.Is(err, fault.InvalidToken) {
			s.drop(id, begun) // the store could not tell: the next caller asks again
		}
		begun.answer, begun.sooner, begun.err = answer, sooner, err
		close(begun.done)
	}()
	return begun
}

// end remembers that a session has ended. That is final: the answer to a question that is
// still on its way takes nothing of it back.
func (l *looks[T]) end(id string) {
	now, s := l.now(), l.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(id, &look[T]{until: now.Add(l.keep), done: closed, err: ErrSessionEnded}, now)
}

// closed is the channel of an answer that is there from the beginning.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// put remembers a look. Where there is no room, those that count no more make some, and
// then any others; their sessions are asked about again. The caller holds the lock.
func (s *looksShard[T]) put(id string, l *look[T], now time.Time) {
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
func (s *looksShard[T]) drop(id string, l *look[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.looks[id] == l {
		delete(s.looks, id)
	}
}
