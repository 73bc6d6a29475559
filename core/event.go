package core

import (
	"context"
	"errors"
	"time"
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
)

// Event is something that a security log wants to know. It contains no
// secret.
type Event struct {
	Kind    EventKind
	Time    time.Time
	Issuer  string // of the provider
	Subject string // "" when unknown
	Error   *Error // nil: it went well
}

// observe hands an event to the application. A provider that is down and a
// device that still waits are no events; a provider whose ID token can't be
// accepted is.
func (a *Auth) observe(ctx context.Context, kind EventKind, subject string, err error) {
	if a.config.Observe == nil {
		return
	}
	event := Event{Kind: kind, Time: a.now(), Issuer: a.config.Issuer, Subject: subject}
	if err != nil {
		if !errors.As(err, &event.Error) || errors.Is(err, ErrUnavailable) || errors.Is(err, errPending) || errors.Is(err, errSlowDown) {
			return
		}
	}
	a.config.Observe(ctx, event)
}
