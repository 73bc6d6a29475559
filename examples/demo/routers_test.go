package main

import (
	"net"
	"net/http"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
	"github.com/stretchr/testify/require"
)

// TestPagesSendPeopleToSignInAndAreKeptNowhere holds what the Pages of each adapter does
// besides what core does.
func TestPagesSendPeopleToSignInAndAreKeptNowhere(t *testing.T) {
	for name, router := range routers {
		t.Run(name, func(t *testing.T) {
			provider := oidctest.New(t, oidctest.Options{})
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			origin := "http://" + listener.Addr().String()
			auth, err := core.New(core.Config{
				Providers: []core.Provider{{Issuer: provider.Issuer, ClientID: provider.ClientID, ClientSecret: provider.ClientSecret}},
				PublicURL: origin + "/api", Browser: &core.Browser{},
			})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, auth.Close()) })
			who := func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				_, _ = w.Write([]byte(core.TokenFrom(r.Context()).Username()))
			}
			public := func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "private")
				who(w, r)
			}
			server := router(auth, served{prefix: "/api", files: http.NotFoundHandler(), pages: []route{
				{Path: "/page", guard: isPage, serve: who},
				{Path: "/kept", guard: isPage, serve: public},
				{Path: "/admin", guard: isPage, needs: []core.Constraint{core.AnyRole("admin")}, serve: who},
			}})
			go server.Serve(listener)
			t.Cleanup(func() { _ = server.Shutdown(t.Context()) })

			bob := probe.NewBrowser()
			back, err := bob.SignIn(t.Context(), origin+"/page?a=1&b=%2F", probe.Bob)
			require.NoError(t, err)
			page := bob.Visit(t.Context(), back.String())
			require.NoError(t, page.IsPage(http.StatusOK, "/page?a=1&b=%2F", "bob"))
			require.Equal(t, []string{"no-store"}, page.Header.Values("Cache-Control"))
			require.Equal(t, []string{"private"}, bob.Visit(t.Context(), origin+"/kept").Header.Values("Cache-Control"))
			require.NoError(t, bob.Visit(t.Context(), origin+"/admin").IsPage(http.StatusForbidden, "/admin", "insufficient_claims"))
			require.NoError(t, probe.NewBrowser().Call(t.Context(), origin+"/page").Is(http.StatusUnauthorized, "missing_token"))
		})
	}
}
