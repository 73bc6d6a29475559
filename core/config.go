package core

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Defaults of a [Config].
const (
	DefaultLeeway    = 30 * time.Second
	DefaultTimeout   = 10 * time.Second
	DefaultCacheSize = 32 << 20 // bytes

	DefaultMaxIntrospections = 32
)

// Off switches a route off: Routes{Device: core.Off}.
const Off = "-"

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

// Config says who the provider is, who the application is to it, and what the
// routes allow. Its zero values are safe; Issuer and ClientID are needed, and
// either PublicURL or clients that always name a redirect_uri. [New] copies
// it, so that later changes have no effect.
type Config struct {
	// Issuer is the provider's issuer identifier, letter by letter as the
	// provider spells it in its discovery document and its tokens, with its
	// trailing slash if it has one (OpenID Connect Discovery 3).
	Issuer string
	// ClientID and ClientSecret are what the provider knows this application
	// by. No secret: a public client, which PKCE alone protects.
	ClientID, ClientSecret string

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
	// ClientAuth is how ClientSecret is sent. "": as the discovery document lists
	// (token_endpoint_auth_methods_supported), ClientSecretBasic before
	// ClientSecretPost.
	ClientAuth ClientAuth

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
	// LoginParams are a provider's own parameters that a link to the login route may
	// set, such as kc_idp_hint (Keycloak) and hd (Google). nil: none; the standard
	// ones (prompt, login_hint, max_age, ui_locales, acr_values) always may.
	LoginParams []string

	// PublicURL is the external URL of the place where the routes are
	// mounted, https://app.example.org/api for instance: https, or http on
	// loopback, without a trailing slash, query, fragment or braces; see
	// InsecurePublicHTTP for http elsewhere. It is the base of
	// the callback's URL and decides whether cookies are Secure. Nothing is
	// ever taken from a request's Host or forwarding headers. With a Broker it is
	// needed, and the issuer of its tokens; otherwise, "": every login must name a
	// redirect_uri.
	PublicURL string
	// Routes are the paths below the mount, and which of them there are.
	Routes Routes
	// RedirectURIs are where a login may lead besides our callback and
	// loopback addresses, letter by letter.
	RedirectURIs []string
	// PostLogoutURIs are where a logout may lead besides PublicURL's own
	// origin, letter by letter.
	PostLogoutURIs []string

	// Secrets seal login states and, with a Broker, all that its store keeps,
	// and authenticate refresh tokens. Each is base64 of 32 random bytes or more
	// (openssl rand -base64 32). The first seals, all open: give every
	// replica the new one last, then move it first everywhere; see [Auth.Reseal]
	// before the old one is taken away. nil: a random one serves this process,
	// so that a login or session that began before a restart, or at another
	// replica, can't go on.
	Secrets []string

	// Broker gives the application tokens and sessions of its own. nil:
	// passthrough mode, in which clients have the provider's tokens.
	Broker *Broker

	// Audiences are the values of which the aud of the provider's access tokens
	// must hold one. With a Broker that concerns the tokens that are exchanged;
	// guards there go by Broker.Audience.
	// nil: ClientID must be in aud, or be azp or client_id, and the token must say that
	// it is an access token, since ID tokens are meant for ClientID as well.
	Audiences []string
	// InsecureAcceptAnyAudience takes tokens that the provider issued for
	// anybody else's application as well: whoever runs one of those can then
	// act as its users here.
	InsecureAcceptAnyAudience bool
	// InsecureProviderHTTP allows http to a provider that is not on loopback, and
	// endpoints inside a private network of one that is not.
	// Whoever can change the traffic then decides who is signed in.
	InsecureProviderHTTP bool
	// InsecurePublicHTTP allows http in a PublicURL that is not on loopback, for labs.
	// Codes, tokens and cookies then go over the network in clear. Config.RedirectURIs
	// must still be https.
	InsecurePublicHTTP bool
	// Require are constraints that every guard adds to its own. With a Broker they also
	// decide who gets a token: at each login, refresh and exchange they must hold for what
	// the token will say, and a [Claim] that the token will not have for what the provider
	// says. Who fails one is refused, and a session of his ends. Guards then trust that for
	// the claims which a token of ours leaves out.
	Require []Constraint
	// RoleClaims are paths of the claims of the provider in which a user's flat roles
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

	// TrustedIssuers are further issuers whose access tokens guards take, each
	// verified by its own keys: other providers or, with a Broker, other brokers.
	// Who signs in here still does so at Issuer. See [Auth.SetTrustedIssuers].
	TrustedIssuers []Issuer
	// Introspection has guards take opaque access tokens of the provider's, by
	// asking it about each (RFC 7662); its answer counts for a minute, and never
	// longer than the token is good, a refusal for ten seconds; with a negative
	// CacheSize it is asked at each request. Of a provider that has no
	// introspection_endpoint such tokens are answered 503. A valid JWT of the provider's
	// that leaves out sub or aud is asked about, too. It needs ClientSecret. Without a Broker only.
	Introspection bool
	// MaxIntrospections is how many tokens the provider is asked about at once, 2 or more.
	// Half of these turns are for tokens that were good before, so that made-up ones can't
	// keep them out. Eight times as many may wait; further requests are answered 503.
	// 0: 32.
	MaxIntrospections int
	// CacheSize is how many bytes of memory verified tokens may take, so that
	// another request with the same token costs next to nothing. One of 1 KiB
	// takes up to 10 KiB, its claims decoded. 0: 32 MiB; negative: none are
	// remembered.
	CacheSize int

	// Leeway is how far clocks may be apart. 0: 30 s; negative: none.
	Leeway time.Duration
	// Timeout is how long one call to the provider or the store may take. 0: 10 s.
	Timeout time.Duration

	// HTTPClient makes the calls to the provider, with its transport and
	// time-out; redirects are not followed and cookies not kept. nil: a client
	// of our own.
	HTTPClient *http.Client
	// Logger gets what an operator should know. nil: slog.Default().
	Logger *slog.Logger
	// Observe is called with each security event, in the request that caused
	// it: return soon. It must be safe for concurrent use. nil: nobody.
	Observe func(context.Context, Event)
	// Now is the clock of every decision. nil: time.Now.
	Now func() time.Time
	// Rand is the source of states, verifiers and nonces. nil: crypto/rand.
	Rand io.Reader
}

