// Package contract goes through all that applications promise, at providers of other makers.
package contract

import (
	"context"
	"errors"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/e2e/internal/harness"
	"github.com/oidcgate/oidcgate/e2e/internal/providers"
)

// Suites are one for each provider.
func Suites() []harness.Suite {
	return []harness.Suite{
		{Name: "zitadel", About: "the example server of zitadel/oidc", Needs: []string{"go"}, Run: zitadel},
	}
}

// client is a client of an application at a provider.
type client struct {
	provider *providers.Provider
	app      *harness.App
}

// setup is a router and a mode.
type setup struct {
	router string
	broker bool
}

func (s setup) String() string {
	if s.broker {
		return s.router + ", broker"
	}
	return s.router + ", passthrough"
}

func zitadel(ctx context.Context, r *harness.Run) error {
	setups := []setup{{"chi", true}, {"std", false}, {"fiber", true}}
	sites, redirectURIs, err := listen(r, len(setups))
	if err != nil {
		return err
	}
	provider, err := providers.StartZitadel(ctx, r, redirectURIs)
	if err != nil {
		return err
	}
	for i, s := range setups {
		config := provider.Config
		config.RedirectURIs = []string{providers.Page}
		if s.broker {
			config.Broker = &core.Broker{Algorithm: "ES256"}
		} else {
			config.Introspection = true
		}
		app, err := r.App(sites[i], s.router, config)
		if err != nil {
			return err
		}
		c := &client{provider, app}
		r.Step(ctx, s.String()+": login through the callback", c.callback)
		r.Step(ctx, s.String()+": login of a native program", c.native)
		r.Step(ctx, s.String()+": login of a page with PKCE of its own", c.page)
	}
	return nil
}

// listen reserves sites, and gives all redirect URIs that their provider has to know.
func listen(r *harness.Run, n int) (sites []*harness.Site, redirectURIs []string, err error) {
	redirectURIs = []string{providers.Page, providers.Native}
	for range n {
		site, siteErr := r.Listen()
		if err = errors.Join(err, siteErr); err == nil {
			sites, redirectURIs = append(sites, site), append(redirectURIs, site.Callback())
		}
	}
	return sites, redirectURIs, err
}
