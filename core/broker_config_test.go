package core_test

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/store"
	"github.com/stretchr/testify/require"
)

func TestNewReportsEachMistakeOfABroker(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*core.Config)
		named  string
	}{
		"no public URL":                {func(c *core.Config) { c.PublicURL = "" }, "Config.PublicURL is missing: in broker mode, which Config.Browser switches on, it is the issuer"},
		"no token route":               {func(c *core.Config) { c.Routes.Token = core.Off }, "Config.Routes.Token is off: in broker mode clients get and refresh their tokens there"},
		"algorithm of shared secrets":  {algorithm("HS256"), `Config.Broker.Algorithm "HS256"`},
		"algorithm none":               {algorithm("none"), "RS256, ES256, PS256, EdDSA"},
		"algorithm of another size":    {algorithm("ES384"), "Config.Broker.Algorithm"},
		"algorithm in another case":    {algorithm("rs256"), "Config.Broker.Algorithm"},
		"a grace of less than 2 s":     {inBroker(func(b *core.Broker) { b.RefreshGrace = 2*time.Second - 1 }), "Config.Broker.RefreshGrace"},
		"a negative grace":             {inBroker(func(b *core.Broker) { b.RefreshGrace = -1 }), "Config.Broker.RefreshGrace"},
		"an empty audience":            {peerAudiences("a", ""), "Config.Broker.PeerAudiences holds an empty value"},
		"an audience twice":            {peerAudiences("a", "b", "a"), `Config.Broker.PeerAudiences holds "a" twice`},
		"its own audience":             {peerAudiences("https://shop.example.org/api"), "which is Broker.Audience"},
		"a negative token lifetime":    {inBroker(func(b *core.Broker) { b.TokenLifetime = -1 }), "Config.Broker.TokenLifetime"},
		"a negative session lifetime":  {inBroker(func(b *core.Broker) { b.SessionLifetime = -1 }), "Config.Broker.SessionLifetime"},
		"a negative idle time":         {inBroker(func(b *core.Broker) { b.SessionIdle = -1 }), "Config.Broker.SessionIdle"},
		"a store, and no secrets":      {func(c *core.Config) { c.Secrets, c.Broker.Store = nil, newSpyStore() }, "openssl rand -base64 32"},
		"a grace of more than an hour": {inBroker(func(b *core.Broker) { b.RefreshGrace = time.Hour + 1 }), "Config.Broker.RefreshGrace"},
		"keys for less than two days":  {inBroker(func(b *core.Broker) { b.KeyLifetime = 2*day - 1 }), "Config.Broker.KeyLifetime is 47h59m59.999999999s: it needs 48h0m0s or more"},
		"tokens for more than a day":   {inBroker(func(b *core.Broker) { b.TokenLifetime = day + 1 }), "Config.Broker.TokenLifetime"},
		"a negative session check":     {inBroker(func(b *core.Broker) { b.CheckSession = -1 }), "Config.Broker.CheckSession is -1ns: use 0"},
		"a session check too seldom": {inBroker(func(b *core.Broker) {
			b.TokenLifetime, b.CheckSession = time.Minute, time.Minute+1
		}), "Config.Broker.CheckSession is 1m0.000000001s: tokens are valid for 1m0s only"},
		"the provider's issuer":        {func(c *core.Config) { c.PublicURL = c.Providers[0].Issuer }, "Config.PublicURL is the provider's issuer"},
		"two routes at one path":       {func(c *core.Config) { c.Routes.JWKS = "/.well-known/openid-configuration" }, "Config.Routes.JWKS"},
		"a route that is a pattern":    {func(c *core.Config) { c.Routes.AuthorizationServer = "/{x}" }, "Config.Routes.AuthorizationServer"},
		"a metadata route of no slash": {func(c *core.Config) { c.Routes.OpenIDConfiguration = "x" }, "Config.Routes.OpenIDConfiguration"},
	} {
		t.Run(name, func(t *testing.T) {
			config := validConfig()
			config.Broker = &core.Broker{}
			row.change(&config)
			_, err := core.New(config)
			require.ErrorContains(t, err, row.named)
			require.NotContains(t, err.Error(), secret)
		})
	}
}

