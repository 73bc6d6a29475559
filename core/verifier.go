package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/core/internal/text"
)

// candidate is a token on its way through the checks.
type candidate struct {
	jws    jose.Token
	claims *claims
	now    time.Time
	maxAge *int      // seconds: how old the user's login may be; nil: any age
	key    *jose.Key // that the signature was found good by

	declared bool // an introspection answer calls it an access token (RFC 7662 2.2, token_type)
}

// passes reports why a token fails one of the checks.
func (c *candidate) passes(checks ...check) error {
	for _, check := range checks {
		if err := check(c); err != nil {
			return err
		}
	}
	return nil
}

// check is one thing that a token must satisfy. Its error is the sentence that
// the caller is told.
type check func(*candidate) error

// verifier decides whether a token of one issuer is good: signature by that
// issuer's key, issuer and times for all tokens, and then what makes an access
// token or an ID token.
type verifier struct {
	config Config
	issuer issuerName
	keys   keySource
	// thumbprints says that keys are named by what they are (RFC 7638), as ours are, so
	// that none is replaced under its name.
	thumbprints bool
	algorithms  []string // nil: all that there are
	audience    audience // of access tokens
	roles       func(claims map[string]any) []string
	scopes      func(asserted []string) []string // nil: those that are asserted
	require     []Constraint                     // that guards add
}

// keySource gives an issuer's keys; see fetch.Document.
type keySource interface {
	Settled(now time.Time) bool
	Get(ctx context.Context) (jose.KeySet, error)
	Renew(ctx context.Context, must bool) (jose.KeySet, error)
}

// providerVerifier checks the provider's tokens.
func providerVerifier(config Config, keys keySource) *verifier {
	v := &verifier{config: config, issuer: newIssuerName(config.provider().Issuer), keys: keys, roles: roleClaims(config.provider().RoleClaims).in, require: config.Require}
	v.audience = audience{names: config.provider().Audiences, client: config.provider().ClientID, anybody: config.provider().InsecureAcceptAnyAudience}
	return v
}

// accessToken verifies an access token.
func (v *verifier) accessToken(ctx context.Context, c *candidate) error {
	return v.judge(ctx, c, stranger, v.ofIssuer, v.times, v.isAccessToken)
}

// isAccessToken is the one rule, for guards, token exchange and introspection, by which
// a token is an access token that is good here.
func (v *verifier) isAccessToken(c *candidate) error {
	return c.passes(headerType, noOtherToken, unbound, aboutSomebody, v.audience.check)
}

// incomplete reports whether all that is wrong with a token is that it leaves out whom
// it is about or for, as Keycloak's lightweight tokens do.
func (v *verifier) incomplete(ctx context.Context, c *candidate) bool {
	return (c.claims.Subject == "" || len(c.claims.Audience) == 0) &&
		v.judge(ctx, c, stranger, v.ofIssuer, v.times, headerType, noOtherToken, unbound) == nil
}

// idTokenExpectation is what is known about the login that an ID token ends.
type idTokenExpectation struct {
	accessToken string
	// nonce checks the nonce and tells the max_age, in seconds, that the login
	// asked for, if it did. It is nil where the login has no nonce to compare
	// with (device logins and refreshes).
	nonce func(nonce string) (maxAge *int, ok bool)
}

// Failures of an ID token that have an answer of their own.
var (
	errNonce  = errors.New("the nonce is another login's")
	errMaxAge = errors.New("the user signed in longer ago than max_age allows")

	errNoAuthTime = errors.New("the ID token has no auth_time, which every answer to max_age needs: have the provider put it there, or log in without max_age")
)

// idToken verifies an ID token by OpenID Connect Core 3.1.3.7.
func (v *verifier) idToken(ctx context.Context, raw string, expected idTokenExpectation) (*claims, error) {
	c, err := v.verify(ctx, raw, fromProvider, maxBody,
		v.ofIssuer, v.times, v.issuedForUs, expected.checkNonce, expected.checkHash, v.age)
	if err != nil {
		return nil, err
	}
	return c.claims, nil
}

