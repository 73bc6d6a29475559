package provider

import (
	"errors"
	"fmt"
	"slices"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/jose"
)

// authMethods is the member of a discovery document that lists how clients may prove
// themselves (RFC 8414 2).
const authMethods = "token_endpoint_auth_methods_supported"

// loginNeeds are the members of a discovery document (OpenID Connect Discovery 3, RFC
// 8414 2) that show that logins can't work: those that are there and hold none of what
// logins need. Not every provider keeps each of them with care: Facebook's response
// types lack the one that it serves.
var loginNeeds = []struct {
	member string
	needed []string // one of them
	advice string
	sure   bool // no login works
}{
	{"code_challenge_methods_supported", []string{"S256"}, "switch PKCE with S256 on", true},
	{"id_token_signing_alg_values_supported", jose.Algorithms, "have it sign ID tokens with one of these", true},
	{"response_types_supported", []string{"code"}, "switch the authorization code flow on", false},
	{"grant_types_supported", []string{"authorization_code"}, "switch the authorization code flow on", false},
}

// CheckSetup reports what the provider's discovery document shows to stand in the way of
// every login, and logs what stands in the way of less. Those who switched the login
// route off have nothing to mend about logins.
func (p *Provider) CheckSetup(m Metadata) error {
	if p.Introspection && m.IntrospectionEndpoint == "" {
		p.Logger.Warn("guards can't take opaque tokens, since the provider's discovery document names no introspection_endpoint: set Provider.Endpoints.Introspection, or switch Provider.Introspection off")
	}
	if !p.Logins {
		return nil
	}
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if m.document.flag("require_pushed_authorization_requests") {
		wrong("it wants pushed authorization requests (PAR): %s", advicePAR)
	}
	if m.document.flag("require_signed_request_object") {
		wrong("it wants signed request objects (JAR): %s", adviceJAR)
	}
	for _, need := range loginNeeds {
		offered := m.document.list(need.member)
		if len(offered) == 0 || slices.ContainsFunc(offered, func(one string) bool { return slices.Contains(need.needed, jose.Canonical(one)) }) {
			continue
		}
		problem := fmt.Errorf("its %s %q has none of %q: %s at the provider", need.member, offered, need.needed, need.advice)
		if need.sure {
			problems = append(problems, problem)
		} else {
			p.Logger.Warn("logins may not work as the provider is set up", "reason", problem)
		}
	}
	offered := m.document.list(authMethods)
	if p.ClientSecret != "" && len(offered) > 0 && !slices.Contains(offered, m.ClientAuth) {
		if p.ClientAuth == "" {
			wrong("its %s %q has neither %s nor %s: let this client use one of them at the provider", authMethods, offered, SecretBasic, SecretPost)
		} else {
			p.Logger.Warn("the provider does not list the method of Provider.ClientAuth: leave that empty, or set it to one that is listed",
				"ClientAuth", p.ClientAuth, "listed", offered)
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return fault.Provider.New("No login can work as the provider is set up.").
		From(fmt.Errorf("%s: %w", p.DiscoveryURL, errors.Join(problems...)))
}

// clientAuth is how this application proves itself: as configured, or else as the
// discovery document lists, Basic first. One that lists nothing has Basic (RFC 8414 2).
func clientAuth(configured string, document foreign) string {
	offered := document.list(authMethods)
	switch {
	case configured != "":
		return configured
	case !slices.Contains(offered, SecretBasic) && slices.Contains(offered, SecretPost):
		return SecretPost
	}
	return SecretBasic
}
