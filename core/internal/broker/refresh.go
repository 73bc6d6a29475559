package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/background"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/httpx"
	"github.com/oidcgate/oidcgate/core/internal/provider"
	"github.com/oidcgate/oidcgate/core/internal/session"
)

// pollInterval is how often one waiter in a process looks whether somebody
// else's refresh is done.
const pollInterval = 50 * time.Millisecond

// Refresh exchanges one of our refresh tokens for the next. However many come
// with the same token, one of them does it; a caller who goes away, or waits too
// long, changes nothing for the others. What is wanted narrows the access token that
// this caller gets, and nothing else (RFC 6749 6).
func (b *Broker) Refresh(ctx context.Context, client, raw string, wanted Narrowing) (Tokens, Party, error) {
	h, generation, ok := b.parseRefreshToken(client, raw)
	if !ok {
		return Tokens{}, Party{}, fault.InvalidGrant.New("The refresh token is not one of this service.")
	}
	whose := Party{Session: h.sessionID()}
	if err := b.checkGranted(ctx, h, generation, wanted); err != nil {
		return Tokens{}, whose, err
	}
	state, err := b.refreshShared(ctx, raw, b.RequestID(ctx), b.world(whose.Session), func(ctx context.Context, w session.World) (session.State, error) {
		return session.Refresh(ctx, w, generation, b.policy)
	})
	whose.Subject = state.Subject
	if err != nil {
		return Tokens{}, whose, err
	}
	body, err := b.body(ctx, h, state, wanted)
	return body, whose, err
}

// renew refreshes a session of which nobody brings a refresh token, unless somebody else has
// done so since this state. With keep the refresh token stays: see session.Renew.
func (b *Broker) renew(ctx context.Context, requestID, id string, seen session.State, keep bool) (session.State, error) {
	w, flight := b.world(id), fmt.Sprintf("%s after %d", id, seen.Current.Number)
	if keep {
		w.holder += " keeps"
		flight += fmt.Sprintf(" of %d", seen.Made().UnixNano())
	}
	return b.refreshShared(ctx, flight, requestID, w, func(ctx context.Context, w session.World) (session.State, error) {
		return session.Renew(ctx, w, seen, keep, b.policy)
	})
}

// refreshWay is one of the ways of internal/session to refresh.
type refreshWay func(context.Context, session.World) (session.State, error)

// refreshShared refreshes a session, once for all in this process who come for the same
// flight. A caller who goes away, or waits too long, changes nothing for the others. With
// an error it gives the session as it was, if that is known.
func (b *Broker) refreshShared(ctx context.Context, flight, requestID string, w *refreshWorld, refresh refreshWay) (session.State, error) {
	done := b.flights.DoChan(flight, func() (any, error) {
		var state session.State
		err := b.Tasks.Do(func(ctx context.Context) (err error) {
			state, err = b.refreshOnce(ctx, requestID, w, refresh)
			return err
		})
		return state, err
	})
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	select {
	case result := <-done:
		state := result.Val.(session.State)
		if result.Err != nil {
			return state, refreshError(result.Err)
		}
		return state, nil
	case <-ctx.Done():
		return session.State{}, refreshError(ctx.Err())
	}
}

