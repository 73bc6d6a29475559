package vault

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/background"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
	"github.com/stretchr/testify/require"
)

// timedStore tells when Purge was called, and removes what it is told to.
type timedStore struct {
	store.Store
	begin   time.Time
	calls   []time.Duration // since begin
	removes func(call int) (int, error)
}

func (s *timedStore) Purge(_ context.Context, _ time.Time, limit int) (int, error) {
	s.calls = append(s.calls, time.Since(s.begin))
	return s.removes(len(s.calls))
}

// keptHouse runs a test with records whose housekeeping has begun, on a clock
// of its own that goes on as soon as nobody has anything to do.
func keptHouse(t *testing.T, removes func(call int) (int, error), test func(*testing.T, *timedStore, *Vault)) {
	synctest.Test(t, func(t *testing.T) {
		logger := slog.New(slog.DiscardHandler)
		spy := &timedStore{Store: memory.New(), begin: time.Now(), removes: removes}
		r := &Vault{Store: spy, Timeout: time.Minute, Now: time.Now, Tasks: background.New(logger), Logger: logger}
		defer r.Tasks.Close()
		r.KeepHouse()
		r.KeepHouse()
		synctest.Wait()
		test(t, spy, r)
	})
}

// pass lets time pass, and what then begins come to a rest.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestExpiredRecordsArePurgedEveryMinuteUntilTheEnd(t *testing.T) {
	keptHouse(t, func(call int) (int, error) {
		if call == 2 {
			return 0, errors.New("unplugged")
		}
		return purgeBatch - 1, nil
	}, func(t *testing.T, spy *timedStore, r *Vault) {
		pass(2*time.Minute + time.Second)
		require.Equal(t, []time.Duration{0, time.Minute, 2 * time.Minute}, spy.calls)
		r.Tasks.Close()
		pass(time.Hour)
		require.Len(t, spy.calls, 3)
	})
}

func TestAPurgeRestsTenTimesAsLongAsItWorks(t *testing.T) {
	keptHouse(t, func(call int) (int, error) {
		time.Sleep(time.Duration(call) * time.Second)
		if call == 3 {
			return 0, nil
		}
		return purgeBatch, nil
	}, func(t *testing.T, spy *timedStore, _ *Vault) {
		pass(time.Minute)
		require.Equal(t, []time.Duration{0, 11 * time.Second, 33 * time.Second}, spy.calls)
	})
}

// A clock that was set by hours must not have it rest for days.
func TestAPurgeRestsForAMinuteAtMost(t *testing.T) {
	keptHouse(t, func(int) (int, error) {
		time.Sleep(time.Hour)
		return purgeBatch, nil
	}, func(t *testing.T, spy *timedStore, r *Vault) {
		pass(2 * time.Hour)
		require.Equal(t, []time.Duration{0, time.Hour + time.Minute}, spy.calls)
		// And the end cuts every rest short.
		pass(time.Minute + 30*time.Second)
		ended := time.Now()
		r.Tasks.Close()
		require.Zero(t, time.Since(ended))
	})
}
