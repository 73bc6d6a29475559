package examples_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// The examples that are one program each, on a router each.
var programs = []string{"chi", "std", "fiber", "gin", "echo"}

// TestExamples builds each program, runs it at a provider, in both modes, and calls
// its routes.
func TestExamples(t *testing.T) {
	bin := build(t, "./")
	for _, name := range programs {
		program := filepath.Join(bin, name)
		t.Run(name+"/passthrough", func(t *testing.T) { t.Parallel(); callRoutes(t, program) })
		t.Run(name+"/broker", func(t *testing.T) { t.Parallel(); callRoutes(t, program, "OIDC_STORE=memory:") })
		t.Run(name+"/provider down", func(t *testing.T) { t.Parallel(); goesOn(t, program) })
		t.Run(name+"/slow body", func(t *testing.T) { t.Parallel(); slowBody(t, program) })
		t.Run(name+"/mistakes", func(t *testing.T) { t.Parallel(); mistakes(t, program) })
	}
}

// build builds the programs of a folder, and gives the folder in which they are then.
func build(t *testing.T, folder string) string {
	bin := t.TempDir()
	args := []string{"build", "-o", bin + string(filepath.Separator)}
	for _, name := range programs {
		args = append(args, folder+name)
	}
	out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return bin
}

// slowBody leaves half a request behind: the program has to end all the same, in the
// time that start gives it.
func slowBody(t *testing.T, program string) {
	provider := oidctest.New(t, oidctest.Options{})
	var conn net.Conn
	t.Cleanup(func() { _ = conn.Close() }) // when the program has ended
	api := start(t, program, client(provider)...)
	host := strings.TrimSuffix(strings.TrimPrefix(api, "http://"), "/api")
	conn, err := net.Dial("tcp", host)
	require.NoError(t, err)
	_, err = io.WriteString(conn, "POST /api/auth/v2/token HTTP/1.1\r\nHost: "+host+"\r\nExpect: 100-continue\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\n")
	require.NoError(t, err)
	// The interim answer shows that the program waits for the body.
	_, err = io.ReadFull(conn, make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n")))
	require.NoError(t, err)
}

func callRoutes(t *testing.T, program string, env ...string) {
	provider := oidctest.New(t, oidctest.Options{})
	api := start(t, program, append(env, client(provider)...)...)
	signIn := func(user, query string) string {
		return provider.SignIn(t, api+"/auth/v2/login"+query, user).AccessToken
	}
	alice, bob, narrow := signIn("alice", ""), signIn("bob", ""), signIn("alice", "?scope=profile")
	for _, call := range []struct {
		path, token string
		status      int
		says        string
	}{
		{"/hello", "", http.StatusOK, "hello\n"},
		{"/hello", "nonsense", http.StatusOK, "hello\n"},
		{"/me", bob, http.StatusOK, "hello bob\n"},
		{"/me", "", http.StatusUnauthorized, `"missing_token"`},
		{"/me", "nonsense", http.StatusUnauthorized, `"invalid_token"`},
		{"/admin", alice, http.StatusOK, "at your service, alice\n"},
		{"/admin", bob, http.StatusForbidden, `"insufficient_claims"`},
		{"/admin", narrow, http.StatusForbidden, `"insufficient_scope"`},
		{"/admin", "", http.StatusUnauthorized, `"missing_token"`},
	} {
		status, body := get(t, api+call.path, call.token)
		require.Equal(t, call.status, status, "%s: %s", call.path, body)
		require.Contains(t, body, call.says, call.path)
	}
	// A broker's metadata tells the modes apart.
	status, _ := get(t, api+"/.well-known/openid-configuration", "")
	require.Equal(t, len(env) > 0, status == http.StatusOK)
}

// goesOn holds that a provider which is down keeps no program from starting.
func goesOn(t *testing.T, program string) {
	provider := oidctest.New(t, oidctest.Options{})
	token := provider.AccessToken(t, "alice")
	provider.Down(true)
	api := start(t, program, client(provider)...)
	status, _ := get(t, api+"/hello", "")
	require.Equal(t, http.StatusOK, status)
	status, _ = get(t, api+"/me", token)
	require.Equal(t, http.StatusServiceUnavailable, status)
}

// mistakes holds that what can't work ends the program, and says why.
func mistakes(t *testing.T, program string) {
	provider := oidctest.New(t, oidctest.Options{})
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for says, env := range map[string][]string{
		"Providers[0].Issuer is missing":      nil,
		"OIDC_STORE":                          append(client(provider), "OIDC_STORE=nonsense"),
		"set Provider.Issuer to exactly this": append(client(provider), "OIDC_ISSUER="+provider.Issuer+"/"),
		"address already in use":              append(client(provider), "ADDR="+taken.Addr().String()),
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		cmd := exec.CommandContext(ctx, program)
		cmd.Env = append(foreign(), env...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, ctx.Err())
		cancel()
		require.Error(t, err)
		require.Contains(t, string(out), says)
	}
}

// client is the environment that makes a program the provider's client.
func client(p *oidctest.Provider) []string {
	return []string{"OIDC_ISSUER=" + p.Issuer, "OIDC_CLIENT_ID=" + p.ClientID, "OIDC_CLIENT_SECRET=" + p.ClientSecret}
}

// foreign is the environment of the test, without what configures a program.
func foreign() (env []string) {
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "OIDC_") && !strings.HasPrefix(variable, "ADDR=") {
			env = append(env, variable)
		}
	}
	return env
}

