package broker

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/session"
	"github.com/oidcgate/oidcgate/core/internal/text"
	"github.com/oidcgate/oidcgate/store"
)

// Session is what may be told of a session, as core.Session explains it.
type Session struct {
	ID              string
	Subject         string
	Client          string
	ProviderSession string
	Began           time.Time
	Refreshed       time.Time
	Ends            time.Time
	Device          Device
}

// Filter chooses sessions: those for which all holds that is set.
type Filter struct {
	Session         string
	Subject         string // the provider's
	Client          string
	ProviderSession string    // the provider's name for the session
	Before          time.Time // it began earlier
	Online          bool      // a browser has it, or it was not granted offline_access
}

func (f Filter) empty() bool {
	return f.Session == "" && f.Subject == "" && f.Client == "" && f.ProviderSession == "" && f.Before.IsZero()
}

// possible tells whether a session can have what the filter asks for, and a store be asked
// for it.
func (f Filter) possible() bool {
	for _, key := range []string{f.Subject, f.ProviderSession} {
		if key != "" && (claim.CheckSubject(key) != nil || !utf8.ValidString(key)) {
			return false
		}
	}
	return f.Session == "" || isSessionID(f.Session)
}

// isSessionID tells whether a text has the form of handle.sessionID.
func isSessionID(name string) bool {
	id, err := base64.RawURLEncoding.Strict().DecodeString(name)
	return err == nil && len(id) == len(handle{})
}

// choosesKeys decides by what the store can read itself. The store finds a record by either
// of its keys: whose subject is somebody else's session at the provider must not be taken
// for that session.
func (f Filter) choosesKeys(r store.Record) bool {
	return (f.Session == "" || f.Session == r.ID) &&
		(f.Subject == "" || f.Subject == r.Keys[0]) &&
		(f.ProviderSession == "" || f.ProviderSession == r.Keys[1])
}

// namesKey tells whether the filter is for a certain session or a certain user.
func (f Filter) namesKey() bool { return f.Session != "" || f.Subject != "" || f.ProviderSession != "" }

// choosesContent decides by what a session remembers.
func (f Filter) choosesContent(state session.State, who remembered) bool {
	return (f.Client == "" || f.Client == who.Client) &&
		(f.Before.IsZero() || state.Created.Before(f.Before)) &&
		(!f.Online || who.Browser || !slices.Contains(text.Words(who.Granted), "offline_access"))
}

// candidates goes through the records among which are those of the filter's sessions,
// with as few as the store's keys allow.
func (b *Broker) candidates(ctx context.Context, f Filter, do func(store.Record) error) error {
	switch {
	case !f.possible():
		return nil
	case f.Session != "":
		record, err := b.records.Read(ctx, kindSession, f.Session)
		if errors.Is(err, store.ErrNotFound) {
			_ = (&storedSession{b: b, id: f.Session}).gone() // ended elsewhere, maybe a moment ago
			return nil
		}
		if err != nil {
			return err
		}
		return do(record)
	}
	return b.records.Each(ctx, kindSession, cmp.Or(f.ProviderSession, f.Subject), do)
}

// Find gives the sessions of a subject of the provider's that have not ended, the newest
// first. One that can't be read is left out, and the log tells of it.
func (b *Broker) Find(ctx context.Context, subject string) ([]Session, error) {
	if subject == "" {
		return nil, errors.New("core.Auth.Sessions needs a subject")
	}
	var found []Session
	f := Filter{Subject: subject}
	err := b.candidates(ctx, f, func(record store.Record) error {
		if !f.choosesKeys(record) || !b.Now().Before(record.Expires) {
			return nil
		}
		s, err := b.describe(record)
		switch {
		case err != nil:
			b.Logger.WarnContext(ctx, "a session that can't be read is missing in a list", "session", record.ID, "error", err)
		case b.Now().Before(s.Ends):
			found = append(found, s)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(x, y Session) int {
		return cmp.Or(y.Began.Compare(x.Began), cmp.Compare(x.ID, y.ID))
	})
	return found, nil
}

// describe reads what may be told of a session.
func (b *Broker) describe(record store.Record) (Session, error) {
	var state session.State
	if err := b.records.Decode(&record, &state); err != nil {
		return Session{}, err
	}
	who, err := b.recall(state)
	if err != nil {
		return Session{}, err
	}
	s := Session{
		ID: record.ID, Subject: record.Keys[0], Client: who.Client, ProviderSession: record.Keys[1],
		Began: state.Created, Refreshed: state.Used, Ends: record.Expires, Device: who.Device,
	}
	if state.RefreshToken != "" {
		s.Ends = b.refreshEnd(state)
	}
	return s, nil
}

// End ends the sessions that a filter chooses, and tells how many those were: none that
// had ended before, or that somebody else ended meanwhile. One that fails keeps no other
// from being ended. One that can't be read serves nobody: it is ended if the filter names
// its key, whatever else is asked for, and fails otherwise. The provider is not told.
func (b *Broker) End(ctx context.Context, f Filter, reason session.Reason) (int, error) {
	if f.empty() {
		return 0, errors.New("core.Auth.Revoke: the zero Who stands for no session; to end all, set Who.Before")
	}
	count := 0
	var failed []error
	err := b.candidates(ctx, f, func(record store.Record) error {
		chosen := &chosenSession{storedSession: storedSession{b: b, id: record.ID}, filter: f, found: &record}
		state, err := session.End(ctx, chosen)
		switch {
		case err == nil:
			count++
			if chosen.unreadable != nil { // here: a secret may be missing that other replicas have
				b.Logger.WarnContext(ctx, "a session that can't be read was ended", "session", record.ID, "error", chosen.unreadable)
			}
			event := b.sessionEvent(Ended, record.ID, state)
			event.Reason = string(reason)
			b.Tell(ctx, event)
		case !errors.Is(err, session.ErrGone):
			failed = append(failed, fmt.Errorf("session %s: %w", record.ID, err))
		}
		return ctx.Err()
	})
	if err != nil {
		failed = append(failed, err)
	}
	if failed == nil {
		return count, nil
	}
	return count, fault.Unavailable.New("Some sessions could not be ended. Try again.").Soon().From(errors.Join(failed...))
}

// chosenSession is the record of a session for as long as a filter chooses it. After that
// it is gone.
type chosenSession struct {
	storedSession
	filter     Filter
	found      *store.Record // as a page had it; nil: it was used up
	unreadable error         // why its data can't be read
}

// Load implements session.Records.
func (c *chosenSession) Load(ctx context.Context) (session.State, int64, error) {
	record, err := c.take(ctx)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return session.State{}, 0, c.gone()
	case err != nil:
		return session.State{}, 0, err
	case !c.b.Now().Before(record.Expires) || !c.filter.choosesKeys(record):
		return session.State{}, 0, session.ErrGone
	}
	var state session.State
	var who remembered
	if err = c.b.records.Decode(&record, &state); err == nil {
		who, err = c.b.recall(state)
	}
	c.unreadable = err
	switch {
	case err != nil && !c.filter.namesKey():
		return session.State{}, 0, err
	case err != nil:
		return session.State{Subject: record.Keys[0]}, record.Version, nil
	case !c.filter.choosesContent(state, who):
		return session.State{}, 0, session.ErrGone
	}
	return state, record.Version, nil
}

// take gives the record as it was found, and from then on as it is.
func (c *chosenSession) take(ctx context.Context) (store.Record, error) {
	if c.found != nil {
		record := *c.found
		c.found = nil
		return record, nil
	}
	return c.b.records.Read(ctx, kindSession, c.id)
}
