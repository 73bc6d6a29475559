package core

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/session"
)

// EventKind says what an [Event] is about.
type EventKind string

// The kinds of events. Each that can fail has Event.Error set when it did.
const (
	// EventLogin: a login ended, with tokens or without (callback, code grant,
	// device polling that came to an end).
	EventLogin EventKind = "login"
	// EventRefresh: a refresh token was used.
	EventRefresh EventKind = "refresh"
	// EventToken: a guard refused a bearer token. Good tokens are no event.
	EventToken EventKind = "token"
	// EventLogout: a user asked to be signed out.
	EventLogout EventKind = "logout"
	// EventExchange: a token of the provider was exchanged for one of ours.
	EventExchange EventKind = "exchange"
	// EventMint: the program made a token by [Auth.Mint].
	EventMint EventKind = "mint"
	// EventEnd: a refresh, or a logout with a refresh token that was used up, ended a
	// session before its time; Event.Reason says why.
	EventEnd EventKind = "end"
)

// Reasons of an [EventEnd].
const (
	// ReasonReplayed: a refresh token came again after the grace period. Either
	// it or its successor is in the wrong hands.
	ReasonReplayed = string(session.ReasonReplayed)
	// ReasonForeign: a genuine refresh token came that the store does not know,
	// as happens when the store was restored to an earlier state.
	ReasonForeign = string(session.ReasonForeign)
	// ReasonRefused: the provider has ended its side of the session, or has refused to
	// refresh it for a minute or more.
	ReasonRefused = string(session.ReasonRefused)
	// ReasonUnknown: an answer of the provider to an earlier refresh was lost,
	// because the process died, the connection broke or the store failed for too
	// long, and the provider does not take the token again that it had replaced.
	ReasonUnknown = string(session.ReasonUnknown)
	// ReasonSubject: the provider's tokens were suddenly another user's.
	ReasonSubject = string(session.ReasonSubject)
	// ReasonDenied: Broker.Identify refused the user, or Config.Require does.
	ReasonDenied = string(session.ReasonDenied)
)

// Event is something that a security log wants to know. It contains no
// secret.
type Event struct {
	Kind    EventKind
	Time    time.Time
	Issuer  string // whose subject it is: the provider, or a further issuer (Config.TrustedIssuers)
	Subject string // "" when unknown
	Session string // the broker's (claim sid), of EventEnd and EventLogout; "" when there is none
	Reason  string // of EventEnd
	Error   *Error // nil: it went well
}

// observe hands an event to the application. A provider that is down and a
// device that still waits are no events; a provider whose ID token can't be
// accepted is.
func (a *Auth) observe(ctx context.Context, event Event, err error) {
	if err != nil {
		err = asError(err)
		if !errors.As(err, &event.Error) || errors.Is(err, ErrUnavailable) || errors.Is(err, errPending) || errors.Is(err, errSlowDown) {
			return
		}
	}
	a.emit(ctx, event)
}

// emit hands an event over. Whatever becomes of it there, the decision that it
// tells about stands.
func (a *Auth) emit(ctx context.Context, event Event) {
	if a.config.Observe == nil {
		return
	}
	event.Time, event.Issuer = a.now(), cmp.Or(event.Issuer, a.config.provider().Issuer)
	_ = fault.Catch(a.config.Logger, "Config.Observe", func() error {
		a.config.Observe(ctx, event)
		return nil
	})
}
