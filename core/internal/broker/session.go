package broker

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/session"
	"github.com/oidcgate/oidcgate/store"
)

// storedSession is one session's record, as the state machine sees it.
type storedSession struct {
	b  *Broker
	id string
	// keys are what the record is found by.
	keys [2]string
	// browser: of a cookie and not of a refresh token, when it begins.
	browser bool
}

// Load implements session.Records.
func (s *storedSession) Load(ctx context.Context) (session.State, int64, error) {
	var state session.State
	record, err := s.b.records.Get(ctx, kindSession, s.id, &state)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return session.State{}, 0, s.gone()
	case err != nil:
		return session.State{}, 0, err
	case !s.b.Now().Before(record.Expires):
		return session.State{}, 0, s.gone()
	}
	s.keys = record.Keys
	return state, record.Version, nil
}

// Save implements session.Records. Version 0 inserts.
func (s *storedSession) Save(ctx context.Context, state session.State, version int64) (int64, error) {
	version, err := s.b.records.Put(ctx, store.Record{
		Kind: kindSession, ID: s.id, Version: version, Keys: s.keys, Expires: s.recordEnd(state),
	}, state)
	return version, conflict(err)
}

// Delete implements session.Records.
func (s *storedSession) Delete(ctx context.Context, version int64) error {
	err := conflict(s.b.records.Delete(ctx, kindSession, s.id, version))
	if err == nil {
		_ = s.gone()
	}
	return err
}

// gone is the error for a session that has ended. The guards of this process know of it at
// once.
func (s *storedSession) gone() error {
	if s.b.CheckSession > 0 {
		s.b.live.end(s.id)
	}
	if s.b.CheckBrowser > 0 {
		s.b.browsers.end(s.id)
	}
	return session.ErrGone
}

func conflict(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return session.ErrConflict
	}
	return err
}

// recordEnd is when a session's record is of no more use. One that can't be
// refreshed is kept for as long as its access token is valid, or its cookie.
func (s *storedSession) recordEnd(state session.State) time.Time {
	end := state.End(s.b.policy)
	switch {
	case state.RefreshToken != "":
	case s.browser:
		end = s.b.staleEnd(state)
	default:
		end = s.b.accessEnd(state).Add(s.b.Leeway)
	}
	return end.Truncate(time.Millisecond)
}

// accessEnd is when an access token ends that is minted for the session now; no
// token outlives its session.
func (b *Broker) accessEnd(state session.State) time.Time {
	end := b.Now().Add(b.TokenLifetime)
	if last := state.End(b.policy); last.Before(end) {
		return last
	}
	return end
}

// refreshEnd is when a session can't be refreshed any more: it has ended, or the
// provider's refresh token has.
func (b *Broker) refreshEnd(state session.State) time.Time {
	end := state.End(b.policy)
	if known := state.RefreshExpires; !known.IsZero() && known.Before(end) {
		return known
	}
	return end
}

// Party is whose tokens are.
type Party struct {
	Subject string // "" if unknown
	Session string // "": there is none
}

// login is what a session begins with.
type login struct {
	client  string
	device  Device
	answer  Tokens
	id      *claim.Set // nil: no ID token
	browser bool
}

// Begin makes a session of a login, and its first tokens.
func (b *Broker) Begin(ctx context.Context, client string, device Device, answer Tokens, id *claim.Set, wanted Narrowing) (body Tokens, whose Party, err error) {
	whose, err = b.begin(ctx, login{client: client, device: device, answer: answer, id: id}, func(h handle, state session.State) (err error) {
		body, err = b.body(ctx, h, state, wanted)
		return err
	})
	return body, whose, err
}

