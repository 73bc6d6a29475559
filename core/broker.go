package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/fetch"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/core/internal/seal"
	"github.com/oidcgate/oidcgate/core/internal/session"
	"github.com/oidcgate/oidcgate/core/internal/vault"
	"github.com/oidcgate/oidcgate/core/internal/verify"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
	"golang.org/x/sync/singleflight"
)

// Defaults of a [Broker].
const (
	DefaultAlgorithm       = "RS256"
	DefaultTokenLifetime   = 15 * time.Minute
	DefaultSessionLifetime = 90 * 24 * time.Hour
	DefaultSessionIdle     = 30 * 24 * time.Hour
	DefaultRefreshGrace    = 45 * time.Second
)

// Limits of a [Broker].
const (
	minRefreshGrace  = 2 * time.Second // longer than it takes a client to try again
	maxRefreshGrace  = time.Hour
	maxTokenLifetime = 24 * time.Hour
)

// Broker, in a [Config], makes the application an issuer of its own: after the
// provider's login it mints its own access tokens, keeps the provider's refresh
// token sealed in a store, and hands out a refresh token of its own in its place.
// Its guards take its own tokens and not the provider's. Its issuer is
// Config.PublicURL. The zero Broker is safe and complete.
type Broker struct {
	// Store keeps the sessions and the signing keys, for all replicas. It stays
	// its owner's: [Auth.Close] does not close it. nil: in memory, for one
	// process that may forget everybody when it ends. A store that outlives the
	// process needs Config.Secrets.
	Store store.Store
	// Audience is the name of this application in the aud of access tokens (RFC
	// 9068 2.2): guards take tokens that have it, and no others. "": PublicURL.
	Audience string
	// PeerAudiences are the names of other applications that tokens are for as well,
	// such as peers that trust this broker. A client gets a token for fewer with
	// resource (RFC 8707); one that was narrowed to a peer's name is rejected here.
	// The receiver of a token that is not narrowed can use it at all the others:
	// see docs/federation.md. nil: none.
	PeerAudiences []string
	// Algorithm signs the tokens: RS256, ES256, PS256 or EdDSA (RFC 7518 3.1,
	// RFC 8037 3.1). "": RS256, which every verifier knows. ES256 and EdDSA are
	// some 25 times faster to sign with.
	Algorithm string

	// TokenLifetime is how long an access token is good. It can't be called
	// back, so keep it short. 0: 15 minutes; at most a day.
	TokenLifetime time.Duration
	// SessionLifetime is when a user has to sign in again in any case.
	// 0: 90 days.
	SessionLifetime time.Duration
	// SessionIdle is when a session ends that nobody refreshes. 0: 30 days.
	SessionIdle time.Duration
	// RefreshGrace is how long a refresh token that was just used gives the same
	// successor again, to a client that did not receive the answer. Later it is
	// a replay, and ends the session. Clocks of replicas that are apart add to
	// it or take away. 0: 45 seconds; at least 2, at most an hour.
	RefreshGrace time.Duration
	// InsecureTolerateReplay refuses a replayed refresh token without ending its
	// session: then whoever stole it and was first can go on, and the
	// user notices nothing.
	InsecureTolerateReplay bool

	// Exchange switches token exchange on (RFC 8693): whoever brings an access
	// token of the provider that is meant for this application gets one of ours.
	Exchange bool
	// SubjectIsUsername makes sub the username, as py-oidc-auth has it, in the
	// place of the provider's subject. Usernames are given to others after a
	// while; subjects never.
	SubjectIsUsername bool
	// PythonPeers makes tokens and keys such that brokers of py-oidc-auth can trust
	// this one. They take every key of a key set for an RSA key, so that only those
	// are published and Algorithm must be RS256; and they allow no clock to be
	// behind, so that iat lies 5 seconds back.
	PythonPeers bool
	// Identify is called at each login, refresh and exchange, before tokens are
	// minted. It may change what they will say about the user, or refuse: see
	// [Identity]. Its context ends after Config.Timeout, and it must return then.
	// It must be safe for concurrent use. nil: tokens say what the provider said.
	Identify func(context.Context, *Identity) error
}

