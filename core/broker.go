package core

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/broker"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
)

// Defaults of a [Broker].
const (
	DefaultAlgorithm       = "RS256"
	DefaultKeyLifetime     = 90 * 24 * time.Hour
	DefaultTokenLifetime   = 15 * time.Minute
	DefaultSessionLifetime = 90 * 24 * time.Hour
	DefaultSessionIdle     = 30 * 24 * time.Hour
	DefaultRefreshGrace    = 45 * time.Second
)

// Limits of a [Broker].
const (
	minKeyLifetime   = 2 * broker.KeyLead
	minRefreshGrace  = 2 * time.Second // longer than it takes a client to try again
	maxRefreshGrace  = time.Hour
	maxTokenLifetime = broker.MaxTokenLifetime
)

// Broker, in a [Config], makes the application an issuer: after the provider's login it
// issues its own access and refresh tokens, and keeps the provider's tokens, encrypted, in a
// store. Guards then accept the application's own tokens, not the
// provider's. The issuer is Config.PublicURL. The zero Broker is safe and complete.
type Broker struct {
	// Store keeps the sessions and the signing keys, for all replicas. The caller closes it;
	// [Auth.Close] does not. A store that outlives the process requires Config.Secrets. nil:
	// in memory; a restart signs everybody out.
	Store store.Store
	// Audience is the name of this application in the aud of access tokens (RFC 9068 2.2).
	// Guards accept only tokens that have it, but for those of a [Resource]. "": PublicURL.
	Audience string
	// Resources are the resources of this application, each an audience of its own: tokens
	// are for all of them, unless the parameter resource (RFC 8707) narrows them to some, and
	// a guard with [Resource] demands its own. Each has a metadata document (RFC 9728), which
	// guards name in their challenges. nil: Broker.Audience, if it is a URL as a resource has
	// one; not nil and empty: none.
	Resources []ProtectedResource
	// PeerAudiences are the names of other applications that tokens are also for, such as
	// peers that trust this broker. With the parameter resource (RFC 8707), a client gets a
	// token for fewer of them. A token that is narrowed to a peer is rejected here. Whoever
	// receives a token that is not narrowed can use it at all the others: see
	// docs/federation.md. nil: none.
	PeerAudiences []string
	// Algorithm is the algorithm of the first signing key and of those that follow by
	// KeyLifetime: RS256, ES256, PS256 or EdDSA (RFC 7518 3.1, RFC 8037 3.1). The keys in the
	// store decide how tokens are signed; [Auth.RotateSigningKey] changes the algorithm
	// sooner. "": RS256, which every verifier supports. ES256 and EdDSA sign about 25 times
	// faster.
	Algorithm string
	// KeyLifetime is how long a key signs before another does. The next key is published a
	// day earlier. 0: 90 days; at least 48 hours. Negative: keys change only by
	// [Auth.RotateSigningKey].
	KeyLifetime time.Duration

	// TokenLifetime is how long an access token is valid. Without CheckSession it outlives its
	// session for as long, so keep it short. 0: 15 minutes; at most a day.
	TokenLifetime time.Duration
	// SessionLifetime is the maximum length of a session. Then the user must sign in again.
	// 0: 90 days.
	SessionLifetime time.Duration
	// SessionIdle is the time without a refresh after which a session ends. 0: 30 days.
	SessionIdle time.Duration
	// CheckSession makes guards reject an access token whose session has ended: at once if it
	// ended in this process, and after CheckSession if another replica ended it. For so long
	// an answer of the store is remembered, however many requests come, and a session that
	// has ended is answered 401. While the store is down, requests whose answer is too old
	// get 503, so that guards depend on the store. Tokens without a session (from a token
	// exchange or [Auth.Mint]) and tokens of peers are not looked up. 0: guards ask no store,
	// and accept tokens until they expire; at most TokenLifetime.
	CheckSession time.Duration
	// RefreshGrace is how long a used refresh token gives the same new token again, for a
	// client that lost the answer. Later, reuse is a replay and ends the session. Differences
	// between the clocks of replicas make it longer or shorter. 0: 45 seconds; at least 2
	// seconds, at most an hour.
	RefreshGrace time.Duration
	// InsecureTolerateReplay rejects a replayed refresh token without ending the session. A
	// thief who uses a stolen token first then keeps the session, and the user notices
	// nothing.
	InsecureTolerateReplay bool

	// Exchange enables token exchange (RFC 8693): a client with an access token of the
	// provider that is meant for this application gets one of the broker's.
	Exchange bool
	// ResourceServers are the programs that may ask whether an access token is valid and its
	// session has not ended (RFC 7662). A program that need not know about the session can
	// verify tokens by the published keys instead. nil: there is no introspect route.
	ResourceServers []Client
	// SubjectIsUsername makes the username the sub, as in py-oidc-auth, and not the
	// provider's subject. A username may later be given to another person; a subject is not.
	SubjectIsUsername bool
	// PythonPeers makes tokens and keys compatible with brokers of py-oidc-auth that trust
	// this one. They support only RSA keys, so Algorithm must be RS256, and other keys are not
	// published. They have no clock leeway, so iat is 5 seconds in the past.
	PythonPeers bool
	// Identify is called at each login, refresh and exchange, before tokens are issued. It may
	// change what they say about the user, or reject the user: see [Identity]. It must return
	// when its context ends, after Config.Timeout. It must be safe for concurrent use. nil:
	// tokens say what the provider said.
	Identify func(context.Context, *Identity) error
	// Device is called with the request that ends a login (at the callback or token route), and
	// says what [Auth.Sessions] shows of it. The session keeps that, encrypted. Which header has
	// the address depends on the proxies before the application, so that core can't tell.
	// It must be safe for concurrent use and keep nothing of the request. nil: nothing is kept.
	Device func(*http.Request) Device
}

