package background_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/background"
	"github.com/stretchr/testify/require"
)

func newTasks() *background.Tasks { return background.New(slog.New(slog.DiscardHandler)) }

func TestATimerRingsAfterTheTimeThatWasSetLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tasks := newTasks()
		defer tasks.Close()
		var rung []time.Duration
		began := time.Now()
		timer := tasks.NewTimer(func() { rung = append(rung, time.Since(began)) })
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.Empty(t, rung, "a new timer is not set")
		timer.Set(time.Second)
		timer.Set(time.Minute)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, []time.Duration{2*time.Hour + time.Minute}, rung)
	})
}

func TestNoTimerRingsAfterCloseOrDrop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tasks := newTasks()
		fail := func() { t.Error("it rang") }
		set, late, dropped := tasks.NewTimer(fail), tasks.NewTimer(fail), tasks.NewTimer(fail)
		set.Set(time.Second)
		dropped.Set(time.Second)
		dropped.Drop()
		dropped.Set(time.Second)
		tasks.Close()
		late.Set(time.Second)
		time.Sleep(time.Minute)
		synctest.Wait()
	})
}

func TestCloseCancelsTasksAndWaitsForThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tasks := newTasks()
		ended := false
		go tasks.Do(func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(time.Minute)
			ended = true
			return nil
		})
		synctest.Wait()
		require.False(t, tasks.Closed())
		tasks.Close()
		require.True(t, ended)
		require.True(t, tasks.Closed())
		require.ErrorContains(t, tasks.Do(func(context.Context) error { return nil }), "closed")
	})
}

func TestAPanicOfATaskIsAnError(t *testing.T) {
	tasks := newTasks()
	defer tasks.Close()
	require.ErrorContains(t, tasks.Do(func(context.Context) error { panic("oops") }), "oops")
	cause := errors.New("its own")
	require.ErrorIs(t, tasks.Do(func(context.Context) error { return cause }), cause)
}

func TestSleepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		require.ErrorIs(t, background.Sleep(ctx, time.Hour), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(began))
		require.NoError(t, background.Sleep(t.Context(), time.Minute))
	})
}