// begin makes a session. What its user gets is made before it is saved: a session for which
// nothing can be made is none.
func (b *Broker) begin(ctx context.Context, l login, give func(handle, session.State) error) (whose Party, err error) {
	h, err := b.newHandle()
	if err != nil {
		return Party{}, err
	}
	answer, id := l.answer, l.id
	e := evidence{why: OnLogin, session: h.sessionID(), client: l.client, device: l.device, browser: l.browser, id: id, idToken: answer.IDToken, raw: answer.AccessToken}
	if e.access, err = b.Provider.Verifier().Readable(ctx, answer.AccessToken, id != nil); err != nil {
		return Party{}, err
	}
	switch {
	case id != nil:
		e.subject = id.Subject
		if id.Nonce != nil {
			e.nonce = *id.Nonce
		}
	case e.access != nil:
		e.subject = e.access.Subject
	default:
		return Party{}, fault.Provider.New("The provider gave no ID token.")
	}
	if err := claim.CheckSubject(e.subject); err != nil {
		return Party{}, fault.Provider.New("The provider gave a subject that can't be used.").From(err)
	}
	whose.Subject = e.subject
	e.dropForeignAccess()
	e.granted = answer.Granted(e.access)
	who, err := b.identify(ctx, e, func() error { return nil })
	if err != nil {
		return whose, err
	}
	who.Access = keepAccess(answer)
	state, err := b.newSession(answer, e.subject, who)
	if err != nil {
		return whose, err
	}
	whose.Session = e.session
	if err := give(h, state); err != nil {
		return whose, err
	}
	s := &storedSession{b: b, id: e.session, keys: [2]string{e.subject, e.providerSession()}, browser: l.browser}
	if err := s.insert(ctx, state); err != nil {
		return whose, err
	}
	b.records.KeepHouse()
	return whose, nil
}

func (b *Broker) newHandle() (h handle, err error) {
	_, err = io.ReadFull(b.Rand, h[:])
	return h, err
}

func (b *Broker) newSession(answer Tokens, subject string, who remembered) (session.State, error) {
	first, err := b.generation(1)
	if err != nil {
		return session.State{}, err
	}
	content, err := json.Marshal(who, json.Deterministic(true))
	if err != nil {
		return session.State{}, identityError(err)
	}
	now := b.Now().UTC().Round(0)
	return session.State{
		Created: now, Used: now, Current: first, Subject: subject, Content: content,
		Tokens: session.Tokens{RefreshToken: answer.RefreshToken, RefreshExpires: answer.RefreshExpires},
	}, nil
}

// insert keeps a new session. The code that its login took is used up, and so
// a store that is down is asked again for a while.
func (s *storedSession) insert(ctx context.Context, state session.State) error {
	ctx, cancel := context.WithTimeout(ctx, s.b.patience)
	defer cancel()
	for {
		_, err := s.Save(ctx, state, 0)
		switch {
		case err == nil, errors.Is(err, session.ErrConflict):
			// A conflict is our own record, of which the first answer got lost:
			// nobody else has this id.
			return nil
		case !errors.Is(err, fault.Unavailable), pause(ctx) != nil:
			return err
		}
	}
}

// dropForeignAccess leaves an access token aside that is about somebody else than
// the ID token. One that names nobody, as Keycloak's lightweight tokens, came with it.
func (e *evidence) dropForeignAccess() {
	if e.access != nil && e.access.Subject != "" && e.access.Subject != e.subject {
		e.access = nil
	}
}

// providerSession is the provider's name for the session, by which it will
// tell us that it has ended (OpenID Connect Back-Channel Logout 1.0, 2.4).
func (e *evidence) providerSession() string {
	if e.id == nil {
		return ""
	}
	sid := e.id.Text("sid")
	if claim.CheckSubject(sid) != nil {
		return ""
	}
	return sid
}

// body is the answer for a session: a new access token, and the refresh token
// of its current generation.
func (b *Broker) body(ctx context.Context, h handle, state session.State, wanted Narrowing) (Tokens, error) {
	keys, err := b.keys.Get(ctx)
	if err != nil {
		return Tokens{}, err
	}
	who, err := b.recall(state)
	if err != nil {
		return Tokens{}, err
	}
	expires := b.accessEnd(state)
	m := minting{who: who, issuer: b.Provider.Issuer, subject: state.Subject, wanted: wanted, session: h.sessionID(), expires: expires}
	raw, err := b.mint(keys, m)
	if err != nil {
		return Tokens{}, err
	}
	answer := Tokens{AccessToken: raw, Scope: m.scope(), Expires: expires}
	if state.RefreshToken != "" {
		if answer.RefreshToken, err = b.refreshToken(who.Client, h, state.Current); err != nil {
			return Tokens{}, err
		}
		answer.RefreshExpires = b.refreshEnd(state)
	}
	return answer, nil
}
