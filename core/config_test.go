package core_test

import (
	"bytes"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/store/memory"
	"github.com/stretchr/testify/require"
)

// Who is asked for an issuer often pastes what he has: the address of its document.
func TestNewSaysWhichIssuerADiscoveryDocumentIsOf(t *testing.T) {
	for pasted, issuer := range map[string]string{
		"https://id.example.org/.well-known/openid-configuration":                        "https://id.example.org",
		"https://id.example.org/realms/demo/.well-known/openid-configuration":            "https://id.example.org/realms/demo",
		"https://id.example.org/realms/demo/.well-known/openid-configuration/":           "https://id.example.org/realms/demo",
		"https://id.example.org/.well-known/oauth-authorization-server/realms/demo":      "https://id.example.org/realms/demo",
		"http://keycloak:8080/realms/demo/.well-known/openid-configuration":              "http://keycloak:8080/realms/demo",
		"https://id.example.org/t/v2.0/.well-known/openid-configuration?p=B2C_1_sign_in": "https://id.example.org/t/v2.0",
	} {
		config := validConfig()
		config.Providers[0].Issuer = pasted
		config.TrustedIssuers = []core.Issuer{{URL: pasted}}
		_, err := core.New(config)
		sentence := "is the address of a document: write the issuer in it, which is \"" + issuer + "\" or the same with a slash at the end"
		require.ErrorContains(t, err, "Config.Providers[0].Issuer \""+pasted+"\": "+sentence)
		require.ErrorContains(t, err, "Config.TrustedIssuers[0].URL \""+pasted+"\": "+sentence)
	}
}

func TestAnHTTPPublicURLOffLoopbackMustBeAskedFor(t *testing.T) {
	config := validConfig()
	config.PublicURL = "http://lab.example.org:8000/api"
	_, err := core.New(config)
	require.ErrorContains(t, err, "Config.PublicURL")
	config.InsecurePublicHTTP = true
	config.Broker = &core.Broker{Store: memory.New()}
	auth, err := core.New(config)
	require.NoError(t, err)
	require.NoError(t, auth.Close())
}

