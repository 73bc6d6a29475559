package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// Time limits of documents that are fetched.
const (
	firstBackOff = time.Second      // after the first failure; then twice that, and so on
	maxBackOff   = 30 * time.Second // between two tries while the source is down
	coolDown     = 10 * time.Second // between two fetches for something that the document lacks
	keepFor      = 24 * time.Hour   // a document that can't be refreshed stays in use
)

// document is a remote document that is fetched at first use. However many
// callers wait, one fetch is under way at a time, on a context of its own, so
// that no caller's going away fails the others. What was fetched stays in use,
// is fetched again in the background before it is old, and outlives a source
// that is down. After a failure the source is left alone for longer and longer.
type document[T any] struct {
	name string // for people
	down *Error // what callers are told while it can't be had
	// load fetches it and tells how long it is fresh.
	load func(context.Context) (T, time.Duration, error)
	// replace is told of each change, and gives what to use. nil: what was loaded.
	replace func(next, older T) T
	// keep keeps what was fetched, and when, for another process, and recall gives
	// it, for a source that is down at the start. nil: nothing is kept.
	keep   func(context.Context, T, time.Time) error
	recall func(context.Context) (T, time.Time, error)
	now    func() time.Time
	life   *life
	logger *slog.Logger

	flights singleflight.Group
	// in is the edition in use, nil when there is none, and quiet the time, in Unix
	// nanoseconds, until which nobody who uses it has to do anything. They are
	// written with the lock held, and read without.
	in    atomic.Pointer[edition[T]]
	quiet atomic.Int64

	mu       sync.Mutex // guards what follows, and is never held over a fetch
	alarm    *alarm     // for the next fetch in the background
	failed   time.Time  // of the last failure
	failures int        // in a row
	err      error      // of the last failure, nil after a success
	renewed  time.Time  // when renew last fetched
	flying   bool       // a fetch is under way
	fetches  int        // that have ended, well or badly
	retired  bool       // nobody uses it any more
}

// edition is a document as it was fetched at a time.
type edition[T any] struct {
	value   T
	fetched time.Time
	fresh   time.Duration
}

func (e *edition[T]) usable(now time.Time) bool {
	return e != nil && now.Sub(e.fetched) < keepFor
}

// settled reports whether there is a document to use and nothing to do about it.
func (d *document[T]) settled(now time.Time) bool { return now.UnixNano() < d.quiet.Load() }

// get gives the document, and waits for it only when there is none to use.
func (d *document[T]) get(ctx context.Context) (T, error) {
	now := d.now()
	if d.settled(now) {
		return d.in.Load().value, nil
	}
	d.mu.Lock()
	e := d.in.Load()
	wait := d.backOff(now)
	err, fetches := d.err, d.fetches
	// Whoever has a document to use may start a fetch, and never joins one.
	usable := e.usable(now)
	due := !usable || now.Sub(e.fetched) >= e.fresh && !d.flying
	start := due && wait <= 0
	if start {
		d.flying = true
	}
	d.mu.Unlock()

	var fetched T
	switch {
	case usable && start:
		d.start(fetches)
		return e.value, nil
	case usable:
		return e.value, nil
	case start:
		if fetched, err = d.wait(ctx, d.start(fetches)); err == nil {
			return fetched, nil
		}
		if e := d.in.Load(); e.usable(now) { // it was recalled
			return e.value, nil
		}
		return fetched, err
	}
	return fetched, d.unavailable(err, wait)
}

// renew gives the document as it is after a fetch, for a caller who missed
// something in it. Fetches for that reason are a cool-down apart, but for a
// caller who must have it; who comes in between gets the document as it is, or,
// if the last fetch failed, nothing: what is missing may be there by now.
func (d *document[T]) renew(ctx context.Context, must bool) (T, error) {
	d.mu.Lock()
	if !d.flying {
		now := d.now()
		wait := d.backOff(now)
		if !must && !d.renewed.IsZero() {
			wait = max(wait, coolDown-now.Sub(d.renewed))
		}
		if wait > 0 {
			e, err := d.in.Load(), d.err
			d.mu.Unlock()
			var none T
			switch {
			case err != nil:
				return none, d.unavailable(err, wait)
			case e == nil:
				return none, nil
			}
			return e.value, nil
		}
		d.renewed, d.flying = now, true
	}
	fetches := d.fetches
	d.mu.Unlock()
	return d.wait(ctx, d.start(fetches))
}

// refresh fetches the document before it is old. The alarm calls it, so that
// somebody who comes after a long pause is not judged by an old one.
func (d *document[T]) refresh() {
	d.mu.Lock()
	wait, fetches := d.backOff(d.now()), d.fetches
	start := !d.flying && wait <= 0
	if start {
		d.flying = true
	} else {
		d.ring(max(wait, firstBackOff))
	}
	d.mu.Unlock()
	if start {
		d.start(fetches)
	}
}

// ring sets the alarm. The caller holds the lock.
func (d *document[T]) ring(after time.Duration) {
	if d.retired {
		return
	}
	if d.alarm == nil {
		d.alarm = d.life.newAlarm(d.refresh)
	}
	d.alarm.set(after)
}

