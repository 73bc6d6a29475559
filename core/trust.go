package core

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/jose"
)

// trust decides whose access tokens guards take: those of their own issuer, which
// is the provider or the broker, those of further issuers, and opaque ones that
// the provider vouches for. What was found good is remembered, until the token
// ends or its key is withdrawn.
type trust struct {
	own      *verifier
	further  atomic.Pointer[issuers]
	changing sync.Mutex     // held while further is changed
	started  atomic.Bool    // keys are fetched before the first token needs them
	opaque   *introspection // nil: such tokens are not taken
	cache    *tokenCache
	now      func() time.Time
}

// verify decides about one token.
func (t *trust) verify(ctx context.Context, raw string) (Token, error) {
	if len(raw) > maxToken {
		return Token{}, errTooLong
	}
	var name tokenName
	if t.cache != nil || t.opaque != nil {
		name = nameOf(raw)
	}
	now := t.now()
	if known := t.cache.get(&name, now); known != nil {
		if known.refused != nil {
			return Token{}, known.refused
		}
		if known.key == nil || known.token.verified.by.keys.settled(now) {
			return known.token, nil
		}
		// It may be time to fetch the keys again, or they are too old to be used.
		if _, err := known.token.verified.by.keys.get(ctx); err == nil && known.good(now) {
			return known.token, nil
		}
	}
	c, err := newCandidate(raw, maxToken, now)
	switch {
	case errors.Is(err, jose.ErrShape) && t.opaque != nil:
		return t.introspect(ctx, raw, name)
	case err != nil:
		return Token{}, err
	}
	by := t.verifierOf(c.claims)
	if by == nil {
		return Token{}, otherIssuer(c.claims)
	}
	if err := by.accessToken(ctx, c); err != nil {
		return Token{}, err
	}
	token := newToken(c.claims, by)
	t.cache.add(&cachedToken{
		name: name, token: token, key: c.key,
		until: c.claims.Expires.Add(by.config.Leeway), size: sizeOf(c.claims),
	}, now)
	return token, nil
}

// verifierOf chooses who decides by who the token says that it is of. That is not
// verified yet: the verifier does that, by this issuer's keys alone.
func (t *trust) verifierOf(c *claims) *verifier {
	if t.own.issuer.names(c) {
		return t.own
	}
	return t.further.Load().of(c)
}

// introspect takes an opaque token for what the provider says of it.
func (t *trust) introspect(ctx context.Context, raw string, name tokenName) (Token, error) {
	if !isToken68(raw) {
		return Token{}, errors.New("the token has a character that no token has")
	}
	c, err := t.opaque.ask(ctx, raw, name)
	now := t.now()
	if err != nil {
		if !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrProvider) {
			t.cache.add(&cachedToken{name: name, refused: err, until: now.Add(keepRefused), size: sizeOf(&claims{})}, now)
		}
		return Token{}, err
	}
	token := newToken(c, t.own)
	until := now.Add(keepIntrospected)
	if !c.Expires.IsZero() && c.Expires.Before(until) {
		until = c.Expires.Time
	}
	t.cache.add(&cachedToken{name: name, token: token, until: until, size: sizeOf(c)}, now)
	return token, nil
}
