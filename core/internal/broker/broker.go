// Package broker makes an application an issuer of its own: sessions over sealed records,
// what is known of their users, minted tokens, signing keys, token exchange.
package broker

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/background"
	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/fetch"
	"github.com/oidcgate/oidcgate/core/internal/provider"
	"github.com/oidcgate/oidcgate/core/internal/seal"
	"github.com/oidcgate/oidcgate/core/internal/session"
	"github.com/oidcgate/oidcgate/core/internal/vault"
	"github.com/oidcgate/oidcgate/core/internal/verify"
	"github.com/oidcgate/oidcgate/store"
	"golang.org/x/sync/singleflight"
)

// The kinds of records.
const (
	kindSession    = "session"
	kindSigningKey = "signing-key"
	kindKeySet     = "key-set" // of another issuer

	kindLogoutToken = "logout-token"
)

// Options say what tokens there are, for whom, and what they are made from.
type Options struct {
	PublicURL string // the issuer
	ClientID  string // the application's own client
	Provider  *provider.Provider

	Audience      string   // what guards demand that name no resource
	Resources     []string // of the application, besides Audience: what the other guards demand
	PeerAudiences []string
	Algorithm     string        // of the first key, and of those that follow by interval
	KeyLifetime   time.Duration // the interval; 0 or less: keys are made on demand alone

	TokenLifetime, SessionLifetime, SessionIdle, RefreshGrace, CheckSession time.Duration

	CheckBrowser time.Duration // for how long a browser's session is remembered; 0: there are none
	StaleFor     time.Duration // how long one goes on after it was to be refreshed

	TolerateReplay    bool // a replayed refresh token does not end its session
	SubjectIsUsername bool
	PythonPeers       bool // see core.Broker

	// Identify may change who a user is, or refuse him by a fault. nil: nothing changes.
	Identify     func(context.Context, *Identity) error
	Require      []verify.Rule // that hold for every token
	RoleClaims   []string
	ProfilePaths []string

	Store   store.Store
	Secrets [][]byte // the first seals, all open

	Leeway, Timeout time.Duration
	Now             func() time.Time
	Rand            io.Reader
	Tasks           *background.Tasks
	Logger          *slog.Logger

	RequestID func(context.Context) string // of the request that a context belongs to; "" if there is none

	Note     func(ctx context.Context, what string, err error) // how something went that requests hang on
	GiveBack func(ctx context.Context, refreshToken string)    // revokes a token at the provider
	Tell     func(context.Context, Event)                      // something for a security log
	Changed  func(dependency string, err error)                // one went away, or is back (nil); nil: nobody is told
}

// Tokens are what a client gets: an access token of ours, and maybe a refresh token.
type Tokens = provider.Tokens

// MaxTokenLifetime is the longest time for which an access token may be valid, which
// only guards that look up sessions can call back.
const MaxTokenLifetime = 24 * time.Hour

// MaxToken is the longest token that is read, in bytes.
const MaxToken = 16 << 10

// Broker is an issuer of tokens, with sessions of its own. All methods may be called
// concurrently.
type Broker struct {
	Options
	own      *verify.Verifier // of its tokens
	records  *vault.Vault
	macs     map[string]*seal.Keys // of refresh tokens, by the client
	keys     *fetch.Document[keyring]
	signer   atomic.Pointer[signingKey] // that signed when the keys were last read
	policy   session.Policy
	holder   string             // the name of this instance in leases
	patience time.Duration      // how long a request waits for its session
	flights  singleflight.Group // refreshes, by their token
	cookies  *seal.Keys         // of browsers' sessions
	live     *looks[struct{}]   // which sessions go on, as guards know it
	browsers *looks[*BrowserSession]

	shortSessions sync.Once // the log knows that browsers' sessions are not refreshed

	rolesFrom sync.Map // the sources of roles that the log knows
}

// clockMargin is how far the clocks of replicas may be apart.
const clockMargin = 5 * time.Second

