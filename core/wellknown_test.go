package core_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// wellKnown makes a broker that nobody signs in at.
func wellKnown(t *testing.T, change func(*core.Config)) *core.Auth {
	t.Helper()
	config := validConfig()
	config.Providers[0].Issuer = newProvider(t, oidctest.Options{}).Issuer
	config.Broker = &core.Broker{Algorithm: "ES256"}
	change(&config)
	auth, err := core.New(config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, auth.Close()) })
	return auth
}

func TestMetadataIsGolden(t *testing.T) {
	for name, change := range map[string]func(*core.Config){
		"metadata_all.json": func(c *core.Config) {
			c.Broker.Exchange = true
			c.Broker.ResourceServers = []core.Client{{ID: "orders", Secret: aSecret}}
		},
		"metadata_default.json": func(c *core.Config) {
			c.Broker.Algorithm = "" // RS256
		},
		"metadata_routes_off.json": func(c *core.Config) {
			c.Routes.Device, c.Routes.Userinfo, c.Routes.Logout, c.Routes.JWKS, c.Routes.Revoke = core.Off, core.Off, core.Off, core.Off, core.Off
		},
		"metadata_routes_moved.json": func(c *core.Config) {
			c.Routes = core.Routes{Token: "/t", Device: "/d", Userinfo: "/u", Logout: "/l", Revoke: "/r", JWKS: "/k"}
			c.Broker.Algorithm = "EdDSA"
		},
	} {
		t.Run(name, func(t *testing.T) {
			auth := wellKnown(t, change)
			var bodies []string
			for _, e := range append(auth.Endpoints(), auth.RootEndpoints()...) {
				if e.Name == "metadata" {
					w := httptest.NewRecorder()
					e.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
					require.Equal(t, http.StatusOK, w.Code)
					bodies = append(bodies, w.Body.String())
				}
			}
			require.Len(t, bodies, 4)
			for _, body := range bodies {
				require.Equal(t, bodies[0], body, "one document, wherever a client looks")
			}
			requireGolden(t, name, bodies[0])
		})
	}
}

// Where the application listens, and what a proxy says of it, changes nothing.
func TestMetadataBelievesNothingOfTheRequest(t *testing.T) {
	auth := wellKnown(t, func(*core.Config) {})
	got := ask(auth, "metadata", "Forwarded: host=evil.example.org;proto=http", "X-Forwarded-Host: evil.example.org")
	require.NotContains(t, got.body, "evil")
	require.Equal(t, "https://shop.example.org/api", got.json["issuer"])
}

func TestRootEndpointsPutTheWellKnownPartFirst(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*core.Config)
		want   []string
	}{
		"a path": {func(*core.Config) {}, []string{"/.well-known/openid-configuration/api", "/.well-known/oauth-authorization-server/api", "/.well-known/oauth-protected-resource/api"}},
		"a longer path": {
			func(c *core.Config) { c.PublicURL += "/v1" },
			[]string{"/.well-known/openid-configuration/api/v1", "/.well-known/oauth-authorization-server/api/v1", "/.well-known/oauth-protected-resource/api/v1"}},
		"one was moved below the mount": {
			func(c *core.Config) { c.Routes.AuthorizationServer = "/about" },
			[]string{"/.well-known/openid-configuration/api", "/.well-known/oauth-authorization-server/api", "/.well-known/oauth-protected-resource/api"}},
		"one is off, the other moved": {
			func(c *core.Config) {
				c.Routes.OpenIDConfiguration, c.Routes.AuthorizationServer = core.Off, "/about"
			},
			[]string{"/.well-known/oauth-authorization-server/api", "/.well-known/oauth-protected-resource/api"}},
		"one is off":   {func(c *core.Config) { c.Routes.OpenIDConfiguration = core.Off }, []string{"/.well-known/oauth-authorization-server/api", "/.well-known/oauth-protected-resource/api"}},
		"both are off": {func(c *core.Config) { c.Routes.OpenIDConfiguration, c.Routes.AuthorizationServer = core.Off, core.Off }, []string{"/.well-known/oauth-protected-resource/api"}},
		"all are off": {func(c *core.Config) {
			c.Routes = core.Routes{OpenIDConfiguration: core.Off, AuthorizationServer: core.Off, ProtectedResource: core.Off}
		}, nil},
		"no path":        {func(c *core.Config) { c.PublicURL = "https://shop.example.org" }, nil},
		"in passthrough": {func(c *core.Config) { c.Broker = nil }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var paths []string
			for _, e := range wellKnown(t, row.change).RootEndpoints() {
				paths = append(paths, e.Path)
			}
			require.Equal(t, row.want, paths)
		})
	}
}

