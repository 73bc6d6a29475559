package broker

import (
	"cmp"
	"context"
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/core/internal/provider"
	"github.com/oidcgate/oidcgate/core/internal/session"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

// refreshAnswer is the provider's answer to a refresh.
type refreshAnswer struct {
	b       *Broker
	session string // its id
	state   session.State
	answer  Tokens
}

func (r *refreshAnswer) Tokens() session.Tokens {
	return session.Tokens{RefreshToken: r.answer.RefreshToken, RefreshExpires: r.answer.RefreshExpires}
}

// Judge implements session.Answer.
func (r *refreshAnswer) Judge(ctx context.Context, save func() error) (jsontext.Value, error) {
	b, saved := r.b, false
	once := func() error {
		if saved {
			return nil
		}
		saved = true
		return save()
	}
	before, err := b.recall(r.state)
	if err != nil {
		return nil, err
	}
	if v := b.Provider.Verifier(); !v.Knows(ctx, r.answer.IDToken) || !v.Knows(ctx, r.answer.AccessToken) {
		if err := once(); err != nil { // the provider's keys must be fetched
			return nil, err
		}
	}
	e, err := r.evidence(ctx, before)
	if err != nil {
		return nil, err
	}
	who, err := b.identify(ctx, e, once)
	switch {
	case errors.Is(err, provider.ErrOtherSubject), err == nil && b.SubjectIsUsername && who.Username != before.Username:
		return nil, &session.Ended{Reason: session.ReasonSubject, Cause: err}
	case errors.Is(err, fault.AccessDenied):
		return nil, &session.Ended{Reason: session.ReasonDenied, Cause: err}
	case err != nil:
		return nil, err
	}
	who.Access = keepAccess(r.answer) // which is known to be the same user's by now
	content, err := json.Marshal(who, json.Deterministic(true))
	if err != nil {
		return nil, identityError(err)
	}
	return content, nil
}

// evidence verifies what the provider has answered. The user can't have become
// another one. What it leaves out stays as it was: the scope (RFC 6749 6), and
// the ID token (OpenID Connect Core 12.2).
func (r *refreshAnswer) evidence(ctx context.Context, before remembered) (e evidence, err error) {
	v, answer := r.b.Provider.Verifier(), r.answer
	e = evidence{
		why: OnRefresh, session: r.session,
		subject: r.state.Subject, raw: answer.AccessToken, before: &before, client: before.Client, device: before.Device, browser: before.Browser, nonce: before.Nonce,
		stale:   answer.IDToken == "",
		idToken: cmp.Or(answer.IDToken, before.IDToken),
		granted: cmp.Or(answer.Scope, before.Granted),
	}
	if answer.IDToken == "" {
		e.id, err = verifiedBefore(before.IDToken)
	} else if e.id, err = v.IDToken(ctx, answer.IDToken, verify.Expectation{AccessToken: answer.AccessToken}); err != nil {
		err = provider.IDTokenFault(err)
	} else if e.id.Nonce != nil && *e.id.Nonce != before.Nonce {
		// Some providers leave the nonce out here, others repeat the first one.
		err = provider.IDTokenFault(errors.New("the ID token has the nonce of another login"))
	}
	if err != nil {
		return evidence{}, err
	}
	if e.access, err = v.Readable(ctx, answer.AccessToken, answer.IDToken != ""); err != nil {
		return evidence{}, err
	}
	// An access token may name its subject otherwise, for another audience; then
	// it never told who the user is, and userinfo will.
	changed := e.id != nil && e.id.Subject != e.subject ||
		e.id == nil && e.access != nil && e.access.Subject != "" && e.access.Subject != e.subject
	if changed {
		return evidence{}, &session.Ended{Reason: session.ReasonSubject}
	}
	e.dropForeignAccess()
	return e, nil
}

// verifiedBefore are the claims of an ID token that was verified when it came,
// nil for none.
func verifiedBefore(raw string) (*claim.Set, error) {
	if raw == "" {
		return nil, nil
	}
	token, err := jose.Cut(raw)
	if err != nil {
		return nil, err
	}
	return claim.Parse(token.Payload)
}
