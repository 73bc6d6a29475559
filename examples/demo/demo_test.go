package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCheck holds that every step of the check passes with both routers.
func TestCheck(t *testing.T) {
	for router := range routers {
		t.Run(router, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			err := run(t.Context(), []string{"-check", "-router", router}, &out)
			t.Log(out.String())
			require.NoError(t, err)
			require.True(t, strings.HasSuffix(out.String(), fmt.Sprintf("\n%d passed, 0 failed\n", len(steps))))
		})
	}
}

// TestDemo starts the program as a person would, looks at the page, and ends it.
func TestDemo(t *testing.T) {
	t.Setenv("OIDC_ISSUER", "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-addr", "127.0.0.1:0"}, out)
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

	for _, file := range []string{"/", "/app.js", "/oidc.js", "/style.css", "/icon.svg"} {
		response, err := http.Get(origin + file)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode, file)
		require.Equal(t, policy, response.Header.Get("Content-Security-Policy"))
		// The policy would keep these from working.
		require.NotRegexp(t, `(?i)<script>|<style|\sstyle=|\son[a-z]+=|innerHTML`, string(body), file)
	}

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
	t.Setenv("OIDC_ISSUER", "")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, mistake := range []struct {
		explained string
		args      []string
	}{
		{"choose another address with -addr", []string{"-addr", taken.Addr().String()}},
		{"choose chi or std", []string{"-router", "gin"}},
		{`unexpected argument "chi"`, []string{"chi"}},
	} {
		require.ErrorContains(t, run(t.Context(), mistake.args, io.Discard), mistake.explained)
	}
}