// withDefaults gives a copy with every default filled in.
func (b *Broker) withDefaults(publicURL string) *Broker {
	if b == nil {
		return nil
	}
	c := *b
	setDefault(&c.Algorithm, DefaultAlgorithm)
	setDefault(&c.KeyLifetime, DefaultKeyLifetime)
	setDefault(&c.TokenLifetime, DefaultTokenLifetime)
	setDefault(&c.SessionLifetime, DefaultSessionLifetime)
	setDefault(&c.SessionIdle, DefaultSessionIdle)
	setDefault(&c.RefreshGrace, DefaultRefreshGrace)
	setDefault(&c.Audience, publicURL)
	c.PeerAudiences = slices.Clone(c.PeerAudiences)
	c.Resources = c.ownResources(publicURL)
	c.ResourceServers = slices.Clone(c.ResourceServers)
	for i := range c.ResourceServers {
		c.ResourceServers[i].Resources = slices.Clone(c.ResourceServers[i].Resources)
	}
	if c.Store == nil {
		c.Store = memory.New()
	}
	return &c
}

// check reports what is wrong with a broker's configuration, defaults filled in.
func (b *Broker) check(c Config) []error {
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf("Config."+format, args...)) }
	if c.PublicURL == "" {
		wrong("PublicURL is missing: in broker mode, which Config.Browser switches on, it is the issuer of the tokens")
	}
	if c.Routes.Token == Off {
		wrong("Routes.Token is off: in broker mode clients get and refresh their tokens there; leave the route on, or leave Broker and Browser nil")
	}
	if !slices.Contains(jose.SigningAlgorithms, b.Algorithm) {
		wrong("Broker.Algorithm %q is none to sign with: use %s", b.Algorithm, strings.Join(jose.SigningAlgorithms, ", "))
	}
	if b.PythonPeers && b.Algorithm != "RS256" {
		wrong("Broker.Algorithm %q is none that Broker.PythonPeers can verify: use RS256", b.Algorithm)
	}
	if b.KeyLifetime >= 0 && b.KeyLifetime < minKeyLifetime {
		wrong("Broker.KeyLifetime is %s: it needs %s or more, since a key is published a day before it signs; a negative one leaves it to RotateSigningKey", b.KeyLifetime, minKeyLifetime)
	}
	if b.PythonPeers && b.Audience == c.PublicURL {
		wrong("Broker.Audience is missing: name the one audience that Broker.PythonPeers and this application have in common (broker_audience there)")
	}
	if b.PythonPeers && c.Routes.JWKS == Off {
		wrong("Routes.JWKS is off: Broker.PythonPeers verify tokens by the keys that are published there")
	}
	if c.PublicURL != "" && c.PublicURL == c.provider().Issuer {
		wrong("PublicURL is the provider's issuer: it is where this application's own routes are mounted")
	}
	for i, audience := range b.PeerAudiences {
		switch {
		case audience == "":
			wrong("Broker.PeerAudiences holds an empty value: name an application, or leave the list nil")
		case audience == b.Audience:
			wrong("Broker.PeerAudiences holds %q, which is Broker.Audience (PublicURL by default): name other applications there", audience)
		case slices.Contains(b.PeerAudiences[:i], audience):
			wrong("Broker.PeerAudiences holds %q twice", audience)
		}
	}
	problems = append(problems, b.checkResources(c)...)
	for name, d := range map[string]time.Duration{"TokenLifetime": b.TokenLifetime, "SessionLifetime": b.SessionLifetime, "SessionIdle": b.SessionIdle} {
		if d < time.Second {
			wrong("Broker.%s is %s: nothing would live long enough to be used", name, d)
		}
	}
	if b.TokenLifetime > maxTokenLifetime {
		wrong("Broker.TokenLifetime is %s: access tokens can't be called back, so that %s is the most", b.TokenLifetime, maxTokenLifetime)
	}
	switch {
	case b.CheckSession < 0:
		wrong("Broker.CheckSession is %s: use 0 for guards that don't look sessions up, or a time for which an answer counts", b.CheckSession)
	case b.CheckSession > b.TokenLifetime:
		wrong("Broker.CheckSession is %s: tokens are valid for %s only, so that a longer time finds nothing; make it shorter", b.CheckSession, b.TokenLifetime)
	}
	switch {
	case b.RefreshGrace < minRefreshGrace:
		wrong("Broker.RefreshGrace is %s: it needs %s or more, or clients that try again lose their sessions", b.RefreshGrace, minRefreshGrace)
	case b.RefreshGrace > maxRefreshGrace:
		wrong("Broker.RefreshGrace is %s: a stolen token could be used for as long, so that %s is the most", b.RefreshGrace, maxRefreshGrace)
	}
	if _, inMemory := b.Store.(*memory.Store); !inMemory && len(c.Secrets) == 0 {
		wrong("Secrets is missing: what a store keeps is sealed, and without a secret nobody could open it after a restart; make one with: openssl rand -base64 32")
	}
	return append(problems, checkClients(b.ResourceServers)...)
}

