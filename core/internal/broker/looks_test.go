package broker

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/stretchr/testify/require"
)

// slowStore answers questions for sessions after a time.
type slowStore struct {
	asked int
	takes time.Duration
	err   error
}

func (s *slowStore) ask(context.Context, string) func() (struct{}, time.Time, error) {
	return func() (struct{}, time.Time, error) {
		s.asked++
		err := s.err // as it is when the question comes
		time.Sleep(s.takes)
		return struct{}{}, time.Time{}, err
	}
}

// onSlowStore runs a test with sessions that are remembered for ten seconds, on a clock
// that goes on as soon as nobody has anything to do.
func onSlowStore(t *testing.T, takes time.Duration, test func(*testing.T, *slowStore, *looks[struct{}])) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowStore{takes: takes}
		test(t, s, newLooks(10*time.Second, time.Now, s.ask))
		synctest.Wait()
	})
}

func check(l *looks[struct{}], ctx context.Context, id string) error {
	_, err := l.check(ctx, id)
	return err
}

func TestACallerWhoGoesAwayFailsNobodyElse(t *testing.T) {
	onSlowStore(t, 2*time.Second, func(t *testing.T, s *slowStore, l *looks[struct{}]) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		left := make(chan error, 1)
		go func() { left <- check(l, ctx, "a") }()
		synctest.Wait()
		require.NoError(t, check(l, t.Context(), "a"))
		require.ErrorIs(t, <-left, fault.Unavailable)
		require.Equal(t, 1, s.asked)
	})
}

// An answer counts from when the question began. What it says may have changed since.
func TestNobodyGoesByAnAnswerThatIsTooOldWhenItComes(t *testing.T) {
	onSlowStore(t, 15*time.Second, func(t *testing.T, s *slowStore, l *looks[struct{}]) {
		first := make(chan error, 1)
		go func() { first <- check(l, t.Context(), "a") }()
		synctest.Wait()
		s.err = ErrSessionEnded
		time.Sleep(10 * time.Second)
		require.ErrorIs(t, check(l, t.Context(), "a"), fault.InvalidToken)
		require.NoError(t, <-first)
		require.Equal(t, 2, s.asked)
	})
}

func TestAnEndHereOutdatesAnAnswerThatIsOnItsWay(t *testing.T) {
	onSlowStore(t, 2*time.Second, func(t *testing.T, s *slowStore, l *looks[struct{}]) {
		early := make(chan error, 1)
		go func() { early <- check(l, t.Context(), "a") }()
		synctest.Wait()
		l.end("a")
		require.ErrorIs(t, check(l, t.Context(), "a"), fault.InvalidToken)
		require.NoError(t, <-early, "it came before the end")
		require.ErrorIs(t, check(l, t.Context(), "a"), fault.InvalidToken)
		require.Equal(t, 1, s.asked)
	})
}

func TestAQuestionThatFailedIsAskedAgain(t *testing.T) {
	onSlowStore(t, time.Second, func(t *testing.T, s *slowStore, l *looks[struct{}]) {
		s.err = fault.Unavailable.New("down").From(errors.New("unplugged"))
		other := make(chan error, 1)
		go func() { other <- check(l, t.Context(), "a") }()
		synctest.Wait()
		require.ErrorIs(t, check(l, t.Context(), "a"), fault.Unavailable)
		require.ErrorIs(t, <-other, fault.Unavailable)
		require.Equal(t, 1, s.asked)
		s.err = nil
		require.NoError(t, check(l, t.Context(), "a"))
		require.Equal(t, 2, s.asked)
	})
}

func TestWhatIsRememberedOfSessionsIsBounded(t *testing.T) {
	onSlowStore(t, 0, func(t *testing.T, s *slowStore, l *looks[struct{}]) {
		limit := maxLooks * len(l.shards)
		size := func() (n int) {
			for i := range l.shards {
				n += len(l.shards[i].looks)
			}
			return n
		}
		for i := range limit * 3 / 2 {
			require.NoError(t, check(l, t.Context(), fmt.Sprint(i)))
		}
		require.LessOrEqual(t, size(), limit)
		require.Greater(t, size(), limit/2, "no more is forgotten than must be")

		// Those that count no more go first: one that still counts stays.
		time.Sleep(9 * time.Second)
		l.end("ended")
		time.Sleep(time.Second)
		for i := range limit / 2 {
			require.NoError(t, check(l, t.Context(), fmt.Sprint("new ", i)))
		}
		asked := s.asked
		require.ErrorIs(t, check(l, t.Context(), "ended"), fault.InvalidToken)
		require.Equal(t, asked, s.asked)
	})
}
