package core

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"time"
)

// Defaults of a [Config].
const (
	DefaultLeeway    = 30 * time.Second
	DefaultTimeout   = 10 * time.Second
	DefaultCacheSize = 32 << 20 // bytes

	DefaultMaxIntrospections = 32
)

// Config configures an [Auth]. It needs one provider, and PublicURL unless all clients send a
// redirect_uri. All other zero values are safe defaults. [New] copies the Config; later
// changes have no effect.
type Config struct {
	// Providers are the providers at which users sign in. For now there must be exactly one.
	Providers []Provider

	// This application:

	// PublicURL is the external URL at which the routes are mounted, such as
	// https://app.example.org/api. It is https, or http on loopback (see also
	// InsecurePublicHTTP), without a trailing slash, query, fragment or braces. It is the
	// base of the callback's URL and decides whether cookies are Secure. A request's Host and
	// forwarding headers are ignored. With a Broker or Browser it is required, and is the
	// issuer of the Broker's tokens. Without, "" means that every login must send a redirect_uri.
	PublicURL string
	// Routes moves routes below the mount, or switches them off.
	Routes Routes
	// RedirectURIs are the allowed redirect URIs besides the callback route and loopback
	// addresses. They are compared exactly.
	RedirectURIs []string
	// PostLogoutURIs are the allowed targets of a logout besides the origin of PublicURL.
	// They are compared exactly.
	PostLogoutURIs []string
	// Secrets encrypt login states. With a Broker they also encrypt the stored records and
	// authenticate refresh tokens. Each is base64 of at least 32 random bytes (openssl rand
	// -base64 32). The first secret encrypts; all can decrypt. To change it, add the new
	// secret last at every replica, then move it first everywhere. See [Auth.Reseal] before
	// you remove the old one. nil: a random secret for this process, so logins and sessions
	// don't survive a restart and don't work across replicas.
	Secrets []string
	// Broker makes the application issue its own tokens and keep sessions. nil: passthrough
	// mode, in which clients get the provider's tokens; or the zero Broker, if Browser is set.
	Broker *Broker
	// Browser keeps people signed in by a cookie, for web applications. Without a Broker it
	// makes the zero one. nil: logins end with tokens, and guards accept tokens alone.
	Browser *Browser
	// InsecurePublicHTTP allows http in a PublicURL that is not on loopback, for test
	// networks. Codes, tokens and cookies are then not encrypted on the network.
	// RedirectURIs must still be https.
	InsecurePublicHTTP bool

	// Guards:

	// Require are constraints that every guard adds to its own. With a Broker they also decide
	// who gets a token: they are checked at each login, refresh and exchange, against the new
	// token. A [Claim] that the new token will not contain is checked against what the
	// provider said. A user who fails is rejected, and the session ends. For claims that the
	// Broker's tokens don't contain, guards rely on that check.
	Require []Constraint
	// TrustedIssuers are further issuers whose access tokens guards accept: other providers
	// or, with a Broker, other brokers. Each is verified with its own keys. Users still sign
	// in at the provider. See [Auth.SetTrustedIssuers].
	TrustedIssuers []Issuer
	// Leeway is the allowed difference between clocks. 0: 30 s; negative: none.
	Leeway time.Duration
	// CacheSize is the size in bytes of the cache of verified tokens. A hit costs little more
	// than a hash. A token of 1 KiB needs up to 10 KiB, with its claims decoded. 0: 32 MiB;
	// negative: no cache.
	CacheSize int
	// MaxIntrospections is the number of concurrent introspection calls, at least 2; see
	// Provider.Introspection. Half of them are reserved for tokens that were valid before, so
	// that invented tokens can't block them. Eight times as many requests may wait; further
	// requests are answered 503. 0: 32.
	MaxIntrospections int

	// Machinery:

	// Timeout limits each call to the provider or the store. 0: 10 s.
	Timeout time.Duration
	// HTTPClient makes the calls to the provider. Its transport and time-out are used. It
	// follows no redirects and keeps no cookies. [Auth.ProviderClient] uses its transport, too.
	// nil: a default client.
	HTTPClient *http.Client
	// Logger gets the messages for operators. nil: slog.Default().
	Logger *slog.Logger
	// Observe is called with each security event, in the request that caused it, so it must
	// return quickly. It must be safe for concurrent use. nil: events are dropped.
	Observe func(context.Context, Event)
	// RequestID gives the id of the request that a context belongs to, as a middleware of the
	// application has put it there (chi: middleware.GetReqID). Events then have it. It must be
	// safe for concurrent use, and give "" for a context without one. nil: events have none.
	RequestID func(context.Context) string
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Rand is the source of randomness for states, verifiers and nonces. nil: crypto/rand.
	Rand io.Reader
	// InsecureProviderHTTP allows http to a provider, trusted issuer or host of
	// [Auth.ProviderClient] that is not on loopback. It also allows a public provider to have endpoints inside a private network.
	// Anyone who can modify the traffic can then sign in as any user.
	InsecureProviderHTTP bool
}

// provider is the one provider. There is one as soon as check has passed.
func (c Config) provider() *Provider { return &c.Providers[0] }

// withDefaults gives a copy that shares nothing with c and has every default
// filled in.
func (c Config) withDefaults() Config {
	c.Providers = slices.Clone(c.Providers)
	for i := range c.Providers {
		c.Providers[i] = c.Providers[i].withDefaults()
	}
	c.Routes.setDefaults()
	c.Browser = c.Browser.withDefaults()
	if c.Browser != nil && c.Broker == nil {
		c.Broker = &Broker{}
	}
	c.Broker = c.Broker.withDefaults(c.PublicURL)
	setDefault(&c.Leeway, DefaultLeeway)
	c.Leeway = max(c.Leeway, 0)
	setDefault(&c.Timeout, DefaultTimeout)
	setDefault(&c.CacheSize, DefaultCacheSize)
	setDefault(&c.MaxIntrospections, DefaultMaxIntrospections)
	for _, list := range []*[]string{&c.RedirectURIs, &c.PostLogoutURIs, &c.Secrets} {
		*list = slices.Clone(*list)
	}
	c.Require = slices.Clone(c.Require)
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
