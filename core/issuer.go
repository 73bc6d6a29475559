package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/address"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/core/internal/trust"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

// Issuer is a further issuer whose access tokens guards accept: see Config.TrustedIssuers. In
// passthrough mode it is another provider, in broker mode another broker, a peer. Its keys
// verify only its own tokens. Issuer and subject together identify a user: the same subject
// of another issuer is another person.
type Issuer struct {
	// URL is the issuer identifier, exactly as in the iss of its tokens. It is required. If
	// JWKSURL is set, URL is only a name: it may be http or not a URL at all, as in access
	// tokens of AD FS (http://fs.example.org/adfs/services/trust).
	//
	// A provider with many tenants that share its keys can be named by a pattern: {tenantid}
	// in the path stands for the tenant, which a token must also have in its claim tid, as
	// Entra's tokens do. A pattern needs JWKSURL. It accepts every tenant, unless Require
	// lists the allowed ones:
	//
	//	core.Issuer{
	//		URL:     "https://login.microsoftonline.com/{tenantid}/v2.0",
	//		JWKSURL: "https://login.microsoftonline.com/common/discovery/v2.0/keys",
	//		Require: []core.Constraint{core.Claim("tid", ourTenant, theirTenant)},
	//	}
	URL string
	// JWKSURL is the URL of the keys. "": the URL in the issuer's discovery document. If a
	// peer has no such document, or the document names another issuer or points to another
	// host, it is <URL>/auth/v2/.well-known/jwks.json.
	JWKSURL string
	// Audiences are the accepted audiences: aud must contain one of them. nil: those of other
	// tokens, which is Broker.Audience, or without a Broker Provider.Audiences or ClientID.
	// A guard of a [Resource] accepts only tokens that have its URL in aud as well. So list
	// the URLs here, or nil, where this issuer's tokens are for some of Broker.Resources.
	Audiences []string
	// Algorithms are the accepted signature algorithms (RFC 7518 3.1, RFC 8037 3.1). nil: all
	// asymmetric ones: RS256 to RS512, PS256 to PS512, ES256 to ES512, and EdDSA, also named
	// Ed25519 (RFC 9864 2.2).
	Algorithms []string
	// Require are constraints that every guard adds for tokens of this issuer. Keep in mind
	// that an issuer can write any claim into its tokens, and [Claim] believes it.
	Require []Constraint
	// Roles maps the roles that a token of this issuer asserts to the roles that it has here
	// (see [Token.Roles]). It is called once for each verified token. It must not change its
	// argument and must be safe for concurrent use. nil, or after a panic: no roles, so
	// [AnyRole] rejects all users of this issuer. Claims are not mapped: [Claim] and
	// [Token.Decode] see what the issuer has written.
	Roles func(asserted []string) []string
	// Scopes maps the scopes that a token of this issuer asserts, possibly none, to those that
	// it has here (see [Token.Scopes]). It is called like Roles. Tokens of py-oidc-auth, for
	// example, have no scopes. nil: the asserted scopes. After a panic: none.
	Scopes func(asserted []string) []string
}

