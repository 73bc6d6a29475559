package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/jose"
)

// Expectation is what is known about the login that an ID token ends.
type Expectation struct {
	AccessToken string
	// nonce checks the nonce and tells the max_age, in seconds, that the login
	// asked for, if it did. It is nil where the login has no nonce to compare
	// with (device logins and refreshes).
	Nonce func(nonce string) (maxAge *int, ok bool)
}

// Failures of an ID token that have an answer of their own.
var (
	ErrNonce  = errors.New("the nonce is from another login")
	ErrMaxAge = errors.New("the user signed in longer ago than max_age allows")

	ErrNoAuthTime = errors.New("it has no auth_time, which a login with max_age requires: configure the provider to send it, or log in without max_age")
)

// IDToken verifies an ID token by OpenID Connect Core 3.1.3.7.
func (v *Verifier) IDToken(ctx context.Context, raw string, expected Expectation) (*claim.Set, error) {
	c, err := v.verify(ctx, raw, fromProvider, maxHandedOver,
		v.ofIssuer, v.times, v.issuedForUs, expected.checkNonce, expected.checkHash, v.age)
	if err != nil {
		return nil, err
	}
	return c.Claims, nil
}

// Readable gives the claims of an access token that the provider has just issued to us. It
// need not be meant for us. The claims are nil for a token that is invalid or no JWT, which
// many are. Where the keys can't be had, Readable fails, but not beside an ID token, which
// was verified and is enough.
func (v *Verifier) Readable(ctx context.Context, raw string, besideIDToken bool) (*claim.Set, error) {
	from := fromProvider
	if besideIDToken {
		from = caller
	}
	c, err := v.verify(ctx, raw, from, maxHandedOver, v.ofIssuer, v.times)
	var e *fault.Error
	switch {
	case err == nil:
		return c.Claims, nil
	case errors.As(err, &e) && !besideIDToken:
		return nil, err
	}
	return nil, nil
}

// forClient checks that the client's id is in aud.
func (v *Verifier) forClient(c *Candidate) error {
	if !slices.Contains(c.Claims.Audience, v.ClientID) {
		return otherAudience(c.Claims)
	}
	return nil
}

// issuedForUs checks audience and party (OpenID Connect Core 3.1.3.7, 3 to 5), subject and
// time of issue of an ID token.
func (v *Verifier) issuedForUs(c *Candidate) error {
	aud, party := c.Claims.Audience, c.Claims.AuthorizedParty
	switch {
	case !slices.Contains(aud, v.ClientID):
		return errors.New("it is meant for another audience")
	case len(aud) > 1 && party == "", party != "" && party != v.ClientID:
		return errors.New("it was issued to another party (azp)")
	case claim.CheckSubject(c.Claims.Subject) != nil:
		return fmt.Errorf("its sub %w", claim.CheckSubject(c.Claims.Subject))
	case c.Claims.IssuedAt.IsZero():
		return errors.New("it has no iat")
	}
	return nil
}

func (e Expectation) checkNonce(c *Candidate) error {
	if e.Nonce == nil {
		return nil
	}
	if c.Claims.Nonce == nil {
		return ErrNonce
	}
	var ok bool
	if c.maxAge, ok = e.Nonce(*c.Claims.Nonce); !ok {
		return ErrNonce
	}
	return nil
}

// checkHash binds the access token to the ID token that came with it (OpenID
// Connect Core 3.1.3.8).
func (e Expectation) checkHash(c *Candidate) error {
	if c.Claims.AccessTokenHash == nil {
		return nil
	}
	hash, err := jose.HalfHash(c.jws.Header.Algorithm, e.AccessToken)
	if err != nil || hash != *c.Claims.AccessTokenHash {
		return errors.New("its at_hash is that of another access token")
	}
	return nil
}

// age checks that the user signed in no longer ago than max_age allows (OpenID Connect
// Core 3.1.2.1).
func (v *Verifier) age(c *Candidate) error {
	if c.maxAge == nil {
		return nil
	}
	oldest := c.now.Add(-time.Duration(*c.maxAge)*time.Second - v.Leeway)
	switch {
	case c.Claims.AuthTime.IsZero():
		return ErrNoAuthTime
	case c.Claims.AuthTime.Before(oldest):
		return ErrMaxAge
	}
	return nil
}

// Limits of what the provider itself hands us, in bytes.
const (
	maxHandedOver = 64 << 10
	maxHint       = 4 << 10 // longer URLs are refused by many a server
)

// Userinfo verifies a signed userinfo answer of at most limit bytes (OpenID Connect Core
// 5.3.2), which the provider has just given.
func (v *Verifier) Userinfo(ctx context.Context, raw string, limit int) (*claim.Set, error) {
	c, err := v.verify(ctx, raw, fromProvider, limit, v.ofIssuer, v.timely, v.forClient)
	if err != nil {
		return nil, err
	}
	return c.Claims, nil
}

// IssuedHere reports whether an ID token was issued to this application by its provider,
// and the provider still publishes the key that has signed it. It may have expired. One
// of more than 4 KiB is too long for a logout URL, and not worth the logout.
func (v *Verifier) IssuedHere(ctx context.Context, raw string) bool {
	_, err := v.verify(ctx, raw, caller, maxHint, v.ofIssuer, v.issuedForUs)
	return err == nil
}