// start runs a program until the test ends, and gives the URL of its routes. It must
// end as it should.
func start(t *testing.T, program string, env ...string) string {
	p := launch(t, program, "/api/hello", env...)
	t.Cleanup(func() {
		require.NoError(t, p.Process.Signal(syscall.SIGTERM))
		select {
		case err := <-p.ended:
			require.NoError(t, err, &p.log)
		case <-time.After(30 * time.Second):
			_ = p.Process.Kill()
			t.Error("the program doesn't end")
		}
	})
	return p.origin + "/api"
}

// process is a program that runs.
type process struct {
	*exec.Cmd
	origin string // where it listens
	log    bytes.Buffer
	ended  chan error
}

// launch runs a program, and returns it when it answers at a path.
func launch(t *testing.T, program, path string, env ...string) *process {
	// The program must know its port before it listens there, and so the port can be
	// lost to somebody else in between. Then the program ends, and another is taken.
	for range 5 {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		addr := free.Addr().String()
		require.NoError(t, free.Close())

		p := &process{Cmd: exec.Command(program), origin: "http://" + addr, ended: make(chan error, 1)}
		p.Env = append(append(foreign(), env...), "ADDR="+addr, "OIDC_PUBLIC_URL="+p.origin+"/api")
		p.Stdout, p.Stderr = &p.log, &p.log
		require.NoError(t, p.Start())
		go func() { p.ended <- p.Wait() }()
		if listens(t, p.origin+path, p.ended) {
			return p
		}
		require.Contains(t, p.log.String(), "address already in use")
	}
	t.Fatal("no port is free for long")
	return nil
}

// listens waits until a program answers there with 200, or has ended.
func listens(t *testing.T, address string, ended <-chan error) bool {
	again, late := time.NewTicker(10*time.Millisecond), time.After(30*time.Second)
	defer again.Stop()
	for {
		select {
		case <-ended:
			return false
		case <-late:
			t.Fatal("the program doesn't listen")
		case <-again.C:
			if response, err := http.Get(address); err == nil {
				require.NoError(t, response.Body.Close())
				if response.StatusCode == http.StatusOK { // or somebody else has the port
					return true
				}
			}
		}
	}
}

func get(t *testing.T, url, token string) (status int, body string) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text)
}
