package core_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

const resourceRoute = "/.well-known/oauth-protected-resource"

// withResources makes a broker of three resources: itself, an MCP server, and its files.
func withResources(t *testing.T, change ...func(*core.Config)) *app {
	return newApp(t, newProvider(t, oidctest.Options{}), append([]func(*core.Config){brokered(), func(c *core.Config) {
		c.Broker.PeerAudiences = []string{"https://peer.example"}
		c.Broker.Resources = []core.ProtectedResource{{URL: c.PublicURL}, {URL: c.PublicURL + "/mcp", Name: "Shop", Scopes: []string{"email"}}, {URL: c.PublicURL + "/files"}}
	}}, change...)...)
}

// narrowed signs alice in, and gives a token for some resources only.
func (a *app) narrowed(resources ...string) string {
	a.t.Helper()
	var fields []string
	for _, r := range resources {
		fields = append(fields, "resource", r)
	}
	return a.tokens(a.refresh(a.signIn("alice").RefreshToken, fields...)).AccessToken
}

func TestATokenThatIsNotNarrowedIsForAllResources(t *testing.T) {
	a := withResources(t)
	raw := a.signIn("alice").AccessToken
	require.Equal(t, []any{a.api, a.api + "/mcp", a.api + "/files", "https://peer.example"}, claimsOf(t, raw)["aud"])
	for _, guard := range []*core.Guard{a.auth.Required(), a.auth.Required(core.Resource(a.api + "/mcp")), a.auth.Required(core.Resource(a.api)), a.auth.Optional(core.Resource(a.api + "/files"))} {
		require.Equal(t, "user-alice", serve(guard, bearer(raw)).body)
	}
}

// The attack: whoever has got a token for one resource, an MCP server for example, tries
// it at the others.
func TestATokenThatIsNarrowedToAResourceIsValidThereAndNowhereElse(t *testing.T) {
	a := withResources(t)
	guards := map[string]*core.Guard{"": a.auth.Required(), "/mcp": a.auth.Required(core.Resource(a.api + "/mcp")), "/files": a.auth.Required(core.Resource(a.api + "/files"))}
	for at := range guards {
		raw := a.narrowed(a.api + at)
		require.Equal(t, a.api+at, claimsOf(t, raw)["aud"])
		for other, guard := range guards {
			if other == at {
				require.Equal(t, "user-alice", serve(guard, bearer(raw)).body, at)
				continue
			}
			got := serve(guard, bearer(raw))
			requireError(t, got, http.StatusUnauthorized, "invalid_token")
			require.Contains(t, got.body, "meant for another audience")
			require.Equal(t, core.EventToken, a.log.last(t).Kind)
			require.ErrorIs(t, guard.Judge(a.verified(guards[at], raw)), core.ErrInvalidToken)
		}
		require.Equal(t, at == "", a.verify(raw) == nil, "Verify is for Broker.Audience")
		require.Equal(t, at == "", a.get(browser(), userinfoRoute, bearer(raw)).StatusCode == http.StatusOK)
		require.Equal(t, at == "", a.hint(a.logoutWith(raw)) != "", "it signs nobody out")
	}
	both := a.narrowed(a.api+"/mcp", a.api+"/files")
	require.Equal(t, http.StatusOK, serve(guards["/mcp"], bearer(both)).StatusCode)
	require.Equal(t, http.StatusOK, serve(guards["/files"], bearer(both)).StatusCode)
	requireError(t, serve(guards[""], bearer(both)), http.StatusUnauthorized, "invalid_token")
	requireError(t, serve(guards["/mcp"], bearer(a.narrowed("https://peer.example"))), http.StatusUnauthorized, "invalid_token")
	require.Equal(t, "anonymous", serve(a.auth.Optional(core.Resource(a.api+"/mcp")), bearer(a.narrowed(a.api))).body)
}

// verified gives the token that a guard accepts.
func (a *app) verified(guard *core.Guard, raw string) core.Token {
	a.t.Helper()
	token, err := guard.Check(a.t.Context(), core.Request{Authorization: []string{"Bearer " + raw}})
	require.NoError(a.t, err)
	return token
}

// A peer's token is held against the guard's resource as one of ours is.
func TestATokenOfAPeerIsForTheResourceThatItNames(t *testing.T) {
	a := withResources(t)
	peer := newHostile(t)
	here, mcp := a.auth.Required(), a.auth.Required(core.Resource(a.api+"/mcp"))
	for name, row := range map[string]struct {
		audiences, aud []string
		here, mcp      bool
	}{
		"the application":         {nil, []string{a.api}, true, false},
		"a resource":              {nil, []string{a.api + "/mcp"}, false, true},
		"both":                    {nil, []string{a.api, a.api + "/mcp"}, true, true},
		"another resource":        {nil, []string{a.api + "/files"}, false, false},
		"another name":            {[]string{"shop"}, []string{"shop"}, true, false},
		"another name, and both":  {[]string{"shop", a.api + "/mcp"}, []string{"shop", a.api + "/mcp"}, true, true},
		"a resource that counts":  {[]string{"shop", a.api + "/mcp"}, []string{a.api + "/mcp"}, false, true},
		"a resource alone":        {[]string{a.api + "/mcp"}, []string{a.api + "/mcp"}, false, true},
		"one that does not count": {[]string{"shop"}, []string{a.api + "/mcp"}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			a.trusts(core.Issuer{URL: peer.Issuer, Audiences: row.audiences})
			raw := peer.token(t, nil, map[string]any{"aud": row.aud})
			require.Equal(t, row.here, serve(here, bearer(raw)).StatusCode == http.StatusOK)
			require.Equal(t, row.mcp, serve(mcp, bearer(raw)).StatusCode == http.StatusOK)
		})
	}
}

