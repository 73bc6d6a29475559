package core

import (
	"errors"
	"fmt"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fetch"
	"github.com/oidcgate/oidcgate/core/internal/vault"
)

// Health is how the things are doing that an [Auth] depends on. It is for those
// who run the application, not for strangers: its errors name hosts. Written as
// JSON it has the names in the tags.
type Health struct {
	// Provider is the provider's discovery document, without which nobody signs
	// in.
	Provider Dependency `json:"provider"`
	// Keys are the provider's keys, by which its tokens are verified.
	Keys Dependency `json:"keys"`
	// Store is Broker.Store, and SigningKeys what the broker signs with and
	// verifies by. Without a Broker both are [StateUnused].
	Store       Dependency `json:"store"`
	SigningKeys Dependency `json:"signing_keys"`
	// Issuers are the keys of each of the further issuers, by its URL: see
	// Config.TrustedIssuers.
	Issuers map[string]Dependency `json:"issuers,omitempty"`
}

// Dependency is how one thing is doing, as far as it is known from the last call
// that was made.
type Dependency struct {
	State State `json:"state"`
	// LastGood and LastBad are when a call last went well and when one failed;
	// zero: never.
	LastGood time.Time `json:"last_good,omitzero"`
	LastBad  time.Time `json:"last_bad,omitzero"`
	// Error is why the last call failed, "" when it went well. It holds no secret.
	Error string `json:"error,omitzero"`
}

// State is the state of a [Dependency].
type State string

// The states of a [Dependency].
const (
	// StateUnused: the configuration has no such thing.
	StateUnused State = "unused"
	// StateUnknown: it was not needed yet. Some time after [Auth.Start] nothing is.
	StateUnknown State = "unknown"
	// StateGood: the last call went well.
	StateGood State = "good"
	// StateStale: the last call failed, or had no answer yet, and what was had before is
	// still in use.
	StateStale State = "stale"
	// StateDown: the last call failed, and requests that need it answer 503.
	StateDown State = "down"
)

// Health tells what is known about the provider and the store. It makes no calls
// itself, takes no time and may be called concurrently, by a probe every second
// for example. What it tells is as old as the last call: documents and keys are
// fetched again every few minutes, and the store is called at each login and
// refresh, and once a minute besides.
func (a *Auth) Health() Health {
	metadata, keys := a.provider.Documents()
	h := Health{
		Provider: fetched(metadata), Keys: fetched(keys),
		Store: Dependency{State: StateUnused}, SigningKeys: Dependency{State: StateUnused},
	}
	if a.broker != nil {
		records, keys := a.broker.Outcomes()
		h.Store = called(records)
		h.SigningKeys = fetched(keys)
	}
	for url, outcome := range a.trust.Outcomes() {
		if h.Issuers == nil {
			h.Issuers = map[string]Dependency{}
		}
		h.Issuers[url] = fetched(outcome)
	}
	return h
}

// Err is nil while nothing is down that this application can't do without, and
// otherwise tells what is and why; a further issuer is nothing of that kind. A
// replica that fails a readiness probe for it takes no requests at all, although
// guards verify tokens by the keys that they have while the provider or the store
// is down: mostly it is better to raise an alarm.
func (h Health) Err() error {
	var problems []error
	for _, part := range []struct {
		name string
		Dependency
	}{{"the provider", h.Provider}, {"the provider's keys", h.Keys}, {"the store", h.Store}, {"the signing keys", h.SigningKeys}} {
		if part.State == StateDown {
			problems = append(problems, fmt.Errorf("%s: down since %s: %s", part.name, part.LastBad.UTC().Format(time.RFC3339), part.Error))
		}
	}
	return errors.Join(problems...)
}

// fetched tells how a document is doing.
func fetched(o fetch.Outcome) Dependency {
	d := dependency(o.Good, o.Bad, o.Err, o.Usable)
	if d.State == StateGood && o.Kept { // no call of ours succeeded yet
		d.State = StateStale
	}
	return d
}

// called tells how the store is doing.
func called(o vault.Outcome) Dependency { return dependency(o.Good, o.Bad, o.Err, false) }

// dependency tells how something is doing whose last call ended with err; after
// a failure it is useful if what was had before still is.
func dependency(good, bad time.Time, err error, useful bool) Dependency {
	d := Dependency{State: StateGood, LastGood: good, LastBad: bad}
	switch {
	case err != nil && useful:
		d.State = StateStale
	case err != nil:
		d.State = StateDown
	case good.IsZero():
		d.State = StateUnknown
	}
	if err != nil {
		d.Error = err.Error()
	}
	return d
}
