package broker

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/seal"
	"github.com/oidcgate/oidcgate/core/internal/session"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

// A browser's session is one as any other, but for what its user has: a cookie, which
// names the session and is worth nothing as a refresh token. Guards read the session itself.

// cookiePrefix begins every cookie of a session, so that people, and programs that look
// for leaked secrets, know one when they see it.
const cookiePrefix = "ogb1."

// Where the parts of a cookie are, in bytes: the secret's name, the handle, and a MAC over
// both.
const (
	endCookieSecret = 4
	endCookieHandle = endCookieSecret + len(handle{})
	endCookie       = endCookieHandle + sha256.Size
)

// cookieLength is how long a cookie is.
var cookieLength = len(cookiePrefix) + base64.RawURLEncoding.EncodedLen(endCookie)

// cookie makes the cookie of a new session.
func (b *Broker) cookie(h handle) string {
	secret := b.cookies.First()
	cookie := append(make([]byte, 0, endCookie), secret[:]...)
	cookie = append(cookie, h[:]...)
	cookie = append(cookie, b.cookies.MACBy(secret, string(cookie))...)
	return cookiePrefix + base64.RawURLEncoding.EncodeToString(cookie)
}

// cutCookie gives the parts of what has the form of a cookie, which may be forged.
func cutCookie(raw string) (parts [endCookie]byte, ok bool) {
	if len(raw) != cookieLength || !strings.HasPrefix(raw, cookiePrefix) {
		return parts, false
	}
	encoded := unsafe.Slice(unsafe.StringData(raw), len(raw))[len(cookiePrefix):] // which is only read
	n, err := base64.RawURLEncoding.Strict().Decode(parts[:], encoded)
	return parts, err == nil && n == endCookie
}

// genuine tells whether a cookie is one of this service.
func (b *Broker) genuine(parts [endCookie]byte) bool {
	mac := b.cookies.MACBy(seal.KeyID(parts[:endCookieSecret]), string(parts[:endCookieHandle]))
	return mac != nil && hmac.Equal(mac, parts[endCookieHandle:])
}

// CookieSession is the id of the session that a cookie names; "" if it is none of ours.
func (b *Broker) CookieSession(cookie string) string {
	parts, ok := cutCookie(cookie)
	if !ok || !b.genuine(parts) {
		return ""
	}
	return handle(parts[endCookieSecret:endCookieHandle]).sessionID()
}

// BrowserSession is a browser's session, as guards remember it.
type BrowserSession struct {
	Token *verify.Token // as if the session had just been given an access token
	Ends  time.Time     // of the session, unless it is used before
	// proof has the parts of the cookie for which this was asked, found genuine.
	proof atomic.Pointer[[endCookie]byte]
}

// BeginBrowser makes a session of a login, and its cookie.
func (b *Broker) BeginBrowser(ctx context.Context, device Device, answer Tokens, id *claim.Set) (cookie string, whose Party, err error) {
	l := login{client: b.ClientID, device: device, answer: answer, id: id, browser: true}
	whose, err = b.begin(ctx, l, func(h handle, state session.State) error {
		cookie = b.cookie(h)
		_, err := b.browserSession(h.sessionID(), state, b.refreshDue(state))
		return err
	})
	if err == nil && answer.RefreshToken == "" {
		b.shortSessions.Do(func() {
			b.Logger.WarnContext(ctx, "the provider gives no refresh token: a browser's session ends after Broker.TokenLifetime and Browser.StaleFor, and its user signs in again. "+
				"Ask for one: with offline_access in Provider.Scopes at most providers, with access_type=offline and prompt=consent in Provider.AuthParams at Google",
				"ends after", b.TokenLifetime+b.StaleFor)
		})
	}
	return cookie, whose, err
}

// errForeignCookie is the error for a cookie that this service has not made.
var errForeignCookie = fault.InvalidToken.New("The session cookie is not one of this service.")

