package vault

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/store"
	"github.com/stretchr/testify/require"
)

var errUnplugged = errors.New("unplugged")

// slowToOpen is the trouble of a store that needs so long to open, unless its caller has gone.
func slowToOpen(d time.Duration) func(context.Context, string) error {
	return func(ctx context.Context, call string) error {
		if call != "open" {
			return nil
		}
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestAStoreIsOpenedOnceForMany(t *testing.T) {
	onTrialStore(t, func(t *testing.T, s *trialStore, v *Vault) {
		s.trouble = slowToOpen(time.Second)
		var callers sync.WaitGroup
		opened := make(chan error, 10)
		for range cap(opened) {
			callers.Go(func() { opened <- v.open(t.Context()) })
		}
		callers.Wait()
		for range cap(opened) {
			require.NoError(t, <-opened)
		}
		write(t, v, "a", "x")
		require.Equal(t, []string{"open", "put"}, s.calls)
	})
}

func TestAStoreThatDidNotOpenIsOpenedAgainByTheNextCall(t *testing.T) {
	onTrialStore(t, func(t *testing.T, s *trialStore, v *Vault) {
		s.trouble = func(context.Context, string) error { return errUnplugged }
		for range 2 {
			_, err := v.Page(t.Context(), "note", "", "")
			require.ErrorIs(t, err, fault.Unavailable)
			require.ErrorIs(t, err, errUnplugged)
			require.ErrorContains(t, err, "store: opening it: unplugged")
		}
		s.trouble = nil
		write(t, v, "a", "x")
		require.Equal(t, []string{"open", "open", "open", "put"}, s.calls)
	})
}

func TestOpeningHasATimeLimit(t *testing.T) {
	onTrialStore(t, func(t *testing.T, s *trialStore, v *Vault) {
		s.trouble = hangs
		began := time.Now()
		err := v.Delete(t.Context(), "note", "a", 1)
		require.ErrorIs(t, err, fault.Unavailable)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, v.Timeout, time.Since(began))
		require.Equal(t, Outcome{Bad: time.Now(), Err: err}, v.Outcome())
	})
}

func TestACallerWhoGoesAwayLeavesTheOpeningToTheOthers(t *testing.T) {
	onTrialStore(t, func(t *testing.T, s *trialStore, v *Vault) {
		s.trouble = slowToOpen(10 * time.Second)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := v.Page(ctx, "note", "", "")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(began))
		require.Zero(t, v.Outcome(), "it says nothing about the store")

		write(t, v, "a", "x")
		require.Equal(t, 10*time.Second, time.Since(began))
		require.Equal(t, []string{"open", "put"}, s.calls)
	})
}

func TestTheEndOfTheTasksEndsTheOpening(t *testing.T) {
	onTrialStore(t, func(t *testing.T, s *trialStore, v *Vault) {
		s.trouble = hangs
		began := time.Now()
		time.AfterFunc(time.Second, v.Tasks.Close)
		_, err := v.Page(t.Context(), "note", "", "")
		require.ErrorIs(t, err, fault.Unavailable)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, time.Second, time.Since(began))
	})
}

// everyCall makes each of the calls to a store, and says what it is doing.
var everyCall = map[string]func(context.Context, *Vault) error{
	"reading a note": func(ctx context.Context, v *Vault) error {
		_, err := v.Get(ctx, "note", "a", new(string))
		return err
	},
	"reading a page of notes": func(ctx context.Context, v *Vault) error {
		_, err := v.Page(ctx, "note", "", "")
		return err
	},
	"writing a note": func(ctx context.Context, v *Vault) error {
		_, err := v.Put(ctx, note("a"), "x")
		return err
	},
	"deleting a note": func(ctx context.Context, v *Vault) error { return v.Delete(ctx, "note", "a", 1) },
	"purging":         func(ctx context.Context, v *Vault) error { return v.purge(ctx) },
}