// checkGranted refuses scopes that the session has not got, before its refresh token
// is used up. A token that is worth nothing gets the answer that it always gets.
func (b *Broker) checkGranted(ctx context.Context, h handle, generation session.Generation, wanted Narrowing) error {
	if wanted.Scopes == nil {
		return nil
	}
	s := storedSession{b: b, id: h.sessionID()}
	state, _, err := s.Load(ctx)
	if errors.Is(err, session.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	switch state.Judge(generation, b.holder, b.Now(), b.policy) {
	case session.Due, session.Busy, session.Repeat:
		who, err := b.recall(state)
		if err != nil {
			return err
		}
		return wanted.within(who.Scopes)
	}
	return nil
}

// refreshOnce is the refresh that all who come for one wait for. Its events have the id of
// the request that began it.
func (b *Broker) refreshOnce(ctx context.Context, requestID string, w *refreshWorld, refresh refreshWay) (state session.State, err error) {
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	state, err = refresh(ctx, w)

	var ended *session.Ended
	var unsure *session.Unsure
	switch {
	case errors.As(err, &ended):
		state = ended.Last
		b.observeEnd(ctx, requestID, w.id, ended)
	case errors.Is(err, session.ErrGone):
		// Most likely somebody has logged out meanwhile, and gave back what was then
		// the last.
		b.GiveBack(ctx, w.received)
	case errors.As(err, &unsure) && !w.unsure, err != nil && w.received != "" && !w.saved:
		// It may be long until that shows, and no caller need be there to be told.
		b.Logger.Warn("the provider may have used up the refresh token of a session, and another one is not saved: if it takes none twice, the next refresh ends the session",
			"session", w.id, "error", err)
		event := b.sessionEvent(Unsure, w.id, w.asked)
		event.RequestID = requestID
		b.Tell(ctx, event)
	}
	return state, err
}

// observeEnd tells that a session has ended before its time.
func (b *Broker) observeEnd(ctx context.Context, requestID, id string, ended *session.Ended) {
	event := b.sessionEvent(Ended, id, ended.Last)
	event.RequestID, event.Reason = requestID, string(ended.Reason)
	b.Tell(ctx, event)
}

// refreshError is what a caller is told when a refresh failed.
func refreshError(err error) error {
	var ended *session.Ended
	var e *fault.Error
	switch {
	case errors.As(err, &ended):
		why := endedBecause[ended.Reason]
		if ended.Reason == session.ReasonDenied && errors.As(ended.Cause, &e) {
			why = e.Description // in the application's own words
		}
		return fault.InvalidGrant.New(why).From(err)
	case errors.Is(err, session.ErrGone):
		return fault.InvalidGrant.New("The session has ended. Sign in again.")
	case errors.Is(err, session.ErrReplayed):
		return fault.InvalidGrant.New("The refresh token was used before.")
	case errors.As(err, &e):
		return e
	}
	return fault.Unavailable.New("The session can't be refreshed at the moment. Try again.").From(err).Soon()
}

var endedBecause = map[session.Reason]string{
	session.ReasonReplayed: "The refresh token was used before, and somebody may have stolen it: the session was ended. Sign in again.",
	session.ReasonForeign:  "The refresh token is not known any more: the session was ended. Sign in again.",
	session.ReasonRefused:  "The provider has ended the session. Sign in again.",
	session.ReasonUnknown:  "The provider has ended the session, since an earlier answer of it was lost. Sign in again.",
	session.ReasonSubject:  "The provider gave tokens of another user: the session was ended. Sign in again.",
}

// refreshWorld is what a refresh does outside the state machine.
type refreshWorld struct {
	storedSession
	holder   string        // the name in its leases
	asked    session.State // with which the provider was asked last
	received string        // the refresh token that the provider gave
	saved    bool          // whether the store has it
	unsure   bool          // it was known before that the provider may have used up the token
}

func (b *Broker) world(id string) *refreshWorld {
	return &refreshWorld{storedSession: storedSession{b: b, id: id}, holder: b.holder}
}

func (w *refreshWorld) Save(ctx context.Context, s session.State, version int64) (int64, error) {
	version, err := w.storedSession.Save(ctx, s, version)
	w.saved = w.saved || err == nil && s.RefreshToken == w.received
	return version, err
}

func (w *refreshWorld) Holder() string { return w.holder }

func (w *refreshWorld) Now() time.Time { return w.b.Now().UTC().Round(0) }

func (w *refreshWorld) Next(number int64) (session.Generation, error) {
	return w.b.generation(number)
}

func (w *refreshWorld) Pause(ctx context.Context) error { return pause(ctx) }

// pause waits for the time between two looks at a store, or until ctx ends.
func pause(ctx context.Context) error { return background.Sleep(ctx, pollInterval) }

// Ask implements session.World.
func (w *refreshWorld) Ask(ctx context.Context, state session.State) (session.Answer, error) {
	b := w.b
	w.asked = state
	// The lease counts on it that all of this takes no longer than one call.
	ctx, cancel := context.WithTimeout(ctx, b.Timeout)
	defer cancel()
	who, err := b.recall(state)
	if err != nil {
		return nil, err
	}
	if who.Provider != b.Provider.Name {
		return nil, errOtherProvider.From(fmt.Errorf("the session is one of the provider named %q: give Config.Providers that name", who.Provider))
	}
	if err := b.Ready(ctx); err != nil {
		return nil, err
	}
	answer, err := b.Provider.Refresh(ctx, state.RefreshToken, nil)
	if err != nil {
		w.unsure = state.Unsure
		return nil, whatRefusalMeans(err)
	}
	w.received = answer.RefreshToken
	return &refreshAnswer{b: w.b, session: w.id, state: state, answer: answer}, nil
}

// errOtherProvider is the error for a session whose provider is not configured now.
var errOtherProvider = fault.Unavailable.New("The provider of this session can't be asked at the moment.").Soon()

// overCodes are the codes by which a provider says that a session is over, and busyCodes
// those by which it says nothing about any.
var (
	overCodes = append([]string{string(fault.InvalidGrant), string(fault.InvalidToken)}, provider.DeniedCodes...)
	busyCodes = []string{string(fault.Unavailable), "server_error", provider.SlowDown}
)

// whatRefusalMeans tells what a refresh that the provider did not do means for the
// session. A provider that rejects this application must not sign everybody out.
func whatRefusalMeans(err error) error {
	switch code := provider.RefusedWith(err); {
	case code == "" && errors.Is(err, httpx.ErrNotSent):
		return err
	case code == "":
		return &session.Unsure{Cause: err}
	case slices.Contains(busyCodes, code):
		return provider.ErrBusy.Soon().From(err)
	case code == string(fault.InvalidScope):
		return fault.Provider.New("The provider does not grant this session's scopes any more.").
			From(fmt.Errorf("%w; allow this client the scopes of Provider.Scopes at the provider, offline_access included", err))
	case errors.Is(err, fault.Provider):
		return err
	case slices.Contains(overCodes, code):
		return &session.Ended{Reason: session.ReasonRefused, Cause: err}
	}
	return &session.Unclear{Cause: errUnclear.From(err)}
}

// errUnclear is the error for a provider that refuses a refresh by a word that is not
// about sessions.
var errUnclear = fault.Unavailable.New("The provider refuses to refresh the session, and does not say whether it is over. Try again.").
	After(10 * time.Second)
