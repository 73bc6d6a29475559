package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/examples/internal/probe"
	"github.com/stretchr/testify/require"
)

// TestCheck holds that every step passes, and that nothing is left behind.
func TestCheck(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	var out bytes.Buffer
	err := run(t.Context(), []string{"-check"}, &out)
	require.NoError(t, err, out.String())
	require.True(t, strings.HasSuffix(out.String(), fmt.Sprintf("\n%d passed, 0 failed\n", len(steps))), out.String())
	left, err := os.ReadDir(temporary)
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestProgram starts the program as a person would, does what it says, and ends it.
func TestProgram(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-north", "127.0.0.1:0", "-south", "127.0.0.1:0"}, out)
		out.CloseWithError(err)
		ended <- err
	}()
	var greeting strings.Builder
	for part := make([]byte, 1024); !strings.Contains(greeting.String(), "Ctrl-C"); {
		n, err := reader.Read(part)
		require.NoError(t, err, greeting.String())
		greeting.Write(part[:n])
	}
	go io.Copy(io.Discard, reader)
	login := regexp.MustCompile(`http://\S+/auth/v2/login`).FindString(greeting.String())
	library := regexp.MustCompile(`http://\S+/library`).FindString(greeting.String())
	browser := probe.NewBrowser()
	back, err := browser.SignIn(ctx, login, probe.Alice)
	require.NoError(t, err)
	tokens := browser.Call(ctx, back.String())
	require.NoError(t, tokens.IsTokens())
	require.NoError(t, probe.Get(ctx, http.DefaultClient, library, tokens.Text("access_token")).Is(http.StatusOK, ""))
	http.DefaultClient.CloseIdleConnections()
	cancel()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("the program does not end")
	}
	left, err := os.ReadDir(temporary)
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestMistakes holds that what cannot work is explained.
func TestMistakes(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for explained, args := range map[string][]string{
		"choose other addresses with -north and -south": {"-north", "127.0.0.1:0", "-south", taken.Addr().String()},
		`unexpected argument "north"`:                   {"north"},
	} {
		require.ErrorContains(t, run(t.Context(), args, io.Discard), explained)
	}
}
