package fetch

import (
	"context"
	"errors"
	"sync"
	"time"
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

// ErrNotKept is the error of a recall for which nothing was kept.
var ErrNotKept = errors.New("nothing was kept")

// Keep has the document outlive the process: keep keeps what was fetched, and when, and
// recall brings that back, or fails with [ErrNotKept]. It is called before first use.
func (d *Document[T]) Keep(keep func(context.Context, T, time.Time) error, recall func(context.Context) (T, time.Time, error)) {
	d.keeper = keeper[T]{keep, recall, make(chan struct{})}
}

func (e *edition[T]) usable(now time.Time) bool {
	return e != nil && now.Sub(e.fetched) < KeepFor
}

// Past is what a retired document knew: what it had fetched, and how it went to ask its
// source.
type Past[T any] struct {
	edition *edition[T] // nil: nothing
	tries   tries
}

// Retire takes the document out of use for good: what was fetched is withdrawn,
// also what is being fetched, and nothing is fetched in the background any more.
func (d *Document[T]) Retire() Past[T] {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.retired = true
	if d.timer != nil {
		d.timer.Drop()
	}
	e := d.in.Load()
	if e != nil {
		d.withdraw(e.value)
	}
	return Past[T]{e, d.tries}
}

func (d *Document[T]) withdraw(value T) {
	var nothing T
	if d.Replace != nil {
		d.Replace(nothing, value)
	}
}

// Adopt takes over what another document of the same source knew: a copy of what it
// had fetched, and its tries, so that a source is left alone for as long as before.
func (d *Document[T]) Adopt(past Past[T], copied func(T) T) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tries = past.tries
	if past.edition != nil {
		e := *past.edition
		e.value = copied(e.value)
		d.in.Store(&e)
		d.rest(&e, d.Now())
	}
}

// keepAway keeps what was fetched. Nobody waits for that, nor does anything hang
// on it.
func (d *Document[T]) keepAway(value T, fetched time.Time) {
	err := d.Tasks.Do(func(ctx context.Context) error { return d.keep(ctx, value, fetched) })
	if err != nil && !d.Tasks.Closed() {
		d.Logger.Warn("a document could not be kept for a restart", "document", d.Name, "error", err)
	}
}

// waitOrRecall brings back what was kept when a source does not answer soon, or,
// told by the function that it gives, when it has failed. What the source says now
// comes first, and once it has said anything, what was kept before counts no more.
func (d *Document[T]) waitOrRecall(ctx context.Context) (answered func(error)) {
	d.mu.Lock()
	heard := d.heard
	d.mu.Unlock()
	if d.recall == nil || heard {
		return func(error) {}
	}
	var once sync.Once
	bringBack := func() { once.Do(func() { d.bringBack(ctx) }) }
	late := d.Tasks.NewTimer(func() {
		_ = d.Tasks.Do(func(context.Context) error { bringBack(); return nil })
	})
	late.Set(impatience)
	return func(err error) {
		late.Drop()
		if err != nil && !errors.Is(err, ErrNothing) {
			bringBack()
		}
	}
}

// bringBack takes into use what an earlier process had fetched.
func (d *Document[T]) bringBack(ctx context.Context) {
	value, fetched, err := d.recall(ctx)
	if err != nil {
		if !errors.Is(err, ErrNotKept) {
			d.Logger.WarnContext(ctx, "a document that was kept can't be had", "document", d.Name, "error", err)
		}
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	e := &edition[T]{value: value, fetched: fetched, recalled: true}
	if !d.retired && !d.heard && e.usable(d.Now()) {
		d.heard = true
		d.in.Store(e)
		close(d.recalled)
	}
}
