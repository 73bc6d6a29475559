package main

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
	"github.com/stretchr/testify/require"
)

// TestSignedInAfterRestart holds that whoever is signed in stays so when the whole
// demo is ended and started again, its own provider included.
func TestSignedInAfterRestart(t *testing.T) {
	data := filepath.Join(cleanEnvironment(t), "oidcgate-demo")
	// The program must have the same two ports again, and somebody else can take
	// them in between. Then it says so, and others are tried.
	for range 20 {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		addr := free.Addr().String()
		require.NoError(t, free.Close())

		greeting, stop, err := startDemo(t, "-addr", addr)
		if taken(t, greeting, err) {
			if err == nil {
				stop()
			}
			continue
		}
		require.Contains(t, greeting, filepath.Join(data, "secrets"))
		c := &check{
			provider: &oidctest.Provider{ClientID: oidctest.DefaultClientID},
			app:      &application{publicURL: "http://" + addr + "/api", local: "http://" + addr + "/api"},
			http:     &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		}
		tokens, err := c.signIn(t.Context(), probe.Alice)
		require.NoError(t, err)
		modes := modesBelow(t, data)
		require.Len(t, modes, 5, "the folder, the secrets, and the database's three files")
		for file, mode := range modes {
			require.Zero(t, mode.Perm()&0o077, file)
		}
		secrets, err := os.ReadFile(filepath.Join(data, "secrets"))
		require.NoError(t, err)
		stop()

		greeting, stop, err = startDemo(t, "-addr", addr)
		if taken(t, greeting, err) {
			if err == nil {
				stop()
			}
			continue
		}
		defer stop()
		require.NoError(t, c.get(t.Context(), "/me", tokens.AccessToken).Is(http.StatusOK, ""))
		require.NoError(t, c.get(t.Context(), "/auth/v2/userinfo", tokens.AccessToken).Is(http.StatusOK, ""))
		require.NoError(t, c.refreshBy(t.Context(), tokens.RefreshToken).IsTokens())
		same, err := os.ReadFile(filepath.Join(data, "secrets"))
		require.NoError(t, err)
		require.Equal(t, secrets, same)
		return
	}
	t.Fatal("no ports are free for long")
}

// taken tells that somebody else has one of the demo's two ports.
func taken(t *testing.T, greeting string, err error) bool {
	if err != nil {
		require.ErrorContains(t, err, "address already in use")
		return true
	}
	return strings.Contains(greeting, "in memory, for this run")
}

func modesBelow(t *testing.T, folder string) map[string]fs.FileMode {
	modes := map[string]fs.FileMode{}
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		modes[path] = info.Mode()
		return err
	}))
	return modes
}

// TestFirstStartsAtOnce holds that all of them end with the same secret.
func TestFirstStartsAtOnce(t *testing.T) {
	data := filepath.Join(cleanEnvironment(t), "oidcgate-demo")
	var starts sync.WaitGroup
	found := make([][]string, 16)
	for i := range found {
		starts.Go(func() {
			var err error
			if found[i], _, err = keptSecrets(); err != nil {
				t.Error(err)
			}
		})
	}
	starts.Wait()
	for _, secrets := range found {
		require.Len(t, secrets, 1)
		require.Equal(t, found[0], secrets)
	}
	require.Len(t, modesBelow(t, data), 2, "the folder and the secrets")
}

// TestBadSecrets holds that a file which can't be trusted, or read, is named and
// left as it is.
func TestBadSecrets(t *testing.T) {
	good := newSecret()
	for explained, bad := range map[string]struct {
		content string
		mode    os.FileMode
	}{
		"others may read the secrets": {good, 0o640},
		"does not hold a secret":      {"nonsense", 0o600},
		"openssl rand -base64 32":     {"", 0o600},
		"to begin anew":               {good + "\n" + good[:8], 0o600},
	} {
		data := filepath.Join(cleanEnvironment(t), "oidcgate-demo")
		path := filepath.Join(data, "secrets")
		require.NoError(t, os.Mkdir(data, 0o700))
		require.NoError(t, os.WriteFile(path, []byte(bad.content), 0o600))
		require.NoError(t, os.Chmod(path, bad.mode))
		err := run(t.Context(), []string{"-addr", "127.0.0.1:0"}, io.Discard)
		require.ErrorContains(t, err, explained)
		require.ErrorContains(t, err, path)
		require.NotContains(t, err.Error(), good)
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, bad.content, string(after))
	}
}

// TestNamedStoreWins holds that -store goes before OIDC_STORE, and both before the
// data folder, which is not even made.
func TestNamedStoreWins(t *testing.T) {
	data := cleanEnvironment(t)
	byEnvironment, byFlag := filepath.Join(t.TempDir(), "e.db"), filepath.Join(t.TempDir(), "f.db")
	t.Setenv("OIDC_SECRETS", newSecret())
	t.Setenv("OIDC_STORE", "sqlite:"+byEnvironment)
	for _, start := range []struct {
		args  []string
		names string
	}{{[]string{"-store", "sqlite:" + byFlag}, "-store"}, {nil, "OIDC_STORE"}} {
		require.NoFileExists(t, byEnvironment)
		greeting, stop, err := startDemo(t, append(start.args, "-addr", "127.0.0.1:0")...)
		require.NoError(t, err)
		stop()
		require.Contains(t, greeting, fmt.Sprintf("in the store that %s names", start.names))
		require.Contains(t, greeting, "those of OIDC_SECRETS")
		require.FileExists(t, byFlag)
	}
	require.FileExists(t, byEnvironment)
	left, err := os.ReadDir(data)
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestStoreOfAnotherProvider holds that the mistake is told with what there is to
// compare.
func TestStoreOfAnotherProvider(t *testing.T) {
	cleanEnvironment(t)
	args := []string{"-addr", "127.0.0.1:0", "-store", "sqlite:" + filepath.Join(t.TempDir(), "app.db")}
	_, stop, err := startDemo(t, args...)
	require.NoError(t, err)
	stop()
	_, _, err = startDemo(t, args...) // the provider has another port
	require.ErrorContains(t, err, "needs a store of its own")
	require.ErrorContains(t, err, `this is the client "app" at http://127.0.0.1:`)
}
