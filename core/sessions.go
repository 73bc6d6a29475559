package core

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/broker"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/session"
)

// Session is a login session of a [Broker], for a page on which users see where they are
// signed in. It contains no secret: whoever knows its ID can do nothing with it.
type Session struct {
	// ID is the claim sid of the session's access tokens: see [Token.SessionID].
	ID string
	// Subject is the user's subject at the provider, also with Broker.SubjectIsUsername.
	Subject string
	// Client is the id of the client to which the session's tokens belong.
	Client string
	// ProviderSession is the provider's name for its own session, the sid of its ID token
	// (OpenID Connect Back-Channel Logout 1.0, 2.1); "" if it gave none.
	ProviderSession string
	// Began is when the user signed in, and Refreshed when the tokens were last renewed;
	// before the first refresh they are equal.
	Began, Refreshed time.Time
	// Ends is when the session ends if it is not refreshed before then.
	Ends time.Time
	// Device is what Broker.Device said of the login; the zero Device without it.
	Device Device
}

// Device is where a user signed in, for a list of [Session]s. It is what a request says, and
// proves nothing. Each field is cut to 256 bytes, and control characters are removed.
type Device struct {
	Address   string // the IP address of the browser or program
	UserAgent string
}

// deviceOf is what the application tells of the request of a login.
func (a *Auth) deviceOf(r *http.Request) (device broker.Device) {
	if a.config.Broker != nil && a.config.Broker.Device != nil {
		_ = fault.Catch(a.config.Logger, "Broker.Device", func() error {
			device = broker.Device(a.config.Broker.Device(r))
			return nil
		})
	}
	return device
}

// Sessions lists the sessions of a user that have not ended, newest first. subject is the
// user's subject at the provider ([Session].Subject, Event.Subject), which is the sub of
// tokens unless Broker.SubjectIsUsername. A session whose record can't be decrypted is
// missing, and the log says so; [Auth.Revoke] ends it all the same.
//
// The errors are [ErrUnavailable] when the store can't be reached, and a plain error for an
// empty subject or without a [Broker]. It may be called concurrently.
func (a *Auth) Sessions(ctx context.Context, subject string) ([]Session, error) {
	if a.broker == nil {
		return nil, errors.New("core.Auth.Sessions needs Config.Broker")
	}
	found, err := a.broker.Find(ctx, subject)
	if err != nil {
		return nil, asError(err)
	}
	sessions := make([]Session, len(found))
	for i, s := range found {
		sessions[i] = Session{
			ID: s.ID, Subject: s.Subject, Client: s.Client, ProviderSession: s.ProviderSession,
			Began: s.Began, Refreshed: s.Refreshed, Ends: s.Ends, Device: Device(s.Device),
		}
	}
	return sessions, nil
}

// Who selects the sessions that [Auth.Revoke] ends: those that match all fields that are
// set. The zero Who is an error, because it would match everybody.
type Who struct {
	// Session is the ID of one session.
	Session string
	// Subject is the user's subject at the provider.
	Subject string
	// Client is the id of a client.
	Client string
	// ProviderSession is the provider's name for its session.
	ProviderSession string
	// Before selects sessions that began earlier. With nothing else it is for emergencies:
	// time.Now() signs everybody out.
	Before time.Time
}

// Revoke ends sessions and returns how many. Sessions that have ended already, or that are
// ended by somebody else meanwhile, are not counted. Each session that it ends is an
// [EventEnd] with [ReasonRevoked].
//
// A session that was revoked never comes back: its refresh token is rejected at once, at
// all replicas, and a refresh that is under way gives no tokens. Its access tokens are
// accepted until they expire, or with Broker.CheckSession for that long at other replicas,
// and here no more.
//
// Revoke does not tell the provider. The user stays signed in there, and the provider's
// refresh token, which is deleted with the session, stays valid. The logout route revokes
// it.
//
// With Session, Subject or ProviderSession, Revoke reads only the records that match.
// With Client or Before alone it reads all sessions, page by page. If some can't be ended,
// it ends the others, and returns their number together with [ErrUnavailable], whose cause
// names each of them. A session that can't be decrypted can't be refreshed either: with
// Session, Subject or ProviderSession it is ended, although Client and Before can't be compared,
// and the log says so; with those alone it can't be ended. Without a [Broker], and for the
// zero Who, the error is a plain one. It may be called concurrently, and again after an error.
func (a *Auth) Revoke(ctx context.Context, who Who) (int, error) {
	if a.broker == nil {
		return 0, errors.New("core.Auth.Revoke needs Config.Broker")
	}
	filter := broker.Filter{
		Session: who.Session, Subject: who.Subject, Client: who.Client, ProviderSession: who.ProviderSession, Before: who.Before,
	}
	count, err := a.broker.End(ctx, filter, session.ReasonRevoked)
	return count, asError(err)
}

// Live reports whether a token that was verified before is still good: nil if it is, also
// for a token without a session of the broker's. Its errors are [ErrInvalidToken] when the
// session has ended or the token is past [Token.GoodUntil], [ErrUnavailable] when the store
// can't tell, and [ErrMissingToken] for the zero Token. It is for streams, connections and
// jobs that go on for longer than a request, and that ask from time to time.
//
// With Broker.CheckSession, an answer is remembered for that long, as at guards. Without,
// each call asks the store. It may be called concurrently.
func (a *Auth) Live(ctx context.Context, token Token) error {
	if !token.Valid() {
		return ErrMissingToken.because("There is no token.")
	}
	if end := token.GoodUntil(); !end.IsZero() && !a.now().Before(end) {
		return ErrInvalidToken.because("The access token is invalid: it has expired.")
	}
	return a.checkSession(ctx, token)
}

// checkSession tells whether the session of a token goes on, if it is one of the broker's.
func (a *Auth) checkSession(ctx context.Context, token Token) error {
	if a.broker == nil || token.verified.By != a.trust.Own {
		return nil
	}
	if id := token.SessionID(); id != "" {
		return asError(a.broker.Live(ctx, id))
	}
	return nil
}
