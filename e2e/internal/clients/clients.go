// Package clients runs OAuth clients, resource servers and a federation peer of other
// makers against applications, unchanged, as they come from their registries. Those in
// Go run in this process; those in Node and Python are in the folder programs.
package clients

import (
	"context"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/e2e/internal/harness"
)

// Suites are one for each mode.
func Suites() []harness.Suite {
	needs := []string{"node", "npm", "python3"}
	return []harness.Suite{
		{Name: "clients-broker", About: "clients, resource servers and a peer of other makers", Needs: needs, Run: broker},
		{Name: "clients-passthrough", About: "clients of other makers that have the provider's tokens", Needs: needs, Run: passthrough},
	}
}

// redirectURI is the clients' own. Nobody listens there: a browser stops before it.
const redirectURI = "http://127.0.0.1:49153/after-login"

// target is what the clients are told: of an application, and of who signs in there.
type target struct {
	Broker       bool   `json:"broker"`   // it mints its own tokens
	API          string `json:"api"`      // the URL of its routes
	Audience     string `json:"audience"` // of a broker's tokens
	Provider     string `json:"provider"` // the issuer
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"` // for what they ask of the provider itself
	Peer         *peer  `json:"peer"`          // a broker's, nil for none
	User         user   `json:"user"`
	Person       string `json:"person"` // the URL of servePerson
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
	target   target
	person   harness.Person
}

// prepare gives a suite whose application is to be served with config.
func prepare(ctx context.Context, r *harness.Run) (s *suite, config core.Config, err error) {
	s = &suite{Run: r}
	if s.programs, err = install(ctx, r.Cache); err != nil {
		return nil, config, err
	}
	if s.site, err = r.Listen(); err != nil {
		return nil, config, err
	}
	provider, err := oidctest.Start("127.0.0.1:0", oidctest.Options{StrictRefresh: true, IssParameter: true, DeviceInterval: -1})
	if err != nil {
		return nil, config, err
	}
	r.Cleanup(func() { _ = provider.Close() })
	s.target = target{
		API: s.site.URL, Provider: provider.Issuer, ClientID: provider.ClientID, ClientSecret: provider.ClientSecret,
		User: user{Subject: "user-alice", Name: "alice", Given: "Alice", Family: "Liddell", Email: "alice@example.com"},
	}
	s.person = harness.Person{Name: "alice", Password: "wonderland"}
	s.target.Person, err = servePerson(r, s.person)
	return s, core.Config{Issuer: provider.Issuer, ClientID: provider.ClientID, ClientSecret: provider.ClientSecret}, err
}

func passthrough(ctx context.Context, r *harness.Run) error {
	s, config, err := prepare(ctx, r)
	if err != nil {
		return err
	}
	if _, err := r.App(s.site, "std", config); err != nil {
		return err
	}
	return s.clients(ctx)
}

func broker(ctx context.Context, r *harness.Run) error {
	s, config, err := prepare(ctx, r)
	if err != nil {
		return err
	}
	s.target.Broker, s.target.Audience = true, "fleet"
	if s.target.Peer, err = s.startPeer(ctx); err != nil {
		return err
	}
	config.Broker = &core.Broker{Audience: s.target.Audience, PythonPeers: true, Exchange: true}
	config.TrustedIssuers = []core.Issuer{{URL: s.target.Peer.URL, Roles: func(asserted []string) []string { return asserted }}}
	if _, err := r.App(s.site, "chi", config); err != nil {
		return err
	}
	if err := s.clients(ctx); err != nil {
		return err
	}
	return s.run(ctx, "py-oidc-auth", s.programs.python("federation.py"))
}

// clients runs every client.
func (s *suite) clients(ctx context.Context) error {
	s.golang(ctx)
	for _, program := range []struct {
		name string
		args []string
	}{
		{"openid-client", s.programs.node("openid-client.mjs")},
		{"oauth4webapi", s.programs.node("oauth4webapi.mjs")},
		{"py-oidc-auth-client", s.programs.python("client.py")},
	} {
		if err := s.run(ctx, program.name, program.args); err != nil {
			return err
		}
	}
	return nil
}
