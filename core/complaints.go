package core

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// calm is how long something must not have failed before it counts as mended.
const calm = time.Minute

// complaints tells the log why requests are answered 5xx: when that begins and when
// it is over, and not at each request in between.
type complaints struct {
	logger *slog.Logger
	now    func() time.Time

	count atomic.Int64 // of open, read without the lock
	mu    sync.Mutex
	open  map[complaint]*troubles
}

// complaint is one thing that fails for one reason. The reason is the description of
// the error, since the cause may name another port each time.
type complaint struct{ what, reason string }

type troubles struct {
	failures int
	last     time.Time
}

func newComplaints(logger *slog.Logger, now func() time.Time) *complaints {
	return &complaints{logger: logger, now: now, open: map[complaint]*troubles{}}
}

// note takes the outcome of a request to a route, or of a guard: err is nil when it
// went well. A caller who has gone away says nothing about us. note may be called
// concurrently, and costs nothing while all is well.
func (c *complaints) note(ctx context.Context, what string, err error) {
	switch {
	case err == nil && c.count.Load() == 0:
	case err == nil:
		c.end(what)
	case answerTo(err).Status >= http.StatusInternalServerError && !errors.Is(ctx.Err(), context.Canceled):
		c.begin(ctx, what, err)
	}
}

func (c *complaints) begin(ctx context.Context, what string, err error) {
	answer := answerTo(err)
	key := complaint{what, answer.Description}
	c.mu.Lock()
	t := c.open[key]
	if t == nil {
		t = &troubles{}
		c.open[key] = t
		c.count.Add(1)
	}
	t.failures++
	t.last = c.now()
	failures := t.failures
	c.mu.Unlock()

	level := slog.LevelError // somebody has to mend something
	switch {
	case failures > 1:
		level = slog.LevelDebug
	case answer.Status == http.StatusServiceUnavailable:
		level = slog.LevelWarn
	}
	c.logger.Log(ctx, level, "requests fail", "at", what, "failures", failures, "error", err)
}

// end closes what is mended. Where some requests fail and others do not, it is still
// one trouble.
func (c *complaints) end(what string) {
	now := c.now()
	c.mu.Lock()
	mended := map[complaint]int{}
	for key, t := range c.open {
		if key.what == what && now.Sub(t.last) >= calm {
			mended[key] = t.failures
			delete(c.open, key)
			c.count.Add(-1)
		}
	}
	c.mu.Unlock()
	for key, failures := range mended {
		c.logger.Info("requests succeed again", "at", what, "failures", failures, "reason", key.reason)
	}
}
