package core_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// announcing is a provider whose discovery document has these members too; nil takes
// one away.
func announcing(t *testing.T, o oidctest.Options, members map[string]any) *oidctest.Provider {
	provider := newProvider(t, o)
	tamper(provider, oidctest.DiscoveryPath, func(body map[string]any) {
		for name, value := range members {
			if body[name] = value; value == nil {
				delete(body, name)
			}
		}
	})
	return provider
}

// What stands in the way of every login is said when the program starts, with what to
// change.
func TestStartTellsWhatDiscoveryShowsToStopEveryLogin(t *testing.T) {
	for name, row := range map[string]struct {
		member string
		value  any
		says   string // "" for nothing
	}{
		"PAR required":               {"require_pushed_authorization_requests", true, "switch pushed authorization requests off"},
		"PAR required, as a word":    {"require_pushed_authorization_requests", "true", "switch pushed authorization requests off"},
		"PAR offered":                {"require_pushed_authorization_requests", false, ""},
		"JAR required":               {"require_signed_request_object", true, "switch request objects off"},
		"PKCE with plain alone":      {"code_challenge_methods_supported", []string{"plain"}, "switch PKCE with S256 on"},
		"PKCE as one text":           {"code_challenge_methods_supported", "S256", ""},
		"PKCE not told":              {"code_challenge_methods_supported", nil, ""},
		"ID tokens by shared secret": {"id_token_signing_alg_values_supported", []string{"HS256"}, "id_token_signing_alg_values_supported"},
		"ID tokens by Ed25519":       {"id_token_signing_alg_values_supported", []string{"Ed25519"}, ""},
		"no method that we have":     {"token_endpoint_auth_methods_supported", []string{"private_key_jwt"}, "client_secret_basic nor client_secret_post"},
		"no methods":                 {"token_endpoint_auth_methods_supported", []string{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			provider := announcing(t, oidctest.Options{}, map[string]any{row.member: row.value})
			a := newApp(t, provider)
			err := a.auth.Start(t.Context())
			if row.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, core.ErrProvider)
			require.ErrorContains(t, err, row.says)
			require.ErrorContains(t, err, provider.Issuer)

			guards := newApp(t, provider, func(c *core.Config) { c.Routes.Login = core.Off })
			require.NoError(t, guards.auth.Start(t.Context()), "who has no logins has nothing to mend")
		})
	}
	t.Run("all at once", func(t *testing.T) {
		a := newApp(t, announcing(t, oidctest.Options{}, map[string]any{
			"require_pushed_authorization_requests": true, "code_challenge_methods_supported": []string{"plain"},
		}))
		err := a.auth.Start(t.Context())
		require.ErrorContains(t, err, "PAR")
		require.ErrorContains(t, err, "S256")
	})
}

// What is wrong with a configuration is said when the program starts, with what to
// change. Health says the same.
func TestStartAndHealthTellWhatToMend(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	moved := httptest.NewServer(http.RedirectHandler("https://id.example.org/", http.StatusFound))
	defer moved.Close()
	for name, row := range map[string]struct {
		configure func(*core.Config)
		kind      *core.Error
		says      string
	}{
		"no document there": {func(c *core.Config) { c.Providers[0].DiscoveryURL = c.Providers[0].Issuer + "/nowhere" }, core.ErrProvider, "/nowhere answered 404; check Provider.Issuer, or set Provider.DiscoveryURL"},
		"no keys there":     {func(c *core.Config) { c.Providers[0].JWKSURL = c.Providers[0].Issuer + "/nowhere" }, core.ErrProvider, "/nowhere answered 404; set Provider.JWKSURL"},
		"another issuer": {func(c *core.Config) {
			c.Providers[0].DiscoveryURL, c.Providers[0].Issuer = c.Providers[0].Issuer+oidctest.DiscoveryPath, c.Providers[0].Issuer+"/"
		}, core.ErrProvider, "set Provider.Issuer to exactly this"},
		"nobody there":              {func(c *core.Config) { c.Providers[0].Issuer = "http://127.0.0.1:9" }, core.ErrUnavailable, "there is no connection"},
		"a certificate of nobody's": {func(c *core.Config) { c.Providers[0].Issuer = untrusted.URL }, core.ErrUnavailable, "let the transport of Config.HTTPClient trust who signed it"},
		"moved":                     {func(c *core.Config) { c.Providers[0].Issuer = moved.URL }, core.ErrProvider, "redirects are not followed"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, provider, row.configure)
			err := a.auth.Start(t.Context())
			require.ErrorIs(t, err, row.kind)
			require.ErrorContains(t, err, row.says)
			require.ErrorContains(t, a.auth.Health().Err(), row.says)
		})
	}
}

