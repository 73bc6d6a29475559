package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/oidcgate/oidcgate/core"
)

// withCache and withoutCache are Config.CacheSize: its default, by which a token
// that was verified before is a hit, and none, by which each is a miss.
const (
	withCache    = 0
	withoutCache = -1
)

// newAuth is our library, set up as its documentation shows it. A clock of nil is
// the real one.
func newAuth(i *issuer, cacheSize int, now func() time.Time) (*core.Auth, error) {
	return core.New(core.Config{
		Providers: []core.Provider{{Issuer: i.url, ClientID: audience, Audiences: []string{audience}}}, PublicURL: "https://shop.example.org/api",
		// of aud alone, as the others go by
		CacheSize: cacheSize, Now: now, Logger: slog.New(slog.DiscardHandler),
	})
}

// hit and miss are our verifiers. They check issuer, audience, exp, nbf, iat, and
// that the token is an access token and no ID token; claims are decoded as far as
// that needs, and the rest when it is asked for. An unknown kid is worth a fetch in
// ten seconds.
func hit(ctx context.Context, i *issuer, _ string) (verifier, error) {
	return ours(ctx, i, nameHit, withCache, nil)
}

func miss(ctx context.Context, i *issuer, _ string) (verifier, error) {
	return ours(ctx, i, nameMiss, withoutCache, nil)
}

func ours(ctx context.Context, i *issuer, name string, cacheSize int, now func() time.Time) (verifier, error) {
	auth, err := newAuth(i, cacheSize, now)
	if err != nil {
		return verifier{}, err
	}
	context.AfterFunc(ctx, func() { _ = auth.Close() })
	return verifier{
		name: name,
		subject: func(raw string) (string, error) {
			token, err := auth.Verify(ctx, raw)
			return token.Subject(), err
		},
		person: func(raw string) (p person, err error) {
			token, err := auth.Verify(ctx, raw)
			if err != nil {
				return p, err
			}
			return p, token.Decode(&p)
		},
	}, nil
}
