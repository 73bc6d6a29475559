// Package session is the life of a login session as a state machine. It holds
// the rules by which a refresh token is valid, used up, repeated or replayed, and
// the order of the steps of a refresh; it makes no I/O, so that all of it can be
// tried in every order that the world may come up with.
//
// A session is one record. Its refresh token changes with each refresh, and each
// such change is a [Generation]. Whoever wants to refresh first writes a lease
// into the record, then asks the provider, then writes the next generation: the
// record's version lets only one succeed at each. Callers who come meanwhile wait
// and get the same next generation; so does whoever comes with the last one soon
// after, since an honest client may not have received the answer. Anything older
// was stolen from somebody, and ends the session.
package session

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/oidcgate/oidcgate/core/internal/seal"
)

// Generation is one of the refresh tokens that a session has had. The token can
// be made of it and the session's handle by whoever has the secret, so that every
// replica gives the very same one; without the secret nothing can.
type Generation struct {
	Number int64      `json:"number"` // from 1
	Secret seal.KeyID `json:"secret"` // which secret authenticates the token
	// Salt is random. A store that was restored to an earlier state doesn't know
	// the salts of later tokens, though it may count up to their numbers again.
	Salt [16]byte `json:"salt"`
}

// State is what a session's record holds.
type State struct {
	Created time.Time `json:"created"` // when the user signed in
	Used    time.Time `json:"used"`    // when the current generation began
	// Renewed is when the content was made last for the current generation; zero: when that
	// began.
	Renewed time.Time `json:"renewed,omitzero"`

	Current  Generation `json:"current"`
	Previous Generation `json:"previous,omitzero"`

	Lease Lease `json:"lease,omitzero"`
	// Unsure says that an answer of the provider may have been lost, and with it
	// the refresh token in the place of ours.
	Unsure bool `json:"unsure,omitzero"`
	// Refused is since when the provider has refused every refresh without saying
	// whether the session is over; zero: its last answer was another.
	Refused time.Time `json:"refused,omitzero"`

	Tokens
	Subject string         `json:"subject"` // the provider's; it never changes
	Content jsontext.Value `json:"content"` // what access tokens are minted from, and the like
}

// Tokens are what the provider handed out last and can't be asked for again.
type Tokens struct {
	RefreshToken   string    `json:"refresh_token,omitzero"`   // "": it can't be refreshed
	RefreshExpires time.Time `json:"refresh_expires,omitzero"` // zero: the provider didn't say
}

// Lease is somebody's claim to be the one who refreshes. It ends by itself, in
// case its holder can't give it back any more.
type Lease struct {
	Holder string    `json:"holder"` // the instance, by a random name
	Until  time.Time `json:"until"`
}

func (l Lease) equal(other Lease) bool {
	return l.Holder == other.Holder && l.Until.Equal(other.Until)
}

// heldByOther reports whether another instance than holder has the lease now.
func (l Lease) heldByOther(holder string, now time.Time) bool {
	return l.Holder != "" && l.Holder != holder && now.Before(l.Until)
}

// Policy is what the configuration decides.
type Policy struct {
	Lifetime time.Duration // of a session, from the login on
	Idle     time.Duration // of a session, from the last refresh on
	Grace    time.Duration // how long the previous generation is still valid
	Lease    time.Duration
	// TolerateReplay refuses a replayed token without ending its session.
	TolerateReplay bool
}

// patience is how long a provider's refusals may be a glitch. A session for which they
// go on for longer is over: some providers, and proxies before them, have another word
// than the registered ones for a refresh token that is dead.
const patience = time.Minute

// End is when a session ends unless it is refreshed before.
func (s State) End(p Policy) time.Time {
	end := s.Created.Add(p.Lifetime)
	if idle := s.Used.Add(p.Idle); idle.Before(end) {
		return idle
	}
	return end
}

// Made is when the content was made.
func (s State) Made() time.Time {
	if s.Renewed.IsZero() {
		return s.Used
	}
	return s.Renewed
}

// sameContent reports whether nobody has brought a refresh to its end between two states.
func (s State) sameContent(other State) bool {
	return s.Current == other.Current && s.Renewed.Equal(other.Renewed)
}

// Verdict is what a refresh token is worth at a moment.
type Verdict int

const (
	Over     Verdict = iota // the session has ended
	Due                     // the current token: ask the provider
	Busy                    // the current token, and somebody else asks the provider already
	Repeat                  // the previous token, within the grace period: give the current one
	Replayed                // a token that was used up
	Foreign                 // a genuine token that this record never had
)

// Judge holds a genuine token against the session. holder is the instance that
// asks: a lease of its own is one that it left behind.
func (s State) Judge(token Generation, holder string, now time.Time, p Policy) Verdict {
	switch {
	case !now.Before(s.End(p)) || s.RefreshToken == "":
		return Over
	case token == s.Current:
		if s.Lease.heldByOther(holder, now) {
			return Busy
		}
		return Due
	case token == s.Previous && now.Sub(s.Used) < p.Grace:
		return Repeat
	case token == s.Previous, token.Number < s.Current.Number-1:
		return Replayed
	}
	return Foreign
}

// leased is the state with a lease. An older lease that is still in it means
// that its holder went away in the middle of a refresh.
func (s State) leased(holder string, now time.Time, p Policy) State {
	s.Unsure = s.Unsure || s.Lease.Holder != ""
	s.Lease = Lease{Holder: holder, Until: now.Add(p.Lease)}
	return s
}

// released is the state with the lease given back.
func (s State) released(unsure bool) State {
	s.Unsure = s.Unsure || unsure
	s.Lease = Lease{}
	return s
}

// received is the state with the provider's new tokens. What the answer left
// out stays as it was (RFC 6749 6).
func (s State) received(tokens Tokens) State {
	if tokens.RefreshToken != "" {
		s.RefreshToken, s.RefreshExpires = tokens.RefreshToken, tokens.RefreshExpires
	}
	s.Unsure, s.Refused = false, time.Time{}
	return s
}

// refused is the state after a refusal that may or may not be about the session, and
// whether it has to count as one that is.
func (s State) refused(now time.Time) (State, bool) {
	if s.Refused.IsZero() {
		s.Refused = now
	}
	return s, now.Sub(s.Refused) >= patience
}

// renewed is the state with new content, and with the next generation unless that is still
// the current one.
func (s State) renewed(next Generation, content jsontext.Value, now time.Time) State {
	if next == s.Current {
		s.Renewed = now // and not Used: the grace period of the previous generation goes on from there
	} else {
		s.Previous, s.Current, s.Used, s.Renewed = s.Current, next, now, time.Time{}
	}
	s.Content = content
	s.Lease = Lease{}
	return s
}