func peerAudiences(list ...string) func(*core.Config) {
	return inBroker(func(b *core.Broker) { b.PeerAudiences = list })
}

func TestNewReportsAllMistakesOfABrokerAtOnce(t *testing.T) {
	_, err := core.New(core.Config{Broker: &core.Broker{Algorithm: "x", RefreshGrace: 1, SessionIdle: 1, Store: newSpyStore()}})
	for _, field := range []string{"Providers is empty", "PublicURL", "Broker.Algorithm", "Broker.RefreshGrace", "Broker.SessionIdle", "Secrets"} {
		require.ErrorContains(t, err, "Config."+field)
	}
	require.NotContains(t, err.Error(), "Audience", "what follows from another mistake is not one more")
	require.NotContains(t, err.Error(), "is the provider's issuer")
}

func TestTheZeroBrokerIsComplete(t *testing.T) {
	config := validConfig()
	config.Secrets, config.Broker = nil, &core.Broker{}
	auth, err := core.New(config)
	require.NoError(t, err, "a store in memory needs no secret")
	require.NoError(t, auth.Close())
	require.Equal(t, &core.Broker{}, config.Broker, "the defaults go into a copy")

	for _, limit := range []*core.Broker{
		{RefreshGrace: 2 * time.Second, TokenLifetime: time.Second, SessionLifetime: time.Second, SessionIdle: time.Second},
		{RefreshGrace: time.Hour, TokenLifetime: day, CheckSession: day, KeyLifetime: 2 * day},
		{KeyLifetime: -1},
	} {
		config.Broker = limit
		auth, err = core.New(config)
		require.NoError(t, err)
		require.NoError(t, auth.Close())
	}
}

func TestABrokersConfigurationIsCopied(t *testing.T) {
	audiences := []string{"orders"}
	broker := &core.Broker{Algorithm: "ES256", PeerAudiences: audiences}
	a := newApp(t, newProvider(t, oidctest.Options{}), func(c *core.Config) { c.Broker = broker })
	audiences[0], broker.TokenLifetime, broker.Exchange = "stock", time.Hour, true
	claims := claimsOf(t, a.signIn("alice").AccessToken)
	require.Equal(t, []any{a.api, "orders"}, claims["aud"])
	require.EqualValues(t, 900, claims["exp"].(float64)-claims["iat"].(float64))
	requireError(t, a.post(browser(), tokenRoute, "grant_type", exchangeType, "subject_token", "x"), http.StatusBadRequest, "unsupported_grant_type")
}

func TestRoutesOfABrokerAreThereInBrokerModeOnly(t *testing.T) {
	routes := func(auth *core.Auth) (all []string) {
		for _, e := range auth.Endpoints() {
			all = append(all, e.Name+" "+e.Path)
		}
		return all
	}
	always := []string{
		"login /auth/v2/login", "callback /auth/v2/callback", "token /auth/v2/token",
		"device /auth/v2/device", "logout /auth/v2/logout", "userinfo /auth/v2/userinfo",
	}
	config := validConfig()
	auth, err := core.New(config)
	require.NoError(t, err)
	require.Equal(t, always, routes(auth))
	require.Empty(t, auth.RootEndpoints())

	config.Broker = &core.Broker{}
	auth, err = core.New(config)
	require.NoError(t, err)
	require.Equal(t, append(always, "revoke /auth/v2/revoke", "backchannel-logout /auth/v2/backchannel-logout", "jwks /auth/v2/.well-known/jwks.json",
		"metadata /.well-known/openid-configuration", "metadata /.well-known/oauth-authorization-server",
		"resource-metadata /.well-known/oauth-protected-resource"), routes(auth))

	config.Broker = &core.Broker{ResourceServers: []core.Client{{ID: "orders", Secret: aSecret}}}
	auth, err = core.New(config)
	require.NoError(t, err)
	require.Contains(t, routes(auth), "introspect /auth/v2/introspect")
	config.Broker = &core.Broker{}

	config.Routes = core.Routes{JWKS: "/keys", OpenIDConfiguration: core.Off, AuthorizationServer: "/about", ProtectedResource: "/resource"}
	auth, err = core.New(config)
	require.NoError(t, err)
	require.Equal(t, append(always, "revoke /auth/v2/revoke", "backchannel-logout /auth/v2/backchannel-logout", "jwks /keys", "metadata /about", "resource-metadata /resource"), routes(auth))
}

