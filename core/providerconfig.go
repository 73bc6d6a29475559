package core

import (
	"net/url"
	"slices"
	"strings"
)

// Provider is an OpenID provider at which users sign in, and this application's registration
// there. Issuer and ClientID are required.
type Provider struct {
	// Name tells the provider from others in what outlives a request: login states, device
	// codes and sessions. Logins and sessions of a provider that is not configured under
	// its name any more can't go on. "" is a name, too.
	Name string
	// Issuer is the provider's issuer identifier, exactly as in its discovery document and
	// tokens, including a trailing slash (OpenID Connect Discovery 3).
	Issuer string
	// ClientID and ClientSecret identify this application at the provider. Without a secret
	// it is a public client, which only PKCE protects.
	ClientID, ClientSecret string
	// ClientAuth is the method that sends ClientSecret. "": a method that the discovery
	// document lists (token_endpoint_auth_methods_supported), preferably ClientSecretBasic.
	ClientAuth ClientAuth

	// DiscoveryURL is the URL of the discovery document if it is not below the issuer, for
	// example in a container network. The document must still name Issuer as its issuer. Its
	// endpoints are used unchanged. They may be inside a private network only if Issuer or
	// DiscoveryURL is. "": <Issuer>/.well-known/openid-configuration.
	DiscoveryURL string
	// JWKSURL is the URL of the provider's keys. "": the URL in the discovery document.
	JWKSURL string
	// Endpoints replaces single endpoints of the discovery document, or adds missing ones.
	Endpoints Endpoints

	// Scopes are the scopes of a login that names none. openid is always added. nil: profile
	// and email.
	Scopes []string
	// AllowedScopes are the scopes that a request may name. nil: any; the provider decides.
	// Set it if the provider ignores unknown scopes, leaves scope out of its answers, and has
	// opaque access tokens: then all requested scopes count as granted (RFC 6749 5.1).
	AllowedScopes []string
	// OnlineDevices stops device logins from requesting offline_access, for providers that
	// reject it.
	OnlineDevices bool
	// AuthParams are sent with every authorization request, such as audience, access_type or
	// prompt. A request can't override them. audience and resource are also sent with device
	// logins.
	AuthParams url.Values
	// LoginParams are the provider's own parameters that a link to the login route may set,
	// such as kc_idp_hint (Keycloak) and hd (Google). The standard ones (prompt, login_hint,
	// max_age, ui_locales, acr_values) are always allowed. nil: no others.
	LoginParams []string

	// Audiences are the accepted audiences of the provider's access tokens: aud must contain
	// one of them. With a Broker this applies to exchanged tokens only; guards check
	// Broker.Audience instead. nil: ClientID must be in aud, or be azp or client_id, and the
	// token must say that it is an access token, because ID tokens are for ClientID as well.
	Audiences []string
	// InsecureAcceptAnyAudience also accepts tokens that the provider issued for other
	// applications. The operator of such an application can then act as its users here.
	InsecureAcceptAnyAudience bool
	// RoleClaims are the paths of the claims that contain the user's roles (see
	// [Token.Roles]). All of them are read. Paths are resolved as by [Claim]. A claim may be
	// a list, a single string, or an object whose member names are the roles. nil:
	// realm_access.roles, resource_access.<ClientID>.roles, roles and groups. Roles of other
	// clients are ignored; add resource_access.other.roles to use them. Empty, but not nil:
	// no roles.
	RoleClaims []string
	// ProfilePaths are the paths of further claims (such as ident.person) in which the
	// userinfo route looks for the user's names. nil: the top level only.
	ProfilePaths []string
	// Introspection makes guards accept opaque access tokens of the provider. Guards ask the
	// provider about each token (RFC 7662). A positive answer is cached for a minute, but
	// never longer than the token is valid; a negative one for ten seconds. With a negative
	// Config.CacheSize the provider is asked at each request. A valid JWT of the provider
	// without sub or aud is also introspected. If the provider has no
	// introspection_endpoint, such tokens are answered 503. Introspection needs ClientSecret,
	// and can't be combined with a Broker.
	Introspection bool
}

// ClientAuth is the method by which this application authenticates at the provider's token
// endpoint (RFC 6749 2.3.1).
type ClientAuth string

const (
	// ClientSecretBasic sends the secret in the Authorization header. RFC 6749 requires every
	// provider to support it.
	ClientSecretBasic ClientAuth = "client_secret_basic"
	// ClientSecretPost sends the secret in the form.
	ClientSecretPost ClientAuth = "client_secret_post"
)

// Endpoints replaces endpoints of the provider's discovery document. Each is an absolute URL:
// https, or http on loopback or with Config.InsecureProviderHTTP. "" means the one in the
// document. They are for container networks, where the document has URLs that only browsers
// can reach, and for documents that lack an endpoint, such as Facebook's. The issuer of the
// document and of tokens must still be Provider.Issuer. For the keys, use Provider.JWKSURL.
type Endpoints struct {
	// Browsers are redirected to Authorization and EndSession (RFC 6749 3.1, OpenID Connect
	// RP-Initiated Logout 1.0).
	Authorization, EndSession string
	// The application calls the others: RFC 6749 3.2, OpenID Connect Core 5.3, RFC 8628 3.1,
	// RFC 7009, RFC 7662.
	Token, Userinfo, Device, Revocation, Introspection string
}

func (e Endpoints) all() []struct{ field, url string } {
	return []struct{ field, url string }{
		{"Authorization", e.Authorization}, {"EndSession", e.EndSession}, {"Token", e.Token}, {"Userinfo", e.Userinfo},
		{"Device", e.Device}, {"Revocation", e.Revocation}, {"Introspection", e.Introspection},
	}
}

// withDefaults gives a copy that shares nothing with p and has every default filled in.
func (p Provider) withDefaults() Provider {
	setDefault(&p.DiscoveryURL, strings.TrimSuffix(p.Issuer, "/")+"/.well-known/openid-configuration")
	if p.Scopes == nil {
		p.Scopes = []string{"profile", "email"}
	}
	if p.RoleClaims == nil {
		p.RoleClaims = []string{"realm_access.roles", "resource_access." + p.ClientID + ".roles", "roles", "groups"}
	}
	for _, list := range []*[]string{&p.Scopes, &p.AllowedScopes, &p.LoginParams, &p.Audiences, &p.RoleClaims, &p.ProfilePaths} {
		*list = slices.Clone(*list)
	}
	p.AuthParams = cloneValues(p.AuthParams)
	return p
}

func cloneValues(values url.Values) url.Values {
	clone := url.Values{}
	for name, list := range values {
		clone[name] = slices.Clone(list)
	}
	return clone
}
