package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/claim"
)

// AccessToken verifies an access token.
func (v *Verifier) AccessToken(ctx context.Context, c *Candidate) error {
	return v.check(ctx, c, caller, v.ofIssuer, v.times, v.isAccessToken)
}

// Issued checks that an access token is of this issuer. It may have expired, or be meant for
// somebody else.
func (v *Verifier) Issued(ctx context.Context, c *Candidate) error {
	return v.check(ctx, c, caller, v.ofIssuer, headerType, noOtherToken)
}

// isAccessToken checks that a token is an access token for this application. Guards,
// token exchange and introspection share this one rule.
func (v *Verifier) isAccessToken(c *Candidate) error {
	return c.passes(headerType, noOtherToken, unbound, aboutSomebody, v.Audience.check)
}

// Incomplete reports whether a token has no subject or no audience and is valid
// otherwise, as Keycloak's lightweight tokens are.
func (v *Verifier) Incomplete(ctx context.Context, c *Candidate) bool {
	return (c.Claims.Subject == "" || len(c.Claims.Audience) == 0) &&
		v.check(ctx, c, caller, v.ofIssuer, v.times, headerType, noOtherToken, unbound) == nil
}

// headerType rejects tokens whose header names the type of another kind of token (RFC
// 8725 3.11).
func headerType(c *Candidate) error {
	switch strings.ToLower(c.jws.Header.Type) {
	case "", "jwt", "at+jwt", "application/at+jwt":
		return nil
	}
	return errors.New("its typ is not that of an access token")
}

// noOtherToken rejects ID tokens, logout tokens and Keycloak's refresh tokens. The same
// keys sign them.
func noOtherToken(c *Candidate) error {
	kind := strings.ToLower(c.Claims.Type)
	switch use := strings.ToLower(c.Claims.Use); {
	case c.Claims.Events, kind == "logout":
		return errors.New("it is a logout token, not an access token")
	case kind == "id", use == "id",
		c.Claims.AccessTokenHash != nil,
		c.Claims.CodeHash != nil,
		c.Claims.Nonce != nil && len(c.Claims.Scopes()) == 0 && c.Claims.Type != "Bearer":
		return errors.New("it is an ID token, not an access token")
	case kind == "refresh", kind == "offline":
		return errors.New("it is a refresh token, not an access token")
	case use != "" && !usedForAccess(c.Claims):
		return errors.New("its token_use is not access")
	}
	return nil
}

// usedForAccess reports whether token_use, a claim of Amazon Cognito's, names an access
// token.
func usedForAccess(c *claim.Set) bool {
	return strings.EqualFold(c.Use, "access") || strings.EqualFold(c.Use, "access_token")
}

// unbound rejects tokens that are valid only together with a proof of the sender's key
// (RFC 7800, RFC 8705, RFC 9449). Nothing here asks for the proof, so that a stolen token
// would be accepted without it.
func unbound(c *Candidate) error {
	if c.Claims.Confirmation {
		return errors.New("it is bound to a key of its sender (cnf), which is not supported")
	}
	return nil
}

// aboutSomebody rejects tokens without a subject: applications find a user's data by it,
// and everybody would share those of the empty one. Signed answers to authorization
// requests (JARM) and to introspection (RFC 9701 5) have no subject either.
func aboutSomebody(c *Candidate) error {
	if err := claim.CheckSubject(c.Claims.Subject); err != nil {
		return fmt.Errorf("its sub %w", err)
	}
	return nil
}

// saysAccess reports whether something in a token marks it as an access token.
func (c *Candidate) saysAccess() bool {
	return c.declared || len(c.Claims.Scopes()) > 0 || c.Claims.Type == "Bearer" || usedForAccess(c.Claims) ||
		strings.HasSuffix(strings.ToLower(c.jws.Header.Type), "at+jwt")
}

// Introspected decides about a token by the claims of an introspection answer (RFC 7662
// 2.2). declared says that the answer calls it an access token.
func (v *Verifier) Introspected(claims *claim.Set, declared bool) error {
	if claims.Issuer != "" && !v.Issuer.Names(claims) {
		return OtherIssuer(claims)
	}
	c := &Candidate{Claims: claims, now: v.Now(), declared: declared}
	return c.passes(v.timely, v.isAccessToken)
}