// opened are the URLs that the store of this test was opened with.
var opened []string

func init() {
	store.Register("brokertest", func(u *url.URL) (store.Store, error) {
		opened = append(opened, u.String())
		if u.Host == "refused" {
			return nil, errors.New("there is no such database")
		}
		return newSpyStore(), nil
	})
}

func TestConfigFromEnvOpensAStore(t *testing.T) {
	unsetOIDC(t)
	const location = "brokertest://user:hunter22hunter22@db.example.org/sessions"
	file := filepath.Join(t.TempDir(), "store")
	require.NoError(t, os.WriteFile(file, []byte(location+"\n"), 0o600))
	for name, value := range map[string]string{"OIDC_STORE": location, "OIDC_STORE_FILE": file} {
		t.Run(name, func(t *testing.T) {
			opened = nil
			t.Setenv(name, value)
			config, err := core.ConfigFromEnv()
			require.NoError(t, err)
			require.Equal(t, []string{location}, opened)
			require.IsType(t, &spyStore{}, config.Broker.Store)
			config.Broker.Store = nil
			require.Equal(t, &core.Broker{}, config.Broker)
		})
	}
	config, err := core.ConfigFromEnv()
	require.NoError(t, err)
	require.Nil(t, config.Broker, "passthrough mode")
}

func TestConfigFromEnvRepeatsNoPasswordOfAStore(t *testing.T) {
	for name, row := range map[string]struct{ location, named string }{
		"a scheme of nobody":         {"unknown://user:hunter22hunter22@h/db", "unknown:"},
		"a module not imported":      {"postgres://user:hunter22hunter22@h/db", "github.com/oidcgate/oidcgate/store/postgres"},
		"no scheme":                  {"hunter22hunter22", "no scheme"},
		"no scheme, a password":      {"user:hunter22hunter22@h/db", "user:"},
		"malformed":                  {"brokertest://user:hunter22hunter22%zz@h/db", "percent-encoded"},
		"a port that is none":        {"brokertest://user:hunter22hunter22@h:port/db", "percent-encoded"},
		"a store that can't be made": {"brokertest://user:hunter22hunter22@refused/db", "no such database"},
	} {
		t.Run(name, func(t *testing.T) {
			unsetOIDC(t)
			t.Setenv("OIDC_STORE", row.location)
			_, err := core.ConfigFromEnv()
			require.ErrorContains(t, err, "OIDC_STORE")
			require.ErrorContains(t, err, row.named)
			require.NotContains(t, err.Error(), "hunter22")

			t.Setenv("OIDC_STORE_FILE", "/nowhere")
			_, err = core.ConfigFromEnv()
			require.ErrorContains(t, err, "OIDC_STORE and OIDC_STORE_FILE are both set")
			require.NotContains(t, err.Error(), "hunter22")
		})
	}
	unsetOIDC(t)
	t.Setenv("OIDC_STORE_FILE", "/nowhere")
	_, err := core.ConfigFromEnv()
	require.ErrorContains(t, err, "OIDC_STORE_FILE")
}
