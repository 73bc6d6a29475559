package session

import (
	"context"
	"errors"
	"time"
)

// This file has the ways in which somebody ends the session in the simulated world.

// end ends it in one of them.
func (s *sim) end() {
	ways := []func(){s.logout, s.revoke, s.logoutByClient, s.logoutByThief}
	if s.browser {
		ways = ways[:2] // a cookie is none of the session's tokens
	}
	ways[s.rng.IntN(len(ways))]()
}

// ending begins an end of the session at an instance.
func (s *sim) ending(token Generation, do func(f *flight)) {
	in := s.instances[s.rng.IntN(len(s.instances))]
	f := &flight{sim: s, in: in, token: token, logout: true, serials: map[int64]int{}}
	f.task = s.start(in, func(*task) { do(f) })
	f.wake()
}

// endedBy notes the outcome of an end.
func (s *sim) endedBy(what string, err error) {
	if err == nil || errors.Is(err, ErrGone) {
		s.over()
		s.reach(what)
	}
}

func (s *sim) logout() {
	s.loggedOut = true
	s.ending(Generation{}, func(f *flight) {
		_, err := End(context.Background(), f)
		s.endedBy("logout", err)
	})
}

// revoke ends it as a page of the store had it, maybe long ago.
func (s *sim) revoke() {
	s.loggedOut = true
	s.ending(Generation{}, func(f *flight) {
		paged := &pagedFlight{flight: f}
		if f.store(context.Background(), "find", func() error {
			paged.found, f.serials[s.record.version] = s.record, s.record.serial
			return nil
		}) != nil {
			return
		}
		f.sleep(s.latency(time.Minute))
		if _, version, _ := s.record.load(); version != paged.found.version {
			s.reach("revoked as a page had it")
		}
		_, err := End(context.Background(), paged)
		s.endedBy("revoked", err)
	})
}

// pagedFlight loads first what a page had.
type pagedFlight struct {
	*flight
	found record
	used  bool
}

func (f *pagedFlight) Load(ctx context.Context) (State, int64, error) {
	if !f.used {
		f.used = true
		return f.found.load()
	}
	return f.flight.Load(ctx)
}

// logoutByClient is a logout with the last token that an honest client has. It does
// nothing after that.
func (s *sim) logoutByClient() {
	token := s.client.token
	if s.client.lost || !s.mayPresent(token) {
		return
	}
	s.loggedOut, s.client.acts = true, 0
	s.ending(token, func(f *flight) {
		_, err := Logout(context.Background(), f, token, f.Now(), s.policy)
		var ended *Ended
		if errors.As(err, &ended) || errors.Is(err, ErrReplayed) {
			s.broken("an honest client's logout with token %d was taken for a replay", token.Number)
		}
		s.endedBy("logout by a token", err)
	})
}

// logoutByThief is a logout with a token that was used up two refreshes ago or more: a
// replay, which ends the session or is refused.
func (s *sim) logoutByThief() {
	n := s.record.state.Current.Number
	if n < 3 {
		return
	}
	token := s.successors[1+s.rng.Int64N(n-2)]
	s.loggedOut = s.loggedOut || !s.policy.TolerateReplay
	s.ending(token, func(f *flight) {
		f.logout = !s.policy.TolerateReplay // it must not delete
		_, err := Logout(context.Background(), f, token, f.Now(), s.policy)
		var ended *Ended
		switch {
		case err == nil:
			s.broken("a token that was used up signs out as if it were good")
		case errors.As(err, &ended):
			s.endedBy("logout by a used token", nil)
		case errors.Is(err, ErrReplayed):
			s.reach("logout by a used token refused")
		}
	})
}