// Lists that not every provider keeps with care stop nobody.
func TestStartWarnsOfWhatMayStopLogins(t *testing.T) {
	for member, value := range map[string]string{"response_types_supported": "id_token", "grant_types_supported": "implicit"} {
		provider := announcing(t, oidctest.Options{}, map[string]any{member: []string{value}, "response_modes_supported": []string{"form_post"}})
		a := newApp(t, provider)
		require.NoError(t, a.auth.Start(t.Context()))
		require.Len(t, a.log.lines("logins may not work as the provider is set up"), 1)
		require.Len(t, a.log.lines("its "+member), 1)
		a.signIn("alice")
	}
}

func TestStartWarnsOfIntrospectionThatTheProviderDoesNotHave(t *testing.T) {
	provider := announcing(t, oidctest.Options{}, map[string]any{"introspection_endpoint": nil})
	a := newApp(t, provider, func(c *core.Config) { c.Providers[0].Introspection = true })
	require.NoError(t, a.auth.Start(t.Context()), "JWTs are valid all the same")
	require.Len(t, a.log.lines("set Provider.Endpoints.Introspection"), 1)
}

func TestClientAuthIsWhatDiscoveryListsBasicFirst(t *testing.T) {
	for name, row := range map[string]struct {
		listed     any
		configured core.ClientAuth
		basic      bool
		warned     bool
	}{
		"nothing told":         {nil, "", true, false},
		"both":                 {[]string{"client_secret_post", "client_secret_basic"}, "", true, false},
		"post alone":           {[]string{"private_key_jwt", "client_secret_post"}, "", false, false},
		"post, as a text":      {"client_secret_post", "", false, false},
		"a number":             {7, "", true, false},
		"configured":           {[]string{"client_secret_basic", "client_secret_post"}, core.ClientSecretPost, false, false},
		"configured, unlisted": {[]string{"client_secret_basic"}, core.ClientSecretPost, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			provider := announcing(t, oidctest.Options{}, map[string]any{"token_endpoint_auth_methods_supported": row.listed})
			basic := false
			provider.Answer(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request, real http.Handler) {
				_, _, basic = r.BasicAuth()
				real.ServeHTTP(w, r)
			})
			a := newApp(t, provider, func(c *core.Config) { c.Providers[0].ClientAuth = row.configured })
			require.NoError(t, a.auth.Start(t.Context()))
			a.signIn("alice")
			require.Equal(t, row.basic, basic)
			require.Equal(t, row.warned, len(a.log.lines("does not list the method of Provider.ClientAuth")) == 1)
		})
	}
	t.Run("a public client needs none", func(t *testing.T) {
		provider := announcing(t, oidctest.Options{Public: true}, map[string]any{"token_endpoint_auth_methods_supported": []string{"private_key_jwt"}})
		require.NoError(t, newApp(t, provider).auth.Start(t.Context()))
	})
}

