package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/examples/internal/probe"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/memory"
	"github.com/stretchr/testify/require"
)

// TestCheck holds that every step of the check passes, with every router and in
// both modes, also if the application restarts all the time, and that nothing is
// left behind.
func TestCheck(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	shared := filepath.Join(t.TempDir(), "shared.db")
	runs := [][]string{
		{"-router", "chi"}, // with a file of its own
		{"-router", "chi", "-restart", "-store", "sqlite:" + shared},
		{"-router", "fiber", "-restart", "-store", "sqlite:" + shared},
		{"-router", "chi", "-restart", "-passthrough"},
	}
	// As scripts/with-postgres gives it.
	if server := os.Getenv("TEST_POSTGRES_URL"); server != "" {
		runs = append(runs, []string{"-router", "chi", "-restart", "-store", server})
	} else if os.Getenv("CI") == "true" {
		t.Error("TEST_POSTGRES_URL is not set: run the tests by scripts/with-postgres")
	}
	for router := range routers {
		runs = append(runs, []string{"-router", router, "-store", "memory:"}, []string{"-router", router, "-passthrough"})
	}
	// All at once, rather than t.Parallel's two or four: mostly they wait, for
	// seconds that the protocols prescribe.
	var all sync.WaitGroup
	for _, args := range runs {
		all.Go(func() {
			var out bytes.Buffer
			err := run(t.Context(), append(args, "-check"), &out)
			steps := len(stepsOf(slices.Contains(args, "-passthrough")))
			if summary := fmt.Sprintf("\n%d passed, 0 failed\n", steps); err != nil || !strings.HasSuffix(out.String(), summary) {
				t.Errorf("%v: %v\n%s", args, err, &out)
			}
		})
	}
	all.Wait()

	left, err := os.ReadDir(temporary)
	require.NoError(t, err)
	require.Empty(t, left)
	db, err := sql.Open("sqlite", shared)
	require.NoError(t, err)
	defer db.Close()
	var records int
	require.NoError(t, db.QueryRow("SELECT count(*) FROM records").Scan(&records))
	require.Zero(t, records)
}

// TestRestarted holds that -restart really restarts: with nothing to remember the
// store by, a client must notice.
func TestRestarted(t *testing.T) {
	records := memory.New()
	c, err := newCheck(t.Context(), options{router: "chi", restart: true}, func() (store.Store, error) { return records, nil })
	require.NoError(t, err)
	defer c.close()
	tokens, err := c.signIn(t.Context(), probe.Alice)
	require.NoError(t, err)
	before, address := c.app, c.app.publicURL
	require.NoError(t, c.restarted(t.Context()))
	require.NotSame(t, before, c.app)
	require.Equal(t, address, c.app.publicURL)
	require.NoError(t, c.refreshBy(t.Context(), tokens.RefreshToken).IsTokens())
	c.newStore = func() (store.Store, error) { return memory.New(), nil }
	require.NoError(t, c.restarted(t.Context()))
	require.NoError(t, c.get(t.Context(), "/me", tokens.AccessToken).Is(http.StatusUnauthorized, "invalid_token"))
}

// TestDemo starts the program as a person would, looks at the page, and ends it.
func TestDemo(t *testing.T) {
	for router := range routers {
		for mode, passthrough := range map[string]string{"broker": "-passthrough=false", "passthrough": "-passthrough"} {
			t.Run(router+"/"+mode, func(t *testing.T) { lookAt(t, mode, "-router", router, passthrough) })
		}
	}
}

// startDemo starts the program, and gives what it says, or the error with which it
// ends before. stop ends it.
func startDemo(t *testing.T, args ...string) (greeting string, stop func(), err error) {
	ctx, cancel := context.WithCancel(t.Context())
	reader, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, args, out)
		out.CloseWithError(err)
		ended <- err
	}()
	for !strings.Contains(greeting, "Ctrl-C") {
		part := make([]byte, 1024)
		n, err := reader.Read(part)
		if err != nil {
			cancel()
			return greeting, nil, err
		}
		greeting += string(part[:n])
	}
	go io.Copy(io.Discard, reader)
	return greeting, func() {
		cancel()
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(10 * time.Second):
			t.Fatal("the program does not end")
		}
	}, nil
}

