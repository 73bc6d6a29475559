package session

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestALogoutDuringTheProvidersCallWins(t *testing.T) {
	for _, step := range []string{"save 1", "ask 1", "judge 1", "save 2"} {
		s := newStory()
		begun := s.now
		logout := func(do func() error) error {
			if step == "ask 1" || step == "save 1" {
				require.NoError(t, do())
			}
			_, err := End(context.Background(), s.actor("B", nil))
			require.NoError(t, err)
			if step == "ask 1" || step == "save 1" {
				return nil
			}
			return do()
		}
		_, err := s.actor("A", script{step: logout}).refresh(generation(3))
		require.ErrorIs(t, err, ErrGone, step)
		require.Equal(t, begun, s.now, "%s: there is nothing to wait for", step)
		_, err = s.actor("A", nil).refresh(generation(3))
		require.ErrorIs(t, err, ErrGone, step)
		_, err = End(context.Background(), s.actor("B", nil))
		require.ErrorIs(t, err, ErrGone, step)
	}
}

func TestALogoutWinsAgainstARefreshThatChangesTheRecordMeanwhile(t *testing.T) {
	s := newStory()
	refreshed := func(do func() error) error {
		_, err := s.actor("B", nil).refresh(generation(3))
		require.NoError(t, err)
		return do()
	}
	last, err := End(context.Background(), s.actor("A", script{"delete 1": refreshed}))
	require.NoError(t, err)
	require.Equal(t, "R2", last.RefreshToken)
	require.True(t, s.record.gone)

}

func TestALogoutAsksAStoreThatStumbledOnceMore(t *testing.T) {
	for name, trouble := range map[string]func(func() error) error{"fails": fails, "answer is lost": answerIsLost} {
		s := newStory()
		last, err := End(context.Background(), s.actor("A", script{"delete 1": trouble}))
		require.NoError(t, err, name)
		require.NotEmpty(t, last.RefreshToken, "%s: it is still known what to revoke", name)
		require.True(t, s.record.gone)
	}
	_, err := End(context.Background(), newStory().actor("A", script{"delete 1": fails, "delete 2": fails}))
	require.ErrorIs(t, err, errStore)
	_, err = End(context.Background(), newStory().actor("A", script{"delete 1": fails, "load 2": fails}))
	require.ErrorIs(t, err, errStore)
}