// New makes no calls.
func New(o Options) (*Broker, error) {
	b := &Broker{Options: o, patience: 2 * o.Timeout}
	var err error
	if b.holder, err = b.random(); err != nil {
		return nil, err
	}
	// Applications with the same secrets have nothing in common for that: not
	// records, if they are different clients, and not refresh tokens, if they are
	// one client at different places.
	client := fmt.Sprintf(" of %q at %q", o.ClientID, o.Provider.Issuer)
	b.macs = map[string]*seal.Keys{o.ClientID: seal.New(fmt.Sprintf("refresh token%s for %q", client, o.PublicURL), o.Secrets)}
	b.cookies = seal.New(fmt.Sprintf("browser session%s for %q", client, o.PublicURL), o.Secrets)
	b.records = &vault.Vault{
		Store: o.Store, Seals: seal.New("record"+client, o.Secrets),
		Random: o.Rand, Timeout: o.Timeout, Now: o.Now, Tasks: o.Tasks, Logger: o.Logger,
	}
	b.keys = &fetch.Document[keyring]{
		Name: "signing keys", Down: vault.ErrDown, Load: b.loadKeys, Replace: keyring.replace,
		Now: o.Now, Tasks: o.Tasks, Logger: o.Logger,
	}
	if o.Changed != nil {
		b.records.Changed = func(err error) { o.Changed("store", err) }
		b.keys.Changed = func(err error) { o.Changed("signing_keys", err) }
	}
	b.policy = session.Policy{
		Lifetime: o.SessionLifetime, Idle: o.SessionIdle, Grace: o.RefreshGrace,
		// The provider's answer, as long again for saving it, and the clocks.
		Lease:          2*o.Timeout + clockMargin,
		TolerateReplay: o.TolerateReplay,
	}
	b.own = &verify.Verifier{
		Issuer: verify.NewIssuerName(o.PublicURL), Keys: publicKeys{b.keys}, Thumbprints: true,
		Audience: verify.Audience{Names: []string{o.Audience}, Resources: o.Resources}, ClientID: o.ClientID,
		Leeway: o.Leeway, Now: o.Now,
		Require: verify.AsMinted(o.Require),
		// Where else a provider may have its roles, Identify may have put anything.
		Roles: claim.RolePaths{"roles"}.In,
	}
	b.live = newLooks(o.CheckSession, o.Now, func(_ context.Context, id string) func() (struct{}, time.Time, error) {
		return func() (struct{}, time.Time, error) {
			return struct{}{}, time.Time{}, b.ask(func(ctx context.Context) error { return b.lookLive(ctx, id) })
		}
	})
	b.browsers = newLooks(o.CheckBrowser, o.Now, func(first context.Context, id string) func() (*BrowserSession, time.Time, error) {
		requestID := b.RequestID(first)
		return func() (s *BrowserSession, until time.Time, err error) {
			err = b.ask(func(ctx context.Context) (err error) {
				s, until, err = b.lookBrowser(ctx, requestID, id)
				return err
			})
			return s, until, err
		}
	})
	return b, nil
}

// ask asks the store about a session, on a context of its own.
func (b *Broker) ask(question func(context.Context) error) error {
	err := b.Tasks.Do(question)
	var e *fault.Error
	if err != nil && !errors.As(err, &e) {
		err = vault.ErrDown.From(err) // the Auth was closed
	}
	return err
}

// Verifier verifies the broker's own tokens.
func (b *Broker) Verifier() *verify.Verifier { return b.own }

// Audiences are the names that an access token has in aud, unless it is narrowed.
func (b *Broker) Audiences() []string {
	return slices.Concat([]string{b.Audience}, b.Resources, b.PeerAudiences)
}

// Ready makes sure that everything which an answer of the provider is checked with and
// kept by is at hand: the store as well, where it did not answer last.
func (b *Broker) Ready(ctx context.Context) error {
	if err := b.Provider.Ready(ctx); err != nil {
		return err
	}
	if b.records.Outcome().Err != nil {
		if _, err := b.records.Read(ctx, kindSession, "none"); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	_, err := b.keys.Get(ctx)
	return err
}

// KeySet gives the JWK Set (RFC 7517 5) that others verify the tokens by.
func (b *Broker) KeySet(ctx context.Context) ([]byte, error) {
	keys, err := b.keys.Get(ctx)
	return keys.document, err
}

// Outcomes tell how the store and the signing keys are doing.
func (b *Broker) Outcomes() (store vault.Outcome, keys fetch.Outcome) {
	return b.records.Outcome(), b.keys.Outcome()
}

// SigningSince tells since when the key signs that signs now: the zero time if that is not
// known. It makes no call.
func (b *Broker) SigningSince() time.Time {
	if ring := b.keys.Last(); len(ring.keys) > 0 {
		return ring.signing(b.Now()).sign
	}
	return time.Time{}
}

// Reseal seals every record anew that isn't sealed by the first secret, and tells how
// many those were. Key sets are not among them: they are written anew all the time. Nor are logout tokens,
// which expire soon.
func (b *Broker) Reseal(ctx context.Context) (int, error) {
	return b.records.Reseal(ctx, kindSigningKey, kindSession)
}

// random gives 32 random bytes in base64url.
func (b *Broker) random() (string, error) {
	bytes := make([]byte, 32)
	if _, err := io.ReadFull(b.Rand, bytes); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(bytes), nil
}

// Start opens the store and reads the keys, or makes the first.
func (b *Broker) Start(ctx context.Context) error {
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
		b.Logger.WarnContext(ctx, "the store holds sessions that no secret of Config.Secrets opens: their users must sign in again, unless the secret comes back", "of the first", vault.PageSize, "sessions", unknown)
	}
	return err
}

// unknownSessions counts, among the first page of sessions that have not
// expired, those that no secret opens.
func (b *Broker) unknownSessions(ctx context.Context) (int, error) {
	sessions, err := b.records.Page(ctx, kindSession, "", "")
	count := 0
	for _, record := range sessions {
		if b.Now().Before(record.Expires) && b.records.Unseal(&record) != nil {
			count++
		}
	}
	return count, err
}
