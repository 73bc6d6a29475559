// Package provider talks to an OpenID provider: every request to it, how the application
// proves who it is, and what its answers mean. It fails with faults: the provider is down,
// does not accept the application, has refused the user, or answers nonsense.
package provider

import (
	"context"
	"log/slog"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/background"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/fetch"
	"github.com/oidcgate/oidcgate/core/internal/httpx"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

// Options say which provider it is, and who the application is to it.
type Options struct {
	Name                           string // in states, device codes and sessions
	Issuer, ClientID, ClientSecret string
	ClientAuth                     string // client_secret_basic, client_secret_post; "": as discovery lists
	DiscoveryURL                   string
	JWKSURL                        string // "": as discovery says
	Endpoints                      Endpoints
	InsecureHTTP                   bool // http off loopback, and endpoints inside a private network

	Logins        bool // the application has logins, see [Provider.CheckSetup]
	Introspection bool // the application asks about opaque tokens

	Scopes   []string // that the application is configured to ask for
	HTTP     *httpx.Client
	Now      func() time.Time
	Tasks    *background.Tasks
	Logger   *slog.Logger
	Changed  func(dependency string, err error)      // one went away, or is back (nil); nil: nobody is told
	Verifier func(verify.KeySource) *verify.Verifier // of what it has signed
}

// Endpoints are single endpoints that are elsewhere than discovery says; "": as it says.
type Endpoints struct {
	Authorization, EndSession                          string
	Token, Userinfo, Device, Revocation, Introspection string
}

// Provider is an OpenID provider. All methods may be called concurrently.
type Provider struct {
	Options
	metadata *fetch.Document[Metadata]
	keys     *fetch.Document[jose.KeySet]
	verifier *verify.Verifier
}

// New makes no calls.
func New(o Options) *Provider {
	p := &Provider{Options: o}
	p.metadata = &fetch.Document[Metadata]{
		Name: "discovery document", Down: ErrDown, Load: p.loadMetadata,
		Now: o.Now, Tasks: o.Tasks, Logger: o.Logger,
	}
	p.keys = &fetch.Document[jose.KeySet]{
		Name: "key set", Down: ErrDown, Load: p.loadKeys, Replace: jose.KeySet.Replace,
		Now: o.Now, Tasks: o.Tasks, Logger: o.Logger,
	}
	if o.Changed != nil {
		p.metadata.Changed = func(err error) { o.Changed("provider", err) }
		p.keys.Changed = func(err error) { o.Changed("keys", err) }
	}
	p.verifier = o.Verifier(p.keys)
	return p
}

// Metadata gives the discovery document, and waits only while there is none.
func (p *Provider) Metadata(ctx context.Context) (Metadata, error) { return p.metadata.Get(ctx) }

// Keys are the documents of its keys and its metadata, for those who watch over them.
func (p *Provider) Documents() (metadata fetch.Outcome, keys fetch.Outcome) {
	return p.metadata.Outcome(), p.keys.Outcome()
}

// Keys is the document of the provider's keys.
func (p *Provider) Keys() *fetch.Document[jose.KeySet] { return p.keys }

// Verifier verifies what the provider has signed.
func (p *Provider) Verifier() *verify.Verifier { return p.verifier }

// Ready makes sure that everything which an answer of the token endpoint is checked with
// is at hand. What a provider has handed out once can't be asked for again.
func (p *Provider) Ready(ctx context.Context) error {
	if _, err := p.metadata.Get(ctx); err != nil {
		return err
	}
	_, err := p.keys.Get(ctx)
	return err
}

// ErrDown is the error for a provider that can't be reached.
var ErrDown = fault.Unavailable.New("The provider can't be reached at the moment.").Soon()