// checkIssuers reports what is wrong with the further issuers.
func (c Config) checkIssuers(issuers []Issuer) []error {
	var problems []error
	seen := map[string]bool{}
	for n, issuer := range issuers {
		wrong := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("Config.TrustedIssuers[%d]."+format, append([]any{n}, args...)...))
		}
		if issuer.URL == "" {
			wrong("URL is missing: what the issuer's tokens have in iss")
			continue
		}
		if err := c.checkIssuerURL(issuer); err != nil {
			wrong("URL %q: %w", address.Shown(issuer.URL), err)
		}
		name := verify.NewIssuerName(issuer.URL)
		switch {
		case !name.WellFormed():
			wrong("URL %q: a pattern has %s once, as a whole part of the path", issuer.URL, verify.Tenant)
		case name.Pattern && issuer.JWKSURL == "":
			wrong("JWKSURL is missing: a pattern can't be asked for its keys")
		}
		if issuer.JWKSURL != "" {
			if err := address.Check(issuer.JWKSURL, c.InsecureProviderHTTP); err != nil {
				wrong("JWKSURL %q: %w", address.Shown(issuer.JWKSURL), err)
			}
		}
		switch {
		case issuer.URL == c.provider().Issuer && c.Broker == nil:
			wrong("URL is Provider.Issuer: its tokens are taken anyway")
		case c.Broker != nil && name.Covers(c.provider().Issuer):
			wrong("URL is Provider.Issuer, or a pattern of it: with a Broker its tokens are not taken, but may be exchanged (Broker.Exchange)")
		case c.Broker != nil && name.Covers(c.PublicURL):
			wrong("URL is PublicURL, or a pattern of it: nobody else may sign this application's own tokens")
		case seen[issuer.URL]:
			wrong("URL %q is there twice", issuer.URL)
		}
		seen[issuer.URL] = true
		if issuer.Audiences != nil && (len(issuer.Audiences) == 0 || slices.Contains(issuer.Audiences, "")) {
			wrong("Audiences is empty or holds an empty value: leave it nil for those of the guards")
		}
		for _, algorithm := range issuer.Algorithms {
			if !slices.Contains(jose.Algorithms, jose.Canonical(algorithm)) {
				wrong("Algorithms holds %q: use %s", algorithm, strings.Join(jose.Algorithms, ", "))
			}
		}
		for _, constraint := range issuer.Require {
			if err := constraint.check(); err != nil {
				wrong("Require holds a constraint that can't work: %w", err)
			}
			if constraint.refuseBad {
				wrong("Require holds core.RefuseBadTokens, which is for Optional guards and Config.Require")
			}
			if constraint.resource != "" {
				wrong("Require holds core.Resource, which is for one guard")
			}
		}
	}
	return problems
}

// checkIssuerURL checks an issuer's URL as an address, unless it is only a name.
func (c Config) checkIssuerURL(issuer Issuer) error {
	if err := address.NoDocument(issuer.URL); err != nil {
		return err
	}
	if issuer.JWKSURL == "" {
		return address.Check(strings.Replace(issuer.URL, verify.Tenant, "tenant", 1), c.InsecureProviderHTTP)
	}
	if strings.ContainsFunc(issuer.URL, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("has a character that an issuer's name can't have")
	}
	return nil
}

// SetTrustedIssuers puts another list, nil for none, in the place of
// Config.TrustedIssuers, while requests are served: a token of an issuer that is not
// in it any more is refused from the next request on, also if it was verified before.
// It waits for no call: after Start, the keys of new issuers are fetched in the
// background; those of issuers that stay are kept, but each of their tokens is verified
// anew once. It reports all mistakes at once, and then changes nothing. Each replica
// has to be told. It may be called concurrently, and again and again with the same
// list.
func (a *Auth) SetTrustedIssuers(list []Issuer) error {
	if err := errors.Join(a.config.checkIssuers(list)...); err != nil {
		return err
	}
	added, removed := a.trust.SetIssuers(a.trusted(list))
	for _, url := range added {
		a.emit(context.Background(), Event{Kind: EventIssuerAdded, Issuer: url})
	}
	for _, url := range removed {
		a.emit(context.Background(), Event{Kind: EventIssuerRemoved, Issuer: url})
	}
	return nil
}

// trusted are the issuers as internal/trust knows them: copies that share no list, with
// Config.Require among their rules and algorithms named as jose does.
func (a *Auth) trusted(list []Issuer) []trust.Issuer {
	issuers := make([]trust.Issuer, len(list))
	for i, issuer := range list {
		algorithms := slices.Clone(issuer.Algorithms)
		for n, algorithm := range algorithms {
			algorithms[n] = jose.Canonical(algorithm)
		}
		issuers[i] = trust.Issuer{
			URL: issuer.URL, JWKSURL: issuer.JWKSURL, Audiences: slices.Clone(issuer.Audiences), Algorithms: algorithms,
			Require: rulesOf(slices.Concat(a.config.Require, issuer.Require)), Roles: issuer.Roles, Scopes: issuer.Scopes,
		}
	}
	return issuers
}