func TestNewReportsEachMistake(t *testing.T) {
	_, err := core.New(validConfig())
	require.NoError(t, err)
	for name, row := range map[string]struct {
		change func(*core.Config)
		named  string
	}{
		"no issuer":                  {func(c *core.Config) { c.Providers[0].Issuer = "" }, "Issuer"},
		"issuer no URL":              {func(c *core.Config) { c.Providers[0].Issuer = "id.example.org" }, "Issuer"},
		"issuer http":                {func(c *core.Config) { c.Providers[0].Issuer = "http://id.example.org" }, "Issuer"},
		"issuer with a fragment":     {func(c *core.Config) { c.Providers[0].Issuer += "#x" }, "Issuer"},
		"issuer with a password":     {func(c *core.Config) { c.Providers[0].Issuer = "https://a:b@id.example.org" }, "Issuer"},
		"discovery http":             {func(c *core.Config) { c.Providers[0].DiscoveryURL = "http://keycloak:8080/x" }, "DiscoveryURL"},
		"keys http":                  {func(c *core.Config) { c.Providers[0].JWKSURL = "http://keycloak:8080/x" }, "JWKSURL"},
		"endpoint http":              {func(c *core.Config) { c.Providers[0].Endpoints.Revocation = "http://keycloak:8080/x" }, "Endpoints.Revocation"},
		"endpoint no URL":            {func(c *core.Config) { c.Providers[0].Endpoints.Token = "/token" }, "Endpoints.Token"},
		"no client id":               {func(c *core.Config) { c.Providers[0].ClientID = "" }, "ClientID"},
		"client auth unknown":        {func(c *core.Config) { c.Providers[0].ClientAuth = "private_key_jwt" }, "ClientAuth"},
		"scopes in one":              {func(c *core.Config) { c.Providers[0].Scopes = []string{"profile email"} }, "Scopes"},
		"allowed scope empty":        {func(c *core.Config) { c.Providers[0].AllowedScopes = []string{""} }, "AllowedScopes"},
		"public URL http":            {func(c *core.Config) { c.PublicURL = "http://shop.example.org" }, "PublicURL"},
		"public URL with a slash":    {func(c *core.Config) { c.PublicURL += "/" }, "PublicURL"},
		"public URL with a query":    {func(c *core.Config) { c.PublicURL += "?" }, "PublicURL"},
		"public URL relative":        {func(c *core.Config) { c.PublicURL = "/api" }, "PublicURL"},
		"redirect URI http":          {func(c *core.Config) { c.RedirectURIs = []string{"http://shop.example.org/x"} }, "RedirectURIs"},
		"redirect URI any":           {func(c *core.Config) { c.RedirectURIs = []string{"*"} }, "RedirectURIs"},
		"redirect URI script":        {func(c *core.Config) { c.RedirectURIs = []string{"javascript:alert(1)"} }, "RedirectURIs"},
		"post-logout URI relative":   {func(c *core.Config) { c.PostLogoutURIs = []string{"/"} }, "PostLogoutURIs"},
		"route without a slash":      {func(c *core.Config) { c.Routes.Login = "login" }, "Routes.Login"},
		"route with a pattern":       {func(c *core.Config) { c.Routes.Login = "/{x}" }, "Routes.Login"},
		"route with a dot segment":   {func(c *core.Config) { c.Routes.Login = "/a/../b" }, "Routes.Login"},
		"route that ends in a slash": {func(c *core.Config) { c.Routes.Login = "/login/" }, "Routes.Login"},
		"two routes at one path":     {func(c *core.Config) { c.Routes.Login = "/auth/v2/token" }, "Routes.Token"},
		"role claim empty":           {func(c *core.Config) { c.Providers[0].RoleClaims = []string{"roles", ""} }, "RoleClaims"},
		"secret of 31 bytes":         {func(c *core.Config) { c.Secrets = []string{strings.Repeat("A", 42)} }, "31 bytes"},
		"public URL http anywhere":   {func(c *core.Config) { c.PublicURL, c.InsecureProviderHTTP = "http://shop.example.org", true }, "PublicURL"},
		"route with a dot":           {func(c *core.Config) { c.Routes.Login = "/a/./b" }, "Routes.Login"},
		"secret no base64":           {func(c *core.Config) { c.Secrets = []string{"correct horse battery"} }, "Secrets"},
		"secret short":               {func(c *core.Config) { c.Secrets = []string{secret, "c2hvcnQ="} }, "openssl rand -base64 32"},
		"audience empty":             {func(c *core.Config) { c.Providers[0].Audiences = []string{""} }, "Audiences"},
		"any audience, and some": {func(c *core.Config) {
			c.Providers[0].Audiences = []string{"a"}
			c.Providers[0].InsecureAcceptAnyAudience = true
		}, "InsecureAcceptAnyAudience"},
		"a constraint without a kind": {func(c *core.Config) { c.Require = []core.Constraint{{}} }, "Require"},
		"port that does not exist":    {func(c *core.Config) { c.PublicURL = "https://shop.example.org:99999" }, "65535"},
		"redirect to no port":         {func(c *core.Config) { c.RedirectURIs = []string{"https://shop.example.org:70000/"} }, "RedirectURIs"},
		"login parameter of ours":     {func(c *core.Config) { c.Providers[0].LoginParams = []string{"redirect_uri"} }, "LoginParams"},
		"login parameter, standard":   {func(c *core.Config) { c.Providers[0].LoginParams = []string{"prompt"} }, "LoginParams"},
		"login parameter, offline":    {func(c *core.Config) { c.Providers[0].LoginParams = []string{"offline_access"} }, "LoginParams"},
		"login parameter, malformed":  {func(c *core.Config) { c.Providers[0].LoginParams = []string{"kc idp"} }, "LoginParams"},
		"login parameter, empty":      {func(c *core.Config) { c.Providers[0].LoginParams = []string{""} }, "LoginParams"},
		"login parameter, configured": {func(c *core.Config) {
			c.Providers[0].LoginParams = []string{"hd"}
			c.Providers[0].AuthParams = url.Values{"hd": {"x"}}
		}, "LoginParams"},
		"public URL with braces":      {func(c *core.Config) { c.PublicURL = "https://shop.example.org/{tenant}/api" }, "PublicURL"},
		"public URL with a brace":     {func(c *core.Config) { c.PublicURL += "}" }, "PublicURL"},
		"public URL of a lab, braces": {func(c *core.Config) { c.PublicURL, c.InsecurePublicHTTP = "http://lab/{x}", true }, "PublicURL"},
		"public URL of another kind":  {func(c *core.Config) { c.PublicURL, c.InsecurePublicHTTP = "ftp://lab", true }, "PublicURL"},
		"issuer http, public allowed": {func(c *core.Config) { c.Providers[0].Issuer, c.InsecurePublicHTTP = "http://id.example.org", true }, "Issuer"},
		"introspection, no secret":    {func(c *core.Config) { c.Providers[0].Introspection = true }, "needs ClientSecret"},
		"one introspection at once":   {func(c *core.Config) { c.MaxIntrospections = 1 }, "MaxIntrospections"},
		"introspections negative":     {func(c *core.Config) { c.MaxIntrospections = -1 }, "MaxIntrospections"},
		"landing on another site":     {func(c *core.Config) { c.Browser = &core.Browser{LandingPath: "//evil.example"} }, "Browser.LandingPath"},
		"errors on another site":      {func(c *core.Config) { c.Browser = &core.Browser{ErrorPath: "https://evil.example"} }, "Browser.ErrorPath"},
		"errors at a fragment":        {func(c *core.Config) { c.Browser = &core.Browser{ErrorPath: "/#/failed"} }, "Browser.ErrorPath"},
		"any origin by cookie":        {func(c *core.Config) { c.Browser = &core.Browser{AllowOrigins: []string{"*"}} }, "Browser.AllowOrigins"},
		"the origin null by cookie":   {func(c *core.Config) { c.Browser = &core.Browser{AllowOrigins: []string{"null"}} }, "Browser.AllowOrigins"},
		"a pattern of origins":        {func(c *core.Config) { c.Browser = &core.Browser{AllowOrigins: []string{"https://*.example.org"}} }, "list each origin"},
		"an origin with a path":       {func(c *core.Config) { c.Browser = &core.Browser{AllowOrigins: []string{"https://a.example.org/"}} }, "https://a.example.org"},
		"browsers without a callback": {func(c *core.Config) { c.Browser, c.Routes.Callback = &core.Browser{}, core.Off }, "Routes.Callback"},
		"browsers without a logout":   {func(c *core.Config) { c.Browser, c.Routes.Logout = &core.Browser{}, core.Off }, "Routes.Logout"},
		"browsers, no public URL":     {func(c *core.Config) { c.Browser, c.PublicURL = &core.Browser{}, "" }, "PublicURL"},
		"timeout negative":            {func(c *core.Config) { c.Timeout = -1 }, "Timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			config := validConfig()
			row.change(&config)
			_, err := core.New(config)
			require.ErrorContains(t, err, row.named)
			require.NotContains(t, err.Error(), secret)
			require.NotContains(t, err.Error(), "correct horse")
		})
	}
}

