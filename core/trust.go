package core

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

// trust decides whose access tokens guards take: those of their own issuer, which
// is the provider or the broker, those of further issuers, and opaque ones that
// the provider vouches for. What was found good is remembered, until the token
// ends or its key is withdrawn.
type trust struct {
	own      *verify.Verifier
	further  atomic.Pointer[issuers]
	changing sync.Mutex     // held while further is changed
	started  atomic.Bool    // keys are fetched before the first token needs them
	opaque   *introspection // nil: such tokens are not taken
	cache    *tokenCache
	now      func() time.Time
	logger   *slog.Logger
	told     atomic.Pointer[time.Time] // when the log last told of a token for somebody else
}

// verify decides about one token.
func (t *trust) verify(ctx context.Context, raw string) (Token, error) {
	if len(raw) > maxToken {
		return Token{}, verify.ErrTooLong
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
		if known.key == nil || known.token.verified.By.Keys.Settled(now) {
			return known.token, nil
		}
		// It may be time to fetch the keys again, or they are too old to be used.
		if _, err := known.token.verified.By.Keys.Get(ctx); err == nil && known.good(now) {
			return known.token, nil
		}
	}
	c, err := verify.Read(raw, maxToken, now)
	switch {
	case errors.Is(err, jose.ErrNoJWT) && t.opaque != nil:
		return t.introspect(ctx, raw, name)
	case err != nil:
		return Token{}, err
	}
	by := t.verifierOf(c.Claims)
	if by == nil {
		return Token{}, verify.OtherIssuer(c.Claims)
	}
	if err := by.AccessToken(ctx, c); err != nil {
		if t.opaque != nil && by == t.own && by.Incomplete(ctx, c) {
			return t.introspect(ctx, raw, name)
		}
		t.tellAudience(ctx, by, err, func() bool { return by.Signed(ctx, c) })
		return Token{}, err
	}
	token := Token{verify.NewToken(c.Claims, by)}
	t.cache.add(&cachedToken{
		name: name, token: token, key: c.Key,
		until: c.Claims.Expires.Add(by.Leeway), size: sizeOf(c.Claims),
	}, now)
	return token, nil
}

// verifierOf chooses who decides by who the token says that it is of. That is not
// verified yet: the verifier does that, by this issuer's keys alone.
func (t *trust) verifierOf(c *claim.Set) *verify.Verifier {
	if t.own.Issuer.Names(c) {
		return t.own
	}
	return t.further.Load().of(c)
}

// tellAudience tells the operator of a token that nothing is wrong with but whom it is
// for, since that may be a mistake in the configuration. Users of other applications
// can bring such tokens all day long: once in a while is enough, and the rest are
// events.
func (t *trust) tellAudience(ctx context.Context, by *verify.Verifier, err error, genuine func() bool) {
	now, before := t.now(), t.told.Load()
	mistake := errors.Is(err, verify.ErrAudience) && (by != t.own || by.Audience.ClientID != "") // a broker knows whom its own tokens are for
	if !mistake || before != nil && now.Before(before.Add(tellAudienceAgain)) || !genuine() || !t.told.CompareAndSwap(before, &now) {
		return
	}
	t.logger.WarnContext(ctx, "a valid token was refused: it is meant for another audience. If it should be good here, name that in Provider.Audiences, or for a further issuer in Issuer.Audiences",
		"issuer", by.Issuer.String(), "needed", by.Audience.String(), "token", fault.CauseOf(tokenError(err)))
}

// tellAudienceAgain is after how long the log tells again of a token for somebody else.
const tellAudienceAgain = time.Hour

// introspect takes an opaque token for what the provider says of it.
func (t *trust) introspect(ctx context.Context, raw string, name tokenName) (Token, error) {
	if !canBeToken(raw) {
		return Token{}, errors.New("the token has a character that no token has")
	}
	c, err := t.opaque.ask(ctx, raw, name)
	now := t.now()
	if err != nil {
		t.tellAudience(ctx, t.own, err, func() bool { return true }) // the provider knows it
		if !errors.Is(err, fault.Unavailable) && !errors.Is(err, fault.Provider) {
			t.cache.add(&cachedToken{name: name, refused: err, until: now.Add(keepRefused), size: sizeOf(&claim.Set{})}, now)
		}
		return Token{}, err
	}
	token := Token{verify.NewToken(c, t.own)}
	until := now.Add(keepIntrospected)
	if !c.Expires.IsZero() && c.Expires.Before(until) {
		until = c.Expires.Time
	}
	t.cache.add(&cachedToken{name: name, token: token, until: until, size: sizeOf(c)}, now)
	return token, nil
}
