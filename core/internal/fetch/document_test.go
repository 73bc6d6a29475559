package fetch

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/background"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var errDown = fault.Unavailable.New("The source can't be reached.").Soon()

// However many come at once, and whatever they miss, there is one fetch at a time, and
// none is forgotten: the next one can always begin.
func TestFetchesFollowOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, loads, at := slog.New(slog.DiscardHandler), 0, 0
		life := background.New(logger)
		defer life.Close()
		d := &Document[int]{Name: "test", Down: errDown, Now: time.Now, Tasks: life, Logger: logger,
			Load: func(context.Context) (int, time.Duration, error) {
				if at++; at > 1 {
					t.Error("two fetches at a time")
				}
				time.Sleep(time.Second)
				at--
				loads++
				return loads, time.Hour, nil
			}}
		for round := range 20 {
			for i := range 10 {
				go func() {
					time.Sleep(time.Duration(i) * 300 * time.Millisecond)
					switch i % 3 {
					case 0:
						_, _ = d.Get(t.Context())
					case 1:
						_, _ = d.Renew(t.Context(), false)
					default:
						_, _ = d.Renew(t.Context(), true)
					}
				}()
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			before := loads
			d.Refresh()
			time.Sleep(time.Minute)
			synctest.Wait()
			require.Equal(t, before+1, loads, "round %d", round)
		}
	})
}

// A fetch that is under way may have begun before what is missed was there.
func TestWhoMustHaveANewerDocumentIsNotAnsweredByAnEarlierFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, source := slog.New(slog.DiscardHandler), 1
		life := background.New(logger)
		defer life.Close()
		d := &Document[int]{Name: "test", Down: errDown, Now: time.Now, Tasks: life, Logger: logger,
			Load: func(context.Context) (int, time.Duration, error) {
				answer := source
				time.Sleep(time.Second)
				return answer, time.Hour, nil
			}}
		go d.Get(t.Context())
		synctest.Wait() // it has read the source
		source = 2
		for range 3 {
			go func() {
				got, err := d.Renew(t.Context(), true)
				assert.NoError(t, err)
				assert.Equal(t, 2, got)
			}()
		}
		got, err := d.Renew(t.Context(), false)
		require.NoError(t, err)
		require.Equal(t, 1, got, "a stranger does not make it fetch once more")
		time.Sleep(time.Minute)
	})
}

// testDocument counts its editions, and fails when it is told to.
type testDocument struct {
	*Document[int]
	mu    sync.Mutex
	clock time.Time
	loads int
	fails error
}

func newTestDocument(t *testing.T) *testDocument {
	d := &testDocument{clock: time.Unix(1e9, 0)}
	logger := slog.New(slog.DiscardHandler)
	d.Document = &Document[int]{Name: "test", Down: errDown, Now: d.time, Tasks: background.New(logger), Logger: logger, Load: d.count}
	t.Cleanup(d.Tasks.Close)
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

// fetched waits until so many fetches have begun, and the last has ended.
func (d *testDocument) fetched(t *testing.T, count int) {
	t.Helper()
	require.Eventually(t, func() bool {
		d.Document.mu.Lock()
		under := d.flight != nil
		d.Document.mu.Unlock()
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.loads == count && !under
	}, 10*time.Second, time.Millisecond)
}

func nothingKept(context.Context, int, time.Time) error { return nil }

// Nobody has to come for it: who comes after a long pause is not judged by an old
// edition.
func TestADocumentIsFetchedAgainBeforeItIsOld(t *testing.T) {
	d := newTestDocument(t)
	value, err := d.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, value)
	require.True(t, d.Settled(d.time()))

	d.set(55*time.Minute, nil)
	d.Refresh() // as the alarm does
	d.fetched(t, 2)
	value, err = d.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, value)

	// While the source is down it is left alone for a while, and what is there serves.
	d.set(55*time.Minute, errors.New("down"))
	d.Refresh()
	d.fetched(t, 3)
	d.Refresh()
	d.set(55*time.Minute, errors.New("down"))
	value, err = d.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, value)
	d.fetched(t, 4)

	// For a day.
	d.set(KeepFor, errors.New("down"))
	require.False(t, d.Settled(d.time()))
	_, err = d.Get(t.Context())
	require.ErrorIs(t, err, fault.Unavailable)
}

func TestADocumentIsNotFetchedAfterClose(t *testing.T) {
	d := newTestDocument(t)
	_, err := d.Get(t.Context())
	require.NoError(t, err)
	d.Tasks.Close()
	d.Refresh()
	d.fetched(t, 1)
}