// audiences are the names that an access token has in aud, unless it is narrowed.
func (b *Broker) audiences() []string {
	return append([]string{b.Audience}, b.PeerAudiences...)
}

// withDefaults gives a copy with every default filled in.
func (b *Broker) withDefaults(publicURL string) *Broker {
	if b == nil {
		return nil
	}
	c := *b
	setDefault(&c.Algorithm, DefaultAlgorithm)
	setDefault(&c.TokenLifetime, DefaultTokenLifetime)
	setDefault(&c.SessionLifetime, DefaultSessionLifetime)
	setDefault(&c.SessionIdle, DefaultSessionIdle)
	setDefault(&c.RefreshGrace, DefaultRefreshGrace)
	setDefault(&c.Audience, publicURL)
	c.PeerAudiences = slices.Clone(c.PeerAudiences)
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
		wrong("PublicURL is missing: in broker mode it is the issuer of the tokens")
	}
	if c.Routes.Token == Off {
		wrong("Routes.Token is off: in broker mode clients get and refresh their tokens there; leave Broker nil, or leave the route on")
	}
	if !slices.Contains(jose.SigningAlgorithms, b.Algorithm) {
		wrong("Broker.Algorithm %q is none to sign with: use %s", b.Algorithm, strings.Join(jose.SigningAlgorithms, ", "))
	}
	if b.PythonPeers && b.Algorithm != "RS256" {
		wrong("Broker.Algorithm %q is none that Broker.PythonPeers can verify: use RS256", b.Algorithm)
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
	for name, d := range map[string]time.Duration{"TokenLifetime": b.TokenLifetime, "SessionLifetime": b.SessionLifetime, "SessionIdle": b.SessionIdle} {
		if d < time.Second {
			wrong("Broker.%s is %s: nothing would live long enough to be used", name, d)
		}
	}
	if b.TokenLifetime > maxTokenLifetime {
		wrong("Broker.TokenLifetime is %s: access tokens can't be called back, so that %s is the most", b.TokenLifetime, maxTokenLifetime)
	}
	switch {
	case b.RefreshGrace < minRefreshGrace:
		wrong("Broker.RefreshGrace is %s: it needs %s or more, or clients that try again lose their sessions", b.RefreshGrace, minRefreshGrace)
	case b.RefreshGrace > maxRefreshGrace:
		wrong("Broker.RefreshGrace is %s: a stolen token would be good for as long, so that %s is the most", b.RefreshGrace, maxRefreshGrace)
	}
	if _, inMemory := b.Store.(*memory.Store); !inMemory && len(c.Secrets) == 0 {
		wrong("Secrets is missing: what a store keeps is sealed, and without a secret nobody could open it after a restart; make one with: openssl rand -base64 32")
	}
	return problems
}

// The kinds of records.
const (
	kindSession    = "session"
	kindSigningKey = "signing-key"
	kindKeySet     = "key-set" // of another issuer
)

// broker is the part of an Auth that has tokens and sessions of its own.
type broker struct {
	*Broker
	auth     *Auth
	config   Config
	records  *vault.Vault
	macs     *seal.Keys // of refresh tokens
	keys     *fetch.Document[keyring]
	policy   session.Policy
	holder   string             // the name of this instance in leases
	patience time.Duration      // how long a request waits for its session
	flights  singleflight.Group // refreshes, by their token

	rolesFrom sync.Map // the sources of roles that the log knows
}

// clockMargin is how far the clocks of replicas may be apart.
const clockMargin = 5 * time.Second

