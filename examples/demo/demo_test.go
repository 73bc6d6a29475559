package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCheck holds that every step of the check passes, with every router and in
// both modes.
func TestCheck(t *testing.T) {
	// All at once, rather than t.Parallel's two or four: mostly they wait, for
	// seconds that the protocols prescribe.
	var all sync.WaitGroup
	for router := range routers {
		for _, passthrough := range []bool{false, true} {
			all.Go(func() {
				var out bytes.Buffer
				err := run(t.Context(), []string{"-check", "-router", router, fmt.Sprintf("-passthrough=%t", passthrough)}, &out)
				if summary := fmt.Sprintf("\n%d passed, 0 failed\n", len(stepsOf(passthrough))); err != nil || !strings.HasSuffix(out.String(), summary) {
					t.Errorf("%s, passthrough=%t: %v\n%s", router, passthrough, err, &out)
				}
			})
		}
	}
	all.Wait()
}

// TestDemo starts the program as a person would, looks at the page, and ends it.
func TestDemo(t *testing.T) {
	for router := range routers {
		for mode, passthrough := range map[string]string{"broker": "-passthrough=false", "passthrough": "-passthrough"} {
			t.Run(router+"/"+mode, func(t *testing.T) { lookAt(t, mode, "-router", router, passthrough) })
		}
	}
}

func lookAt(t *testing.T, mode string, args ...string) {
	withoutEnvironment(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, append(args, "-addr", "127.0.0.1:0"), out)
		out.CloseWithError(err)
		ended <- err
	}()
	var greeting string
	for !strings.Contains(greeting, "Ctrl-C") {
		part := make([]byte, 1024)
		n, err := reader.Read(part)
		require.NoError(t, err)
		greeting += string(part[:n])
	}
	go io.Copy(io.Discard, reader)
	require.Contains(t, greeting, "alice  with the password wonderland")
	origin := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(greeting)

	types := map[string]string{"": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
	for _, file := range []string{"/", "/app.js", "/oidc.js", "/style.css", "/icon.svg"} {
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
		if file == "/" {
			require.Contains(t, string(body), "<b>"+mode+" mode</b>")
			require.Equal(t, mode == "broker", strings.Contains(string(body), `id="reuse"`))
		}
	}

	response, err := http.Get(origin + "/nonsense")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusNotFound, response.StatusCode)

	cancel()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("the program does not end")
	}
}

// TestMistakes holds that what cannot work is explained.
func TestMistakes(t *testing.T) {
	withoutEnvironment(t)
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
	} {
		require.ErrorContains(t, run(t.Context(), mistake.args, io.Discard), mistake.explained)
	}
}

// TestMistakenStore holds that a store which can't be had is not passed over.
func TestMistakenStore(t *testing.T) {
	withoutEnvironment(t)
	t.Setenv("OIDC_STORE", "nonsense")
	require.ErrorContains(t, run(t.Context(), nil, io.Discard), "OIDC_STORE: the store's URL has no scheme")
}

// withoutEnvironment keeps what is set where the test runs out of it.
func withoutEnvironment(t *testing.T) {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "OIDC_") {
			t.Setenv(name, "")
		}
	}
}
