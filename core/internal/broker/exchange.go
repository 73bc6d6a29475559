package broker

import (
	"context"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

// Exchange gives a token of ours for one of the provider's (RFC 8693). The
// new token has no more scopes, lives no longer, has no session, and can't be
// refreshed.
func (b *Broker) Exchange(ctx context.Context, raw string, wanted Narrowing) (tokens Tokens, subjectID string, err error) {
	c, err := verify.Read(raw, MaxToken, b.Now())
	if err == nil {
		err = b.Provider.Verifier().AccessToken(ctx, c)
	}
	if err != nil {
		return Tokens{}, "", subjectTokenError(err)
	}
	subject := c.Claims
	if err := wanted.within(subject.Scopes()); err != nil {
		return Tokens{}, subject.Subject, err
	}
	actor, err := actorOf(subject)
	if err != nil {
		return Tokens{}, subject.Subject, err
	}
	keys, err := b.keys.Get(ctx)
	if err != nil {
		return Tokens{}, subject.Subject, err
	}
	who, err := b.identify(ctx, evidence{why: OnExchange, actor: actor, subject: subject.Subject, access: subject, granted: strings.Join(wanted.scopesOf(subject.Scopes()), " "), raw: raw}, func() error { return nil })
	if err != nil {
		return Tokens{}, subject.Subject, err
	}
	expires := b.Now().Add(b.TokenLifetime)
	if subject.Expires.Before(expires) {
		expires = subject.Expires.Time
	}
	minted, err := b.mint(keys, minting{who: who, issuer: b.Provider.Issuer, subject: subject.Subject, wanted: wanted, actor: actor, expires: expires})
	if err != nil {
		return Tokens{}, subject.Subject, err
	}
	return Tokens{AccessToken: minted, Scope: strings.Join(who.Scopes, " "), Expires: expires.Truncate(time.Second)}, subject.Subject, nil
}

// actorOf tells who acts for the subject, as the token has it (RFC 8693 4.1): a new token must
// not hide that. It is nil for nobody.
func actorOf(c *claim.Set) (jsontext.Value, error) {
	var said struct {
		Actor jsontext.Value `json:"act"`
	}
	if err := json.Unmarshal(c.Payload, &said); err != nil {
		return nil, err
	}
	switch said.Actor.Kind() {
	case '{':
		return said.Actor, nil
	case 'n', 0:
		return nil, nil
	}
	return nil, fault.InvalidRequest.New("The claim act of the subject_token is not an object.")
}

// subjectTokenError is why a token was not accepted that came as a parameter (RFC 8693
// 2.2.2).
func subjectTokenError(err error) error {
	reason, unavailable := verify.Reason(err)
	if unavailable != nil {
		return unavailable
	}
	return fault.InvalidRequest.New("The subject_token is invalid: " + reason + ".").From(verify.Detail(err))
}
