package oidctest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The client of an [Options] that names none.
const (
	DefaultClientID     = "app"
	DefaultClientSecret = "app-secret-for-tests"
)

// The endpoints, as paths below the issuer, for [Provider.Answer] and [Provider.Requests].
const (
	DiscoveryPath           = "/.well-known/openid-configuration"
	AuthorizePath           = "/authorize"
	LoginPath               = "/login" // the page that AuthorizePath sends a browser to
	TokenPath               = "/token"
	UserinfoPath            = "/userinfo"
	KeysPath                = "/keys"
	IntrospectPath          = "/introspect"
	RevokePath              = "/revoke"
	EndSessionPath          = "/end_session"
	DeviceAuthorizationPath = "/device_authorization"
	DevicePath              = "/device" // the page where a person types a user code
)

// User is a person who can sign in at a [Provider].
type User struct {
	// Username is what is typed into the login page and what the helpers of
	// Provider take. It is required, and is the preferred_username claim
	// unless Claims has one.
	Username string

	// Password is the other half. Empty, it is the same as Username.
	Password string

	// Subject is the sub claim. Empty, it is "user-" and Username, so that code
	// which takes one for the other is found out.
	Subject string

	// Claims are put into access tokens, ID tokens, userinfo and introspection
	// answers, whatever scopes were asked for. A claim of the protocol itself,
	// such as iss or exp, cannot be set here; see [Provider.Sign] for that. The
	// map must not be changed once the provider runs.
	Claims map[string]any
}

// Options say what a [Provider] is like. The zero value is a provider with a
// confidential client, the users alice and bob, and JWT access tokens.
type Options struct {
	// Users can sign in. Nil means two of them:
	//
	//	alice  password "wonderland"  alice@example.com  Alice Liddell
	//	bob    password "builder"     bob@example.com    Bob Stone
	//
	// whose subjects are user-alice and user-bob. Both have the group "users"
	// and the realm role "user"; alice has the group and the realm role "admin"
	// too. Groups are the claim groups, roles are realm_access.roles, as
	// Keycloak writes them. Both e-mail addresses are verified.
	Users []User

	// ClientID and ClientSecret are those of the one registered client. Empty,
	// they are DefaultClientID and DefaultClientSecret. The secret is taken by
	// client_secret_basic and client_secret_post alike.
	ClientID     string
	ClientSecret string

	// Public makes the client a public one: it has no secret and must use PKCE
	// (RFC 7636) with S256.
	Public bool

	// RedirectURIs are the registered redirect URIs. One that is asked for must
	// be among them literally, except that the port of a loopback address may
	// differ (RFC 8252, section 7.3). Nil registers every absolute URI.
	RedirectURIs []string

	// OpaqueTokens makes access tokens strings that only the provider can read,
	// by userinfo or introspection, instead of JWTs.
	OpaqueTokens bool

	// StrictRefresh rotates refresh tokens: each is good for one use, and using
	// one again ends the whole family with invalid_grant (RFC 9700, section
	// 4.14.2). Otherwise a refresh token stays the same until it expires.
	StrictRefresh bool

	// The lifetimes of tokens, counted in whole seconds as tokens do. Zero means
	// 5 minutes, 1 hour and 24 hours. A negative lifetime makes tokens that have
	// expired already. The provider uses the real time: a test of code with a
	// clock of its own can ask for ID tokens that live for years. A rotated
	// refresh token lives for RefreshTokenLifetime anew.
	AccessTokenLifetime  time.Duration
	IDTokenLifetime      time.Duration
	RefreshTokenLifetime time.Duration

	// Audience is the aud claim of access tokens. Nil means the client id. ID
	// tokens are always for the client alone.
	Audience []string

	// SigningAlgorithm signs every token: "RS256", which is also what empty
	// means, or "ES256".
	SigningAlgorithm string

	// NoKeyIDs leaves the name of the key (kid) out of tokens and of the published
	// keys, as a provider may that has one key at a time (RFC 7517 4.5).
	NoKeyIDs bool

	// DeviceInterval is what a device must wait between two polls (RFC 8628).
	// Zero means 5 seconds. A poll that comes sooner after the last is answered
	// with slow_down, which does not lengthen the interval. Since whole seconds
	// are announced, a shorter interval is announced as 1. A negative value
	// announces 1 second and never answers slow_down, so that a test can poll as
	// often as it likes.
	DeviceInterval time.Duration

	// DeviceLifetime is how long a device code and its user code are good for.
	// Zero means 10 minutes; a negative value makes codes that have expired.
	DeviceLifetime time.Duration

	// Issuer is the issuer identifier, when the provider is reached through
	// another address than the one it listens on, such as that of a proxy. A
	// value that begins with a slash is a path below the address it listens on,
	// as in "/realms/test". Empty means the address itself. All endpoints are
	// below the issuer; a path in it may be sent along or left off by a proxy.
	Issuer string

	// Secret lets a provider that is started again, with the same Issuer and the
	// same Secret, go on where the one before it ended: it signs with the same
	// keys, and takes the refresh tokens of that one. It knows nothing of what
	// the one before it had ended or rotated out. It needs the SigningAlgorithm
	// ES256, and is for demonstrations: a test has no use for it.
	Secret string

	// IssParameter adds the iss parameter to authorization responses and says so
	// in the discovery document (RFC 9207).
	IssParameter bool
}

