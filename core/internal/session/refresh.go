package session

import (
	"context"
	"errors"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Records is the record of one session.
type Records interface {
	// Load gives the state and its version, or ErrGone.
	Load(ctx context.Context) (State, int64, error)
	// Save puts a state in the place of the one with that version, and gives the
	// new version, or ErrConflict.
	Save(ctx context.Context, s State, version int64) (int64, error)
	// Delete removes the state with that version, or gives ErrConflict.
	Delete(ctx context.Context, version int64) error
}

// World is what a refresh needs besides.
type World interface {
	Records
	// Holder names the instance.
	Holder() string
	// Now is the instance's clock.
	Now() time.Time
	// Next makes a generation with this number.
	Next(number int64) (Generation, error)
	// Ask has the provider refresh the state's token. It fails with an [Ended]
	// when the provider says that the session is over, with an [Unclear] when it
	// refuses and doesn't say whether that is about the session, and with an
	// [Unsure] when the token may have been used up. After any other error the
	// session is as it was.
	Ask(ctx context.Context, s State) (Answer, error)
	// Pause waits a moment, or until ctx ends.
	Pause(ctx context.Context) error
}

// Answer is a good answer of the provider.
type Answer interface {
	// Tokens are what must not be lost.
	Tokens() Tokens
	// Judge makes the session's new content. When it has to ask somebody else for
	// that, it calls save first; the tokens then survive whatever comes. It fails
	// with an [Ended] when the session must end.
	Judge(ctx context.Context, save func() error) (jsontext.Value, error)
}

// Errors of a refresh.
var (
	// ErrGone: there is no such session, or it has ended.
	ErrGone = errors.New("the session has ended")
	// ErrConflict: somebody else has changed the record.
	ErrConflict = errors.New("the session was changed by somebody else")
	// ErrReplayed: a used token was refused, and the session goes on.
	ErrReplayed = errors.New("the refresh token was used before")
	// errLost: the lease ended before its holder was done.
	errLost = errors.New("the lease was lost")
)

// Reason says why a session ended before its time.
type Reason string

// Reasons for which a refresh ends a session.
const (
	ReasonReplayed Reason = "refresh_token_replayed"
	ReasonForeign  Reason = "refresh_token_unknown"
	ReasonRefused  Reason = "provider_refused"
	ReasonUnknown  Reason = "refresh_outcome_unknown"
	ReasonSubject  Reason = "subject_changed"
	ReasonDenied   Reason = "access_denied"
)

// Ended is the error of a refresh that ended the session.
type Ended struct {
	Reason Reason
	Cause  error // may be nil
	// Last is the session as it was.
	Last State
}

func (e *Ended) Error() string {
	text := "the session was ended: " + string(e.Reason)
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

func (e *Ended) Unwrap() error { return e.Cause }

// Unsure is the error of a question to the provider of which nobody knows
// whether it arrived.
type Unsure struct{ Cause error }

func (e *Unsure) Error() string { return e.Cause.Error() }
func (e *Unsure) Unwrap() error { return e.Cause }

// Unclear is the error of a provider that refuses a refresh, and does not say whether the
// session is over. It is when that is said again a minute later or more.
type Unclear struct{ Cause error }

func (u *Unclear) Error() string { return u.Cause.Error() }
func (u *Unclear) Unwrap() error { return u.Cause }

// Refresh exchanges a token for the next one, with one question to the
// provider however many ask for it. The state that it gives has the caller's
// successor for its current generation. ctx limits the waiting for others; a
// refresh that has begun is brought to its end whatever becomes of ctx.
//
// The answer is the same for all who come with the same token, until the grace
// period is over. After an error other than ErrGone and an Ended the token is as
// good as before.
func Refresh(ctx context.Context, w World, token Generation, p Policy) (State, error) {
	waited := false
	var ending *Ended // what the last try to end the session was for
	for {
		// The grace period is over or not when a token comes, and not when a slow
		// store has answered.
		now := w.Now()
		s, version, err := w.Load(ctx)
		if errors.Is(err, ErrGone) && ending != nil {
			return State{}, ending // it was done, and the answer was lost
		}
		if err != nil && ending != nil && w.Pause(ctx) == nil {
			continue // whether it was done is still to be found out
		}
		if err != nil {
			return State{}, err
		}
		verdict := s.Judge(token, w.Holder(), now, p)
		if waited && verdict == Replayed {
			// It was current when it came, and so nobody stole it. The clocks of
			// two instances decide nothing between them here.
			if token != s.Previous {
				return State{}, ErrReplayed
			}
			verdict = Repeat
		}
		switch verdict {
		case Over:
			return State{}, ErrGone
		case Repeat:
			return s, nil
		case Busy:
			err = w.Pause(ctx)
			waited = true
		case Due:
			waited = true
			var renewed State
			if renewed, err = renew(ctx, w, s, version, p); err == nil {
				return renewed, nil
			}
		case Replayed, Foreign:
			if verdict == Replayed && p.TolerateReplay {
				return State{}, ErrReplayed
			}
			ending = verdict.ended(s)
			if err = w.Delete(ctx, version); err == nil {
				return State{}, ending
			}
			if !errors.Is(err, ErrConflict) && w.Pause(ctx) == nil {
				continue // a thief must not go unnoticed for a store that stumbles
			}
		}
		if err != nil && !errors.Is(err, ErrConflict) && !errors.Is(err, errLost) {
			return State{}, err
		}
	}
}

// ended is the end of a session of which a token came that is Replayed or Foreign.
func (v Verdict) ended(last State) *Ended {
	if v == Foreign {
		return &Ended{Reason: ReasonForeign, Last: last}
	}
	return &Ended{Reason: ReasonReplayed, Last: last}
}

// renew is the refresh itself: lease, question, next generation. It fails with
// ErrConflict or errLost when somebody else was faster.
func renew(ctx context.Context, w World, s State, version int64, p Policy) (State, error) {
	s = s.leased(w.Holder(), w.Now(), p)
	version, err := w.Save(ctx, s, version)
	if err != nil {
		return State{}, err
	}
	// From here on the provider may hand out what can't be asked for again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.Lease)
	defer cancel()
	r := &renewal{w: w, state: s, version: version}

	// A process that was paused may wake up when somebody else has asked already,
	// and a strict provider ends the session for a second question. Half of the
	// lease is enough to hear the answer in.
	if s.Lease.Until.Sub(w.Now()) < p.Lease/2 {
		return State{}, r.fail(ctx, errLost)
	}
	answer, err := w.Ask(ctx, s)
	if err != nil {
		return State{}, r.fail(ctx, err)
	}
	r.state = s.received(answer.Tokens())
	content, err := answer.Judge(ctx, func() error { return r.save(ctx, r.state) })
	if err != nil {
		return State{}, r.fail(ctx, err)
	}
	next, err := w.Next(s.Current.Number + 1)
	if err != nil {
		return State{}, r.fail(ctx, err)
	}
	var renewed State
	err = r.insist(ctx, func() error {
		// The grace period begins with the attempt that succeeds.
		renewed = r.state.renewed(next, content, w.Now())
		_, err := w.Save(ctx, renewed, r.version)
		return err
	})
	if err != nil {
		return State{}, err
	}
	return renewed, nil
}

// renewal is a refresh whose lease is held.
type renewal struct {
	w       World
	state   State // with the lease in it
	version int64
}

// fail leaves the session as it should be after an error: ended, or with the
// lease given back.
func (r *renewal) fail(ctx context.Context, cause error) error {
	var ended *Ended
	var unclear *Unclear
	if errors.As(cause, &unclear) {
		var over bool
		if r.state, over = r.state.refused(r.w.Now()); over {
			cause = &Ended{Reason: ReasonRefused, Cause: unclear.Cause}
		}
	}
	if !errors.As(cause, &ended) {
		var unsure *Unsure
		// The lease ends by itself when it can't be given back.
		_ = r.save(ctx, r.state.released(errors.As(cause, &unsure)))
		return cause
	}
	reason := ended.Reason
	if reason == ReasonRefused && r.state.Unsure {
		reason = ReasonUnknown
	}
	err := r.insist(ctx, func() error { return r.w.Delete(ctx, r.version) })
	if err != nil && !errors.Is(err, ErrGone) { // gone: it was done, and the answer was lost
		return err
	}
	return &Ended{Reason: reason, Cause: ended.Cause, Last: r.state}
}

// save puts a state in the place of the leased one.
func (r *renewal) save(ctx context.Context, s State) error {
	return r.insist(ctx, func() (err error) {
		version, err := r.w.Save(ctx, s, r.version)
		if err == nil {
			r.version = version
		}
		return err
	})
}

// insist changes the record, again and again while the store fails, as long as
// the lease lasts. A conflict may be no more than an answer that was lost, or a
// record that was sealed anew: as long as the lease is in it, it is ours.
func (r *renewal) insist(ctx context.Context, change func() error) error {
	for {
		err := change()
		if errors.Is(err, ErrConflict) {
			var now State
			var version int64
			if now, version, err = r.w.Load(ctx); err == nil {
				if !now.Lease.equal(r.state.Lease) || now.Current != r.state.Current {
					return errLost
				}
				r.version = version
				err = ErrConflict
			} else if errors.Is(err, ErrGone) {
				return err
			}
		}
		switch {
		case err == nil:
			return nil
		case !r.w.Now().Before(r.state.Lease.Until):
			return err
		case r.w.Pause(ctx) != nil:
			return err
		}
	}
}

// End ends a session and gives its last state. It is ErrGone when there is none.
func End(ctx context.Context, r Records) (State, error) {
	return end(ctx, r, func(State) error { return nil })
}

// Logout is End for whoever has a refresh token that is still good at that time. One that
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