// Browser gives the session of a cookie, and refreshes it first when that is due. What it
// gives is remembered for a while: see Options.CheckBrowser. It fails with fault.InvalidToken,
// which is ErrSessionEnded for a cookie that was good once, and as Live and Refresh do.
func (b *Broker) Browser(ctx context.Context, cookie string) (*BrowserSession, error) {
	parts, ok := cutCookie(cookie)
	if !ok {
		return nil, errForeignCookie
	}
	id := handle(parts[endCookieSecret:endCookieHandle]).sessionName()
	if known := b.browsers.known(id); known != nil {
		if proof := known.proof.Load(); proof != nil && subtle.ConstantTimeCompare(proof[:], parts[:]) == 1 {
			return known, nil
		}
	}
	if !b.genuine(parts) {
		return nil, errForeignCookie
	}
	found, err := b.browsers.check(ctx, string(id[:]))
	if err != nil {
		return nil, err
	}
	proof := parts
	found.proof.Store(&proof)
	return found, nil
}

// lookBrowser is the question to the store. It refreshes the session when its access
// lifetime is over. until is when the answer counts no more.
func (b *Broker) lookBrowser(ctx context.Context, requestID, id string) (s *BrowserSession, until time.Time, err error) {
	state, _, err := (&storedSession{b: b, id: id}).Load(ctx)
	switch {
	case errors.Is(err, session.ErrGone):
		return nil, until, ErrSessionEnded
	case err != nil:
		return nil, until, err
	case state.RefreshToken == "":
		s, err = b.browserSession(id, state, b.staleEnd(state))
		return s, b.staleEnd(state), err
	case !b.Now().Before(state.End(b.policy)):
		return nil, until, ErrSessionEnded
	case b.Now().Before(b.refreshDue(state)):
		s, err = b.browserSession(id, state, b.refreshDue(state))
		return s, b.refreshDue(state), err
	}
	if b.Now().Before(b.staleEnd(state)) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, maxRenewWait)
		defer cancel()
	}
	renewed, err := b.renew(ctx, requestID, id, state, false)
	switch {
	case err == nil:
		b.Note(ctx, staleSessions, nil)
		s, err = b.browserSession(id, renewed, b.refreshDue(renewed))
		return s, b.refreshDue(renewed), err
	case errors.Is(err, fault.InvalidGrant):
		return nil, until, ErrSessionEnded
	case b.Now().Before(b.staleEnd(state)):
		b.Note(ctx, staleSessions, err)
		s, err = b.browserSession(id, state, b.staleEnd(state))
		return s, b.staleEnd(state), err
	}
	return nil, until, err
}

// maxRenewWait is how long a request waits for a slow provider while the session, or the
// provider's access token, can be used without it. The refresh itself is brought to its end.
const maxRenewWait = 2 * time.Second

// staleSessions is what the log calls sessions that go on for Options.StaleFor.
const staleSessions = "browser sessions, which go on for Browser.StaleFor without being refreshed"

// refreshDue is when a browser's session is to be refreshed: when an access token of the last
// refresh would have expired.
func (b *Broker) refreshDue(state session.State) time.Time {
	return b.notBeyond(state, state.Used.Add(b.TokenLifetime))
}

// staleEnd is when a browser's session can't be used any more if it is not refreshed.
func (b *Broker) staleEnd(state session.State) time.Time {
	return b.notBeyond(state, state.Used.Add(b.TokenLifetime+b.StaleFor))
}

// notBeyond is a time, or the end of the session if that comes first.
func (b *Broker) notBeyond(state session.State, t time.Time) time.Time {
	if end := state.End(b.policy); end.Before(t) {
		return end
	}
	return t
}

// browserSession is what guards know of a session until it ends or is looked up again.
func (b *Broker) browserSession(id string, state session.State, expires time.Time) (*BrowserSession, error) {
	who, err := b.recall(state)
	if err != nil {
		return nil, err
	}
	payload, err := b.payload(minting{who: who, issuer: b.Provider.Issuer, subject: state.Subject, session: id, expires: expires})
	if err != nil {
		return nil, err
	}
	claims, err := claim.Parse(payload)
	if err != nil {
		return nil, identityError(err)
	}
	s := &BrowserSession{Token: verify.NewToken(claims, b.own), Ends: b.refreshEnd(state)}
	if state.RefreshToken == "" {
		s.Ends = b.staleEnd(state)
	}
	return s, nil
}