// readable verifies an access token that the provider has just given us, for
// what it says about the user. It need not be meant for us. It gives nil for one
// that can't be read, as many can't. Beside an ID token, whose keys have been
// found, a key that can't be had is no reason to fail.
func (v *verifier) readable(ctx context.Context, raw string, besideIDToken bool) (*claims, error) {
	from := fromProvider
	if besideIDToken {
		from = stranger
	}
	c, err := v.verify(ctx, raw, from, maxBody, v.ofIssuer, v.times)
	var e *fault.Error
	switch {
	case err == nil:
		return c.claims, nil
	case errors.As(err, &e) && !besideIDToken:
		return nil, err
	}
	return nil, nil
}

// knows reports whether a token can be verified without a fetch, as far as the name
// of its key tells.
func (v *verifier) knows(ctx context.Context, raw string) bool {
	token, err := jose.Cut(raw)
	if err != nil {
		return true // it is no JWT
	}
	keys, err := v.keys.Get(ctx)
	return err == nil && keys.Names(token.Header)
}

// verify takes a token apart and judges it.
func (v *verifier) verify(ctx context.Context, raw string, from sender, limit int, checks ...check) (*candidate, error) {
	c, err := newCandidate(raw, limit, v.config.Now())
	if err != nil {
		return nil, err
	}
	return c, v.judge(ctx, c, from, checks...)
}

var (
	errTooLong = errors.New("the token is too long")
	errIssuer  = errors.New("the token is of another issuer")

	errAudience = errors.New("the token is meant for another audience")
)

// misdirected is the error of a token that is somebody else's, or for somebody else. What
// an operator wants to know of it is for logs and events alone.
type misdirected struct {
	error
	detail string
}

func (m misdirected) Unwrap() error { return m.error }

func otherIssuer(c *claims) error {
	return misdirected{errIssuer, "its iss is " + text.Excerpt(c.Issuer)}
}

func otherAudience(c *claims) error {
	detail := fmt.Sprintf("its aud is %s, its azp %s, its client_id %s", text.Excerpt(strings.Join(c.Audience, " ")), text.Excerpt(c.AuthorizedParty), text.Excerpt(c.ClientID))
	return misdirected{errAudience, detail}
}

// newCandidate takes a token apart, and refuses one that nobody could have issued.
func newCandidate(raw string, limit int, now time.Time) (*candidate, error) {
	if len(raw) > limit {
		return nil, errTooLong
	}
	jws, err := jose.Cut(raw)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(jose.Algorithms, jws.Header.Algorithm) {
		return nil, errAlgorithm
	}
	c := &candidate{jws: jws, now: now}
	c.claims, err = parseClaims(jws.Payload)
	return c, err
}

var errAlgorithm = errors.New("the token's algorithm is not accepted")

// judge applies the checks and, at last, the signature: what costs nothing comes
// before what costs a signature or a fetch.
func (v *verifier) judge(ctx context.Context, c *candidate, from sender, checks ...check) error {
	if v.algorithms != nil && !slices.Contains(v.algorithms, c.jws.Header.Algorithm) {
		return errAlgorithm
	}
	if err := c.passes(checks...); err != nil {
		return err
	}
	return v.signature(ctx, c, from)
}

// sender is who handed us a token.
type sender bool

const (
	stranger     sender = false
	fromProvider sender = true // over TLS, in answer to a request of ours
)

// maxTries is how many keys a token is tried with that names none, or one that is
// there several times. An issuer may publish many costly ones, and a stranger send
// tokens that nobody has signed.
const maxTries = 8

// signature finds the key and checks the signature. Where none of the keys is the
// right one, there may be another by now: under a new kid, under the same one, or
// under none. That is worth a fetch. Strangers can use up the fetches that are
// allowed for them, and must not by that keep us from a key which the provider
// itself has just used.
func (v *verifier) signature(ctx context.Context, c *candidate, from sender) error {
	keys, err := v.keys.Get(ctx)
	if err != nil {
		return err
	}
	if c.key, err = signedBy(keys, c.jws); err == nil || v.thumbprints && keys.Names(c.jws.Header) {
		return err
	}
	next, failed := v.keys.Renew(ctx, from == fromProvider)
	switch {
	case failed != nil:
		return failed
	case slices.Equal(next, keys): // a key that stays is the same one
		return err
	}
	c.key, err = signedBy(next, c.jws)
	return err
}

