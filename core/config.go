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

// Config says where users sign in, who the application is, and what its routes and
// guards allow. Its zero values are safe. It needs one provider, and either PublicURL
// or clients that always send a redirect_uri. [New] copies it, so that later changes
// have no effect.
type Config struct {
	// Providers are where users sign in. Exactly one for now; [New] rejects more.
	Providers []Provider

	// This application:

	// PublicURL is the external URL of the place where the routes are
	// mounted, https://app.example.org/api for instance: https, or http on
	// loopback, without a trailing slash, query, fragment or braces; see
	// InsecurePublicHTTP for http elsewhere. It is the base of
	// the callback's URL and decides whether cookies are Secure. Nothing is
	// ever taken from a request's Host or forwarding headers. With a Broker it is
	// needed, and is the issuer of its tokens. Without one, "" means that every login
	// must send a redirect_uri.
	PublicURL string
	// Routes are the paths below the mount, and which of them there are.
	Routes Routes
	// RedirectURIs are where a login may lead besides our callback and
	// loopback addresses. They are compared exactly.
	RedirectURIs []string
	// PostLogoutURIs are where a logout may lead besides PublicURL's own
	// origin. They are compared exactly.
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
	// InsecurePublicHTTP allows http in a PublicURL that is not on loopback, for labs.
	// Codes, tokens and cookies then go over the network unencrypted. RedirectURIs
	// must still be https.
	InsecurePublicHTTP bool

	// Guards:

	// Require are constraints that every guard adds to its own. With a Broker they also
	// decide who gets a token: at each login, refresh and exchange they must hold for what
	// the token will say, and a [Claim] that the token will not have for what the provider
	// says. A user who fails one is refused, and the session ends. Guards then trust that for
	// the claims which a token of ours leaves out.
	Require []Constraint
	// TrustedIssuers are further issuers whose access tokens guards accept, each
	// verified by its own keys: other providers or, with a Broker, other brokers.
	// Users still sign in at the provider. See [Auth.SetTrustedIssuers].
	TrustedIssuers []Issuer
	// Leeway is how far clocks may be apart. 0: 30 s; negative: none.
	Leeway time.Duration
	// CacheSize is how many bytes of memory verified tokens may take, so that
	// another request with the same token costs next to nothing. A token of 1 KiB
	// takes up to 10 KiB, its claims decoded. 0: 32 MiB; negative: none are
	// remembered.
	CacheSize int
	// MaxIntrospections is how many tokens the provider is asked about at once, 2 or more;
	// see Provider.Introspection. Half of these turns are for tokens that were valid
	// before, so that made-up ones can't keep them out. Eight times as many may wait;
	// further requests are answered 503. 0: 32.
	MaxIntrospections int

	// Machinery:

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
	// InsecureProviderHTTP allows http to a provider or trusted issuer that is not on
	// loopback, and endpoints inside a private network of one that is not.
	// Whoever can change the traffic then decides who is signed in.
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
