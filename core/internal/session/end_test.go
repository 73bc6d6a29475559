package session

import (
	"context"
	"testing"
	"time"

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

func TestALogoutNeedsATokenThatIsStillValid(t *testing.T) {
	tolerant := policy
	tolerant.TolerateReplay = true
	for name, row := range map[string]struct {
		token  Generation
		after  time.Duration
		policy Policy
		reason Reason // of an Ended
		err    error
		gone   bool
	}{
		"the current one":                                 {token: generation(3), policy: policy, gone: true},
		"the current one, an hour later":                  {token: generation(3), after: time.Hour, policy: policy, err: ErrGone},
		"the one before, in its grace period":             {token: generation(2), after: 44 * time.Second, policy: policy, gone: true},
		"the one before, later":                           {token: generation(2), after: 45 * time.Second, policy: policy, reason: ReasonReplayed, gone: true},
		"the one before, where replays count for nothing": {token: generation(2), after: 45 * time.Second, policy: tolerant, err: ErrReplayed},
		"an older one":                                    {token: generation(1), policy: policy, reason: ReasonReplayed, gone: true},
		"one that the store never had":                    {token: generation(7), policy: tolerant, reason: ReasonForeign, gone: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory()
			s.now = epoch.Add(row.after)
			before := s.record.state
			state, err := Logout(context.Background(), s.actor("A", nil), row.token, s.now, row.policy)
			require.Equal(t, row.gone, s.record.gone)
			switch {
			case row.reason != "":
				require.Equal(t, &Ended{Reason: row.reason, Last: before}, err)
				require.Zero(t, state, "who has stolen a token learns nothing")
			case row.err != nil:
				require.ErrorIs(t, err, row.err)
				require.Zero(t, state)
			default:
				require.NoError(t, err)
				require.Equal(t, before, state)
			}
		})
	}
}