func TestPublishedDocumentsMayBeKeptByEverybody(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered())
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource", "/auth/v2/.well-known/jwks.json"} {
		t.Run(path, func(t *testing.T) {
			requireHeaders := func(got answer) {
				t.Helper()
				require.Equal(t, "public, max-age=300", got.Header.Get("Cache-Control"))
				require.Equal(t, "*", got.Header.Get("Access-Control-Allow-Origin"))
				require.Equal(t, "nosniff", got.Header.Get("X-Content-Type-Options"))
				require.Regexp(t, `^"[\w-]{16}"$`, got.Header.Get("ETag"))
			}
			got := a.get(browser(), path)
			require.Equal(t, http.StatusOK, got.StatusCode)
			require.Equal(t, "application/json", got.Header.Get("Content-Type"))
			requireHeaders(got)
			tag := got.Header.Get("ETag")
			require.Equal(t, tag, a.get(browser(), path).Header.Get("ETag"))

			for _, known := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
				again := a.get(browser(), path, "If-None-Match: "+known)
				require.Equal(t, http.StatusNotModified, again.StatusCode, known)
				require.Empty(t, again.body)
				requireHeaders(again)
			}
			require.Equal(t, got.body, a.get(browser(), path, `If-None-Match: "x"`).body)
			for _, part := range []string{"bytes=0-3", "bytes=99999-", "bytes=3-0", "lines=1", "nonsense"} {
				whole := a.get(browser(), path, "Range: "+part)
				require.Equal(t, http.StatusOK, whole.StatusCode, part)
				require.Equal(t, got.body, whole.body, "parts of it are of no use to anybody")
				requireHeaders(whole)
			}

			req, err := http.NewRequest(http.MethodHead, a.api+path, nil)
			require.NoError(t, err)
			head := a.do(browser(), req)
			require.Equal(t, http.StatusOK, head.StatusCode)
			require.Empty(t, head.body)
			require.EqualValues(t, len(got.body), head.ContentLength)
			requireHeaders(head)

			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
				req, err := http.NewRequest(method, a.api+path, nil)
				require.NoError(t, err)
				refused := a.do(browser(), req)
				requireError(t, refused, http.StatusMethodNotAllowed, "invalid_request")
				require.Equal(t, "GET, HEAD", refused.Header.Get("Allow"))
			}
		})
	}
}

func TestKeySetIsGoldenAndHasNothingPrivate(t *testing.T) {
	var documents []string
	for _, algorithm := range []string{"RS256", "ES256", "PS256", "EdDSA"} {
		auth := wellKnown(t, func(c *core.Config) { c.Broker.Algorithm = algorithm })
		got := ask(auth, "jwks")
		require.Equal(t, http.StatusOK, got.StatusCode, got.body)
		keys := got.json["keys"].([]any)
		require.Len(t, keys, 1)
		key := keys[0].(map[string]any)
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			require.NotContains(t, key, private)
		}
		var variable []string
		for _, name := range []string{"kid", "n", "x", "y"} {
			if value, ok := key[name].(string); ok {
				variable = append(variable, `"`+value+`"`, `"<`+name+`>"`)
			}
		}
		documents = append(documents, fmt.Sprintf("%q:%s", algorithm, strings.NewReplacer(variable...).Replace(got.body)))
	}
	requireGolden(t, "jwks.json", "{"+strings.Join(documents, ",")+"}")
}

func TestKeysOfAStoreThatIsDownAreNotPublishedAsNone(t *testing.T) {
	store := newSpyStore()
	store.fail(func(context.Context, string, bool) error { return errors.New("unplugged") })
	auth := wellKnown(t, func(c *core.Config) { c.Broker.Store = store })
	got := ask(auth, "jwks")
	requireError(t, got, http.StatusServiceUnavailable, "temporarily_unavailable")
	require.Equal(t, http.StatusOK, ask(auth, "metadata").StatusCode, "it needs no store")
}

func TestMetadataNamesDeviceLoginsOnlyWhereTheProviderHasThem(t *testing.T) {
	const device = "urn:ietf:params:oauth:grant-type:device_code"
	for name, row := range map[string]struct {
		trouble func(p *oidctest.Provider)
		has     bool
	}{
		"it has": {func(*oidctest.Provider) {}, true},
		"it has not": {func(p *oidctest.Provider) {
			tamper(p, oidctest.DiscoveryPath, func(body map[string]any) { delete(body, "device_authorization_endpoint") })
		}, false},
		"it can't be reached": {func(p *oidctest.Provider) { p.Down(true) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{})
			row.trouble(provider)
			a := newApp(t, provider, brokered())
			got := a.get(browser(), "/.well-known/openid-configuration")
			require.Equal(t, http.StatusOK, got.StatusCode)
			require.Equal(t, row.has, got.json["device_authorization_endpoint"] != nil)
			if row.has {
				require.Contains(t, got.json["grant_types_supported"], device)
			} else {
				require.NotContains(t, got.json["grant_types_supported"], device)
			}
		})
	}
}

func TestMetadataNamesTheScopesThatMayBeAskedFor(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*core.Config)
		want   []any
	}{
		"any":          {func(*core.Config) {}, []any{"openid", "profile", "email"}},
		"some":         {func(c *core.Config) { c.Providers[0].AllowedScopes = []string{"orders", "openid"} }, []any{"openid", "orders"}},
		"openid alone": {func(c *core.Config) { c.Providers[0].AllowedScopes = []string{} }, []any{"openid"}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, row.want, ask(wellKnown(t, row.change), "metadata").json["scopes_supported"])
		})
	}
}
