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

// isAccessToken is the one rule, for guards, token exchange and introspection, by which
// a token is an access token that is good here.
func (v *Verifier) isAccessToken(c *Candidate) error {
	return c.passes(headerType, noOtherToken, unbound, aboutSomebody, v.Audience.check)
}

// Incomplete reports whether all that is wrong with a token is that it leaves out whom
// it is about or for, as Keycloak's lightweight tokens do.
func (v *Verifier) Incomplete(ctx context.Context, c *Candidate) bool {
	return (c.Claims.Subject == "" || len(c.Claims.Audience) == 0) &&
		v.check(ctx, c, caller, v.ofIssuer, v.times, headerType, noOtherToken, unbound) == nil
}

// headerType keeps out what says of itself that it is something else.
func headerType(c *Candidate) error {
	switch strings.ToLower(c.jws.Header.Type) {
	case "", "jwt", "at+jwt", "application/at+jwt":
		return nil
	}
	return errors.New("the token's type is not that of an access token")
}

// noOtherToken keeps out ID tokens, logout tokens and, as Keycloak names them, refresh
// tokens, which the same keys sign.
func noOtherToken(c *Candidate) error {
	kind := strings.ToLower(c.Claims.Type)
	switch use := strings.ToLower(c.Claims.Use); {
	case c.Claims.Events, kind == "logout":
		return errors.New("the token is a logout token, not an access token")
	case kind == "id", use == "id",
		c.Claims.AccessTokenHash != nil,
		c.Claims.CodeHash != nil,
		c.Claims.Nonce != nil && len(c.Claims.Scopes()) == 0 && c.Claims.Type != "Bearer":
		return errors.New("the token is an ID token, not an access token")
	case kind == "refresh", kind == "offline":
		return errors.New("the token is a refresh token, not an access token")
	case use != "" && !usedForAccess(c.Claims):
		return errors.New("the token is not an access token: its token_use is another")
	}
	return nil
}

// usedForAccess reports whether token_use says so, as Amazon Cognito has it.
func usedForAccess(c *claim.Set) bool {
	return strings.EqualFold(c.Use, "access") || strings.EqualFold(c.Use, "access_token")
}

// unbound keeps out tokens that are good only together with a proof of their sender's
// key (RFC 7800, RFC 8705, RFC 9449): whoever stole one has no such proof, and nobody
// here asks for it.
func unbound(c *Candidate) error {
	if c.Claims.Confirmation {
		return errors.New("the token is bound to a key of its sender (cnf), which is not supported")
	}
	return nil
}

// aboutSomebody keeps out what stands for no user: a row of a table that is found by the
// subject would be everybody's. Signed answers to authorization requests (JARM) and to
// introspection (RFC 9701 5) have no subject either.
func aboutSomebody(c *Candidate) error {
	if err := claim.CheckSubject(c.Claims.Subject); err != nil {
		return fmt.Errorf("the token stands for no user: its subject %w", err)
	}
	return nil
}

// saysAccess reports whether a token says of itself that it is an access token.
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