func TestAuthParamsCannotSetWhatALoginHangsOn(t *testing.T) {
	for _, name := range []string{
		"response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "nonce",
		"code_challenge", "code_challenge_method", "request", "request_uri", "max_age",
	} {
		config := validConfig()
		config.Providers[0].AuthParams = url.Values{name: {"x"}}
		_, err := core.New(config)
		require.ErrorContains(t, err, name)
	}
}

func TestNewReportsAllMistakesAtOnce(t *testing.T) {
	_, err := core.New(core.Config{Providers: []core.Provider{{ClientAuth: "x"}}, PublicURL: "x", Secrets: []string{"x"}, Timeout: -1})
	for _, field := range []string{"Providers[0].Issuer", "Providers[0].ClientID", "Providers[0].ClientAuth", "PublicURL", "Secrets", "Timeout"} {
		require.ErrorContains(t, err, "Config."+field)
	}
}

func TestNewTakesWhatIsSafe(t *testing.T) {
	for name, change := range map[string]func(*core.Config){
		"issuer with a slash": func(c *core.Config) { c.Providers[0].Issuer += "/" },
		"everything on loopback": func(c *core.Config) {
			c.Providers[0].Issuer, c.PublicURL = "http://localhost:8080", "http://127.0.0.1/api"
		},
		"public URL without a path":   func(c *core.Config) { c.PublicURL = "https://shop.example.org" },
		"no public URL":               func(c *core.Config) { c.PublicURL = "" },
		"http provider, asked for":    func(c *core.Config) { c.Providers[0].Issuer, c.InsecureProviderHTTP = "http://keycloak:8080", true },
		"secret in base64url":         func(c *core.Config) { c.Secrets = []string{strings.Repeat("-_", 22)} },
		"secret with a line break":    func(c *core.Config) { c.Secrets = []string{secret + "\n"} },
		"prompt as a parameter":       func(c *core.Config) { c.Providers[0].AuthParams = url.Values{"prompt": {"consent"}} },
		"a hidden folder as a path":   func(c *core.Config) { c.Routes.Login = "/.well-known/login" },
		"an app's scheme as redirect": func(c *core.Config) { c.RedirectURIs = []string{"org.example.app:/cb"} },
	} {
		t.Run(name, func(t *testing.T) {
			config := validConfig()
			change(&config)
			_, err := core.New(config)
			require.NoError(t, err)
		})
	}
}

