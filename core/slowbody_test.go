package core_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/stretchr/testify/require"
)

// pipes is a listener whose connections are in memory, so that time in a bubble of
// synctest goes on while all wait for them.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.accepted:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error   { close(p.closed); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.accepted <- server
	return client
}

// serveRoutes serves the routes in a bubble, each at its path.
func serveRoutes(t *testing.T, server *http.Server) pipes {
	auth, err := core.New(validConfig())
	require.NoError(t, err)
	mux := http.NewServeMux()
	for _, e := range auth.Endpoints() {
		mux.Handle(e.Path, e.Handler)
	}
	listener := pipes{make(chan net.Conn), make(chan struct{})}
	server.Handler, server.ErrorLog = mux, log.New(io.Discard, "", 0)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		require.NoError(t, server.Shutdown(context.WithoutCancel(t.Context())), "a slow body keeps nothing open")
		require.ErrorIs(t, <-done, http.ErrServerClosed)
		require.NoError(t, auth.Close())
	})
	return listener
}

// Whoever sends half a body, and then nothing, must not keep a connection.
func TestABodyThatDoesNotArriveIsGivenUpAfterTenSeconds(t *testing.T) {
	for _, route := range []string{
		"POST " + tokenRoute, "POST " + deviceRoute, "POST " + logoutRoute, "POST " + userinfoRoute,
		"GET /auth/v2/login?redirect_uri=x", "GET /auth/v2/callback", "PUT " + tokenRoute, // which read none
	} {
		for name, half := range map[string]string{
			"half":    "Content-Length: 100\r\n\r\nrefresh_token=the-first-half",
			"nothing": "Content-Length: 100\r\n\r\n",
			"chunked": "Transfer-Encoding: chunked\r\n\r\n1c\r\nrefresh_token=the-first-half\r\n",
		} {
			t.Run(route+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					conn := serveRoutes(t, &http.Server{}).dial()
					defer conn.Close()
					begun := time.Now()
					go fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n%s", route, half)
					res, err := http.ReadResponse(bufio.NewReader(conn), nil)
					require.NoError(t, err)
					require.GreaterOrEqual(t, res.StatusCode, 400)
					answer, err := io.ReadAll(res.Body)
					require.NoError(t, err)
					if route == "POST "+tokenRoute {
						require.Contains(t, string(answer), "did not arrive within 10 seconds")
					}
					require.True(t, res.Close, "what comes later is no request")
					require.Equal(t, 10*time.Second, time.Since(begun))
				})
			})
		}
	}
}

// The limit is for the body, and for nothing that comes after it.
func TestTheLimitOfABodyEndsWithTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := serveRoutes(t, &http.Server{}).dial()
		defer conn.Close()
		reader := bufio.NewReader(conn)
		for range 2 {
			<-time.After(time.Minute) // of the bubble's clock
			body := "grant_type=none"
			go fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", tokenRoute, len(body), body)
			res, err := http.ReadResponse(reader, nil)
			require.NoError(t, err)
			answer, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.Contains(t, string(answer), "unsupported_grant_type")
			require.False(t, res.Close)
		}
	})
}

func TestAServersOwnShorterLimitStays(t *testing.T) {
	for own, limit := range map[time.Duration]time.Duration{3 * time.Second: 3 * time.Second, time.Minute: 10 * time.Second} {
		t.Run(own.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := serveRoutes(t, &http.Server{ReadTimeout: own}).dial()
				defer conn.Close()
				begun := time.Now()
				go fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", tokenRoute)
				_, err := http.ReadResponse(bufio.NewReader(conn), nil)
				require.NoError(t, err)
				require.Equal(t, limit, time.Since(begun))
			})
		})
	}
}

// deadlines is a writer that tells what was set.
type deadlines struct {
	http.ResponseWriter
	set []time.Time
}

func (d *deadlines) SetReadDeadline(deadline time.Time) error {
	d.set = append(d.set, deadline)
	return nil
}

// A request waits for the provider after its body: the deadline is gone by then, or
// the server would take the client for gone.
func TestTheDeadlineIsGoneBeforeTheProviderIsAsked(t *testing.T) {
	for body, want := range map[string]int{"grant_type=none": 2, strings.Repeat("x", 64<<10+1): 1, "": 0} {
		auth, err := core.New(validConfig())
		require.NoError(t, err)
		for _, e := range auth.Endpoints() {
			if e.Name != "token" {
				continue
			}
			w, r := &deadlines{ResponseWriter: httptest.NewRecorder()}, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			e.Handler.ServeHTTP(w, r)
			require.Len(t, w.set, want, "%.20q", body)
			if want == 2 {
				require.True(t, w.set[1].IsZero())
			}
		}
		require.NoError(t, auth.Close())
	}
}