func newBroker(a *Auth, secrets [][]byte) (*broker, error) {
	c := a.config
	b := &broker{Broker: c.Broker, auth: a, config: c, patience: 2 * c.Timeout}
	var err error
	if b.holder, err = a.random(); err != nil {
		return nil, err
	}
	// Applications with the same secrets have nothing in common for that: not
	// records, if they are different clients, and not refresh tokens, if they are
	// one client at different places.
	client := fmt.Sprintf(" of %q at %q", c.provider().ClientID, c.provider().Issuer)
	b.macs = seal.New(fmt.Sprintf("refresh token%s for %q", client, c.PublicURL), secrets)
	b.records = &vault.Vault{
		Store: c.Broker.Store, Seals: seal.New("record"+client, secrets),
		Random: c.Rand, Timeout: c.Timeout, Now: c.Now, Tasks: a.life, Logger: c.Logger,
	}
	b.keys = &fetch.Document[keyring]{
		Name: "signing keys", Down: vault.ErrDown, Load: b.loadKeys, Replace: keyring.replace,
		Now: c.Now, Tasks: a.life, Logger: c.Logger,
	}
	b.policy = session.Policy{
		Lifetime: b.SessionLifetime, Idle: b.SessionIdle, Grace: b.RefreshGrace,
		// The provider's answer, as long again for saving it, and the clocks.
		Lease:          2*c.Timeout + clockMargin,
		TolerateReplay: b.InsecureTolerateReplay,
	}
	return b, nil
}

// verifier checks the broker's own tokens.
func (b *broker) verifier() *verify.Verifier {
	return &verify.Verifier{
		Issuer: verify.NewIssuerName(b.config.PublicURL), Keys: publicKeys{b.keys}, Thumbprints: true,
		Audience: verify.Audience{Names: []string{b.Audience}}, ClientID: b.config.provider().ClientID,
		Leeway: b.config.Leeway, Now: b.config.Now,
		Require: verify.AsMinted(rulesOf(b.config.Require)),
		// Where else a provider may have its roles, Identify may have put anything.
		Roles: claim.RolePaths{"roles"}.In,
	}
}

// start opens the store and reads the keys, or makes the first.
func (b *broker) start(ctx context.Context) error {
	_, err := b.keys.Get(ctx)
	var e *fault.Error
	// To a request that is an outage, which another replica may not have. To a
	// program that starts it is a mistake, and waiting won't mend it.
	switch {
	case !errors.As(err, &e):
	case errors.Is(err, seal.ErrUnknownSecret), errors.Is(err, seal.ErrOpen):
		return fmt.Errorf("%w: %w", store.ErrUnusable, e.Cause)
	case errors.Is(err, store.ErrUnusable):
		return e.Cause
	}
	if err != nil {
		return err
	}
	b.records.KeepHouse()
	unknown, err := b.unknownSessions(ctx)
	if unknown > 0 {
		b.config.Logger.WarnContext(ctx, "the store holds sessions that no secret of Config.Secrets opens: their users must sign in again, unless the secret comes back", "of the first", vault.PageSize, "sessions", unknown)
	}
	return err
}

// unknownSessions counts, among the first page of sessions that have not
// expired, those that no secret opens.
func (b *broker) unknownSessions(ctx context.Context) (int, error) {
	sessions, err := b.records.Page(ctx, kindSession, "")
	count := 0
	for _, record := range sessions {
		if b.auth.now().Before(record.Expires) && b.records.Unseal(&record) != nil {
			count++
		}
	}
	return count, err
}

// Reseal seals every record of the store anew that an older one of
// Config.Secrets has sealed, so that the older secret can be taken away, and
// tells how many those were. It may run while the application does, at several
// replicas too, and be run again after an error. What it can't open it leaves as
// it is, goes on, and tells in the error. Without a [Broker] there is nothing to
// do. Sessions go on; the refresh tokens that clients hold were made
// with the older secret all the same, and are good only as long as it is there.
func (a *Auth) Reseal(ctx context.Context) (int, error) {
	if a.broker == nil {
		return 0, nil
	}
	count, err := a.broker.records.Reseal(ctx, kindSigningKey, kindSession) // key sets are written anew all the time
	return count, asError(err)
}
