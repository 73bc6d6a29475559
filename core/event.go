package core

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/broker"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/session"
)

// EventKind is the kind of an [Event].
type EventKind string

// The kinds of events. After a failure, Event.Error is set.
const (
	// EventLoginStart: a browser was sent to the provider, or a device login began.
	EventLoginStart EventKind = "login_start"
	// EventLogin: a login ended, with or without tokens (at the callback, by a code grant, or
	// with the last poll of a device).
	EventLogin EventKind = "login"
	// EventRefresh: a refresh token was used, with or without new tokens.
	EventRefresh EventKind = "refresh"
	// EventExchange: a token of the provider was exchanged for one of ours.
	EventExchange EventKind = "exchange"
	// EventMint: the program issued a token with [Auth.Mint].
	EventMint EventKind = "mint"
	// EventToken: a guard rejected a bearer token. Valid tokens cause no event.
	EventToken EventKind = "token"
	// EventLogout: a user asked to be signed out.
	EventLogout EventKind = "logout"
	// EventEnd: a session ended before its time and not by a logout. Event.Reason says why.
	EventEnd = EventKind(broker.Ended)
	// EventUnsure: the provider's answer to a refresh was lost. The refresh token may be used
	// up; then the next refresh ends the session with [ReasonUnknown].
	EventUnsure = EventKind(broker.Unsure)
	// EventKeyPublished: a signing key was made, and is published from now on.
	EventKeyPublished = EventKind(broker.KeyPublished)
	// EventKeyRotated: this process signs with another key from now on.
	EventKeyRotated = EventKind(broker.KeyRotated)
	// EventDown: Event.Dependency can't be reached, and EventUp: it can again. What was fetched
	// before stays in use: see [Health].
	EventDown EventKind = "down"
	EventUp   EventKind = "up"
	// EventIssuerAdded and EventIssuerRemoved: [Auth.SetTrustedIssuers] has changed the list.
	EventIssuerAdded   EventKind = "issuer_added"
	EventIssuerRemoved EventKind = "issuer_removed"
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
	// ReasonRevoked: the application ended the session with [Auth.Revoke].
	ReasonRevoked = string(session.ReasonRevoked)
	// ReasonReplaced: the browser that had the session has signed in anew.
	ReasonReplaced = string(session.ReasonReplaced)
	// ReasonProviderLogout: the user's session at the provider has ended, and the provider has
	// said so (OpenID Connect Back-Channel Logout 1.0).
	ReasonProviderLogout = string(session.ReasonProviderLogout)
)

// ReasonCompromised is the reason of an [EventKeyRotated] after [RotateOptions].Compromised:
// the key that signed before is withdrawn. A rotation that was due has no reason.
const ReasonCompromised = broker.ReasonCompromised

// Event is an entry for a security log. It contains no secret.
type Event struct {
	Kind      EventKind
	Time      time.Time
	RequestID string // of the request that caused it, or began it for others too, by Config.RequestID; "" if there is none
	Issuer    string // the subject's issuer: the provider, or one of Config.TrustedIssuers
	Subject   string // "" if unknown
	Client    string // the id of the client to which the tokens or the session belong; "" if unknown
	Session   string // the broker's session (claim sid); "" if there is none, or it is unknown
	Reason    string // why, for EventEnd and EventKeyRotated
	Key       string // the kid, for EventKeyPublished and EventKeyRotated
	// Dependency is what EventDown and EventUp are about, by its name in [Health]: provider,
	// keys, store, signing_keys, or issuer, which Issuer then names.
	Dependency string
	Error      *Error // nil after a success
}

// dependencyChanged tells that something has gone away, or is back.
func (a *Auth) dependencyChanged(dependency string, err error) { a.tellDependency(dependency, "", err) }

func (a *Auth) issuerChanged(issuer string, err error) { a.tellDependency("issuer", issuer, err) }

func (a *Auth) tellDependency(dependency, issuer string, err error) {
	event := Event{Kind: EventUp, Dependency: dependency, Issuer: issuer}
	if err != nil {
		event.Kind, event.Error = EventDown, answerTo(err)
	}
	a.emit(context.Background(), event)
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
	event.RequestID = cmp.Or(event.RequestID, a.requestID(ctx))
	_ = fault.Catch(a.config.Logger, "Config.Observe", func() error {
		a.config.Observe(ctx, event)
		return nil
	})
}

// requestID is the id of the request that a context belongs to, if the application tells.
func (a *Auth) requestID(ctx context.Context) (id string) {
	if a.config.RequestID != nil {
		_ = fault.Catch(a.config.Logger, "Config.RequestID", func() error {
			id = a.config.RequestID(ctx)
			return nil
		})
	}
	return id
}

// LogEvents gives an observer for Config.Observe that writes each event to a logger: at
// level Warn for a failure and for a session that ended before its time, at Info for the
// rest. The message is "event", and the kind an attribute; fields that are "" are left out. nil: slog.Default().
//
//	config.Observe = core.LogEvents(logger)
func LogEvents(logger *slog.Logger) func(context.Context, Event) {
	if logger == nil {
		logger = slog.Default()
	}
	return func(ctx context.Context, e Event) {
		level := slog.LevelInfo
		if e.Error != nil || e.Kind == EventEnd || e.Kind == EventUnsure {
			level = slog.LevelWarn
		}
		attrs := []slog.Attr{slog.String("kind", string(e.Kind))}
		for _, field := range []struct{ name, value string }{
			{"request_id", e.RequestID}, {"issuer", e.Issuer}, {"subject", e.Subject}, {"client", e.Client},
			{"session", e.Session}, {"reason", e.Reason}, {"key", e.Key}, {"dependency", e.Dependency},
		} {
			if field.value != "" {
				attrs = append(attrs, slog.String(field.name, field.value))
			}
		}
		if e.Error != nil {
			attrs = append(attrs, slog.Any("error", e.Error))
		}
		logger.LogAttrs(ctx, level, "event", attrs...)
	}
}
