package chiauth_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/oidcgate/oidcgate/chiauth"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// serve starts an application whose root router build makes, and whose routes
// are below prefix.
func serve(t *testing.T, prefix string, configure func(*core.Config), build func(*core.Auth) http.Handler) (*oidctest.Provider, string) {
	provider := oidctest.New(t, oidctest.Options{})
	server := httptest.NewUnstartedServer(nil)
	base := "http://" + server.Listener.Addr().String() + prefix
	config := core.Config{
		Providers: []core.Provider{{Issuer: provider.Issuer, ClientID: provider.ClientID, ClientSecret: provider.ClientSecret}},
		PublicURL: base, Logger: slog.New(slog.DiscardHandler),
	}
	if configure != nil {
		configure(&config)
	}
	auth, err := core.New(config)
	require.NoError(t, err)
	server.Config.Handler = build(auth)
	server.Start()
	t.Cleanup(func() { server.Close(); require.NoError(t, auth.Close()) })
	return provider, base
}

func ask(t *testing.T, method, url, token string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	require.NoError(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body), res.Header
}

func whoami(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "hello %s", core.TokenFrom(r.Context()).Username())
}

func TestRouterServesBelowAnyPrefix(t *testing.T) {
	for name, row := range map[string]struct {
		prefix string
		build  func(api http.Handler) http.Handler
	}{
		"mounted": {"/api", func(api http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Mount("/api", api)
			return r
		}},
		"at the root": {"", func(api http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Mount("/", api)
			return r
		}},
		"nested, behind middleware": {"/a/b/api", func(api http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Use(middleware.Recoverer, middleware.RequestID)
			r.Route("/a", func(r chi.Router) {
				r.Route("/b", func(r chi.Router) { r.Mount("/api", api) })
			})
			return r
		}},
		"below a parameter": {"/u/acme/api", func(api http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Mount("/u/{tenant}/api", api)
			return r
		}},
		"behind StripPrefix": {"/outer/api", func(api http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Mount("/api", api)
			return http.StripPrefix("/outer", r)
		}},
		"beside a catch-all": {"/api", func(api http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Get("/*", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "page") })
			r.Mount("/api", api)
			return r
		}},
	} {
		t.Run(name, func(t *testing.T) {
			provider, base := serve(t, row.prefix, nil, func(auth *core.Auth) http.Handler {
				api := chiauth.Router(auth)
				api.With(chiauth.Required(auth, core.AnyRole("admin"))).Get("/me", whoami)
				api.Group(func(r chi.Router) {
					r.Use(chiauth.Optional(auth))
					r.Get("/hello", whoami)
				})
				return row.build(api)
			})
			tokens := provider.SignIn(t, base+"/auth/v2/login", "alice")
			_, body, _ := ask(t, http.MethodGet, base+"/me", tokens.AccessToken)
			require.Equal(t, "hello alice", body)
			status, _, _ := ask(t, http.MethodGet, base+"/me", provider.AccessToken(t, "bob"))
			require.Equal(t, http.StatusForbidden, status)
			status, _, _ = ask(t, http.MethodGet, base+"/me", "")
			require.Equal(t, http.StatusUnauthorized, status)
			_, body, _ = ask(t, http.MethodGet, base+"/hello", "")
			require.Equal(t, "hello ", body)
		})
	}
}

func TestRouterAnswersEveryMethodOfARoute(t *testing.T) {
	_, base := serve(t, "/api", nil, func(auth *core.Auth) http.Handler {
		r := chi.NewRouter()
		r.Mount("/api", chiauth.Router(auth))
		return r
	})
	for _, method := range []string{"PUT", "HEAD", "OPTIONS", "DELETE"} {
		status, _, header := ask(t, method, base+"/auth/v2/token", "")
		require.Equal(t, http.StatusMethodNotAllowed, status, method)
		require.Equal(t, "POST", header.Get("Allow"))
		require.Equal(t, "no-store", header.Get("Cache-Control"))
	}
	status, _, _ := ask(t, http.MethodHead, base+"/auth/v2/userinfo", "")
	require.Equal(t, http.StatusUnauthorized, status)
}

func TestRouterHasMovedRoutesAndNoneThatIsOff(t *testing.T) {
	_, base := serve(t, "/api", func(c *core.Config) {
		c.Routes = core.Routes{Login: "/signin", Device: core.Off}
	}, func(auth *core.Auth) http.Handler {
		r := chi.NewRouter()
		r.Mount("/api", chiauth.Router(auth))
		return r
	})
	status, _, _ := ask(t, http.MethodGet, base+"/signin", "")
	require.Equal(t, http.StatusFound, status)
	for _, path := range []string{"/auth/v2/login", "/auth/v2/device"} {
		status, _, _ := ask(t, http.MethodPost, base+path, "")
		require.Equal(t, http.StatusNotFound, status)
	}
}
