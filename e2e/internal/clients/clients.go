// Package clients runs OAuth clients, resource servers and a federation peer of other
// makers against applications, unchanged, as they come from their registries. Those in
// Go run in this process; those in Node and Python are in the folder programs.
package clients

import (
	"context"
	"errors"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/e2e/internal/harness"
	"github.com/oidcgate/oidcgate/e2e/internal/providers"
)

// Suites are one for each mode, one of signing keys, and one at a provider of another maker.
func Suites() []harness.Suite {
	needs := []string{"node", "npm", "python3"}
	return []harness.Suite{
		{Name: "clients-broker", About: "clients, resource servers and a peer of other makers", Needs: needs, Run: broker},
		{Name: "clients-passthrough", About: "clients of other makers that have the provider's tokens", Needs: needs, Run: passthrough},
		{Name: "clients-keys", About: "resource servers and a peer of other makers, while the signing keys change", Needs: needs, Run: keys},
		{Name: "clients-keycloak", About: "openid-client and py-oidc-auth-client, where the provider is Keycloak", Needs: append(needs, "java", "mvn"), Run: keycloak},
	}
}

// target is what the clients are told: of an application, and of who signs in there.
type target struct {
	Broker       bool   `json:"broker"`   // it mints its own tokens
	API          string `json:"api"`      // the URL of its routes
	Audience     string `json:"audience"` // of a broker's tokens
	Provider     string `json:"provider"` // the issuer
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"` // for what they ask of the provider itself
	RedirectURI  string `json:"redirect_uri"`  // nobody listens there: a browser stops before it
	Peer         *peer  `json:"peer"`          // a broker's, nil for none
	User         user   `json:"user"`
	Person       string `json:"person"` // the URL of servePerson

	Tokens         []issued    `json:"tokens"`          // of a broker, for resource servers
	ResourceServer credentials `json:"resource_server"` // of one that may introspect at a broker
}

// credentials are a client's.
type credentials struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// user is who signs in, as userinfo has to tell by the standard names.
type user struct {
	Subject string `json:"sub"`
	Name    string `json:"preferred_username"`
	Given   string `json:"given_name"`
	Family  string `json:"family_name"`
	Email   string `json:"email"`
}

// suite is one run against one application.
type suite struct {
	*harness.Run
	programs programs
	site     *harness.Site
	config   core.Config // of the application
	target   target
	person   harness.Person
}

// prepare gives a suite whose application is to be served with its config.
func prepare(ctx context.Context, r *harness.Run, config core.Config, person harness.Person) (*suite, error) {
	programs, err := install(ctx, r)
	if err != nil {
		return nil, err
	}
	site, err := r.Listen()
	if err != nil {
		return nil, err
	}
	personURL, err := servePerson(r, person)
	if err != nil {
		return nil, err
	}
	return &suite{Run: r, programs: programs, site: site, config: config, person: person, target: target{
		API: site.URL, Provider: config.Providers[0].Issuer, ClientID: config.Providers[0].ClientID, ClientSecret: config.Providers[0].ClientSecret,
		RedirectURI: providers.Native, Person: personURL,
	}}, nil
}

// atOIDCTest prepares a suite whose provider is in this process.
func atOIDCTest(ctx context.Context, r *harness.Run) (*suite, error) {
	provider, err := oidctest.Start("127.0.0.1:0", oidctest.Options{StrictRefresh: true, IssParameter: true, DeviceInterval: -1})
	if err != nil {
		return nil, err
	}
	r.Cleanup(func() { _ = provider.Close() })
	config := core.Config{Providers: []core.Provider{{Issuer: provider.Issuer, ClientID: provider.ClientID, ClientSecret: provider.ClientSecret}}}
	s, err := prepare(ctx, r, config, harness.Person{Name: "alice", Password: "wonderland"})
	if err != nil {
		return nil, err
	}
	s.target.User = user{Subject: "user-alice", Name: "alice", Given: "Alice", Family: "Liddell", Email: "alice@example.com"}
	return s, nil
}

func passthrough(ctx context.Context, r *harness.Run) error {
	s, err := atOIDCTest(ctx, r)
	if err != nil {
		return err
	}
	if _, err := r.App(s.site, "std", s.config); err != nil {
		return err
	}
	return s.clients(ctx)
}

func broker(ctx context.Context, r *harness.Run) error {
	s, err := atOIDCTest(ctx, r)
	if err != nil {
		return err
	}
	s.mint()
	if _, err := s.startPeer(ctx); err != nil {
		return err
	}
	s.config.Broker.PythonPeers = true
	s.config.TrustedIssuers = []core.Issuer{{URL: s.target.Peer.URL, Roles: func(asserted []string) []string { return asserted }}}
	if _, err := r.App(s.site, "chi", s.config); err != nil {
		return err
	}
	if err := s.clients(ctx); err != nil {
		return err
	}
	return s.run(ctx, "py-oidc-auth", s.programs.python("federation.py"))
}

// mint has the application mint its own tokens.
func (s *suite) mint() {
	s.target.Broker, s.target.Audience = true, "fleet"
	// A secret with characters that the Basic scheme encodes (RFC 6749 2.3.1).
	s.target.ResourceServer = credentials{ID: "fleet-api", Secret: "a secret: 100% of it, + and &/=?"}
	s.config.Broker = &core.Broker{
		Audience: s.target.Audience, Exchange: true,
		ResourceServers: []core.Client{{ID: s.target.ResourceServer.ID, Secret: s.target.ResourceServer.Secret}},
		Resources:       []core.ProtectedResource{{URL: s.target.API}},
	}
}

// clients runs every client.
func (s *suite) clients(ctx context.Context) error {
	s.golang(ctx)
	return errors.Join(
		s.run(ctx, "openid-client", s.programs.node("openid-client.mjs")),
		s.run(ctx, "oauth4webapi", s.programs.node("oauth4webapi.mjs")),
		s.run(ctx, "py-oidc-auth-client", s.programs.python("client.py")),
	)
}

// keycloak runs clients where the provider is of another maker too.
func keycloak(ctx context.Context, r *harness.Run) error {
	// It takes any port of localhost where none is registered.
	provider, err := providers.StartKeycloak(ctx, r, []string{providers.Native, "http://localhost/callback"}, "")
	if err != nil {
		return err
	}
	for _, mode := range []string{"broker", "passthrough"} {
		s, err := prepare(ctx, r, provider.Config, provider.User)
		if err != nil {
			return err
		}
		s.target.User = user{Name: provider.User.Name, Given: "Alice", Family: "Liddell", Email: "alice@example.org"}
		if mode == "broker" {
			s.mint()
		}
		if _, err := r.App(s.site, "fiber", s.config); err != nil {
			return err
		}
		err = errors.Join(
			s.run(ctx, mode+": openid-client", s.programs.node("openid-client.mjs")),
			s.run(ctx, mode+": py-oidc-auth-client", s.programs.python("client.py")),
		)
		if err != nil {
			return err
		}
	}
	return nil
}
