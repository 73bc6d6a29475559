package core

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/address"
	"github.com/oidcgate/oidcgate/core/internal/text"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

// ownParams are the authorization parameters that a login's safety hangs on.
var ownParams = []string{
	"response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "nonce",
	"code_challenge", "code_challenge_method", "request", "request_uri", "max_age",
}

// check reports everything that is wrong with a configuration at once. It
// expects one with its defaults filled in.
func (c Config) check() error {
	var problems []error
	wrong := func(field, format string, args ...any) {
		problems = append(problems, fmt.Errorf("Config.%s "+format, append([]any{field}, args...)...))
	}
	switch len(c.Providers) {
	case 0:
		wrong("Providers", "is empty: name the provider at which users sign in, with its Issuer and ClientID")
		c.Providers = make([]Provider, 1) // to go on checking
	case 1:
		for _, err := range c.provider().check(c) {
			wrong("Providers[0]."+err.field, "%w", err.error)
		}
	default:
		wrong("Providers", "has %d providers: one is supported", len(c.Providers))
	}
	if c.PublicURL != "" {
		if err := address.CheckPublic(c.PublicURL, c.InsecurePublicHTTP); err != nil {
			wrong("PublicURL", "%q: %w", address.Shown(c.PublicURL), err)
		}
	}
	for _, uri := range c.RedirectURIs {
		if err := address.CheckRedirect(uri); err != nil {
			wrong("RedirectURIs", "%q: %w", address.Shown(uri), err)
		}
	}
	for _, uri := range c.PostLogoutURIs {
		if err := address.CheckRedirect(uri); err != nil {
			wrong("PostLogoutURIs", "%q: %w", address.Shown(uri), err)
		}
	}
	problems = append(problems, c.Routes.check()...)
	if _, err := c.secretBytes(); err != nil {
		wrong("Secrets", "%w", err)
	}
	for _, constraint := range c.Require {
		if err := constraint.check(); err != nil {
			wrong("Require", "holds a constraint that can't work: %w", err)
		}
		if constraint.resource != "" {
			wrong("Require", "holds core.Resource, which is for one guard")
		}
	}
	problems = append(problems, c.checkIssuers(c.TrustedIssuers)...)
	if c.Broker != nil {
		problems = append(problems, c.Broker.check(c)...)
	}
	if c.Browser != nil {
		problems = append(problems, c.Browser.check(c)...)
	}
	if c.MaxIntrospections < 2 {
		wrong("MaxIntrospections", "is %d: use 2 or more, since half of them are for tokens that were valid before", c.MaxIntrospections)
	}
	if c.Timeout < 0 {
		wrong("Timeout", "is negative: calls without a time limit are not offered")
	}
	return errors.Join(problems...)
}

// fieldError is what is wrong with a field.
type fieldError struct {
	field string
	error
}

// check reports what is wrong with a provider in this configuration.
func (p *Provider) check(c Config) (problems []fieldError) {
	wrong := func(field, format string, args ...any) {
		problems = append(problems, fieldError{field, fmt.Errorf(format, args...)})
	}
	provider := func(field, value string) {
		if err := address.Check(value, c.InsecureProviderHTTP); err != nil {
			wrong(field, "%q: %w", address.Shown(value), err)
		}
	}
	if p.Issuer == "" {
		wrong("Issuer", "is missing: the provider's issuer URL, as its discovery document spells it")
	} else if strings.Contains(p.Issuer, verify.Tenant) {
		wrong("Issuer", "%q is a pattern: users sign in at one tenant, name that; patterns are for Config.TrustedIssuers", p.Issuer)
	} else if err := cmp.Or(address.NoDocument(p.Issuer), address.Check(p.Issuer, c.InsecureProviderHTTP)); err != nil {
		wrong("Issuer", "%q: %w", address.Shown(p.Issuer), err)
	} else {
		provider("DiscoveryURL", p.DiscoveryURL)
	}
	if p.JWKSURL != "" {
		provider("JWKSURL", p.JWKSURL)
	}
	if p.ClientID == "" {
		wrong("ClientID", "is missing: the name under which the provider knows this application")
	}
	for _, endpoint := range p.Endpoints.all() {
		if endpoint.url != "" {
			provider("Endpoints."+endpoint.field, endpoint.url)
		}
	}
	if p.ClientAuth != "" && p.ClientAuth != ClientSecretBasic && p.ClientAuth != ClientSecretPost {
		wrong("ClientAuth", "%q is unknown: use %q or %q, or leave it empty", p.ClientAuth, ClientSecretBasic, ClientSecretPost)
	}
	for _, list := range []struct {
		field  string
		scopes []string
	}{{"Scopes", p.Scopes}, {"AllowedScopes", p.AllowedScopes}} {
		for _, scope := range list.scopes {
			if !text.ValidScope(scope) {
				wrong(list.field, "holds %q, which is not one scope (RFC 6749 3.3): give each its own entry", scope)
			}
		}
	}
	for name := range p.AuthParams {
		if slices.Contains(ownParams, name) {
			wrong("AuthParams", "may not set %q, which logins set and check for themselves", name)
		}
	}
	for _, name := range p.LoginParams {
		switch {
		case !validParamName(name):
			wrong("LoginParams", "holds %q, which is not the name of a parameter (RFC 6749 8.2)", name)
		case slices.Contains(ownParams, name), slices.Contains(handedOn, name), name == "offline_access":
			wrong("LoginParams", "may not list %q, which logins read for themselves", name)
		case p.AuthParams.Has(name):
			wrong("LoginParams", "lists %q, which AuthParams sets and no request can override: take one of them away", name)
		}
	}
	if p.InsecureAcceptAnyAudience && len(p.Audiences) > 0 {
		wrong("InsecureAcceptAnyAudience", "contradicts Audiences: set one of them")
	}
	if slices.Contains(p.Audiences, "") {
		wrong("Audiences", "holds an empty value")
	}
	if slices.Contains(p.RoleClaims, "") {
		wrong("RoleClaims", "holds an empty path")
	}
	switch {
	case !p.Introspection:
	case c.Broker != nil:
		wrong("Introspection", "is for guards that accept the provider's tokens: with a Broker they accept its own")
	case p.ClientSecret == "":
		wrong("Introspection", "needs ClientSecret: a provider tells about tokens only those who prove who they are (RFC 7662 2.1)")
	}
	return problems
}

// secretBytes decodes Secrets, and explains how to make one where that fails.
// It repeats no secret.
func (c Config) secretBytes() ([][]byte, error) {
	const advice = "make one with: openssl rand -base64 32"
	var all [][]byte
	for i, secret := range c.Secrets {
		secret = strings.TrimRight(strings.TrimSpace(secret), "=")
		decoded, err := base64.RawStdEncoding.DecodeString(secret)
		if err != nil {
			decoded, err = base64.RawURLEncoding.DecodeString(secret)
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("[%d] is not base64; %s", i, advice)
		case len(decoded) < 32:
			return nil, fmt.Errorf("[%d] has %d bytes and needs 32 or more; %s", i, len(decoded), advice)
		}
		all = append(all, decoded)
	}
	return all, nil
}
