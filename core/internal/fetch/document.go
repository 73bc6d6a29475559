// Package fetch keeps remote documents fresh: a provider's discovery document, the key
// sets of issuers, and the signing keys that the replicas of a broker share.
package fetch

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/background"
	"github.com/oidcgate/oidcgate/core/internal/fault"
)

// Time limits of documents that are fetched.
const (
	firstBackOff = time.Second      // after the first failure; then twice that, and so on
	maxBackOff   = 30 * time.Second // between two tries while the source is down
	impatience   = time.Second      // without an answer, what was kept is used meanwhile
	coolDown     = 10 * time.Second // between two fetches for something that the document lacks
	KeepFor      = 24 * time.Hour   // a document that can't be refreshed stays in use
)

// ErrNothing is the error of a load whose source has answered, and well, that there is
// nothing any more. What it had said before is withdrawn, which no other failure does.
var ErrNothing = errors.New("the source has nothing to offer")

// Document is a remote document that is fetched at first use. However many
// callers wait, one fetch is under way at a time, on a context of its own, so
// that no caller's going away fails the others. What was fetched stays in use,
// is fetched again in the background before it is old, and outlives a source
// that is down. After a failure the source is left alone for longer and longer.
// The exported fields are set before first use. All methods may be called concurrently.
type Document[T any] struct {
	Name string       // for people
	Down *fault.Error // what callers are told while it can't be had
	// Load fetches it and tells how long it is fresh.
	Load func(context.Context) (T, time.Duration, error)
	// Replace is told of each change, and gives what to use. nil: what was loaded.
	Replace func(next, older T) T
	// Changed is told when the source goes away, and by nil when it is back. nil: nobody is.
	Changed func(error)
	Now     func() time.Time
	Tasks   *background.Tasks
	Logger  *slog.Logger

	keeper[T]

	// in is the edition in use, nil when there is none, and quiet the time, in Unix
	// nanoseconds, until which nobody who uses it has to do anything. They are
	// written with the lock held, and read without.
	in    atomic.Pointer[edition[T]]
	quiet atomic.Int64

	mu      sync.Mutex        // guards what follows, and is never held over a fetch
	tries                     // that have been made
	timer   *background.Timer // for the next fetch in the background
	flight  *flight[T]        // the fetch that is under way, nil when there is none
	retired bool              // nobody uses it any more
}

// tries are what is known of a source from how it was to ask it.
type tries struct {
	failed   time.Time // of the last failure
	failures int       // in a row
	err      error     // of the last failure, nil after a success
	renewed  time.Time // when Renew last fetched
	heard    bool      // it has answered well, or something was recalled
}

// Settled reports whether there is a document to use and nothing to do about it.
func (d *Document[T]) Settled(now time.Time) bool { return now.UnixNano() < d.quiet.Load() }

// Get gives the document, and waits for it only when there is none to use.
func (d *Document[T]) Get(ctx context.Context) (T, error) {
	now := d.Now()
	if e := d.in.Load(); e != nil && d.Settled(now) {
		return e.value, nil
	}
	d.mu.Lock()
	e, f, wait := d.in.Load(), d.flight, d.backOff(now)
	var recalled <-chan struct{}
	if !d.heard {
		recalled = d.recalled
	}
	usable := e.usable(now)
	if f == nil && wait <= 0 && (!usable || now.Sub(e.fetched) >= e.fresh) {
		f = d.launch()
	}
	err := d.err
	d.mu.Unlock()

	var none T
	switch {
	case usable: // who has a document to use waits for no other
		return e.value, nil
	case f == nil:
		return none, d.unavailable(err, wait)
	}
	value, err := d.wait(ctx, f, recalled)
	if e := d.in.Load(); err != nil && e.usable(now) { // it was recalled
		return e.value, nil
	}
	return value, err
}

// Renew gives the document as it is after a fetch, for a caller who missed
// something in it. Fetches for that reason are a cool-down apart, but for a
// caller who must have it; who comes in between gets the document as it is, or,
// if the last fetch failed, nothing: what is missing may be there by now.
func (d *Document[T]) Renew(ctx context.Context, must bool) (T, error) {
	d.mu.Lock()
	f := d.flight
	if must && f != nil { // it may have begun before what is missed was there
		d.mu.Unlock()
		_, _ = d.wait(ctx, f, nil)
		d.mu.Lock()
		f = d.flight
	}
	if f == nil {
		now := d.Now()
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
		d.renewed = now
		f = d.launch()
	}
	d.mu.Unlock()
	return d.wait(ctx, f, nil)
}

// Refresh fetches the document before it is old. The timer calls it, so that
// somebody who comes after a long pause is not judged by an old one.
func (d *Document[T]) Refresh() {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch wait := d.backOff(d.Now()); {
	case d.retired:
	case d.flight != nil || wait > 0:
		d.ring(max(wait, firstBackOff))
	default:
		d.launch()
	}
}

// ring sets the timer. The caller holds the lock.
func (d *Document[T]) ring(after time.Duration) {
	if d.retired {
		return
	}
	if d.timer == nil {
		d.timer = d.Tasks.NewTimer(d.Refresh)
	}
	d.timer.Set(after)
}

// rest sets until when an edition can be used without a thought, and when the next
// is fetched. The caller holds the lock.
func (d *Document[T]) rest(e *edition[T], now time.Time) {
	if d.err == nil {
		d.quiet.Store(e.fetched.Add(e.fresh).UnixNano())
		d.ring(e.fetched.Add(e.fresh * 9 / 10).Sub(now))
	} else if e.usable(now) {
		wait := d.backOff(now)
		d.quiet.Store(min(now.Add(wait).UnixNano(), e.fetched.Add(KeepFor).UnixNano()))
		d.ring(wait)
	}
}

// backOff is how long the source is still to be left alone. The caller holds
// the lock.
func (d *Document[T]) backOff(now time.Time) time.Duration {
	if d.failures == 0 {
		return 0
	}
	pause := maxBackOff
	if d.failures <= 5 {
		pause = min(firstBackOff<<(d.failures-1), maxBackOff)
	}
	return pause - now.Sub(d.failed)
}

// Outcome is how the last fetch went.
type Outcome struct {
	Good, Bad time.Time // when a fetch last succeeded and last failed; zero: never
	Err       error     // of the last fetch
	Usable    bool      // there is a document to use
	Kept      bool      // it is one that another process has fetched
}

// Outcome tells how fetching the document is going.
func (d *Document[T]) Outcome() Outcome {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := Outcome{Bad: d.failed, Err: d.err}
	if e := d.in.Load(); e != nil {
		o.Good, o.Kept, o.Usable = e.fetched, e.recalled, e.usable(d.Now())
	}
	return o
}

// Last gives what was fetched last, without a call, or the zero value.
func (d *Document[T]) Last() (value T) {
	if e := d.in.Load(); e != nil {
		value = e.value
	}
	return value
}

// Empty reports whether nothing was fetched yet.
func (d *Document[T]) Empty() bool { return d.in.Load() == nil }
