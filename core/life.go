package core

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// life owns the goroutines and timers that outlast a request: end stops the
// timers, and cancels and awaits the rest.
type life struct {
	ctx    context.Context
	cancel context.CancelFunc
	logger *slog.Logger

	mu     sync.Mutex
	ended  bool
	alarms map[*alarm]struct{}
	tasks  sync.WaitGroup
}

func newLife(logger *slog.Logger) *life {
	ctx, cancel := context.WithCancel(context.Background())
	return &life{ctx: ctx, cancel: cancel, logger: logger, alarms: map[*alarm]struct{}{}}
}

var errClosed = errors.New("this Auth was closed")

// do runs a task, unless the end has come. Nobody else recovers a panic on the
// goroutines that call it.
func (l *life) do(task func(context.Context) error) error {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return errClosed
	}
	l.tasks.Add(1)
	l.mu.Unlock()
	defer l.tasks.Done()
	return safely(l.logger, "a background task", func() error { return task(l.ctx) })
}

func (l *life) end() {
	l.mu.Lock()
	l.ended = true
	for a := range l.alarms {
		a.timer.Stop()
	}
	l.mu.Unlock()
	l.cancel()
	l.tasks.Wait()
}

// alarm calls a function, on a goroutine of its own, after the time that was set
// last.
type alarm struct {
	life  *life
	timer *time.Timer
}

// newAlarm makes an alarm that is not set.
func (l *life) newAlarm(ring func()) *alarm {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := &alarm{life: l, timer: time.AfterFunc(time.Hour, ring)}
	a.timer.Stop()
	l.alarms[a] = struct{}{}
	return a
}

func (a *alarm) set(after time.Duration) {
	a.life.mu.Lock()
	defer a.life.mu.Unlock()
	if _, ours := a.life.alarms[a]; ours && !a.life.ended {
		a.timer.Reset(after)
	}
}

// drop ends the alarm for good.
func (a *alarm) drop() {
	a.life.mu.Lock()
	defer a.life.mu.Unlock()
	delete(a.life.alarms, a)
	a.timer.Stop()
}
