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

// Answer is what the provider answers to a refresh that it did.
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

// Reasons for which a session ends. The first six are those of a refresh.
const (
	ReasonReplayed Reason = "refresh_token_replayed"
	ReasonForeign  Reason = "refresh_token_unknown"
	ReasonRefused  Reason = "provider_refused"
	ReasonUnknown  Reason = "refresh_outcome_unknown"
	ReasonSubject  Reason = "subject_changed"
	ReasonDenied   Reason = "access_denied"
	ReasonRevoked  Reason = "revoked" // by the application

	ReasonProviderLogout Reason = "provider_logout"
	ReasonReplaced       Reason = "replaced" // by a later login of the same browser
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
// valid as before.
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
			if renewed, err = renew(ctx, w, s, version, false, p); err == nil {
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

// Renew is a refresh for which nobody brings a token: it asks the provider unless somebody
// has done so since the caller saw this state. Nothing is a replay here, however long ago
// that was.
//
// A session behind a cookie gets the next generation. With keep the generation stays, since
// a client holds its token and would not learn of the next: only what the provider has
// answered changes, and neither the grace period nor the session's end do. To refreshes, an
// instance that keeps is another one: it must have a name of its own for its leases.
func Renew(ctx context.Context, w World, seen State, keep bool, p Policy) (State, error) {
	for {
		now := w.Now()
		s, version, err := w.Load(ctx)
		if err != nil {
			return State{}, err
		}
		switch {
		case s.Judge(s.Current, w.Holder(), now, p) == Over:
			return State{}, ErrGone
		case s.Current != seen.Current, keep && !s.sameContent(seen):
			return s, nil
		case s.Lease.heldByOther(w.Holder(), w.Now()):
			err = w.Pause(ctx)
		default:
			var renewed State
			if renewed, err = renew(ctx, w, s, version, keep, p); err == nil {
				return renewed, nil
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