// introspects reports whether there is somebody to ask about tokens.
func (c Config) introspects() bool { return len(c.Broker.ResourceServers) > 0 }

// Reseal seals every record of the store anew that an older one of
// Config.Secrets has sealed, so that the older secret can be taken away, and
// tells how many those were. It may run while the application does, at several
// replicas too, and be run again after an error. What it can't open it leaves as
// it is, goes on, and tells in the error. Without a [Broker] there is nothing to
// do. Sessions go on; the refresh tokens that clients hold were made
// with the older secret all the same, and are valid only as long as it is there.
func (a *Auth) Reseal(ctx context.Context) (int, error) {
	if a.broker == nil {
		return 0, nil
	}
	count, err := a.broker.Reseal(ctx)
	return count, asError(err)
}

// newBroker makes the broker's room.
func newBroker(a *Auth, secrets [][]byte) (*broker.Broker, error) {
	c, p, b := a.config, a.config.provider(), a.config.Broker
	var identify func(context.Context, *broker.Identity) error
	if b.Identify != nil {
		identify = func(ctx context.Context, who *broker.Identity) error {
			public := newIdentity(*who)
			err := b.Identify(ctx, &public)
			*who = public.inner()
			return asFault(err)
		}
	}
	var resources []string
	for _, r := range b.Resources {
		if r.URL != b.Audience {
			resources = append(resources, r.URL)
		}
	}
	return broker.New(broker.Options{
		PublicURL: c.PublicURL, ClientID: p.ClientID, Provider: a.provider,
		Audience: b.Audience, Resources: resources, PeerAudiences: b.PeerAudiences, Algorithm: b.Algorithm, KeyLifetime: b.KeyLifetime,
		TokenLifetime: b.TokenLifetime, SessionLifetime: b.SessionLifetime, SessionIdle: b.SessionIdle, RefreshGrace: b.RefreshGrace,
		CheckSession: b.CheckSession, CheckBrowser: c.rememberFor(), StaleFor: c.staleFor(), TolerateReplay: b.InsecureTolerateReplay, SubjectIsUsername: b.SubjectIsUsername, PythonPeers: b.PythonPeers,
		Identify: identify, Require: rulesOf(c.Require), RoleClaims: p.RoleClaims, ProfilePaths: p.ProfilePaths,
		Store: b.Store, Secrets: secrets,
		Leeway: c.Leeway, Timeout: c.Timeout, Now: c.Now, Rand: c.Rand, Tasks: a.tasks, Logger: c.Logger,
		RequestID: a.requestID, Note: a.complaints.note, GiveBack: a.giveBack, Changed: a.dependencyChanged,
		Tell: func(ctx context.Context, e broker.Event) {
			a.emit(ctx, Event{Kind: EventKind(e.Kind), RequestID: e.RequestID, Subject: e.Subject, Client: e.Client, Session: e.Session, Reason: e.Reason, Key: e.Key})
		},
	})
}
