// Package background owns the goroutines and timers that outlast a request.
package background

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fault"
)

// Tasks are the goroutines and timers of one owner. Close stops the timers, cancels the
// tasks and waits for them. All methods may be called concurrently.
type Tasks struct {
	ctx    context.Context
	cancel context.CancelFunc
	logger *slog.Logger

	mu     sync.Mutex
	closed bool
	timers map[*Timer]struct{}
	tasks  sync.WaitGroup
}

// New makes an owner without tasks. The logger is told of panics.
func New(logger *slog.Logger) *Tasks {
	ctx, cancel := context.WithCancel(context.Background())
	return &Tasks{ctx: ctx, cancel: cancel, logger: logger, timers: map[*Timer]struct{}{}}
}

var errClosed = errors.New("this Auth was closed")

// Closed reports whether Close was called.
func (t *Tasks) Closed() bool { return t.ctx.Err() != nil }

// Do runs a task on the caller's goroutine, with a context that ends at Close. After
// Close it fails. A panic becomes an error, since nobody else recovers it on the
// goroutines that call Do.
func (t *Tasks) Do(task func(context.Context) error) error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return errClosed
	}
	t.tasks.Add(1)
	t.mu.Unlock()
	defer t.tasks.Done()
	return fault.Catch(t.logger, "a background task", func() error { return task(t.ctx) })
}

// Close ends all tasks and waits for them.
func (t *Tasks) Close() {
	t.mu.Lock()
	t.closed = true
	for timer := range t.timers {
		timer.timer.Stop()
	}
	t.mu.Unlock()
	t.cancel()
	t.tasks.Wait()
}

// Timer calls a function, on a goroutine of its own, after the time that was set last.
type Timer struct {
	tasks *Tasks
	timer *time.Timer
}

// NewTimer makes a timer that is not set.
func (t *Tasks) NewTimer(ring func()) *Timer {
	t.mu.Lock()
	defer t.mu.Unlock()
	timer := &Timer{tasks: t, timer: time.AfterFunc(time.Hour, ring)}
	timer.timer.Stop()
	t.timers[timer] = struct{}{}
	return timer
}

// Set has the function called after this time, unless the timer was dropped or its
// owner closed.
func (t *Timer) Set(after time.Duration) {
	t.tasks.mu.Lock()
	defer t.tasks.mu.Unlock()
	if _, ours := t.tasks.timers[t]; ours && !t.tasks.closed {
		t.timer.Reset(after)
	}
}

// Drop ends the timer for good.
func (t *Timer) Drop() {
	t.tasks.mu.Lock()
	defer t.tasks.mu.Unlock()
	delete(t.tasks.timers, t)
	t.timer.Stop()
}

// Sleep waits for so long, or until the context ends, whose error it then gives.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
