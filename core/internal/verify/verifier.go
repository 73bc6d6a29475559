// Package verify decides whether tokens are valid: access tokens by RFC 7519 and RFC
// 9068, ID tokens by OpenID Connect Core 3.1.3.7. It asks nobody but its sources of keys.
package verify

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/jose"
)

// Verifier decides whether a token of one issuer is valid. It checks the issuer, the times
// and the signature of every token, and then what access tokens and ID tokens differ in.
// It may be used concurrently; its fields must not change.
type Verifier struct {
	Issuer IssuerName
	Keys   KeySource
	// Thumbprints says that each kid is the key's thumbprint (RFC 7638), as in a broker's
	// set, so that a kid never stands for another key later.
	Thumbprints bool
	Algorithms  []string // that may sign; nil: all that there are
	Audience    Audience // of access tokens
	ClientID    string   // of ID tokens
	Leeway      time.Duration
	Now         func() time.Time

	Roles   func(claims map[string]any) []string // the flat roles of a token
	Scopes  func(asserted []string) []string     // what those of a token count as; nil: as they are
	Require []Rule                               // that guards add to their own
}

// KeySource gives an issuer's keys; see fetch.Document.
type KeySource interface {
	Settled(now time.Time) bool
	Get(ctx context.Context) (jose.KeySet, error)
	Renew(ctx context.Context, must bool) (jose.KeySet, error)
}

// Knows reports whether a token can be verified without a fetch, as far as the name
// of its key tells.
func (v *Verifier) Knows(ctx context.Context, raw string) bool {
	token, err := jose.Cut(raw)
	if err != nil {
		return true // it is no JWT
	}
	keys, err := v.Keys.Get(ctx)
	return err == nil && keys.Names(token.Header)
}

// verify reads a token and applies the checks.
func (v *Verifier) verify(ctx context.Context, raw string, from origin, limit int, checks ...check) (*Candidate, error) {
	c, err := Read(raw, limit, v.Now())
	if err != nil {
		return nil, err
	}
	return c, v.check(ctx, c, from, checks...)
}

// check applies the checks and verifies the signature last: that, and maybe a fetch of
// keys, is what costs time.
func (v *Verifier) check(ctx context.Context, c *Candidate, from origin, checks ...check) error {
	if v.Algorithms != nil && !slices.Contains(v.Algorithms, c.jws.Header.Algorithm) {
		return errAlgorithm
	}
	if err := c.passes(checks...); err != nil {
		return err
	}
	return v.signature(ctx, c, from)
}

// origin is who handed us a token.
type origin bool

const (
	caller       origin = false
	fromProvider origin = true // over TLS, in answer to a request of ours
)

// maxTries is how many keys a token is tried with when several fit its header. An issuer
// may publish many costly ones, and a caller may send tokens that nobody has signed.
const maxTries = 8

// signature finds the key and verifies the signature. Where none of the keys has signed
// the token, the issuer may have published another since: under a new kid, under the same
// one, or under none. So the keys are fetched again. How often callers may cause that is
// limited, but a token that the provider itself has just issued always may.
func (v *Verifier) signature(ctx context.Context, c *Candidate, from origin) error {
	keys, err := v.Keys.Get(ctx)
	if err != nil {
		return err
	}
	if c.Key, err = signedBy(keys, c.jws); err == nil || v.Thumbprints && keys.Names(c.jws.Header) {
		return err
	}
	next, failed := v.Keys.Renew(ctx, from == fromProvider)
	switch {
	case failed != nil:
		return failed
	case slices.Equal(next, keys): // a key that stays is the same one
		return err
	}
	c.Key, err = signedBy(next, c.jws)
	return err
}

// signedBy finds the key that has signed a token.
func signedBy(keys jose.KeySet, token jose.Token) (*jose.Key, error) {
	err, tried := errors.New("its issuer does not publish the key that signed it"), 0
	for key := range keys.For(token.Header) {
		if tried++; tried > maxTries {
			return nil, errors.New("it names no key, and too many keys of its issuer may have signed it")
		}
		if err = key.Verify(token); err == nil {
			return key, nil
		}
	}
	return nil, err
}

// Signed reports whether a key that is known has signed a token.
func (v *Verifier) Signed(ctx context.Context, c *Candidate) bool {
	keys, err := v.Keys.Get(ctx)
	if err == nil {
		_, err = signedBy(keys, c.jws)
	}
	return err == nil
}