// signedBy finds the key that has signed a token.
func signedBy(keys jose.KeySet, token jose.Token) (*jose.Key, error) {
	err, tried := errors.New("the token is signed with a key that the issuer does not publish"), 0
	for key := range keys.For(token.Header) {
		if tried++; tried > maxTries {
			return nil, errors.New("the token may be signed with too many keys that the issuer publishes: it should name one")
		}
		if err = key.Verify(token); err == nil {
			return key, nil
		}
	}
	return nil, err
}

// signed reports whether a key that is known has signed a token.
func (v *verifier) signed(ctx context.Context, c *candidate) bool {
	keys, err := v.keys.Get(ctx)
	if err == nil {
		_, err = signedBy(keys, c.jws)
	}
	return err == nil
}

func (v *verifier) ofIssuer(c *candidate) error {
	if !v.issuer.names(c.claims) {
		return errIssuer
	}
	return nil
}

func (v *verifier) times(c *candidate) error {
	if c.claims.Expires.IsZero() {
		return errors.New("the token has no expiry")
	}
	return v.timely(c)
}

// timely is times for a token that need not say when it ends.
func (v *verifier) timely(c *candidate) error {
	leeway := v.config.Leeway
	switch {
	case !c.claims.Expires.IsZero() && !c.now.Before(c.claims.Expires.Add(leeway)):
		return errors.New("the token has expired")
	case !c.claims.NotBefore.IsZero() && c.now.Before(c.claims.NotBefore.Add(-leeway)):
		return errors.New("the token is not valid yet")
	case !c.claims.IssuedAt.IsZero() && c.now.Before(c.claims.IssuedAt.Add(-leeway)):
		return errors.New("the token was issued in the future")
	}
	return nil
}

// headerType keeps out what says of itself that it is something else.
func headerType(c *candidate) error {
	switch strings.ToLower(c.jws.Header.Type) {
	case "", "jwt", "at+jwt", "application/at+jwt":
		return nil
	}
	return errors.New("the token's type is not that of an access token")
}

// noOtherToken keeps out ID tokens, logout tokens and, as Keycloak names them, refresh
// tokens, which the same keys sign.
func noOtherToken(c *candidate) error {
	kind := strings.ToLower(c.claims.Type)
	switch use := strings.ToLower(c.claims.Use); {
	case c.claims.Events, kind == "logout":
		return errors.New("the token is a logout token, not an access token")
	case kind == "id", use == "id",
		c.claims.AccessTokenHash != nil,
		c.claims.CodeHash != nil,
		c.claims.Nonce != nil && len(c.claims.scopes()) == 0 && c.claims.Type != "Bearer":
		return errors.New("the token is an ID token, not an access token")
	case kind == "refresh", kind == "offline":
		return errors.New("the token is a refresh token, not an access token")
	case use != "" && !c.claims.usedForAccess():
		return errors.New("the token is not an access token: its token_use is another")
	}
	return nil
}

// usedForAccess reports whether token_use says so, as Amazon Cognito has it.
func (c *claims) usedForAccess() bool {
	return strings.EqualFold(c.Use, "access") || strings.EqualFold(c.Use, "access_token")
}

// unbound keeps out tokens that are good only together with a proof of their sender's
// key (RFC 7800, RFC 8705, RFC 9449): whoever stole one has no such proof, and nobody
// here asks for it.
func unbound(c *candidate) error {
	if c.claims.Confirmation {
		return errors.New("the token is bound to a key of its sender (cnf), which is not supported")
	}
	return nil
}

// aboutSomebody keeps out what stands for no user: a row of a table that is found by the
// subject would be everybody's. Signed answers to authorization requests (JARM) and to
// introspection (RFC 9701 5) have no subject either.
func aboutSomebody(c *candidate) error {
	if err := usableSubject(c.claims.Subject); err != nil {
		return fmt.Errorf("the token stands for no user: its subject %w", err)
	}
	return nil
}

