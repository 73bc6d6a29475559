package session

import (
	"context"
	"errors"
)

// renew is the refresh itself: lease, question, next generation, or with keep the same. It
// fails with ErrConflict or errLost when somebody else was faster.
func renew(ctx context.Context, w World, s State, version int64, keep bool, p Policy) (State, error) {
	before := s
	s = s.leased(w.Holder(), w.Now(), p)
	version, err := w.Save(ctx, s, version)
	if err != nil {
		return State{}, err
	}
	// From here on the provider may hand out what can't be asked for again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.Lease)
	defer cancel()
	r := &renewal{w: w, before: before, state: s, version: version}

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
	r.state, r.answered = s.received(answer.Tokens()), true
	content, err := answer.Judge(ctx, func() error { return r.save(ctx, func(s State) State { return s }) })
	if err != nil {
		return State{}, r.fail(ctx, err)
	}
	next := s.Current
	if !keep {
		if next, err = w.Next(s.Current.Number + 1); err != nil {
			return State{}, r.fail(ctx, err)
		}
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
	before  State // as it was without the lease
	state   State // with the lease in it
	version int64
	// answered: the provider has answered, and the answer is in state.
	answered bool
	// lost: somebody else's state was seen in the record, and nothing more is written.
	// The version that we know may be that of another record by now.
	lost bool
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
		_ = r.save(ctx, func(s State) State { return s.released(errors.As(cause, &unsure)) })
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

// save puts what becomes of the state in the place of the leased one.
func (r *renewal) save(ctx context.Context, become func(State) State) error {
	return r.insist(ctx, func() (err error) {
		version, err := r.w.Save(ctx, become(r.state), r.version)
		if err == nil {
			r.version = version
		}
		return err
	})
}

// insist changes the record, again and again while the store fails, as long as
// the lease lasts. Before each further try it reads the record.
func (r *renewal) insist(ctx context.Context, change func() error) error {
	if r.lost {
		return errLost
	}
	for tries := 0; ; tries++ {
		err := change()
		if err == nil {
			return nil
		}
		// There is nothing to wait for at a first conflict. Nor is there between the
		// look and the change, where somebody else might come.
		wait := tries > 0 || !errors.Is(err, ErrConflict)
		for looked := false; !looked; wait = true {
			if !r.w.Now().Before(r.state.Lease.Until) || wait && r.w.Pause(ctx) != nil {
				return err
			}
			lookErr := r.look(ctx)
			if errors.Is(lookErr, ErrGone) || errors.Is(lookErr, errLost) {
				return lookErr
			}
			looked = lookErr == nil
		}
	}
}

// look reads the version of the record. It fails with errLost when the record is not
// ours to change any more. It is
//   - while the lease is in it: the answer of the store was lost, or the record was
//     sealed anew;
//   - when the store has lost the lease, and we have an answer to save: see lostByStore.
func (r *renewal) look(ctx context.Context) error {
	now, version, err := r.w.Load(ctx)
	if err != nil {
		return err
	}
	held := now.Lease.equal(r.state.Lease) && now.sameContent(r.state)
	if !held && !r.lostByStore(now) {
		r.lost = true
		return errLost
	}
	// Somebody else has asked with the same token meanwhile, and may have used it up.
	r.state.Unsure = r.state.Unsure || !held && now.Unsure && now.RefreshToken == r.state.RefreshToken
	r.version = version
	return nil
}

// lostByStore reports whether the store has forgotten our lease, so that the provider's
// answer can be written all the same. A database that replicates asynchronously may
// do so when it fails over. The answer can't be asked for again, and the refresh
// token in the record may be used up.
//
// Version numbers don't tell: after a failover they count up again, and another
// instance's lease may have the number that ours had. The state does tell. Each
// generation has a random salt, so that the same generation, with content of the same
// time, and the provider's same token mean that nobody has stored a later answer. When
// nobody else holds a lease either, ours is the newest answer, even if somebody has tried
// and failed meanwhile. Compare-and-swap on the version that was just read keeps out
// whoever comes next: his lease is then in the record, and we give up.
//
// One case remains. When somebody else's write has the very number of ours, our next
// write meets no conflict and replaces it: a lease, whose holder then gives up, or,
// when we have written twice, even a generation, whose tokens then end the session.
// Only a read before each write would make that less likely, and nothing impossible;
// it would cost every refresh a call, for the sake of a few seconds after a failover.
//
// A record that is gone is no such case: it can't be told from a logout, and a logout
// wins.
func (r *renewal) lostByStore(now State) bool {
	return r.answered && now.sameContent(r.before) && now.RefreshToken == r.before.RefreshToken &&
		!now.Lease.heldByOther(r.w.Holder(), r.w.Now())
}