// Routes are the paths of the routes, relative to the mount. "" means the
// default path, [Off] no such route.
type Routes struct {
	Login    string // /auth/v2/login
	Callback string // /auth/v2/callback
	Token    string // /auth/v2/token
	Device   string // /auth/v2/device
	Logout   string // /auth/v2/logout
	Userinfo string // /auth/v2/userinfo

	// With a Broker only:

	JWKS                string // /auth/v2/.well-known/jwks.json
	OpenIDConfiguration string // /.well-known/openid-configuration
	AuthorizationServer string // /.well-known/oauth-authorization-server
}

// Endpoints are single endpoints of the provider. Each is an absolute URL (https, or
// http on loopback or with Config.InsecureProviderHTTP); "" means where the discovery
// document says. A container network needs those that the application itself calls,
// where the document names addresses for browsers; Facebook's document names no token
// endpoint. The issuer of the document and of tokens is Config.Issuer all the same. For
// the keys there is Config.JWKSURL.
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

// withDefaults gives a copy that shares nothing with c and has every default
// filled in.
func (c Config) withDefaults() Config {
	setDefault(&c.DiscoveryURL, strings.TrimSuffix(c.Issuer, "/")+"/.well-known/openid-configuration")
	setDefault(&c.Routes.Login, "/auth/v2/login")
	setDefault(&c.Routes.Callback, "/auth/v2/callback")
	setDefault(&c.Routes.Token, "/auth/v2/token")
	setDefault(&c.Routes.Device, "/auth/v2/device")
	setDefault(&c.Routes.Logout, "/auth/v2/logout")
	setDefault(&c.Routes.Userinfo, "/auth/v2/userinfo")
	setDefault(&c.Routes.JWKS, peerKeys)
	setDefault(&c.Routes.OpenIDConfiguration, wellKnown[0])
	setDefault(&c.Routes.AuthorizationServer, wellKnown[1])
	c.Broker = c.Broker.withDefaults(c.PublicURL)
	setDefault(&c.Leeway, DefaultLeeway)
	c.Leeway = max(c.Leeway, 0)
	setDefault(&c.Timeout, DefaultTimeout)
	setDefault(&c.CacheSize, DefaultCacheSize)
	setDefault(&c.MaxIntrospections, DefaultMaxIntrospections)
	if c.Scopes == nil {
		c.Scopes = []string{"profile", "email"}
	}
	if c.RoleClaims == nil {
		c.RoleClaims = []string{"realm_access.roles", "resource_access." + c.ClientID + ".roles", "roles", "groups"}
	}
	for _, list := range []*[]string{&c.Scopes, &c.AllowedScopes, &c.LoginParams, &c.RedirectURIs, &c.PostLogoutURIs, &c.Secrets, &c.Audiences, &c.RoleClaims, &c.ProfilePaths} {
		*list = slices.Clone(*list)
	}
	c.Require = slices.Clone(c.Require)
	c.AuthParams = cloneValues(c.AuthParams)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func cloneValues(values url.Values) url.Values {
	clone := url.Values{}
	for name, list := range values {
		clone[name] = slices.Clone(list)
	}
	return clone
}

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

	providerURL := func(field, value string) {
		if err := checkURL(value, c.InsecureProviderHTTP); err != nil {
			wrong(field, "%q: %w", shown(value), err)
		}
	}
	if c.Issuer == "" {
		wrong("Issuer", "is missing: the provider's issuer URL, as its discovery document spells it")
	} else if strings.Contains(c.Issuer, tenant) {
		wrong("Issuer", "%q is a pattern: users sign in at one tenant, name that; patterns are for Config.TrustedIssuers", c.Issuer)
	} else if err := cmp.Or(noDocument(c.Issuer), checkURL(c.Issuer, c.InsecureProviderHTTP)); err != nil {
		wrong("Issuer", "%q: %w", shown(c.Issuer), err)
	} else {
		providerURL("DiscoveryURL", c.DiscoveryURL)
	}
	if c.JWKSURL != "" {
		providerURL("JWKSURL", c.JWKSURL)
	}
	if c.ClientID == "" {
		wrong("ClientID", "is missing: the name under which the provider knows this application")
	}
	for _, endpoint := range c.Endpoints.all() {
		if endpoint.url != "" {
			providerURL("Endpoints."+endpoint.field, endpoint.url)
		}
	}
	if c.ClientAuth != "" && c.ClientAuth != ClientSecretBasic && c.ClientAuth != ClientSecretPost {
		wrong("ClientAuth", "%q is unknown: use %q or %q, or leave it empty", c.ClientAuth, ClientSecretBasic, ClientSecretPost)
	}
	scopes := func(field string, list []string) {
		for _, scope := range list {
			if !validScopeToken(scope) {
				wrong(field, "holds %q, which is not one scope (RFC 6749 3.3): give each its own entry", scope)
			}
		}
	}
	scopes("Scopes", c.Scopes)
	scopes("AllowedScopes", c.AllowedScopes)
	for name := range c.AuthParams {
		if slices.Contains(ownParams, name) {
			wrong("AuthParams", "may not set %q, which logins set and check for themselves", name)
		}
	}
	for _, name := range c.LoginParams {
		switch {
		case !validParamName(name):
			wrong("LoginParams", "holds %q, which is not the name of a parameter (RFC 6749 8.2)", name)
		case slices.Contains(ownParams, name), slices.Contains(handedOn, name), name == "offline_access":
			wrong("LoginParams", "may not list %q, which logins read for themselves", name)
		case c.AuthParams.Has(name):
			wrong("LoginParams", "lists %q, which Config.AuthParams sets and no request can override: take one of them away", name)
		}
	}
	if c.PublicURL != "" {
		if err := checkPublic(c.PublicURL, c.InsecurePublicHTTP); err != nil {
			wrong("PublicURL", "%q: %w", shown(c.PublicURL), err)
		}
	}
	for _, uri := range c.RedirectURIs {
		if err := checkRedirectURI(uri); err != nil {
			wrong("RedirectURIs", "%q: %w", shown(uri), err)
		}
	}
	for _, uri := range c.PostLogoutURIs {
		if err := checkRedirectURI(uri); err != nil {
			wrong("PostLogoutURIs", "%q: %w", shown(uri), err)
		}
	}
	problems = append(problems, c.Routes.check()...)
	if _, err := c.secretBytes(); err != nil {
		wrong("Secrets", "%w", err)
	}
	if c.InsecureAcceptAnyAudience && len(c.Audiences) > 0 {
		wrong("InsecureAcceptAnyAudience", "contradicts Config.Audiences: set one of them")
	}
	if slices.Contains(c.Audiences, "") {
		wrong("Audiences", "holds an empty value")
	}
	if slices.Contains(c.RoleClaims, "") {
		wrong("RoleClaims", "holds an empty path")
	}
	for _, constraint := range c.Require {
		if err := constraint.check(); err != nil {
			wrong("Require", "holds a constraint that can't work: %w", err)
		}
	}
	problems = append(problems, c.checkIssuers(c.TrustedIssuers)...)
	if c.Broker != nil {
		problems = append(problems, c.Broker.check(c)...)
		if c.Introspection {
			wrong("Introspection", "is for guards that take the provider's tokens: with a Broker they take its own")
		}
	}
	if c.Introspection && c.ClientSecret == "" {
		wrong("Introspection", "needs Config.ClientSecret: a provider tells about tokens only those who prove who they are (RFC 7662 2.1)")
	}
	if c.MaxIntrospections < 2 {
		wrong("MaxIntrospections", "is %d: use 2 or more, since half of them are for tokens that were good before", c.MaxIntrospections)
	}
	if c.Timeout < 0 {
		wrong("Timeout", "is negative: calls without a time limit are not offered")
	}
	return errors.Join(problems...)
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

func (r Routes) check() []error {
	var problems []error
	seen := map[string]string{}
	for _, route := range r.all() {
		if route.path == Off {
			continue
		}
		if !validPath(route.path) {
			problems = append(problems, fmt.Errorf("Config.Routes.%s %q must begin with a slash and have letters, digits, and the characters -._~/ only", route.field, route.path))
		}
		if other, taken := seen[route.path]; taken {
			problems = append(problems, fmt.Errorf("Config.Routes.%s and Config.Routes.%s are both %q", other, route.field, route.path))
		}
		seen[route.path] = route.field
	}
	return problems
}

// validPath keeps out what a router would take for a pattern and what a proxy
// would normalize.
func validPath(path string) bool {
	for _, r := range path {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~/", r) {
			return false
		}
	}
	if len(path) < 2 || path[0] != '/' {
		return false
	}
	for segment := range strings.SplitSeq(path[1:], "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

func (r Routes) all() []struct{ field, path string } {
	return []struct{ field, path string }{
		{"Login", r.Login}, {"Callback", r.Callback}, {"Token", r.Token},
		{"Device", r.Device}, {"Logout", r.Logout}, {"Userinfo", r.Userinfo}, {"JWKS", r.JWKS},
		{"OpenIDConfiguration", r.OpenIDConfiguration}, {"AuthorizationServer", r.AuthorizationServer},
	}
}
