package core

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Between finding that there is no document and asking for it, the fetch of
// somebody else may end; its outcome serves both.
func TestWhoComesTooLateToJoinAFetchGetsItsOutcome(t *testing.T) {
	loads := 0
	life := newLife(slog.New(slog.DiscardHandler))
	defer life.end()
	d := &document[int]{
		name: "test", now: time.Now, life: life, logger: slog.New(slog.DiscardHandler),
		load: func(context.Context) (int, time.Duration, error) { loads++; return 7, time.Hour, nil },
	}
	value, err := d.get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 7, value)

	value, err = d.wait(t.Context(), d.start(0)) // decided when no fetch had ended
	require.NoError(t, err)
	require.Equal(t, 7, value)
	require.Equal(t, 1, loads)

	_, err = d.wait(t.Context(), d.start(1))
	require.NoError(t, err)
	require.Equal(t, 2, loads)
}

// testDocument counts its editions, and fails when it is told to.
type testDocument struct {
	*document[int]
	mu    sync.Mutex
	clock time.Time
	loads int
	fails error
}

func newTestDocument(t *testing.T) *testDocument {
	d := &testDocument{clock: time.Unix(1e9, 0)}
	logger := slog.New(slog.DiscardHandler)
	d.document = &document[int]{name: "test", down: errDown, now: d.time, life: newLife(logger), logger: logger, load: d.count}
	t.Cleanup(d.life.end)
	return d
}

func (d *testDocument) count(context.Context) (int, time.Duration, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.loads++
	return d.loads, time.Hour, d.fails
}

func (d *testDocument) time() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.clock
}

func (d *testDocument) set(later time.Duration, fails error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clock, d.fails = d.clock.Add(later), fails
}

// fetched waits until so many fetches have ended.
func (d *testDocument) fetched(t *testing.T, count int) {
	t.Helper()
	require.Eventually(t, func() bool {
		d.document.mu.Lock()
		defer d.document.mu.Unlock()
		return d.fetches == count && !d.flying
	}, 10*time.Second, time.Millisecond)
}

// Nobody has to come for it: who comes after a long pause is not judged by an old
// edition.
func TestADocumentIsFetchedAgainBeforeItIsOld(t *testing.T) {
	d := newTestDocument(t)
	value, err := d.get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, value)
	require.True(t, d.settled(d.time()))

	d.set(55*time.Minute, nil)
	d.refresh() // as the alarm does
	d.fetched(t, 2)
	value, err = d.get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, value)

	// While the source is down it is left alone for a while, and what is there serves.
	d.set(55*time.Minute, errors.New("down"))
	d.refresh()
	d.fetched(t, 3)
	d.refresh()
	d.set(55*time.Minute, errors.New("down"))
	value, err = d.get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, value)
	d.fetched(t, 4)

	// For a day.
	d.set(keepFor, errors.New("down"))
	require.False(t, d.settled(d.time()))
	_, err = d.get(t.Context())
	require.ErrorIs(t, err, ErrUnavailable)
}

func TestADocumentIsNotFetchedAfterTheEnd(t *testing.T) {
	d := newTestDocument(t)
	_, err := d.get(t.Context())
	require.NoError(t, err)
	require.True(t, d.alarm.timer.Stop(), "the alarm is set")
	d.ring(time.Hour)
	d.life.end()
	require.False(t, d.alarm.timer.Stop(), "the alarm is not set any more")
	d.refresh()
	d.fetched(t, 2)
	require.Equal(t, 1, d.loads)
	require.False(t, d.alarm.timer.Stop())
}

func TestAnAlarmRings(t *testing.T) {
	life := newLife(slog.New(slog.DiscardHandler))
	defer life.end()
	rung := make(chan struct{})
	a := life.newAlarm(func() { close(rung) })
	a.set(time.Millisecond)
	<-rung
}

// What an earlier process had fetched serves while the source is down, but counts
// for nothing when somebody misses something in it.
func TestADocumentThatWasKeptServesWhileItsSourceIsDown(t *testing.T) {
	d := newTestDocument(t)
	d.recall = func(context.Context) (int, time.Time, error) { return 7, d.time().Add(-23 * time.Hour), nil }
	d.set(0, errors.New("down"))
	value, err := d.get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 7, value)
	require.Equal(t, StateStale, d.health().State)
	_, err = d.renew(t.Context(), false)
	require.ErrorIs(t, err, ErrUnavailable)

	d.set(2*time.Hour, errors.New("down"))
	_, err = d.get(t.Context())
	require.ErrorIs(t, err, ErrUnavailable, "a day after it was fetched")

	d.set(time.Minute, nil)
	value, err = d.get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, value)
}

func TestCacheControlDecidesHowLongKeysAreFreshWithinBounds(t *testing.T) {
	for value, fresh := range map[string]time.Duration{
		"":                              15 * time.Minute,
		"public, max-age=1800":          30 * time.Minute,
		"MAX-AGE=1800, must-revalidate": 30 * time.Minute,
		`max-age="1800"`:                30 * time.Minute,
		"max-age=0":                     5 * time.Minute,
		"max-age=86400":                 time.Hour,
		"max-age=1800, no-cache":        5 * time.Minute,
		"no-store":                      5 * time.Minute,
		"max-age=-1":                    15 * time.Minute,
		"max-age=99999999999999999999":  15 * time.Minute,
		"max-age":                       15 * time.Minute,
		"private":                       15 * time.Minute,
	} {
		require.Equal(t, fresh, freshKeys(http.Header{"Cache-Control": {value}}), value)
	}
	require.Equal(t, 30*time.Minute, freshKeys(http.Header{"Cache-Control": {"public", "max-age=1800"}}))
}