// What an earlier process had fetched serves while the source is down, but counts
// for nothing when somebody misses something in it.
func TestADocumentThatWasKeptServesWhileItsSourceIsDown(t *testing.T) {
	d := newTestDocument(t)
	d.Keep(nothingKept, func(context.Context) (int, time.Time, error) { return 7, d.time().Add(-23 * time.Hour), nil })
	d.set(0, errors.New("down"))
	value, err := d.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 7, value)
	require.True(t, d.Outcome().Usable && d.Outcome().Err != nil, "it is stale")
	_, err = d.Renew(t.Context(), false)
	require.ErrorIs(t, err, fault.Unavailable)

	d.set(2*time.Hour, errors.New("down"))
	_, err = d.Get(t.Context())
	require.ErrorIs(t, err, fault.Unavailable, "a day after it was fetched")

	d.set(time.Minute, nil)
	value, err = d.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, value)
}

// A source that does not say anything is one that is down, for those who wait. What
// it says at last counts all the same.
func TestADocumentThatWasKeptServesWhileItsSourceHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Document[int]{
			Name: "test document", Down: errDown, Now: time.Now, Tasks: background.New(slog.New(slog.DiscardHandler)), Logger: slog.New(slog.DiscardHandler),
			Load: func(context.Context) (int, time.Duration, error) {
				time.Sleep(10 * time.Second)
				return 8, time.Hour, nil
			},
		}
		d.Keep(nothingKept, func(context.Context) (int, time.Time, error) { return 7, time.Now().Add(-time.Minute), nil })
		defer d.Tasks.Close()
		for _, expected := range []struct {
			value int
			after time.Duration
		}{{7, impatience}, {7, 0}} {
			began := time.Now()
			value, err := d.Get(t.Context())
			require.NoError(t, err)
			require.Equal(t, expected.value, value)
			require.Equal(t, expected.after, time.Since(began))
		}
		require.True(t, d.Outcome().Usable && d.Outcome().Kept, "it is stale")
		value, err := d.Renew(t.Context(), false)
		require.NoError(t, err)
		require.Equal(t, 8, value, "who misses something in what was kept waits")
		value, err = d.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, 8, value)
	})
}

// Whoever puts a list in the place of the same list every few minutes must not keep
// its documents from being fetched again.
func TestADocumentThatIsHandedOnIsFetchedAgainInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		life, logger, loads := background.New(slog.New(slog.DiscardHandler)), slog.New(slog.DiscardHandler), 0
		defer life.Close()
		fresh := func() *Document[int] {
			return &Document[int]{Name: "test document", Down: errDown, Now: time.Now, Tasks: life, Logger: logger,
				Load: func(context.Context) (int, time.Duration, error) { loads++; return loads, 15 * time.Minute, nil }}
		}
		d := fresh()
		_, err := d.Get(t.Context())
		require.NoError(t, err)
		for range 12 * 6 {
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			old := d
			d = fresh()
			d.Adopt(old.Retire(), func(value int) int { return value })
		}
		require.GreaterOrEqual(t, loads, 12*60/15)
	})
}

// An outage is told when it begins and when it is over, and not in between: a source
// may be down for a day, and is asked every half minute.
func TestAnOutageIsLoggedOnce(t *testing.T) {
	var log strings.Builder
	d := newTestDocument(t)
	d.Logger = slog.New(slog.NewTextHandler(&log, nil))
	_, err := d.Get(t.Context())
	require.NoError(t, err)
	for range 20 {
		d.set(maxBackOff, errors.New("down"))
		_, err := d.Renew(t.Context(), true)
		require.ErrorIs(t, err, fault.Unavailable)
	}
	require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
	require.Contains(t, log.String(), "could not be fetched")
	for range 2 {
		d.set(maxBackOff, nil)
		_, err = d.Renew(t.Context(), true)
		require.NoError(t, err)
	}
	require.Equal(t, 2, strings.Count(log.String(), "\n"), log.String())
	require.Contains(t, log.String(), "can be fetched again")
}

func TestADocumentMayBeWithdrawnWhileItIsRead(t *testing.T) {
	d := newTestDocument(t)
	var done atomic.Bool
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for !done.Load() {
				_, _ = d.Get(t.Context())
			}
		})
	}
	for range 500 {
		for _, err := range []error{nil, ErrNothing} {
			d.set(maxBackOff, err)
			_, _ = d.Renew(t.Context(), true)
		}
	}
	done.Store(true)
	all.Wait()
	require.True(t, d.Empty() && !d.Outcome().Usable && d.Outcome().Err != nil, "it is down")
}
