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

	// Password is the password. "" means the same as Username.
	Password string

	// Subject is the sub claim. "" means "user-" and Username, so that tests find code that
	// confuses the two.
	Subject string

	// Claims are added to access tokens, ID tokens, userinfo and introspection answers, for
	// any scopes. Claims of the protocol, such as iss or exp, can't be set here; use
	// [Provider.Sign]. The map must not be changed while the provider runs.
	Claims map[string]any
}

// Options configure a [Provider]. The zero value means a confidential client, the users alice
// and bob, and JWT access tokens.
type Options struct {
	// Users are the users. Nil means two:
	//
	//	alice  password "wonderland"  alice@example.com  Alice Liddell
	//	bob    password "builder"     bob@example.com    Bob Stone
	//
	// Their subjects are user-alice and user-bob. Both have the group "users" and the realm
	// role "user". alice also has the group and the realm role "admin". Groups are in the
	// claim groups, roles in realm_access.roles, as in Keycloak. Both e-mail addresses are
	// verified.
	Users []User

	// ClientID and ClientSecret identify the one registered client. "" means DefaultClientID
	// and DefaultClientSecret. Both client_secret_basic and client_secret_post work.
	ClientID     string
	ClientSecret string

	// Public makes the client public: it has no secret and must use PKCE (RFC 7636) with
	// S256.
	Public bool

	// RedirectURIs are the registered redirect URIs. They are compared exactly, except for
	// the port of a loopback address (RFC 8252, section 7.3). Nil allows every absolute URI.
	RedirectURIs []string

	// OpaqueTokens makes access tokens opaque: only the provider can read them, by userinfo
	// or introspection.
	OpaqueTokens bool

	// StrictRefresh rotates refresh tokens: each can be used once, and reuse ends the whole
	// family with invalid_grant (RFC 9700, section 4.14.2). Otherwise a refresh token stays
	// the same until it expires.
	StrictRefresh bool

	// The lifetimes of tokens, in whole seconds. Zero means 5 minutes, 1 hour and 24 hours. A
	// negative lifetime makes expired tokens. The provider uses the real clock. If the code
	// under test has its own clock, give ID tokens a lifetime of years. Each rotated refresh
	// token lives for RefreshTokenLifetime again.
	AccessTokenLifetime  time.Duration
	IDTokenLifetime      time.Duration
	RefreshTokenLifetime time.Duration

	// Audience is the aud claim of access tokens. Nil means the client id. The audience of ID
	// tokens is always the client id.
	Audience []string

	// SigningAlgorithm is the algorithm of all tokens: "RS256" or "ES256". "" means "RS256".
	SigningAlgorithm string

	// NoKeyIDs leaves out the kid in tokens and published keys. A provider that has one key at
	// a time may do so (RFC 7517 4.5).
	NoKeyIDs bool

	// DeviceInterval is the minimum time between two polls of a device (RFC 8628). Zero means
	// 5 seconds. An earlier poll is answered with slow_down, which does not make the interval
	// longer. The provider announces whole seconds: a shorter interval is announced as 1. A
	// negative value announces 1 second, but slow_down never occurs.
	DeviceInterval time.Duration

	// DeviceLifetime is the lifetime of a device code and its user code. Zero means 10
	// minutes; a negative value makes expired codes.
	DeviceLifetime time.Duration

	// Issuer is the issuer identifier if clients use another address than the one on which
	// the provider listens, such as that of a proxy. A value that begins with a slash is a
	// path below the listen address, such as "/realms/test". "" means the listen address. All
	// endpoints are below the issuer. A proxy may keep or remove the issuer's path.
	Issuer string

	// Secret lets a restarted provider with the same Issuer and Secret continue: it signs with
	// the same keys and accepts the earlier refresh tokens, even those that had been revoked
	// or rotated. It requires the SigningAlgorithm ES256. It is for demos; tests don't need
	// it.
	Secret string

	// IssParameter adds the parameter iss to authorization responses, and announces it in the
	// discovery document (RFC 9207).
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
