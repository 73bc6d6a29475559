package core

import (
	"net/url"
	"slices"
	"strings"
)

// Provider is an OpenID provider at which users sign in, and how it knows this
// application. Issuer and ClientID are needed.
type Provider struct {
	// Name tells the provider from others in what outlives a request: login states, device
	// codes and sessions. Logins and sessions of a provider that is not configured under
	// its name any more can't go on. "" is a name, too.
	Name string
	// Issuer is the provider's issuer identifier, exactly as the
	// provider spells it in its discovery document and its tokens, with its
	// trailing slash if it has one (OpenID Connect Discovery 3).
	Issuer string
	// ClientID and ClientSecret are what the provider knows this application
	// by. No secret: a public client, which PKCE alone protects.
	ClientID, ClientSecret string
	// ClientAuth is how ClientSecret is sent. "": as the discovery document lists
	// (token_endpoint_auth_methods_supported), ClientSecretBasic before
	// ClientSecretPost.
	ClientAuth ClientAuth

	// DiscoveryURL is where the discovery document is fetched when that is
	// not below the issuer, in a container network for example. The issuer in
	// the document must still be Issuer, and the endpoints in it are used as
	// they stand; they may be inside a private network if Issuer or DiscoveryURL is.
	// "": <Issuer>/.well-known/openid-configuration.
	DiscoveryURL string
	// JWKSURL is where the provider's keys are fetched. "": where the
	// discovery document says.
	JWKSURL string
	// Endpoints are single endpoints of the provider that are elsewhere than the
	// discovery document says, or that it leaves out.
	Endpoints Endpoints

	// Scopes are asked for at a login that names none; openid is always
	// added. nil: profile and email.
	Scopes []string
	// AllowedScopes are the scopes that a request may name instead. nil: any,
	// so that the provider decides. List them where the provider ignores unknown ones,
	// leaves scope out of its answers and has opaque access tokens: all that is asked for
	// then counts as granted (RFC 6749 5.1).
	AllowedScopes []string
	// OnlineDevices keeps device logins from asking for offline_access, for
	// providers that refuse it.
	OnlineDevices bool
	// AuthParams are sent with every authorization request, for what a
	// provider wants besides the standard (audience, access_type, prompt …). No
	// request can override them. audience and resource go with device logins too.
	AuthParams url.Values
	// LoginParams are the provider's own parameters that a link to the login route may
	// set, such as kc_idp_hint (Keycloak) and hd (Google). nil: none; the standard
	// ones (prompt, login_hint, max_age, ui_locales, acr_values) always may.
	LoginParams []string

	// Audiences are the values of which the aud of the provider's access tokens
	// must hold one. With a Broker that concerns the tokens that are exchanged;
	// guards there go by Broker.Audience.
	// nil: ClientID must be in aud, or be azp or client_id, and the token must say that
	// it is an access token, since ID tokens are meant for ClientID as well.
	Audiences []string
	// InsecureAcceptAnyAudience accepts tokens that the provider issued for
	// other applications as well: whoever runs one of those can then
	// act as its users here.
	InsecureAcceptAnyAudience bool
	// RoleClaims are paths of the claims in which the user's flat roles
	// are (see [Token.Roles]), all of which are read. A path is tried as [Claim] tries
	// it. A claim may be a list, a single text, or an object, of which the members' names
	// count. nil: realm_access.roles, resource_access.<ClientID>.roles, roles and groups.
	// Roles of other clients are other applications' business: name
	// resource_access.other.roles here if they are yours as well. Empty, but not nil: no
	// roles.
	RoleClaims []string
	// ProfilePaths are paths of further claims (such as ident.person) in
	// which userinfo looks for the user's names. nil: the top level only.
	ProfilePaths []string
	// Introspection has guards accept opaque access tokens of the provider, by
	// asking it about each (RFC 7662). Its answer counts for a minute, and never
	// longer than the token is valid, a refusal for ten seconds; with a negative
	// Config.CacheSize it is asked at each request. If the provider has no
	// introspection_endpoint, such tokens are answered 503. A valid JWT of the provider
	// that leaves out sub or aud is asked about, too. It needs ClientSecret. Without a
	// Broker only.
	Introspection bool
}

// ClientAuth is how this application proves itself to the provider's token
// endpoint (RFC 6749 2.3.1).
type ClientAuth string

const (
	// ClientSecretBasic sends the secret in the Authorization header, as RFC 6749
	// asks every provider to understand.
	ClientSecretBasic ClientAuth = "client_secret_basic"
	// ClientSecretPost sends the secret in the form.
	ClientSecretPost ClientAuth = "client_secret_post"
)

// Endpoints are single endpoints of the provider. Each is an absolute URL (https, or
// http on loopback or with Config.InsecureProviderHTTP); "" means where the discovery
// document says. A container network needs those that the application itself calls,
// where the document names addresses for browsers; Facebook's document names no token
// endpoint. The issuer of the document and of tokens is Provider.Issuer all the same. For
// the keys there is Provider.JWKSURL.
type Endpoints struct {
	// Authorization and EndSession are for browsers (RFC 6749 3.1, OpenID Connect
	// RP-Initiated Logout 1.0).
	Authorization, EndSession string
	// The others are called by the application: RFC 6749 3.2, OpenID Connect Core
	// 5.3, RFC 8628 3.1, RFC 7009, RFC 7662.
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