func lookAt(t *testing.T, mode string, args ...string) {
	cleanEnvironment(t)
	greeting, stop, err := startDemo(t, append(args, "-addr", "127.0.0.1:0")...)
	require.NoError(t, err)
	defer stop()
	require.Contains(t, greeting, "alice  with the password wonderland")
	origin := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(greeting)

	tokens := map[string]string{"broker": "/tokens", "passthrough": "/"}[mode]
	types := map[string]string{"": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
	for _, file := range []string{"/", tokens, "/app.js", "/oidc.js", "/style.css", "/icon.svg"} {
		response, err := http.Get(origin + file)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode, file)
		require.Equal(t, "nosniff", response.Header.Get("X-Content-Type-Options"))
		require.Contains(t, response.Header.Get("Content-Type"), types[path.Ext(file)], file)
		require.Regexp(t, `^default-src 'none'; .* form-action 'self' http://127\.0\.0\.1:\d+; frame-ancestors 'none'$`,
			response.Header.Get("Content-Security-Policy"))
		// The policy would keep these from working.
		require.NotRegexp(t, `(?i)<script>|<style|\sstyle=|\son[a-z]+=|innerHTML`, string(body), file)
		if file == tokens {
			require.Contains(t, string(body), "<b>"+mode+" mode</b>")
			require.Equal(t, mode == "broker", strings.Contains(string(body), `id="reuse"`))
		}
	}

	response, err := http.Get(origin + "/nonsense")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusNotFound, response.StatusCode)
}

// TestMistakes holds that what cannot work is explained.
func TestMistakes(t *testing.T) {
	cleanEnvironment(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, mistake := range []struct {
		explained string
		args      []string
	}{
		{"choose another address with -addr", []string{"-addr", taken.Addr().String()}},
		{"choose one of chi, echo, fiber, gin, std", []string{"-router", "nonsense"}},
		{`unexpected argument "chi"`, []string{"chi"}},
		{"leave out -store", []string{"-passthrough", "-store", "memory:"}},
		{"-restart is for -check", []string{"-restart"}},
		{"-store: no store is registered for mysql", []string{"-store", "mysql://u:hunter2@h/d"}},
		{"the store can't be opened: sqlite: opening", []string{"-store", "sqlite:" + t.TempDir()}},
		{"the server can't be reached", []string{"-store", "postgres://u:hunter2@127.0.0.1:1/d"}},
	} {
		args := append([]string{"-addr", "127.0.0.1:0"}, mistake.args...)
		err := run(t.Context(), args, io.Discard)
		require.ErrorContains(t, err, mistake.explained)
		require.NotContains(t, err.Error(), "hunter2")
		if slices.Contains(args, "-store") && !slices.Contains(args, "-passthrough") {
			var out strings.Builder
			require.ErrorIs(t, run(t.Context(), append(args, "-check"), &out), probe.ErrFailed)
			require.Contains(t, out.String(), mistake.explained)
			require.NotContains(t, out.String(), "hunter2")
			require.True(t, strings.HasSuffix(out.String(), "\n0 passed, 1 failed\n"), out.String())
		}
	}
}

// TestMistakenStore holds that a store which can't be had is not passed over.
func TestMistakenStore(t *testing.T) {
	cleanEnvironment(t)
	t.Setenv("OIDC_STORE", "nonsense")
	require.ErrorContains(t, run(t.Context(), nil, io.Discard), "OIDC_STORE: the store's URL has no scheme")
}

// cleanEnvironment keeps what is set where the test runs out of it, and gives the
// empty folder that is the user's for data.
func cleanEnvironment(t *testing.T) string {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "OIDC_") {
			t.Setenv(name, "")
		}
	}
	data := t.TempDir()
	t.Setenv("XDG_DATA_HOME", data)
	return data
}
