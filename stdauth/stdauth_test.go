package stdauth_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/stdauth"
	"github.com/stretchr/testify/require"
)

func whoami(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "hello %s", core.TokenFrom(r.Context()).Username())
}

func newAuth(t *testing.T, provider *oidctest.Provider, publicURL string, routes core.Routes) *core.Auth {
	auth, err := core.New(core.Config{
		Providers: []core.Provider{{Issuer: provider.Issuer, ClientID: provider.ClientID, ClientSecret: provider.ClientSecret}},
		PublicURL: publicURL, Routes: routes, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, auth.Close()) })
	return auth
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

func TestMountServesBelowAnyPrefixBesideRoutesOfTheApplication(t *testing.T) {
	provider := oidctest.New(t, oidctest.Options{})
	for _, prefix := range []string{"/api", "", "/a/b/api", "/u/{tenant}/api"} {
		t.Run(prefix, func(t *testing.T) {
			mux := http.NewServeMux()
			server := httptest.NewServer(mux)
			defer server.Close()
			base := server.URL + prefix
			if prefix == "/u/{tenant}/api" {
				base = server.URL + "/u/acme/api"
			}
			auth := newAuth(t, provider, base, core.Routes{})
			mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "page") })
			mux.HandleFunc("OPTIONS /", func(w http.ResponseWriter, _ *http.Request) {})
			stdauth.Mount(mux, prefix, auth)
			mux.Handle("GET "+prefix+"/me", stdauth.Required(auth, core.AnyRole("admin"))(http.HandlerFunc(whoami)))
			mux.Handle("GET "+prefix+"/hello", stdauth.Optional(auth)(http.HandlerFunc(whoami)))

			tokens := provider.SignIn(t, base+"/auth/v2/login", "alice")
			_, body, _ := ask(t, http.MethodGet, base+"/me", tokens.AccessToken)
			require.Equal(t, "hello alice", body)
			status, _, _ := ask(t, http.MethodGet, base+"/me", provider.AccessToken(t, "bob"))
			require.Equal(t, http.StatusForbidden, status)
			_, body, _ = ask(t, http.MethodGet, base+"/hello", "")
			require.Equal(t, "hello ", body)
			_, body, _ = ask(t, http.MethodGet, server.URL+"/other", "")
			require.Equal(t, "page", body)
		})
	}
}

func TestMountAnswersEveryMethodOfARoute(t *testing.T) {
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	stdauth.Mount(mux, "/api", newAuth(t, oidctest.New(t, oidctest.Options{}), server.URL+"/api", core.Routes{}))
	for _, method := range []string{"PUT", "HEAD", "OPTIONS", "DELETE", "TRACE"} {
		status, _, header := ask(t, method, server.URL+"/api/auth/v2/token", "")
		require.Equal(t, http.StatusMethodNotAllowed, status, method)
		require.Equal(t, "POST", header.Get("Allow"))
		require.Equal(t, "no-store", header.Get("Cache-Control"))
	}
}

func TestMountHasMovedRoutesAndNoneThatIsOff(t *testing.T) {
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	stdauth.Mount(mux, "", newAuth(t, oidctest.New(t, oidctest.Options{}), server.URL, core.Routes{Login: "/signin", Device: core.Off}))
	status, _, _ := ask(t, http.MethodGet, server.URL+"/signin", "")
	require.Equal(t, http.StatusFound, status)
	for _, path := range []string{"/auth/v2/login", "/auth/v2/device"} {
		status, _, _ := ask(t, http.MethodPost, server.URL+path, "")
		require.Equal(t, http.StatusNotFound, status)
	}
}

func TestMountTwicePanics(t *testing.T) {
	mux := http.NewServeMux()
	auth := newAuth(t, oidctest.New(t, oidctest.Options{}), "https://app.example.org/api", core.Routes{})
	stdauth.Mount(mux, "/api", auth)
	require.Panics(t, func() { stdauth.Mount(mux, "/api", auth) })
}
