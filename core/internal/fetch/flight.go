package fetch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fault"
)

// flight is a fetch, which all who need it wait for.
type flight[T any] struct {
	ended chan struct{} // closed when what follows is there
	value T
	err   error
}

// launch begins a fetch. The caller holds the lock, and has seen that none is under
// way.
func (d *Document[T]) launch() *flight[T] {
	f := &flight[T]{ended: make(chan struct{})}
	d.flight = f
	go func() {
		var next edition[T]
		err := d.Tasks.Do(func(ctx context.Context) (err error) {
			answered := d.waitOrRecall(ctx)
			next.value, next.fresh, err = d.Load(ctx)
			next.fetched = d.Now()
			answered(err)
			return err
		})
		var failures int
		f.value, failures = d.settle(next, err)
		f.err = err
		d.tell(err, failures)
		close(f.ended)
		if d.keep != nil && (err == nil || errors.Is(err, ErrNothing)) {
			d.keepAway(f.value, next.fetched)
		}
	}()
	return f
}

// settle keeps the outcome of a fetch, and gives what is in use from now on, and how
// many had failed in a row before.
func (d *Document[T]) settle(next edition[T], err error) (value T, failures int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	failures = d.failures
	d.flight = nil
	now := d.Now()
	if err != nil {
		d.failures++
		d.failed, d.err = now, err
		d.heard = d.heard || errors.Is(err, ErrNothing)
		switch e := d.in.Load(); {
		case e == nil:
		case errors.Is(err, ErrNothing):
			d.withdraw(e.value)
			d.in.Store(nil)
			d.quiet.Store(0)
			d.ring(d.backOff(now))
		default:
			d.rest(e, now)
		}
		return next.value, failures
	}
	if e := d.in.Load(); e != nil && d.Replace != nil {
		next.value = d.Replace(next.value, e.value)
	}
	if d.retired {
		d.withdraw(next.value)
	}
	d.failures, d.err, d.heard = 0, nil, true
	d.in.Store(&next)
	d.rest(&next, now)
	return next.value, failures
}

// tell says in the log when a source goes away and when it is back, and not each
// time that it is still away: one that is asked every half minute for a day would
// drown the rest. The lock is not held, since nobody knows what a logger does.
func (d *Document[T]) tell(err error, failures int) {
	switch {
	case d.Tasks.Closed():
	case err != nil && failures == 0:
		d.Logger.Warn("a document could not be fetched", "document", d.Name, "error", err)
		d.changed(err)
	case err != nil:
		d.Logger.Debug("a document could not be fetched again", "document", d.Name, "failures", failures+1, "error", err)
	case failures > 0:
		d.Logger.Info("a document can be fetched again", "document", d.Name, "failures", failures)
		d.changed(nil)
	}
}

func (d *Document[T]) changed(err error) {
	if d.Changed != nil {
		d.Changed(err)
	}
}

// wait waits for a fetch, but not longer than until something was recalled; then
// it gives an error.
func (d *Document[T]) wait(ctx context.Context, f *flight[T], recalled <-chan struct{}) (T, error) {
	var none T
	select {
	case <-f.ended:
		if f.err == nil {
			return f.value, nil
		}
		d.mu.Lock()
		retry := d.backOff(d.Now())
		d.mu.Unlock()
		return none, d.unavailable(f.err, max(retry, firstBackOff))
	case <-recalled:
		return none, d.Down
	case <-ctx.Done():
		return none, d.unavailable(ctx.Err(), firstBackOff)
	}
}

// unavailable keeps apart a source that can't be reached, which is worth
// another try, and one that answers nonsense.
func (d *Document[T]) unavailable(cause error, retry time.Duration) error {
	unavailable := d.Down
	var e *fault.Error
	if errors.As(cause, &e) {
		if !errors.Is(e, fault.Unavailable) {
			return e
		}
		unavailable, cause = e, e.Cause
	}
	unavailable = unavailable.From(fmt.Errorf("%s: %w", d.Name, cause))
	unavailable.RetryAfter = retry
	return unavailable
}