func TestNewWarnsWithoutSecretsAndTellsOfTheTokenRoute(t *testing.T) {
	var out bytes.Buffer
	config := validConfig()
	config.Secrets, config.Logger = nil, slog.New(slog.NewTextHandler(&out, nil))
	_, err := core.New(config)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(out.String(), "level=WARN"))
	require.Contains(t, out.String(), "openssl rand -base64 32")
	require.Equal(t, 1, strings.Count(out.String(), "level=INFO"))

	out.Reset()
	config.Secrets, config.Routes.Token = []string{secret}, core.Off
	_, err = core.New(config)
	require.NoError(t, err)
	require.Empty(t, out.String())
}

func TestNewWarnsOfBrowserSessionsOfAPublicClient(t *testing.T) {
	for clientSecret, warnings := range map[string]int{"": 1, "of the client": 0} {
		var out bytes.Buffer
		config := validConfig()
		config.Logger, config.Providers[0].ClientSecret = slog.New(slog.NewTextHandler(&out, nil)), clientSecret
		browsing()(&config)
		_, err := core.New(config)
		require.NoError(t, err)
		require.Equal(t, warnings, strings.Count(out.String(), "Provider.ClientSecret is not set"), out.String())
	}
}

func TestConfigIsCopied(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	uris := []string{"org.example.one:/x"}
	params := url.Values{"audience": {"a"}}
	a := newApp(t, provider, func(c *core.Config) { c.RedirectURIs, c.Providers[0].AuthParams = uris, params })
	uris[0], params["audience"][0] = "org.example.two:/x", "b"
	requireError(t, a.get(browser(), "/auth/v2/login?redirect_uri=org.example.two:/x"), 400, "invalid_request")
	require.Equal(t, "a", a.begin(browser(), "redirect_uri", "org.example.one:/x").Get("audience"))
}