// In a container network the document names addresses for browsers, which the
// application can't reach.
func TestEndpointsAreUsedInPlaceOfDiscoverys(t *testing.T) {
	const nowhere = "http://127.0.0.1:9/"
	provider := announcing(t, oidctest.Options{OpaqueTokens: true}, map[string]any{
		"authorization_endpoint": nowhere, "token_endpoint": nil /* Facebook's */, "userinfo_endpoint": nowhere,
		"device_authorization_endpoint": nowhere, "end_session_endpoint": nowhere,
		"revocation_endpoint": "http://keycloak:8080/", "introspection_endpoint": nowhere, "jwks_uri": nil,
	})
	err := newApp(t, provider).auth.Start(t.Context())
	require.ErrorContains(t, err, "names no token_endpoint: set Provider.Endpoints.Token")

	elsewhere := func(c *core.Config) {
		c.Providers[0].JWKSURL = c.Providers[0].Issuer + oidctest.KeysPath
		c.Providers[0].Endpoints = core.Endpoints{
			Authorization: c.Providers[0].Issuer + oidctest.AuthorizePath, Token: c.Providers[0].Issuer + oidctest.TokenPath, Userinfo: c.Providers[0].Issuer + oidctest.UserinfoPath,
			Device: c.Providers[0].Issuer + oidctest.DeviceAuthorizationPath, EndSession: c.Providers[0].Issuer + oidctest.EndSessionPath,
			Revocation: c.Providers[0].Issuer + oidctest.RevokePath, Introspection: c.Providers[0].Issuer + oidctest.IntrospectPath,
		}
	}
	a := newApp(t, provider, elsewhere, func(c *core.Config) { c.Providers[0].Introspection = true })
	require.NoError(t, a.auth.Start(t.Context()))
	require.Equal(t, http.StatusOK, serve(a.auth.Required(), bearer(a.signIn("alice").AccessToken)).StatusCode)
	require.Equal(t, http.StatusOK, a.post(browser(), deviceRoute).StatusCode)
	require.True(t, strings.HasPrefix(a.get(browser(), logoutRoute).Header.Get("Location"), provider.Issuer+oidctest.EndSessionPath))

	broker := newApp(t, provider, elsewhere, brokered())
	session := broker.signIn("alice")
	require.NotZero(t, provider.Requests(oidctest.UserinfoPath))
	broker.post(browser(), logoutRoute, "refresh_token", session.RefreshToken)
	require.NotZero(t, provider.Requests(oidctest.RevokePath))
	require.Empty(t, broker.log.lines("an endpoint of the provider is not used"))
}

// The issuer of the document is checked wherever its endpoints are.
func TestEndpointsDoNotMoveTheIssuer(t *testing.T) {
	provider := announcing(t, oidctest.Options{}, map[string]any{"issuer": "https://evil.example.org"})
	a := newApp(t, provider, func(c *core.Config) { c.Providers[0].Endpoints.Token = c.Providers[0].Issuer + oidctest.TokenPath })
	require.ErrorContains(t, a.auth.Start(t.Context()), "set Provider.Issuer to exactly this")
}

// What nobody needs can't cost what everybody does.
func TestAnOddMemberOfDiscoveryCostsThatMemberAlone(t *testing.T) {
	provider := announcing(t, oidctest.Options{}, map[string]any{
		"device_authorization_endpoint": false, "end_session_endpoint": []int{1}, "userinfo_endpoint": map[string]any{},
		"authorization_response_iss_parameter_supported": "false", "grant_types_supported": 7, "scopes_supported": "all",
	})
	a := newApp(t, provider)
	require.NoError(t, a.auth.Start(t.Context()))
	a.signIn("alice")
	requireError(t, a.post(browser(), deviceRoute), http.StatusBadRequest, "unsupported_grant_type")
}

