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

// passes gives the error of the first check that the token fails.
func (c *Candidate) passes(checks ...check) error {
	for _, check := range checks {
		if err := check(c); err != nil {
			return err
		}
	}
	return nil
}

// check is one rule for a token. Its error says what is wrong with the token, which it calls
// "it": whoever answers puts "The access token is invalid: " before it.
type check func(*Candidate) error

var (
	ErrTooLong = errors.New("it is too long")
	errIssuer  = errors.New("it is from another issuer")

	ErrAudience = errors.New("it is meant for another audience")
)

// Misdirected is the error of a token of another issuer or for another audience.
type Misdirected struct {
	error
	Detail string // what the token says, for logs and events alone
}

// Unwrap gives the error without the detail.
func (m Misdirected) Unwrap() error { return m.error }

// OtherIssuer makes the error of a token that no accepted issuer has issued.
func OtherIssuer(c *claim.Set) error {
	return Misdirected{errIssuer, "its iss is " + text.Excerpt(c.Issuer)}
}

func otherAudience(c *claim.Set) error {
	detail := fmt.Sprintf("its aud is %s, its azp %s, its client_id %s", text.Excerpt(strings.Join(c.Audience, " ")), text.Excerpt(c.AuthorizedParty), text.Excerpt(c.ClientID))
	return Misdirected{ErrAudience, detail}
}

// Read parses a token of at most limit bytes. It fails for one that is no JWT, whose
// algorithm is not among [jose.Algorithms] or whose claims are malformed. The signature
// is not checked.
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

var errAlgorithm = errors.New("its algorithm is not accepted")

func (v *Verifier) ofIssuer(c *Candidate) error {
	if !v.Issuer.Names(c.Claims) {
		return errIssuer
	}
	return nil
}

func (v *Verifier) times(c *Candidate) error {
	if c.Claims.Expires.IsZero() {
		return errors.New("it has no exp")
	}
	return v.timely(c)
}

// timely checks the times of a token that need not have an expiry.
func (v *Verifier) timely(c *Candidate) error {
	switch {
	case !c.Claims.Expires.IsZero() && !c.now.Before(c.Claims.Expires.Add(v.Leeway)):
		return errors.New("it has expired")
	case !c.Claims.NotBefore.IsZero() && c.now.Before(c.Claims.NotBefore.Add(-v.Leeway)):
		return errors.New("it is not valid yet")
	case !c.Claims.IssuedAt.IsZero() && c.now.Before(c.Claims.IssuedAt.Add(-v.Leeway)):
		return errors.New("it was issued in the future")
	}
	return nil
}

// Reason tells why a token is invalid, to be put after "the token is invalid: ". If its keys
// are not available, for whatever reason, nothing is known about the token: then the reason
// is empty, and unavailable is the error to return.
func Reason(err error) (reason string, unavailable error) {
	var f *fault.Error
	switch {
	case !errors.As(err, &f):
		return err.Error(), nil
	case errors.Is(f, fault.Unavailable):
		return "", err
	}
	return "", fault.Unavailable.New("The keys that verify the token are not available at the moment.").From(err).Soon()
}

// Detail gives what logs and events tell besides about a token that was not accepted; nil
// for nothing.
func Detail(err error) error {
	var elsewhere Misdirected
	if errors.As(err, &elsewhere) {
		return errors.New(elsewhere.Detail)
	}
	return nil
}