func defaultUsers() []User {
	user := func(name, password, given, family string, groups, roles []any) User {
		return User{Username: name, Password: password, Claims: map[string]any{
			"email":          name + "@example.com",
			"email_verified": true,
			"name":           given + " " + family,
			"given_name":     given,
			"family_name":    family,
			"groups":         groups,
			"realm_access":   map[string]any{"roles": roles},
		}}
	}
	return []User{
		user("alice", "wonderland", "Alice", "Liddell", []any{"admin", "users"}, []any{"admin", "user"}),
		user("bob", "builder", "Bob", "Stone", []any{"users"}, []any{"user"}),
	}
}

// complete returns the options with every default filled in, or an error that
// names all that is wrong with them.
func (o Options) complete(address string) (Options, error) {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("oidctest: "+format, args...)) }

	o.ClientID = cmp.Or(o.ClientID, DefaultClientID)
	if o.Public {
		if o.ClientSecret != "" {
			wrong("a public client has no ClientSecret")
		}
	} else {
		o.ClientSecret = cmp.Or(o.ClientSecret, DefaultClientSecret)
	}
	o.AccessTokenLifetime = cmp.Or(o.AccessTokenLifetime, 5*time.Minute)
	o.IDTokenLifetime = cmp.Or(o.IDTokenLifetime, time.Hour)
	o.RefreshTokenLifetime = cmp.Or(o.RefreshTokenLifetime, 24*time.Hour)
	o.DeviceInterval = cmp.Or(o.DeviceInterval, 5*time.Second)
	o.DeviceLifetime = cmp.Or(o.DeviceLifetime, 10*time.Minute)
	if len(o.Audience) == 0 {
		o.Audience = []string{o.ClientID}
	}
	o.Audience = slices.Clone(o.Audience)
	o.SigningAlgorithm = cmp.Or(o.SigningAlgorithm, "RS256")
	if _, ok := generators[o.SigningAlgorithm]; !ok {
		wrong("SigningAlgorithm %q is neither RS256 nor ES256", o.SigningAlgorithm)
	}

	if o.Secret != "" && o.SigningAlgorithm != "ES256" {
		wrong("no key for %s follows from a Secret: set SigningAlgorithm to ES256", o.SigningAlgorithm)
	}

	for _, uri := range o.RedirectURIs {
		if !absolute(uri) {
			wrong("the redirect URI %q is not an absolute URI without a fragment", uri)
		}
	}
	o.RedirectURIs = slices.Clone(o.RedirectURIs)

	if o.Issuer == "" || strings.HasPrefix(o.Issuer, "/") {
		o.Issuer = address + o.Issuer
	}
	o.Issuer = strings.TrimSuffix(o.Issuer, "/")
	if u, err := url.Parse(o.Issuer); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || strings.ContainsAny(o.Issuer, "?#") {
		wrong("the Issuer %q is not an http or https URL without query and fragment", o.Issuer)
	}

	if o.Users == nil {
		o.Users = defaultUsers()
	}
	o.Users = slices.Clone(o.Users)
	names, subjects := map[string]bool{}, map[string]bool{}
	for i := range o.Users {
		u := &o.Users[i]
		if u.Username == "" {
			wrong("user %d has no Username", i)
		}
		u.Password = cmp.Or(u.Password, u.Username)
		u.Subject = cmp.Or(u.Subject, "user-"+u.Username)
		if names[u.Username] || subjects[u.Subject] {
			wrong("there are two users with the name %q or the subject %q", u.Username, u.Subject)
		}
		names[u.Username], subjects[u.Subject] = true, true
		claims := map[string]any{"preferred_username": u.Username}
		maps.Copy(claims, u.Claims)
		u.Claims = claims
	}
	return o, errors.Join(errs...)
}

func absolute(uri string) bool {
	u, err := url.Parse(uri)
	return err == nil && u.Scheme != "" && !strings.Contains(uri, "#")
}