func TestEachCallHasATimeLimit(t *testing.T) {
	for doing, call := range everyCall {
		onTrialStore(t, func(t *testing.T, s *trialStore, v *Vault) {
			require.NoError(t, v.open(t.Context()))
			s.trouble = hangs
			began := time.Now()
			err := call(t.Context(), v)
			require.ErrorIs(t, err, context.DeadlineExceeded, doing)
			require.ErrorIs(t, err, fault.Unavailable)
			require.ErrorContains(t, err, "store: "+doing+": ")
			require.Equal(t, v.Timeout, time.Since(began), doing)
			require.Equal(t, Outcome{Bad: time.Now(), Err: err}, v.Outcome())
		})
	}
}

func TestACallerWhoHasGoneSaysNothingAboutTheStore(t *testing.T) {
	for doing, call := range everyCall {
		onTrialStore(t, func(t *testing.T, s *trialStore, v *Vault) {
			require.NoError(t, v.open(t.Context()))
			s.trouble = hangs
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			require.ErrorIs(t, call(ctx, v), fault.Unavailable, doing)
			require.Zero(t, v.Outcome())
		})
	}
}

func TestWhateverElseAStoreSaysIsAnOutageWithItsCause(t *testing.T) {
	for doing, call := range everyCall {
		for _, cause := range []error{errUnplugged, store.ErrUnusable} {
			onTrialStore(t, func(t *testing.T, s *trialStore, v *Vault) {
				s.trouble = func(_ context.Context, call string) error {
					if call == "open" {
						return nil
					}
					return cause
				}
				err := call(t.Context(), v)
				require.ErrorIs(t, err, cause, doing)
				var e *fault.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, ErrDown.From(e.Cause), e)
				require.EqualError(t, e.Cause, "store: "+doing+": "+cause.Error())
			})
		}
	}
}

func TestAPanicOfAStoreIsAnOutage(t *testing.T) {
	onTrialStore(t, func(t *testing.T, s *trialStore, v *Vault) {
		s.trouble = func(context.Context, string) error { panic("index out of range") }
		require.ErrorIs(t, v.Delete(t.Context(), "note", "a", 1), fault.Unavailable, "while it opens")
		s.trouble = nil
		require.NoError(t, v.open(t.Context()), "and it is tried again")
		s.trouble = func(context.Context, string) error { panic("index out of range") }
		for doing, call := range everyCall {
			err := call(t.Context(), v)
			require.ErrorIs(t, err, fault.Unavailable)
			require.ErrorContains(t, err, "store: "+doing+": Broker.Store panicked: index out of range")
		}
	})
}

func TestConflictAndNotFoundAreAnswers(t *testing.T) {
	onTrialStore(t, func(t *testing.T, s *trialStore, v *Vault) {
		write(t, v, "a", "x")
		_, err := v.Get(t.Context(), "note", "b", new(string))
		require.Equal(t, store.ErrNotFound, err)
		_, err = v.Put(t.Context(), note("a"), "y")
		require.Equal(t, store.ErrConflict, err)
		require.Equal(t, store.ErrConflict, v.Delete(t.Context(), "note", "a", 2))
		require.Equal(t, Outcome{Good: time.Now()}, v.Outcome(), "the store is up")
		require.NoError(t, v.Delete(t.Context(), "note", "a", 1))
	})
}

func TestAnOutcomeRemembersTheLastSuccessAndTheLastFailure(t *testing.T) {
	onTrialStore(t, func(t *testing.T, s *trialStore, v *Vault) {
		require.Zero(t, v.Outcome())
		write(t, v, "a", "x")
		good := time.Now()
		require.Equal(t, Outcome{Good: good}, v.Outcome())

		time.Sleep(time.Second)
		s.trouble = func(context.Context, string) error { return errUnplugged }
		_, err := v.Page(t.Context(), "note", "", "")
		bad := time.Now()
		require.Equal(t, Outcome{Good: good, Bad: bad, Err: err}, v.Outcome())

		time.Sleep(time.Second)
		s.trouble = nil
		_, err = v.Page(t.Context(), "note", "", "")
		require.NoError(t, err)
		require.Equal(t, Outcome{Good: time.Now(), Bad: bad}, v.Outcome())
	})
}