// retire takes the document out of use for good: what was fetched is withdrawn,
// also what is being fetched, and nothing is fetched in the background any more. It gives
// the edition that was in use, nil if there was none.
func (d *document[T]) retire() *edition[T] {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.retired = true
	if d.alarm != nil {
		d.alarm.drop()
	}
	e := d.in.Load()
	if e != nil {
		d.withdraw(e.value)
	}
	return e
}

func (d *document[T]) withdraw(value T) {
	var nothing T
	if d.replace != nil {
		d.replace(nothing, value)
	}
}

// adopt takes over an edition that another document had in use.
func (d *document[T]) adopt(e edition[T]) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.in.Store(&e)
	d.quiet.Store(e.fetched.Add(e.fresh).UnixNano())
	d.ring(e.fresh * 9 / 10)
}

// backOff is how long the source is still to be left alone. The caller holds
// the lock.
func (d *document[T]) backOff(now time.Time) time.Duration {
	if d.failures == 0 {
		return 0
	}
	pause := maxBackOff
	if d.failures <= 5 {
		pause = min(firstBackOff<<(d.failures-1), maxBackOff)
	}
	return pause - now.Sub(d.failed)
}

// start begins a fetch, or joins the one under way. The caller decided that one
// is needed when so many had ended; if another has ended since, its outcome is
// what the caller gets.
func (d *document[T]) start(fetches int) <-chan singleflight.Result {
	return d.flights.DoChan("", func() (any, error) {
		d.mu.Lock()
		if d.fetches != fetches {
			defer d.mu.Unlock()
			d.flying = false
			var value T
			if e := d.in.Load(); e != nil {
				value = e.value
			}
			return value, d.err
		}
		d.flying = true
		d.mu.Unlock()

		var next edition[T]
		err := d.life.do(func(ctx context.Context) (err error) {
			if next.value, next.fresh, err = d.load(ctx); err == nil {
				next.fetched = d.now()
			} else if d.recall != nil && d.in.Load() == nil {
				d.bringBack(ctx)
			}
			return err
		})
		value := d.settle(next, err)
		if err == nil && d.keep != nil {
			go d.keepAway(value, next.fetched)
		}
		return value, err
	})
}

// keepAway keeps what was fetched. Nobody waits for that, nor does anything hang
// on it.
func (d *document[T]) keepAway(value T, fetched time.Time) {
	err := d.life.do(func(ctx context.Context) error { return d.keep(ctx, value, fetched) })
	if err != nil && d.life.ctx.Err() == nil {
		d.logger.Warn("a document could not be kept for a restart", "document", d.name, "error", err)
	}
}

// bringBack takes into use what an earlier process had fetched.
func (d *document[T]) bringBack(ctx context.Context) {
	value, fetched, err := d.recall(ctx)
	if err != nil {
		if !errors.Is(err, ErrNotFound) {
			d.logger.WarnContext(ctx, "a document that was kept can't be had", "document", d.name, "error", err)
		}
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.retired {
		d.in.Store(&edition[T]{value: value, fetched: fetched})
	}
}

// settle keeps the outcome of a fetch, and gives what is in use from now on.
func (d *document[T]) settle(next edition[T], err error) T {
	if err != nil && d.life.ctx.Err() == nil {
		d.logger.Warn("a document could not be fetched", "document", d.name, "error", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flying = false
	d.fetches++
	now := d.now()
	if err != nil {
		d.failures++
		d.failed, d.err = now, err
		if e := d.in.Load(); e.usable(now) {
			wait := d.backOff(now)
			d.quiet.Store(min(now.Add(wait).UnixNano(), e.fetched.Add(keepFor).UnixNano()))
			d.ring(wait)
		}
		return next.value
	}
	if e := d.in.Load(); e != nil && d.replace != nil {
		next.value = d.replace(next.value, e.value)
	}
	if d.retired {
		d.withdraw(next.value)
	}
	d.failures, d.err = 0, nil
	d.in.Store(&next)
	d.quiet.Store(next.fetched.Add(next.fresh).UnixNano())
	d.ring(next.fresh * 9 / 10)
	return next.value
}

func (d *document[T]) wait(ctx context.Context, flight <-chan singleflight.Result) (T, error) {
	var zero T
	select {
	case result := <-flight:
		if result.Err != nil {
			d.mu.Lock()
			retry := d.backOff(d.now())
			d.mu.Unlock()
			return zero, d.unavailable(result.Err, max(retry, firstBackOff))
		}
		return result.Val.(T), nil
	case <-ctx.Done():
		return zero, d.unavailable(ctx.Err(), firstBackOff)
	}
}

// health tells how fetching the document is going.
func (d *document[T]) health() Dependency {
	d.mu.Lock()
	defer d.mu.Unlock()
	var fetched time.Time
	e := d.in.Load()
	if e != nil {
		fetched = e.fetched
	}
	return dependency(fetched, d.failed, d.err, e.usable(d.now()))
}

// unavailable keeps apart a source that can't be reached, which is worth
// another try, and one that answers nonsense.
func (d *document[T]) unavailable(cause error, retry time.Duration) error {
	unavailable := d.down
	var e *Error
	if errors.As(cause, &e) {
		if !errors.Is(e, ErrUnavailable) {
			return e
		}
		unavailable, cause = e, e.cause
	}
	unavailable = unavailable.from(fmt.Errorf("%s: %w", d.name, cause))
	unavailable.RetryAfter = retry
	return unavailable
}
