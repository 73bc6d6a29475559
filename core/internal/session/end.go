package session

import (
	"context"
	"errors"
	"time"
)

// End ends a session and gives its last state. It is ErrGone when there is none.
func End(ctx context.Context, r Records) (State, error) {
	return end(ctx, r, func(State) error { return nil })
}

// Logout is End for whoever has a refresh token that is still valid at that time. One that
// was used up ends the session as well, with an [Ended], since it is a replay, or is
// refused with ErrReplayed where the policy says so. Whoever brings one learns nothing
// of the session.
func Logout(ctx context.Context, r Records, token Generation, now time.Time, p Policy) (State, error) {
	verdict := Over
	s, err := end(ctx, r, func(s State) error {
		verdict = s.Judge(token, "", now, p)
		switch {
		case verdict == Over:
			return ErrGone
		case verdict == Replayed && p.TolerateReplay:
			return ErrReplayed
		}
		return nil
	})
	if err == nil && (verdict == Replayed || verdict == Foreign) {
		return State{}, verdict.ended(s)
	}
	return s, err
}

// end ends a session, unless check has something against that. A store whose answer got
// lost is asked once more, to know what became of it.
func end(ctx context.Context, r Records, check func(State) error) (State, error) {
	var deleted *State // maybe
	for {
		s, version, err := r.Load(ctx)
		if errors.Is(err, ErrGone) && deleted != nil {
			return *deleted, nil
		}
		if err == nil {
			err = check(s)
		}
		if err != nil {
			return State{}, err
		}
		err = r.Delete(ctx, version)
		switch {
		case err == nil:
			return s, nil
		case errors.Is(err, ErrConflict):
			deleted = nil
		case deleted != nil:
			return State{}, err
		default:
			deleted = &s
		}
	}
}
