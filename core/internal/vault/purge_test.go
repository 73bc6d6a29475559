package vault

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

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
		spy := &timedStore{Store: memory.New(), begin: time.Now(), removes: removes}
		v := newVault(t, spy, "now")
		v.KeepHouse()
		v.KeepHouse()
		synctest.Wait()
		test(t, spy, v)
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
	}, func(t *testing.T, spy *timedStore, v *Vault) {
		pass(2*time.Minute + time.Second)
		require.Equal(t, []time.Duration{0, time.Minute, 2 * time.Minute}, spy.calls)
		v.Tasks.Close()
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
	}, func(t *testing.T, spy *timedStore, v *Vault) {
		pass(2 * time.Hour)
		require.Equal(t, []time.Duration{0, time.Hour + time.Minute}, spy.calls)
		// And the end cuts every rest short.
		pass(time.Minute + 30*time.Second)
		ended := time.Now()
		v.Tasks.Close()
		require.Zero(t, time.Since(ended))
	})
}

func TestAPurgeRemovesAllThatHasExpiredAndNothingElse(t *testing.T) {
	onTrialStore(t, func(t *testing.T, s *trialStore, v *Vault) {
		for i, expires := range []time.Duration{0, 0, 0, 0, -time.Hour, 0, time.Millisecond} {
			record := note(fmt.Sprint(i))
			record.Expires = v.Now().Add(expires)
			_, err := v.Put(t.Context(), record, "x")
			require.NoError(t, err)
		}
		v.KeepHouse()
		synctest.Wait()
		left, err := v.Page(t.Context(), "note", "", "")
		require.NoError(t, err)
		require.Len(t, left, 1)
		require.Equal(t, "6", left[0].ID)
	})
}
