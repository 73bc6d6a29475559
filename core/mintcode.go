package core

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// MintOptions say for whom, and for how long, a token of [Auth.Mint] is valid. The zero
// value makes one that is as a login's.
type MintOptions struct {
	// Audiences are some of Broker.Audience, Broker.Resources and Broker.PeerAudiences. nil: all of them.
	Audiences []string
	// Lifetime is how long the token is valid, in whole seconds. 0: Broker.TokenLifetime;
	// at most a day.
	Lifetime time.Duration
}

// Mint makes an access token of the broker's (RFC 9068) from code, without a login: for a
// job that calls this application or a peer, or for a test. It has no session, so that it
// can't be refreshed nor ended: whoever gets it has it until it expires.
//
//	raw, err := auth.Mint(ctx, core.Identity{Subject: "nightly-report", Scopes: []string{"orders:read"}}, core.MintOptions{})
//
// Subject is needed. Issuer is the provider if it is the provider's subject; "" means that
// the application has given it, and the token has no idp_iss. Claims are held against
// Config.Require and are not in the token. Broker.Identify is not called. Each call is an
// [EventMint].
//
// It fails with [ErrInvalidTarget] for another audience, [ErrAccessDenied] if
// Config.Require refuses the identity, [ErrUnavailable] while the signing keys can't be
// read, and with another error for a mistake in the program: no [Broker], no usable
// Subject, a reserved claim in Extra, a Lifetime that is out of bounds, a token that is too
// large. It may be called concurrently.
func (a *Auth) Mint(ctx context.Context, who Identity, o MintOptions) (string, error) {
	if a.broker == nil {
		return "", errors.New("core.Auth.Mint needs Config.Broker")
	}
	raw, err := a.broker.Mint(ctx, who.inner(), o.Audiences, o.Lifetime)
	a.observe(ctx, Event{Kind: EventMint, Issuer: cmp.Or(who.Issuer, a.config.PublicURL), Subject: who.Subject}, err)
	return raw, asError(err)
}