func TestConfigFromEnv(t *testing.T) {
	unsetOIDC(t)
	config, err := core.ConfigFromEnv()
	require.NoError(t, err)
	require.Equal(t, core.Config{Providers: []core.Provider{{}}}, config, "nothing set is a zero provider, for the program to fill in")

	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte("from a file\n"), 0o600))
	for name, value := range map[string]string{
		"OIDC_ISSUER": " https://id.example.org ", "OIDC_CLIENT_ID": "shop", "OIDC_CLIENT_SECRET_FILE": file,
		"OIDC_CLIENT_AUTH": "client_secret_post", "OIDC_DISCOVERY_URL": "https://d", "OIDC_JWKS_URL": "https://k",
		"OIDC_AUTHORIZATION_ENDPOINT": "https://e/a", "OIDC_TOKEN_ENDPOINT": "https://e/t", "OIDC_USERINFO_ENDPOINT": "https://e/u",
		"OIDC_DEVICE_ENDPOINT": "https://e/d", "OIDC_END_SESSION_ENDPOINT": "https://e/e",
		"OIDC_REVOCATION_ENDPOINT": "https://e/r", "OIDC_INTROSPECTION_ENDPOINT": "https://e/i",
		"OIDC_PUBLIC_URL": "https://shop.example.org", "OIDC_SCOPES": "profile, email\torders", "OIDC_ALLOWED_SCOPES": "a,b",
		"OIDC_ONLINE_DEVICES": "true", "OIDC_AUTH_PARAMS": "audience=api&access_type=offline",
		"OIDC_LOGIN_PARAMS": "hd,kc_idp_hint", "OIDC_REDIRECT_URIS": "https://a/ https://b/", "OIDC_POST_LOGOUT_URIS": "https://c/", "OIDC_SECRETS": "one two",
		"OIDC_AUDIENCES": "x,y", "OIDC_ROLE_CLAIMS": "realm_access.roles urn:roles", "OIDC_PROFILE_PATHS": "ident.person", "OIDC_LEEWAY": "-1s", "OIDC_TIMEOUT": "3s",
	} {
		t.Setenv(name, value)
	}
	config, err = core.ConfigFromEnv()
	require.NoError(t, err)
	require.Equal(t, core.Config{
		Providers: []core.Provider{{
			Issuer: "https://id.example.org", ClientID: "shop", ClientSecret: "from a file",
			ClientAuth: core.ClientSecretPost, DiscoveryURL: "https://d", JWKSURL: "https://k", Endpoints: core.Endpoints{
				Authorization: "https://e/a", Token: "https://e/t", Userinfo: "https://e/u", Device: "https://e/d",
				EndSession: "https://e/e", Revocation: "https://e/r", Introspection: "https://e/i",
			}, Scopes: []string{"profile", "email", "orders"}, AllowedScopes: []string{"a", "b"}, OnlineDevices: true, AuthParams: url.Values{"audience": {"api"}, "access_type": {"offline"}}, LoginParams: []string{"hd", "kc_idp_hint"}, Audiences: []string{"x", "y"}, RoleClaims: []string{"realm_access.roles", "urn:roles"}, ProfilePaths: []string{"ident.person"},
		}}, PublicURL: "https://shop.example.org",

		RedirectURIs: []string{"https://a/", "https://b/"}, PostLogoutURIs: []string{"https://c/"},
		Secrets: []string{"one", "two"},
		Leeway:  -time.Second, Timeout: 3 * time.Second,
	}, config)
}

func TestConfigFromEnvReportsAllMistakesAndNoSecret(t *testing.T) {
	unsetOIDC(t)
	t.Setenv("OIDC_CLIENT_SECRET", "hunter22hunter22")
	t.Setenv("OIDC_CLIENT_SECRET_FILE", "/nowhere")
	t.Setenv("OIDC_SECRETS_FILE", "/nowhere/either")
	t.Setenv("OIDC_ONLINE_DEVICES", "maybe")
	t.Setenv("OIDC_AUTH_PARAMS", "%zz")
	t.Setenv("OIDC_LEEWAY", "30")
	t.Setenv("OIDC_TIMEOUT", "soon")
	_, err := core.ConfigFromEnv()
	for _, name := range []string{"OIDC_CLIENT_SECRET", "OIDC_SECRETS_FILE", "OIDC_ONLINE_DEVICES", "OIDC_AUTH_PARAMS", "OIDC_LEEWAY", "OIDC_TIMEOUT"} {
		require.ErrorContains(t, err, name)
	}
	require.NotContains(t, err.Error(), "hunter22")
}

func TestMistakesInURLsRepeatNoPassword(t *testing.T) {
	const with = "https://user:hunter2@example.org/api"
	for _, raw := range []string{with, "http://user:hunter2@[example", "user:hunter2@example.org"} {
		_, err := core.New(core.Config{
			Providers: []core.Provider{{Issuer: raw, ClientID: "shop", DiscoveryURL: raw, JWKSURL: raw}}, PublicURL: raw,
			RedirectURIs: []string{raw}, PostLogoutURIs: []string{raw}, TrustedIssuers: []core.Issuer{{URL: raw, JWKSURL: raw}},
		})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hunter2")
	}
	_, err := core.New(core.Config{Providers: []core.Provider{{Issuer: with, ClientID: "shop"}}})
	require.ErrorContains(t, err, `Config.Providers[0].Issuer "…@example.org/api": has a user name in it: remove that`)
}
