// Package trust decides whose access tokens guards accept: those of their own issuer,
// those of further issuers, and opaque ones that the provider vouches for. It remembers
// the tokens that it has verified.
package trust

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/background"
	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/fetch"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/core/internal/provider"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

// Options say who is trusted. Own is the verifier of the guards' own tokens: the
// provider's, or the broker's.
type Options struct {
	Own      *verify.Verifier
	Provider *provider.Provider // whom opaque tokens are asked about
	Brokers  bool               // further issuers are peers of a broker

	Introspection     bool // opaque tokens are accepted
	MaxIntrospections int  // at once
	CacheSize         int  // bytes; negative: no token is remembered

	InsecureHTTP bool // http to a further issuer that is not on loopback
	Timeout      time.Duration
	Now          func() time.Time
	Tasks        *background.Tasks
	Logger       *slog.Logger
	// Keep has the keys of an issuer outlive the process. nil: they don't.
	// Changed is told when an issuer goes away, and by nil when it is back. nil: nobody is.
	Changed func(issuer string, err error)
	Keep    func(issuer, from string, maxRSABits int, keys *fetch.Document[jose.KeySet])
}

// Trust verifies access tokens. What was found valid is remembered, until the token
// expires or its key is withdrawn. All methods may be called concurrently.
type Trust struct {
	Options
	further  atomic.Pointer[issuers]
	changing sync.Mutex     // held while further is changed
	started  atomic.Bool    // keys are fetched before the first token needs them
	opaque   *introspection // nil: such tokens are not accepted
	cache    *tokenCache
	told     atomic.Pointer[time.Time] // when the log last told of a token for somebody else
}

// New makes no calls. There are no further issuers before [Trust.SetIssuers].
func New(o Options) *Trust {
	t := &Trust{Options: o, cache: newTokenCache(o.CacheSize)}
	t.further.Store(&issuers{})
	if o.Introspection {
		t.opaque = newIntrospection(t)
	}
	return t
}

// MaxToken is the longest token that is read, in bytes.
const MaxToken = 16 << 10

// Verify decides about one token. It fails with the reason why the token is invalid, or
// with a fault when the keys to verify it with can't be had.
func (t *Trust) Verify(ctx context.Context, raw string) (*verify.Token, error) {
	if len(raw) > MaxToken {
		return nil, verify.ErrTooLong
	}
	var name tokenName
	if t.cache != nil || t.opaque != nil {
		name = nameOf(raw)
	}
	now := t.Now()
	if known := t.cache.get(&name, now); known != nil {
		if known.refused != nil {
			return nil, known.refused
		}
		if known.key == nil || known.token.By.Keys.Settled(now) {
			return known.token, nil
		}
		// It may be time to fetch the keys again, or they are too old to be used.
		if _, err := known.token.By.Keys.Get(ctx); err == nil && known.valid(now) {
			return known.token, nil
		}
	}
	c, err := verify.Read(raw, MaxToken, now)
	switch {
	case errors.Is(err, jose.ErrNoJWT) && t.opaque != nil:
		return t.introspect(ctx, raw, name)
	case err != nil:
		return nil, err
	}
	by := t.verifierOf(c.Claims)
	if by == nil {
		return nil, verify.OtherIssuer(c.Claims)
	}
	if err := by.AccessToken(ctx, c); err != nil {
		if t.opaque != nil && by == t.Own && by.Incomplete(ctx, c) {
			return t.introspect(ctx, raw, name)
		}
		t.tellAudience(ctx, by, err, func() bool { return by.Signed(ctx, c) })
		return nil, err
	}
	token := verify.NewToken(c.Claims, by)
	t.cache.add(&cachedToken{
		name: name, token: token, key: c.Key,
		until: c.Claims.Expires.Add(by.Leeway), size: sizeOf(c.Claims),
	}, now)
	return token, nil
}

// verifierOf chooses who decides by who the token says that it is of. That is not
// verified yet: the verifier does that, by this issuer's keys alone.
func (t *Trust) verifierOf(c *claim.Set) *verify.Verifier {
	if t.Own.Issuer.Names(c) {
		return t.Own
	}
	return t.further.Load().of(c)
}

// tellAudience tells the operator of a token that nothing is wrong with but whom it is
// for, since that may be a mistake in the configuration. Users of other applications
// can bring such tokens all day long: once in a while is enough, and the rest are
// events.
func (t *Trust) tellAudience(ctx context.Context, by *verify.Verifier, err error, genuine func() bool) {
	now, before := t.Now(), t.told.Load()
	mistake := errors.Is(err, verify.ErrAudience) && (by != t.Own || by.Audience.ClientID != "") // a broker knows whom its own tokens are for
	if !mistake || before != nil && now.Before(before.Add(tellAudienceAgain)) || !genuine() || !t.told.CompareAndSwap(before, &now) {
		return
	}
	t.Logger.WarnContext(ctx, "a valid token was rejected: it is meant for another audience. To accept it, add that audience to Provider.Audiences, or for a further issuer to Issuer.Audiences",
		"issuer", by.Issuer.String(), "needed", by.Audience.String(), "token", verify.Detail(err))
}

// tellAudienceAgain is after how long the log tells again of a token for somebody else.
const tellAudienceAgain = time.Hour

// introspect takes an opaque token for what the provider says of it.
func (t *Trust) introspect(ctx context.Context, raw string, name tokenName) (*verify.Token, error) {
	if !canBeToken(raw) {
		return nil, errors.New("it has a character that no token has")
	}
	c, err := t.opaque.ask(ctx, raw, name)
	now := t.Now()
	if err != nil {
		t.tellAudience(ctx, t.Own, err, func() bool { return true }) // the provider knows it
		if !errors.Is(err, fault.Unavailable) && !errors.Is(err, fault.Provider) {
			t.cache.add(&cachedToken{name: name, refused: err, until: now.Add(keepRefused), size: sizeOf(&claim.Set{})}, now)
		}
		return nil, err
	}
	token := verify.NewToken(c, t.Own)
	until := now.Add(keepIntrospected)
	if !c.Expires.IsZero() && c.Expires.Before(until) {
		until = c.Expires.Time
	}
	t.cache.add(&cachedToken{name: name, token: token, until: until, size: sizeOf(c)}, now)
	return token, nil
}
