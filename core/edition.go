package core

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/oidcgate/oidcgate/store"
)

// edition is a document as it was fetched at a time.
type edition[T any] struct {
	value    T
	fetched  time.Time
	fresh    time.Duration
	recalled bool // another process has fetched it
}

// keeper keeps what was fetched, and when, for another process, and recalls it when
// the source is down at the start. The zero keeper keeps nothing.
type keeper[T any] struct {
	keep     func(context.Context, T, time.Time) error
	recall   func(context.Context) (T, time.Time, error)
	recalled chan struct{} // closed when it has
}

func newKeeper[T any](keep func(context.Context, T, time.Time) error, recall func(context.Context) (T, time.Time, error)) keeper[T] {
	return keeper[T]{keep, recall, make(chan struct{})}
}

func (e *edition[T]) usable(now time.Time) bool {
	return e != nil && now.Sub(e.fetched) < keepFor
}

// retire takes the document out of use for good: what was fetched is withdrawn,
// also what is being fetched, and nothing is fetched in the background any more. It gives
// the edition that was in use, nil if there was none, and the tries that were made.
func (d *document[T]) retire() (*edition[T], tries) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.retired = true
	if d.alarm != nil {
		d.alarm.Drop()
	}
	e := d.in.Load()
	if e != nil {
		d.withdraw(e.value)
	}
	return e, d.tries
}

func (d *document[T]) withdraw(value T) {
	var nothing T
	if d.replace != nil {
		d.replace(nothing, value)
	}
}

// adopt takes over what another document of the same source had: its edition, nil
// for none, and its tries, so that a source is left alone for as long as before.
func (d *document[T]) adopt(e *edition[T], made tries) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tries = made
	if e != nil {
		d.in.Store(e)
		d.rest(e, d.now())
	}
}

// keepAway keeps what was fetched. Nobody waits for that, nor does anything hang
// on it.
func (d *document[T]) keepAway(value T, fetched time.Time) {
	err := d.life.Do(func(ctx context.Context) error { return d.keep(ctx, value, fetched) })
	if err != nil && !d.life.Closed() {
		d.logger.Warn("a document could not be kept for a restart", "document", d.name, "error", err)
	}
}

// waitOrRecall brings back what was kept when a source does not answer soon, or,
// told by the function that it gives, when it has failed. What the source says now
// comes first, and once it has said anything, what was kept before counts no more.
func (d *document[T]) waitOrRecall(ctx context.Context) (answered func(error)) {
	d.mu.Lock()
	heard := d.heard
	d.mu.Unlock()
	if d.recall == nil || heard {
		return func(error) {}
	}
	var once sync.Once
	bringBack := func() { once.Do(func() { d.bringBack(ctx) }) }
	late := d.life.NewTimer(func() {
		_ = d.life.Do(func(context.Context) error { bringBack(); return nil })
	})
	late.Set(impatience)
	return func(err error) {
		late.Drop()
		if err != nil && !errors.Is(err, errNothing) {
			bringBack()
		}
	}
}

// bringBack takes into use what an earlier process had fetched.
func (d *document[T]) bringBack(ctx context.Context) {
	value, fetched, err := d.recall(ctx)
	if err != nil {
		if !errors.Is(err, store.ErrNotFound) {
			d.logger.WarnContext(ctx, "a document that was kept can't be had", "document", d.name, "error", err)
		}
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	e := &edition[T]{value: value, fetched: fetched, recalled: true}
	if !d.retired && !d.heard && e.usable(d.now()) {
		d.heard = true
		d.in.Store(e)
		close(d.recalled)
	}
}
