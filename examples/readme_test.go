package examples_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
	"github.com/stretchr/testify/require"
)

// programsOf gives the programs that a document shows.
func programsOf(t *testing.T, document string) (programs []string) {
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	for _, program := range regexp.MustCompile("(?s)```go\n(package main\n.*?)```").FindAllStringSubmatch(string(text), -1) {
		programs = append(programs, program[1])
	}
	return programs
}

// TestReadmeProgramsRun holds that the programs which the README shows work as they stand
// at the demo's provider, and are short. docs/browser.md begins with the same one.
func TestReadmeProgramsRun(t *testing.T) {
	programs := programsOf(t, "../README.md")
	require.Len(t, programs, 2)
	for _, program := range programs {
		require.Less(t, strings.Count(program, "\n"), 30)
	}
	require.Equal(t, programs[:1], programsOf(t, "../docs/browser.md"))

	provider := oidctest.New(t, oidctest.Options{})
	t.Run("web application", func(t *testing.T) {
		origin := runReadme(t, programs[0], provider)
		browser := probe.NewBrowser()
		back, err := browser.SignIn(t.Context(), origin+"/", probe.Alice)
		require.NoError(t, err)
		require.NoError(t, browser.Visit(t.Context(), back.String()).IsPage(http.StatusOK, "/", "Hello, alice"))
		require.NoError(t, browser.Submit(t.Context(), origin, origin+"/api/auth/v2/logout", nil).Is(http.StatusFound, ""))
		require.NoError(t, browser.Call(t.Context(), origin+"/").Is(http.StatusUnauthorized, "missing_token"))
	})
	t.Run("API", func(t *testing.T) {
		origin := runReadme(t, programs[1], provider)
		status, body := get(t, origin+"/api/me", provider.SignIn(t, origin+"/api/auth/v2/login", "alice").AccessToken)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "hello alice\n", body)
		status, _ = get(t, origin+"/api/me", "")
		require.Equal(t, http.StatusUnauthorized, status)
	})
}

// runReadme builds a program for a free port and this provider, runs it until the test
// ends, and gives its origin.
func runReadme(t *testing.T, program string, provider *oidctest.Provider) (origin string) {
	dir := t.TempDir()
	file, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "readme")
	for range 5 { // the port can be lost to somebody else in between
		free, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		addr := free.Addr().String()
		require.NoError(t, free.Close())
		require.Contains(t, program, "http://127.0.0.1:8081")
		code := strings.NewReplacer("http://127.0.0.1:8081", provider.Issuer, "localhost:8000", addr).Replace(program)
		require.NoError(t, os.WriteFile(file, []byte(code), 0o600))
		out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, file).CombinedOutput()
		require.NoError(t, err, "%s", out)
		out, err = exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput()
		require.NoError(t, err, "%s", out)

		cmd := exec.Command(binary)
		require.NoError(t, cmd.Start())
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		if listens(t, "http://"+addr+"/api/auth/v2/login", ended) { // leads to the provider's page
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				<-ended
			})
			return "http://" + addr
		}
	}
	t.Fatal("no port is free for long")
	return ""
}
