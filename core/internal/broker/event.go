package broker

import "github.com/oidcgate/oidcgate/core/internal/session"

// Event is something for a security log. It holds no secret.
type Event struct {
	Kind                     EventKind
	Subject, Client, Session string // "" if unknown
	Reason                   string
	RequestID                string // "": that of the context
	Key                      string // the kid of a signing key
}

// EventKind is the kind of an [Event], by the name that core gives it.
type EventKind string

// The kinds of events.
const (
	Ended        EventKind = "end"    // before its time; Reason says why
	LoggedOut    EventKind = "logout" // by a user, or somebody unknown
	Unsure       EventKind = "refresh_unsure"
	KeyPublished EventKind = "key_published"
	KeyRotated   EventKind = "key_rotated"
)

// ReasonCompromised: the key before is withdrawn.
const ReasonCompromised = "compromised"

// sessionEvent is an event about a session, as it was last.
func (b *Broker) sessionEvent(kind EventKind, id string, state session.State) Event {
	e := Event{Kind: kind, Subject: state.Subject, Session: id}
	// One that can't be read has an event all the same.
	if who, err := b.recall(state); err == nil {
		e.Client = who.Client
	}
	return e
}
