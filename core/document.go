package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
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
// is refreshed in the background when it is asked for after a while, and outlives
// a provider that is down. After a failure the provider is left alone for longer
// and longer.
type document[T any] struct {
	name    string // for people
	down    *Error // what callers are told while it can't be had
	refresh time.Duration
	load    func(context.Context) (T, error)
	now     func() time.Time
	life    *life
	logger  *slog.Logger

	flights singleflight.Group

	mu       sync.Mutex // guards what follows, and is never held over a fetch
	value    T
	fetched  time.Time // zero: never
	failed   time.Time // of the last failure in a row
	failures int       // in a row
	err      error     // of the last failure
	renewed  time.Time // when renew last fetched
	flying   bool      // a fetch is under way
	fetches  int       // that have ended, well or badly
}

// get gives the document, and waits for it only when there is none to use.
func (d *document[T]) get(ctx context.Context) (T, error) {
	d.mu.Lock()
	now := d.now()
	value, age := d.value, now.Sub(d.fetched)
	usable := !d.fetched.IsZero() && age < keepFor
	wait := d.backOff(now)
	err, fetches := d.err, d.fetches
	// Whoever has a document to use may start a fetch, and never joins one.
	due := !usable || age >= d.refresh && !d.flying
	start := due && wait <= 0
	if start {
		d.flying = true
	}
	d.mu.Unlock()

	switch {
	case usable && start:
		d.start(fetches)
		return value, nil
	case usable:
		return value, nil
	case start:
		return d.wait(ctx, d.start(fetches))
	}
	var zero T
	return zero, d.unavailable(err, wait)
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
			value, err := d.value, d.err
			d.mu.Unlock()
			if err != nil {
				var zero T
				return zero, d.unavailable(err, wait)
			}
			return value, nil
		}
		d.renewed, d.flying = now, true
	}
	fetches := d.fetches
	d.mu.Unlock()
	return d.wait(ctx, d.start(fetches))
}

// backOff is how long the provider is still to be left alone. The caller holds
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
			return d.value, d.err
		}
		d.flying = true
		d.mu.Unlock()

		var value T
		err := d.life.do(func(ctx context.Context) (err error) {
			value, err = d.load(ctx)
			return err
		})
		d.settle(value, err)
		return value, err
	})
}

// settle keeps the outcome of a fetch.
func (d *document[T]) settle(value T, err error) {
	if err != nil && d.life.ctx.Err() == nil {
		d.logger.Warn("a document could not be fetched", "document", d.name, "error", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flying = false
	d.fetches++
	if err != nil {
		d.failures++
		d.failed, d.err = d.now(), err
		return
	}
	d.value, d.fetched, d.failures, d.err = value, d.now(), 0, nil
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
	useful := !d.fetched.IsZero() && d.now().Sub(d.fetched) < keepFor
	return dependency(d.fetched, d.failed, d.err, useful)
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

// life owns the goroutines that outlast a request: end cancels and awaits them.
type life struct {
	ctx    context.Context
	cancel context.CancelFunc
	logger *slog.Logger

	mu    sync.Mutex
	ended bool
	tasks sync.WaitGroup
}

func newLife(logger *slog.Logger) *life {
	ctx, cancel := context.WithCancel(context.Background())
	return &life{ctx: ctx, cancel: cancel, logger: logger}
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
	l.mu.Unlock()
	l.cancel()
	l.tasks.Wait()
}