func TestDocumentsComeFromWhereTheConfigurationSays(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target := provider.Issuer + map[string]string{"/discovery": oidctest.DiscoveryPath, "/jwks": oidctest.KeysPath}[r.URL.Path]
		http.Redirect(w, r, target, http.StatusFound)
	}))
	defer inside.Close()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = map[string]string{"/discovery": oidctest.DiscoveryPath, "/jwks": oidctest.KeysPath}[r.URL.Path]
		provider.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	valid := provider.AccessToken(t, "alice")
	a := newApp(t, provider, func(c *core.Config) {
		c.Providers[0].DiscoveryURL, c.Providers[0].JWKSURL = proxy.URL+"/discovery", proxy.URL+"/jwks"
	})
	require.NoError(t, a.verify(valid))
	a.signIn("alice")

	elsewhere := newApp(t, provider, func(c *core.Config) { c.Providers[0].DiscoveryURL = inside.URL + "/discovery" })
	err := elsewhere.auth.Start(t.Context())
	require.ErrorIs(t, err, core.ErrProvider)
	require.ErrorContains(t, err, "redirects are not followed")
}

func TestDiscoveryOfAnIssuerThatEndsInASlash(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	tamper(provider, oidctest.DiscoveryPath, func(body map[string]any) { body["issuer"] = provider.Issuer + "/" })
	a := newApp(t, provider, func(c *core.Config) { c.Providers[0].Issuer += "/" })
	require.NoError(t, a.auth.Start(t.Context()))
}

func TestEndpointsOfTheProviderMayHaveAQuery(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	tamper(provider, oidctest.DiscoveryPath, func(body map[string]any) {
		body["authorization_endpoint"] = provider.Issuer + "/authorize?tenant=a"
		body["end_session_endpoint"] = provider.Issuer + "/out?tenant=a"
	})
	a := newApp(t, provider, func(c *core.Config) { c.Providers[0].AuthParams = url.Values{"audience": {"x"}} })
	for range 2 { // a login changes nothing of the configuration
		q := a.begin(browser(), "login_hint", "alice")
		require.Equal(t, []string{"a"}, q["tenant"])
		require.Equal(t, []string{"x"}, q["audience"])
		require.Equal(t, []string{"code"}, q["response_type"])
	}
	require.NotContains(t, a.begin(browser()), "login_hint")
	require.Equal(t, provider.Issuer+"/out?tenant=a&client_id=app", a.get(browser(), logoutRoute).Header.Get("Location"))
}

func TestDiscoveryMustNameWhatIsNeeded(t *testing.T) {
	for field, value := range map[string]any{
		"authorization_endpoint": nil, "token_endpoint": nil, "jwks_uri": nil,
	} {
		for _, bad := range []any{value, "http://id.example.org/x", "/relative", "https://"} {
			provider := newProvider(t, oidctest.Options{})
			tamper(provider, oidctest.DiscoveryPath, func(body map[string]any) {
				if body[field] = bad; bad == nil {
					delete(body, field)
				}
			})
			require.ErrorIs(t, newApp(t, provider).auth.Start(t.Context()), core.ErrProvider, "%s %v", field, bad)
			if field == "jwks_uri" {
				given := newApp(t, provider, func(c *core.Config) { c.Providers[0].JWKSURL = c.Providers[0].Issuer + oidctest.KeysPath })
				if bad == nil {
					require.NoError(t, given.auth.Start(t.Context()))
				}
			}
		}
	}
	for field, route := range map[string]string{"device_authorization_endpoint": "device", "userinfo_endpoint": "userinfo", "end_session_endpoint": "logout"} {
		provider := newProvider(t, oidctest.Options{})
		tamper(provider, oidctest.DiscoveryPath, func(body map[string]any) { body[field] = "http://id.example.org/x" })
		a := newApp(t, provider)
		require.NoError(t, a.auth.Start(t.Context()))
		switch route {
		case "device":
			requireError(t, a.post(browser(), deviceRoute), http.StatusBadRequest, "unsupported_grant_type")
		case "userinfo":
			requireError(t, a.get(browser(), userinfoRoute, bearer(a.bare("alice"))), http.StatusNotFound, "not_found")
		case "logout":
			require.Equal(t, "/", a.get(browser(), logoutRoute).Header.Get("Location"))
		}
	}
}
