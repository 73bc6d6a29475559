// Package contract goes through all that applications promise, at providers of other makers.
package contract

import (
	"context"
	"errors"
	"slices"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/e2e/internal/harness"
	"github.com/oidcgate/oidcgate/e2e/internal/providers"
)

// Suites are one for each provider.
func Suites() []harness.Suite {
	return []harness.Suite{
		{Name: "zitadel", About: "the example server of zitadel/oidc", Needs: []string{"go"}, Run: zitadel},
		{Name: "keycloak", About: "Keycloak, as it comes", Needs: []string{"java", "mvn"}, Run: keycloak},
		{Name: "oidc-provider", About: "npm's oidc-provider, strict", Needs: []string{"node", "npm"}, Run: oidcProvider},
	}
}

// client is a client of an application at a provider.
type client struct {
	provider *providers.Provider
	app      *harness.App
	broker   bool

	place *place
	setup setup
}

// another gives a client of one more application, which differs in something.
func (c *client) another(config func(*core.Config)) (*client, error) {
	return c.place.client(c.provider, c.setup.with("another", config))
}

// step is one thing that a client can see.
type step struct {
	name string
	run  func(*client, context.Context) error
}

// setup is how an application runs.
type setup struct {
	name   string
	router string
	broker bool
	config func(*core.Config) // what is special about it
}

var (
	chiBroker        = setup{name: "chi, broker", router: "chi", broker: true}
	stdBroker        = setup{name: "net/http, broker", router: "std", broker: true}
	fiberBroker      = setup{name: "Fiber, broker", router: "fiber", broker: true}
	chiPassthrough   = setup{name: "chi, passthrough", router: "chi"}
	stdPassthrough   = setup{name: "net/http, passthrough", router: "std"}
	fiberPassthrough = setup{name: "Fiber, passthrough", router: "fiber"}
)

// with is the same setup with something special.
func (s setup) with(name string, config func(*core.Config)) setup {
	s.name, s.config = s.name+", "+name, config
	return s
}

// place is where applications run, and where their provider may send browsers.
type place struct {
	run          *harness.Run
	sites        []*harness.Site // one for each application to come
	redirectURIs []string
	logoutURI    string // where the first application takes logout tokens
}

// newPlace reserves an address for each of n applications.
func newPlace(r *harness.Run, n int) (*place, error) {
	p := &place{run: r, redirectURIs: []string{providers.Page, providers.Native}}
	for range n {
		site, err := r.Listen()
		if err != nil {
			return nil, err
		}
		p.sites, p.redirectURIs = append(p.sites, site), append(p.redirectURIs, site.Callback())
	}
	p.logoutURI = p.sites[0].URL + "/auth/v2/backchannel-logout"
	return p, nil
}

// client starts an application, and gives a client of it.
func (p *place) client(provider *providers.Provider, s setup) (*client, error) {
	if len(p.sites) == 0 {
		return nil, errors.New("no address is left for another application")
	}
	site := p.sites[0]
	p.sites = p.sites[1:]
	config := provider.Config
	config.Providers = slices.Clone(config.Providers) // which setups change
	config.RedirectURIs = []string{providers.Page}
	config.PostLogoutURIs = []string{providers.Page}
	if s.broker {
		config.Broker = &core.Broker{Algorithm: "ES256"} // whose keys are made in no time
	}
	if s.config != nil {
		s.config(&config)
	}
	app, err := p.run.App(site, s.router, config)
	if err != nil {
		return nil, err
	}
	return &client{provider: provider, app: app, broker: s.broker, place: p, setup: s}, nil
}

// try starts an application of each setup, and runs the steps there; with a broker, those
// of brokers as well.
func (p *place) try(ctx context.Context, provider *providers.Provider, setups []setup, steps []step) error {
	for _, s := range setups {
		c, err := p.client(provider, s)
		if err != nil {
			return err
		}
		own := slices.Clone(steps)
		if s.broker {
			own = append(own, brokerSteps...)
		}
		for _, step := range append(own, step{"no log line has a token or a code", (*client).cleanLog}) {
			p.run.Step(ctx, s.name+": "+step.name, func(ctx context.Context) error { return step.run(c, ctx) })
		}
	}
	return nil
}

func (c *client) cleanLog(context.Context) error { return c.app.Log.Clean() }
