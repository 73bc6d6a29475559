package examples_test

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
	"github.com/stretchr/testify/require"
)

// TestWebExamples builds the web application on each router, runs it at a provider, and goes
// through it as people do.
func TestWebExamples(t *testing.T) {
	bin := build(t, "./web/")
	for _, name := range programs {
		program := filepath.Join(bin, name)
		t.Run(name, func(t *testing.T) { t.Parallel(); visitPages(t, program) })
	}
}

func visitPages(t *testing.T, program string) {
	ctx, provider := t.Context(), oidctest.New(t, oidctest.Options{})
	p := launch(t, program, "/api/auth/v2/login", client(provider)...) // which leads to the provider's page
	t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.ended
	})

	bob := probe.NewBrowser()
	back, err := bob.SignIn(ctx, p.origin+"/?page=2&q=%2F", probe.Bob)
	require.NoError(t, err)
	require.NoError(t, bob.Visit(ctx, back.String()).IsPage(http.StatusOK, "/?page=2&q=%2F", "<h1>Hello, bob</h1>"))
	require.NoError(t, bob.Visit(ctx, p.origin+"/admin").IsPage(http.StatusForbidden, "/admin", "insufficient_claims"))

	alice := probe.NewBrowser()
	back, err = alice.SignIn(ctx, p.origin+"/admin", probe.Alice)
	require.NoError(t, err)
	require.NoError(t, alice.Visit(ctx, back.String()).IsPage(http.StatusOK, "/admin", "<h1>At your service, alice</h1>"))

	const form = `<form method="post" action="/api/auth/v2/logout">`
	logout := p.origin + "/api/auth/v2/logout"
	thief := bob.Copy(back)
	require.NoError(t, bob.Submit(ctx, "https://elsewhere.example", logout, nil).IsPage(http.StatusForbidden, "/api/auth/v2/logout", "cross_site"))
	require.NoError(t, bob.Visit(ctx, p.origin+"/").IsPage(http.StatusOK, "/", form))
	require.NoError(t, thief.Call(ctx, p.origin+"/").Is(http.StatusOK, ""))
	require.NoError(t, bob.Submit(ctx, p.origin, logout, nil).Is(http.StatusFound, ""))
	require.NoError(t, bob.Call(ctx, p.origin+"/").Is(http.StatusUnauthorized, "missing_token"), "the browser has no cookie any more")
	require.NoError(t, thief.Call(ctx, p.origin+"/").Is(http.StatusUnauthorized, "invalid_token"), "the cookie of a session that has ended")
	require.NoError(t, alice.Visit(ctx, p.origin+"/").IsPage(http.StatusOK, "/", "<h1>Hello, alice</h1>"))
}