func TestAChallengeNamesTheMetadataOfItsResource(t *testing.T) {
	a := withResources(t)
	at := func(path string) string { return `resource_metadata="` + a.api + resourceRoute + path + `"` }
	realm := `Bearer realm="` + a.api + `"`
	challenge := func(guard *core.Guard, headers ...string) string {
		return serve(guard, headers...).Header.Get("WWW-Authenticate")
	}
	require.Equal(t, realm+", "+at(""), challenge(a.auth.Required()))
	require.Equal(t, realm+", "+at(""), a.get(browser(), userinfoRoute).Header.Get("WWW-Authenticate"))
	require.Equal(t, realm+", "+at(""), challenge(a.auth.Required(core.Resource(a.api))))
	guard := a.auth.Required(core.Scopes("orders"), core.Resource(a.api+"/mcp"))
	require.Equal(t, realm+`, scope="orders", `+at("/api/mcp"), challenge(guard))
	require.Contains(t, challenge(guard, bearer("x")), `, error="invalid_token", `)
	require.True(t, strings.HasSuffix(challenge(guard, bearer("x")), `, scope="orders", `+at("/api/mcp")))
	require.Equal(t, realm+`, error="insufficient_scope", error_description="The token lacks the scope orders.", scope="orders", `+at("/api/mcp"), challenge(guard, bearer(a.narrowed(a.api+"/mcp"))))
	require.NotContains(t, challenge(guard, bearer("x"), bearer("y")), "resource_metadata", "no other token would help")

	orders := withResources(t, func(c *core.Config) { c.Broker.Resources, c.Broker.Audience = nil, c.PublicURL+"/orders" })
	require.Contains(t, challenge(orders.auth.Required()), orders.api+resourceRoute+"/api/orders")

	for name, change := range map[string]func(*core.Config){
		"passthrough":                 func(c *core.Config) { c.Broker = nil },
		"the route is off":            func(c *core.Config) { c.Routes.ProtectedResource = core.Off },
		"there are none":              inBroker(func(b *core.Broker) { b.Resources = []core.ProtectedResource{} }),
		"the audience is no URL":      inBroker(func(b *core.Broker) { b.Resources, b.Audience = nil, "orders" }),
		"the audience is elsewhere":   inBroker(func(b *core.Broker) { b.Resources, b.Audience = nil, "https://orders.example.org" }),
		"the audience is no resource": func(c *core.Config) { c.Broker.Resources = []core.ProtectedResource{{URL: c.PublicURL + "/mcp"}} },
	} {
		t.Run(name, func(t *testing.T) {
			require.NotContains(t, challenge(withResources(t, change).auth.Required()), "resource_metadata")
		})
	}
}

// A client gets by the challenge to the document, and knows by the document that it is
// the resource's (RFC 9728 3.3).
func TestEachResourceHasMetadata(t *testing.T) {
	a := withResources(t)
	for path, want := range map[string]string{
		"":           `{"resource":"API","authorization_servers":["API"],"bearer_methods_supported":["header"]}`,
		"/api/mcp":   `{"resource":"API/mcp","authorization_servers":["API"],"bearer_methods_supported":["header"],"scopes_supported":["email"],"resource_name":"Shop"}`,
		"/api/files": `{"resource":"API/files","authorization_servers":["API"],"bearer_methods_supported":["header"]}`,
	} {
		got := a.get(browser(), resourceRoute+path)
		require.Equal(t, http.StatusOK, got.StatusCode)
		require.JSONEq(t, strings.ReplaceAll(want, "API", a.api), got.body)
	}
	atRoot := map[string]string{}
	for _, e := range a.auth.RootEndpoints() {
		if e.Name == "resource-metadata" {
			require.Equal(t, []string{"GET", "HEAD"}, e.Methods)
			atRoot[e.Path], _ = record(e.Handler).json["resource"].(string)
		}
	}
	require.Equal(t, map[string]string{resourceRoute + "/api": a.api, resourceRoute + "/api/mcp": a.api + "/mcp", resourceRoute + "/api/files": a.api + "/files"}, atRoot)
}

