package core

import (
	"errors"
	"fmt"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fetch"
	"github.com/oidcgate/oidcgate/core/internal/vault"
)

// Health is the state of everything that an [Auth] depends on. Don't publish it: its errors
// contain host names.
type Health struct {
	// Provider is the provider's discovery document, which logins need.
	Provider Dependency `json:"provider"`
	// Keys are the provider's keys, which verify its tokens.
	Keys Dependency `json:"keys"`
	// Store is Broker.Store. SigningKeys are the keys with which the broker signs and
	// verifies. Without a Broker both are [StateUnused].
	Store       Dependency `json:"store"`
	SigningKeys Dependency `json:"signing_keys"`
	// SigningSince is when the current signing key began to sign. Another one takes its place
	// after Broker.KeyLifetime. Zero: no key was read yet, or there is no Broker.
	SigningSince time.Time `json:"signing_since,omitzero"`
	// Issuers are the keys of each of Config.TrustedIssuers, by URL.
	Issuers map[string]Dependency `json:"issuers,omitempty"`
}

// Dependency is the state of one dependency, as of the last call to it.
type Dependency struct {
	State State `json:"state"`
	// LastGood and LastBad are the times of the last successful and the last failed call.
	// Zero: never.
	LastGood time.Time `json:"last_good,omitzero"`
	LastBad  time.Time `json:"last_bad,omitzero"`
	// Error says why the last call failed; "" if it succeeded. It contains no secret.
	Error string `json:"error,omitzero"`
}

// State is the state of a [Dependency].
type State string

// The states of a [Dependency].
const (
	// StateUnused: the configuration does not use it.
	StateUnused State = "unused"
	// StateUnknown: it was not needed yet. Soon after [Auth.Start] no dependency is unknown.
	StateUnknown State = "unknown"
	// StateGood: the last call succeeded.
	StateGood State = "good"
	// StateStale: the last call failed, or has no answer yet, and the earlier result is still
	// in use.
	StateStale State = "stale"
	// StateDown: the last call failed, and requests that need it answer 503.
	StateDown State = "down"
)

// Health reports the state of the provider and the store. It makes no calls and returns at
// once, so a probe may call it every second. It is safe for concurrent use. The report is as
// old as the last call: documents and keys are fetched every few minutes, and the store is
// called at each login and refresh and once a minute.
func (a *Auth) Health() Health {
	metadata, keys := a.provider.Documents()
	h := Health{
		Provider: fetched(metadata), Keys: fetched(keys),
		Store: Dependency{State: StateUnused}, SigningKeys: Dependency{State: StateUnused},
	}
	if a.broker != nil {
		records, keys := a.broker.Outcomes()
		h.Store = called(records)
		h.SigningKeys, h.SigningSince = fetched(keys), a.broker.SigningSince()
	}
	for url, outcome := range a.trust.Outcomes() {
		if h.Issuers == nil {
			h.Issuers = map[string]Dependency{}
		}
		h.Issuers[url] = fetched(outcome)
	}
	return h
}

// Err returns an error that says what is down and why, or nil. Further issuers are not
// included. A readiness probe should usually not use it: while the provider or the store is
// down, guards still verify tokens with known keys, but a replica that is not ready serves
// no requests at all. Raise an alarm instead.
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
