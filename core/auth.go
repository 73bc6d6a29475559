package core

import (
	"context"
	"fmt"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/background"
	"github.com/oidcgate/oidcgate/core/internal/broker"
	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/httpx"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/core/internal/provider"
	"github.com/oidcgate/oidcgate/core/internal/seal"
	"github.com/oidcgate/oidcgate/core/internal/trust"
	"github.com/oidcgate/oidcgate/core/internal/verify"
	"golang.org/x/sync/singleflight"
)

// Auth is one application's OpenID Connect: its routes and its guards. Make it
// with [New], once for each provider. It is safe for concurrent use.
type Auth struct {
	config   Config
	tasks    *background.Tasks
	provider *provider.Provider
	verifier *verify.Verifier // of the provider's tokens
	trust    *trust.Trust     // in the tokens that guards take
	broker   *broker.Broker   // nil: passthrough mode

	client client // the application's own

	complaints *complaints // about what requests fail for

	states  *seal.Keys // login states
	nonces  *seal.Keys // nonces of clients that do PKCE themselves
	devices *seal.Keys // device codes

	userinfoGuard *Guard

	sessionCookieName string             // of browsers' sessions
	origins           []string           // whose pages may send requests by cookie
	callbacks         singleflight.Group // logins that browsers end, by the login and its code
}

// New makes an Auth. It reports all mistakes of the configuration at once
// (errors.Join) and makes no calls: the provider is asked at first use, or by
// [Auth.Start], and may be down until then.
func New(config Config) (*Auth, error) {
	config = config.withDefaults()
	if err := config.check(); err != nil {
		return nil, err
	}
	secrets, err := config.secretBytes()
	if err != nil {
		return nil, err
	}
	a := &Auth{
		config: config, sessionCookieName: config.sessionCookieName(), origins: config.ownOrigins(), client: config.ownClient(), tasks: background.New(config.Logger), complaints: newComplaints(config.Logger, config.Now),
	}
	if len(secrets) == 0 {
		secret, err := a.random()
		if err != nil {
			return nil, err
		}
		secrets = [][]byte{[]byte(secret)}
		lost := "logins that are under way"
		if config.Broker != nil {
			lost += ", and sessions,"
		}
		config.Logger.Warn("Config.Secrets is not set: " + lost + " don't survive a restart and can't go on at another replica; make one with: openssl rand -base64 32")
	}
	if config.Browser != nil && config.provider().ClientSecret == "" {
		config.Logger.Warn("Provider.ClientSecret is not set: with Config.Browser the application should be a confidential client at the provider (RFC 10017 6.1.3.1)")
	}
	if config.Broker == nil && config.Routes.Token != Off {
		config.Logger.Info("the token route is on: clients receive the provider's tokens", "path", config.Routes.Token)
	}
	// A login of one provider must not end at another that has the same secrets.
	login := fmt.Sprintf(" of %q at %q", config.provider().ClientID, config.provider().Issuer)
	a.states = seal.New("login state"+login, secrets)
	a.nonces = seal.New("login nonce"+login, secrets)
	a.devices = seal.New("device code"+login, secrets)
	a.provider = newProvider(config, a.tasks, a.dependencyChanged)
	a.verifier = a.provider.Verifier()
	trusting := trust.Options{
		Own: a.verifier, Provider: a.provider, Brokers: config.Broker != nil,
		Introspection: config.provider().Introspection, MaxIntrospections: config.MaxIntrospections, CacheSize: config.CacheSize,
		InsecureHTTP: config.InsecureProviderHTTP, Timeout: config.Timeout, Now: config.Now, Tasks: a.tasks, Logger: config.Logger,
		Changed: a.issuerChanged,
	}
	if config.Broker != nil {
		if a.broker, err = newBroker(a, secrets); err != nil {
			return nil, err
		}
		trusting.Own, trusting.Keep = a.broker.Verifier(), a.broker.KeepKeys
		a.broker.KeepKeys(config.provider().Issuer, config.provider().JWKSURL, jose.MaxRSABits, a.provider.Keys())
	}
	a.trust = trust.New(trusting)
	a.trust.SetIssuers(a.trusted(config.TrustedIssuers))
	a.userinfoGuard = a.Required()
	return a, nil
}

// Start fetches the provider's discovery document and keys now, and with a
// [Broker] opens the store and reads the signing keys (or makes the first), so
// that a wrong configuration shows when the program starts. It fails when the
// provider or the store is down ([ErrUnavailable]), the provider is another than
// Provider.Issuer, publishes no usable key or shows in its discovery document that no
// login can work ([ErrProvider]), or the store needs
// somebody to mend it or holds records that no secret of Config.Secrets opens
// (store.ErrUnusable); then nothing in the store was changed. The keys of
// Config.TrustedIssuers are fetched as well, in the background, and none of them
// makes it fail. After ErrUnavailable a program may go on, since everything is tried
// again when it is needed:
//
//	if err := auth.Start(ctx); errors.Is(err, core.ErrUnavailable) {
//		log.Print(err) // somebody is down, and may come back
//	} else if err != nil {
//		log.Fatal(err) // something has to be mended
//	}
func (a *Auth) Start(ctx context.Context) error { return asError(a.start(ctx)) }

func (a *Auth) start(ctx context.Context) error {
	// The store comes first: it is the application's own, and what is wrong with
	// it should show even while the provider is down.
	if a.broker != nil {
		if err := a.broker.Start(ctx); err != nil {
			return err
		}
	}
	// Nobody waits for the others: one that is down is no reason not to start, and a
	// hundred that are must not come before the provider.
	defer a.trust.Start()
	m, err := a.provider.Metadata(ctx)
	if err == nil {
		err = a.provider.CheckSetup(m)
	}
	if err == nil {
		err = a.provider.Ready(ctx)
	}
	return err
}

// Close ends what runs in the background and waits for it: for a refresh that is
// under way until its outcome is saved, or half a minute at the worst. Guards go
// on verifying with the keys that are known. A Store stays open; close it
// afterwards.
func (a *Auth) Close() error {
	a.tasks.Close()
	a.provider.HTTP.Close()
	return nil
}

// PublicURL is Config.PublicURL: the external URL of the place where the routes are
// mounted, without a slash at its end; "" where none was given.
func (a *Auth) PublicURL() string { return a.config.PublicURL }

func (a *Auth) now() time.Time { return a.config.Now() }

// newProvider makes the one provider.
func newProvider(config Config, tasks *background.Tasks, changed func(dependency string, err error)) *provider.Provider {
	p := config.provider()
	return provider.New(provider.Options{
		Name: p.Name, Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: p.ClientSecret, ClientAuth: string(p.ClientAuth),
		DiscoveryURL: p.DiscoveryURL, JWKSURL: p.JWKSURL, Endpoints: provider.Endpoints(p.Endpoints), InsecureHTTP: config.InsecureProviderHTTP,
		Logins: config.Routes.Login != Off, Introspection: p.Introspection,
		HTTP: httpx.New(config.HTTPClient, config.Timeout), Now: config.Now, Tasks: tasks, Logger: config.Logger, Changed: changed,
		Verifier: func(keys verify.KeySource) *verify.Verifier {
			return &verify.Verifier{
				Issuer: verify.NewIssuerName(p.Issuer), Keys: keys, ClientID: p.ClientID, Leeway: config.Leeway, Now: config.Now,
				Audience: verify.Audience{Names: p.Audiences, ClientID: p.ClientID, Anybody: p.InsecureAcceptAnyAudience},
				Roles:    claim.RolePaths(p.RoleClaims).In, Require: rulesOf(config.Require),
			}
		},
	})
}