func TestMetadataOfResourcesMayMove(t *testing.T) {
	a := withResources(t, func(c *core.Config) { c.Routes.ProtectedResource = "/about" })
	require.Contains(t, serve(a.auth.Required(core.Resource(a.api+"/mcp"))).Header.Get("WWW-Authenticate"), a.api+"/about/api/mcp")
	require.Equal(t, a.api+"/mcp", a.get(browser(), "/about/api/mcp").json["resource"])
	require.Equal(t, a.api, a.get(browser(), "/about").json["resource"])
	require.Equal(t, http.StatusNotFound, a.get(browser(), resourceRoute).StatusCode)
}

// A constraint that names no resource would be one that every token fails.
func TestAGuardOfAnUnknownResourceIsAMistake(t *testing.T) {
	a := withResources(t)
	passthrough := newApp(t, newProvider(t, oidctest.Options{}))
	mcp := core.Resource(a.api + "/mcp")
	require.PanicsWithValue(t, `oidcgate: core.Resource("`+a.api+`/mpc"): there is no such URL in Broker.Resources`, func() { a.auth.Required(core.Resource(a.api + "/mpc")) })
	for name, make := range map[string]func(){
		"none":           func() { a.auth.Required(core.Resource("")) },
		"a slash":        func() { a.auth.Optional(core.Resource(a.api + "/mcp/")) },
		"a peer":         func() { a.auth.Required(core.Resource("https://peer.example")) },
		"two":            func() { a.auth.Required(mcp, core.Resource(a.api+"/files")) },
		"no broker":      func() { passthrough.auth.Required(mcp) },
		"the mount, too": func() { a.auth.Required(core.Resource(a.api), mcp) },
	} {
		require.Panics(t, make, name)
	}
	require.NotPanics(t, func() { a.auth.Required(mcp, mcp) })
}

func TestNewReportsEachMistakeInAResource(t *testing.T) {
	const here = "https://shop.example.org/api"
	list := func(urls ...string) func(*core.Config) {
		return inBroker(func(b *core.Broker) {
			for _, url := range urls {
				b.Resources = append(b.Resources, core.ProtectedResource{URL: url})
			}
		})
	}
	for name, row := range map[string]struct {
		change func(*core.Config)
		named  string
	}{
		"no URL":             {list(""), `Config.Broker.Resources[0].URL ""`},
		"relative":           {list("/mcp"), "is not absolute"},
		"another host":       {list(here, "https://other.example.org/mcp"), "Config.Broker.Resources[1].URL"},
		"another scheme":     {list("http://shop.example.org/mcp"), "must have the scheme, host and port of PublicURL"},
		"another port":       {list("https://shop.example.org:8443/mcp"), "must have the scheme, host and port of PublicURL"},
		"a query":            {list(here + "/mcp?"), "has a query"},
		"a fragment":         {list(here + "/mcp#"), "has a fragment"},
		"a password":         {list("https://a:b@shop.example.org/mcp"), "has a user name"},
		"a slash at the end": {list(here + "/mcp/"), "without a slash at its end"},
		"a pattern":          {list(here + "/{x}"), "must have a path of letters"},
		"an encoded slash":   {list(here + "/a%2fb"), "must have a path of letters"},
		"a dot segment":      {list(here + "/../mcp"), "must have a path of letters"},
		"twice":              {list(here+"/mcp", here+"/mcp"), "name one of them"},
		"twice, in capitals": {list(here+"/mcp", "https://SHOP.example.org/api/mcp"), "name one of them"},
		"mount and host":     {list(here, "https://shop.example.org"), "name one of them"},
		"a peer":             {func(c *core.Config) { list(here + "/mcp")(c); peerAudiences(here + "/mcp")(c) }, "is in Broker.PeerAudiences"},
		"a route is there": {func(c *core.Config) {
			list(here + "/mcp")(c)
			c.Routes.Login = resourceRoute + "/api/mcp"
		}, "which is Config.Routes.Login"},
		"a scope":           {inBroker(func(b *core.Broker) { b.Resources = []core.ProtectedResource{{URL: here, Scopes: []string{"a b"}}} }), "Config.Broker.Resources[0].Scopes"},
		"for all guards":    {func(c *core.Config) { c.Require = []core.Constraint{core.Resource(here)} }, "Config.Require holds core.Resource"},
		"for all of a peer": {further(core.Issuer{URL: "https://peer.example", Require: []core.Constraint{core.Resource(here)}}), "Require holds core.Resource"},
		"the route's path":  {func(c *core.Config) { c.Routes.ProtectedResource = "/{x}" }, "Config.Routes.ProtectedResource"},
	} {
		t.Run(name, func(t *testing.T) {
			config := validConfig()
			config.Broker = &core.Broker{}
			row.change(&config)
			_, err := core.New(config)
			require.ErrorContains(t, err, row.named)
		})
	}
	config := validConfig()
	config.Broker = &core.Broker{}
	list("https://shop.example.org", "https://shop.example.org/mcp", here+"/mcp", "https://shop.example.org/api-2")(&config)
	_, err := core.New(config)
	require.NoError(t, err)
}
