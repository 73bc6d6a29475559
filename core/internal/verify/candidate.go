package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/core/internal/text"
)

// Candidate is a token on its way through the checks.
type Candidate struct {
	jws    jose.Token
	Claims *claim.Set
	now    time.Time
	maxAge *int      // seconds: how old the user's login may be; nil: any age
	Key    *jose.Key // that has signed it

	declared bool // an introspection answer calls it an access token (RFC 7662 2.2, token_type)
}

// passes reports why a token fails one of the checks.
func (c *Candidate) passes(checks ...check) error {
	for _, check := range checks {
		if err := check(c); err != nil {
			return err
		}
	}
	return nil
}

// check is one thing that a token must satisfy. Its error is the sentence that
// the caller is told.
type check func(*Candidate) error

var (
	ErrTooLong = errors.New("the token is too long")
	errIssuer  = errors.New("the token is of another issuer")

	ErrAudience = errors.New("the token is meant for another audience")
)

// Misdirected is the error of a token that is somebody else's, or for somebody else. What
// an operator wants to know of it is for logs and events alone.
type Misdirected struct {
	error
	Detail string
}

func (m Misdirected) Unwrap() error { return m.error }

func OtherIssuer(c *claim.Set) error {
	return Misdirected{errIssuer, "its iss is " + text.Excerpt(c.Issuer)}
}

func otherAudience(c *claim.Set) error {
	detail := fmt.Sprintf("its aud is %s, its azp %s, its client_id %s", text.Excerpt(strings.Join(c.Audience, " ")), text.Excerpt(c.AuthorizedParty), text.Excerpt(c.ClientID))
	return Misdirected{ErrAudience, detail}
}

// Read takes a token apart, and refuses one that nobody could have issued.
func Read(raw string, limit int, now time.Time) (*Candidate, error) {
	if len(raw) > limit {
		return nil, ErrTooLong
	}
	jws, err := jose.Cut(raw)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(jose.Algorithms, jws.Header.Algorithm) {
		return nil, errAlgorithm
	}
	c := &Candidate{jws: jws, now: now}
	c.Claims, err = claim.Parse(jws.Payload)
	return c, err
}

var errAlgorithm = errors.New("the token's algorithm is not accepted")

func (v *Verifier) ofIssuer(c *Candidate) error {
	if !v.Issuer.Names(c.Claims) {
		return errIssuer
	}
	return nil
}

func (v *Verifier) times(c *Candidate) error {
	if c.Claims.Expires.IsZero() {
		return errors.New("the token has no expiry")
	}
	return v.timely(c)
}

// timely is times for a token that need not say when it ends.
func (v *Verifier) timely(c *Candidate) error {
	leeway := v.Leeway
	switch {
	case !c.Claims.Expires.IsZero() && !c.now.Before(c.Claims.Expires.Add(leeway)):
		return errors.New("the token has expired")
	case !c.Claims.NotBefore.IsZero() && c.now.Before(c.Claims.NotBefore.Add(-leeway)):
		return errors.New("the token is not valid yet")
	case !c.Claims.IssuedAt.IsZero() && c.now.Before(c.Claims.IssuedAt.Add(-leeway)):
		return errors.New("the token was issued in the future")
	}
	return nil
}

// Reason is why a token was not accepted, to be put after "the token is invalid: ". That keys can't be had, for whatever reason,
// says nothing about the token: then there is a fault instead.
func Reason(err error) (reason string, unavailable error) {
	var f *fault.Error
	switch {
	case !errors.As(err, &f):
		return strings.NewReplacer("the token's ", "its ", "the token ", "it ").Replace(err.Error()), nil
	case errors.Is(f, fault.Unavailable):
		return "", err
	}
	return "", fault.Unavailable.New("The keys to verify the token with can't be had at the moment.").From(err).Soon()
}

// Detail is what an operator wants to know besides of a token that was not accepted, nil
// for nothing.
func Detail(err error) error {
	var elsewhere Misdirected
	if errors.As(err, &elsewhere) {
		return errors.New(elsewhere.Detail)
	}
	return nil
}