// audience is whom access tokens must be meant for.
type audience struct {
	names   []string // of which aud must hold one; none: the client id
	client  string   // our client id, "" where tokens are never taken for it
	anybody bool     // see Provider.InsecureAcceptAnyAudience
}

// check makes sure that an access token is meant for us. An ID token is, too, by our
// client id: where that is all, something must say that this is an access token.
func (a audience) check(c *candidate) error {
	named := func(name string) bool { return name != a.client && slices.Contains(a.names, name) }
	switch {
	case slices.ContainsFunc(c.claims.Audience, named):
		return nil
	case !a.has(c.claims):
		return otherAudience(c.claims)
	case !c.saysAccess():
		return errors.New("the token might be an ID token: it has neither a scope nor the type of an access token")
	}
	return nil
}

// has reports whether a token is meant for us. Keycloak puts into aud the clients at which
// the user has roles, and the one that the token was issued to into azp.
func (a audience) has(c *claims) bool {
	switch {
	case a.anybody:
		return true
	case len(a.names) > 0:
		return slices.ContainsFunc(a.names, func(name string) bool { return slices.Contains(c.Audience, name) })
	}
	return slices.Contains(c.Audience, a.client) || c.AuthorizedParty == a.client || c.ClientID == a.client
}

// String names who that is.
func (a audience) String() string {
	if len(a.names) > 0 {
		return strings.Join(a.names, " or ")
	}
	return a.client
}

// saysAccess reports whether a token says of itself that it is an access token.
func (c *candidate) saysAccess() bool {
	return c.declared || len(c.claims.scopes()) > 0 || c.claims.Type == "Bearer" || c.claims.usedForAccess() ||
		strings.HasSuffix(strings.ToLower(c.jws.Header.Type), "at+jwt")
}

// forClient makes sure that something the provider has signed for one client, and that
// is no access token, is for us.
func (v *verifier) forClient(c *candidate) error {
	if !slices.Contains(c.claims.Audience, v.config.provider().ClientID) {
		return otherAudience(c.claims)
	}
	return nil
}

// issuedForUs checks who an ID token is for (OpenID Connect Core 3.1.3.7, 3 to
// 5) and about.
func (v *verifier) issuedForUs(c *candidate) error {
	aud, party := c.claims.Audience, c.claims.AuthorizedParty
	switch {
	case !slices.Contains(aud, v.config.provider().ClientID):
		return errors.New("the ID token is meant for another audience")
	case len(aud) > 1 && party == "", party != "" && party != v.config.provider().ClientID:
		return errors.New("the ID token was issued to another party")
	case usableSubject(c.claims.Subject) != nil:
		return fmt.Errorf("the subject of the ID token %w", usableSubject(c.claims.Subject))
	case c.claims.IssuedAt.IsZero():
		return errors.New("the ID token has no time of issue")
	}
	return nil
}

func (e idTokenExpectation) checkNonce(c *candidate) error {
	if e.nonce == nil {
		return nil
	}
	if c.claims.Nonce == nil {
		return errNonce
	}
	var ok bool
	if c.maxAge, ok = e.nonce(*c.claims.Nonce); !ok {
		return errNonce
	}
	return nil
}

// checkHash binds the access token to the ID token that came with it (OpenID
// Connect Core 3.1.3.8).
func (e idTokenExpectation) checkHash(c *candidate) error {
	if c.claims.AccessTokenHash == nil {
		return nil
	}
	hash, err := jose.HalfHash(c.jws.Header.Algorithm, e.accessToken)
	if err != nil || hash != *c.claims.AccessTokenHash {
		return errors.New("the ID token came with another access token")
	}
	return nil
}

// age holds the time of the user's login against max_age (OpenID Connect Core
// 3.1.2.1).
func (v *verifier) age(c *candidate) error {
	if c.maxAge == nil {
		return nil
	}
	oldest := c.now.Add(-time.Duration(*c.maxAge)*time.Second - v.config.Leeway)
	switch {
	case c.claims.AuthTime.IsZero():
		return errNoAuthTime
	case c.claims.AuthTime.Before(oldest):
		return errMaxAge
	}
	return nil
}
