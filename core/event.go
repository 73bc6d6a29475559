package core

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/session"
)

// EventKind is the kind of an [Event].
type EventKind string

// The kinds of events. After a failure, Event.Error is set.
const (
	// EventLogin: a login ended, with or without tokens (at the callback, by a code grant, or
	// with the last poll of a device).
	EventLogin EventKind = "login"
	// EventRefresh: a refresh token was used.
	EventRefresh EventKind = "refresh"
	// EventToken: a guard rejected a bearer token. Valid tokens cause no event.
	EventToken EventKind = "token"
	// EventLogout: a user asked to be signed out.
	EventLogout EventKind = "logout"
	// EventExchange: a token of the provider was exchanged for one of ours.
	EventExchange EventKind = "exchange"
	// EventMint: the program issued a token with [Auth.Mint].
	EventMint EventKind = "mint"
	// EventEnd: a refresh, or a logout with a used refresh token, ended a session early.
	// Event.Reason says why.
	EventEnd EventKind = "end"
)

// Reasons of an [EventEnd].
const (
	// ReasonReplayed: a refresh token was reused after the grace period. It or its successor
	// is stolen.
	ReasonReplayed = string(session.ReasonReplayed)
	// ReasonForeign: the refresh token is genuine, but the store does not know it, for example
	// because the store was restored to an earlier state.
	ReasonForeign = string(session.ReasonForeign)
	// ReasonRefused: the provider has ended the session, or has rejected its refreshes for a
	// minute or more.
	ReasonRefused = string(session.ReasonRefused)
	// ReasonUnknown: the provider's answer to an earlier refresh was lost, because the process
	// died, the connection broke or the store was down for too long, and the provider does
	// not accept the replaced token again.
	ReasonUnknown = string(session.ReasonUnknown)
	// ReasonSubject: the provider's new tokens belong to another user.
	ReasonSubject = string(session.ReasonSubject)
	// ReasonDenied: Broker.Identify or Config.Require rejected the user.
	ReasonDenied = string(session.ReasonDenied)
)

// Event is an entry for a security log. It contains no secret.
type Event struct {
	Kind    EventKind
	Time    time.Time
	Issuer  string // the subject's issuer: the provider, or one of Config.TrustedIssuers
	Subject string // "" if unknown
	Session string // the broker's session (claim sid), for EventEnd and EventLogout; "" if there is none
	Reason  string // for EventEnd
	Error   *Error // nil after a success
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
