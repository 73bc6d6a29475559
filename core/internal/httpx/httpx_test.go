package httpx

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCallsAreBounded(t *testing.T) {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/bytes/1", http.StatusFound)
		case "/cookie":
			_, err := r.Cookie("c")
			http.SetCookie(w, &http.Cookie{Name: "c", Value: "v"})
			_, _ = w.Write([]byte(strconv.FormatBool(err == nil)))
		case "/slow":
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		default:
			n, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/bytes/"))
			_, _ = w.Write(make([]byte, n))
		}
	}))
	defer server.Close()
	for name, base := range map[string]*http.Client{"our own client": nil, "the application's": {Jar: jar}} {
		t.Run(name, func(t *testing.T) {
			c := New(base, time.Minute)
			defer c.Close()
			got, err := c.Get(t.Context(), server.URL+"/bytes/"+strconv.Itoa(MaxBody), nil)
			require.NoError(t, err)
			require.Len(t, got.Body, MaxBody)
			_, err = c.Get(t.Context(), server.URL+"/bytes/"+strconv.Itoa(MaxBody+1), nil)
			require.ErrorIs(t, err, ErrTooLarge)

			got, err = c.Get(t.Context(), server.URL+"/redirect", nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusFound, got.Status, "redirects are not followed")
			for range 2 {
				got, err = c.Get(t.Context(), server.URL+"/cookie", nil)
				require.NoError(t, err)
				require.Equal(t, "false", string(got.Body), "cookies are not kept")
			}
			hasty := New(base, 20*time.Millisecond)
			defer hasty.Close()
			_, err = hasty.Get(t.Context(), server.URL+"/slow", nil)
			require.ErrorContains(t, err, "deadline exceeded", "a body that never ends")
		})
	}
}

// instrumented is what a tracing library puts in the place of net/http's
// default transport.
type instrumented struct{ http.RoundTripper }

func TestAReplacedDefaultTransportIsUsedAsItIs(t *testing.T) {
	standard := http.DefaultTransport
	defer func() { http.DefaultTransport = standard }()
	http.DefaultTransport = instrumented{standard}
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	c := New(nil, time.Minute)
	defer c.Close()
	_, err := c.Get(t.Context(), server.URL, nil)
	require.NoError(t, err)
}

// Whether a request may have arrived decides what can be done about it.
func TestARequestThatWasNeverSentIsToldFromOneThatMayHaveArrived(t *testing.T) {
	const closed = "http://127.0.0.1:0" // where nobody can ever listen
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer cut.Close()
	reset := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	}))
	defer reset.Close()
	half := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = w.Write([]byte("half"))
	}))
	defer half.Close()
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	proxy, err := url.Parse(closed)
	require.NoError(t, err)
	behind := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}
	for name, row := range map[string]struct {
		base  *http.Client
		url   string
		never bool
	}{
		"refused":               {nil, closed, true},
		"an untrusted server":   {nil, untrusted.URL, true},
		"a proxy that refuses":  {behind, "http://id.example.org", true},
		"cut without an answer": {nil, cut.URL, false},
		"a connection reset":    {nil, reset.URL, false},
		"cut in the answer":     {nil, half.URL, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := New(row.base, time.Minute)
			defer c.Close()
			req, err := http.NewRequest(http.MethodPost, row.url, strings.NewReader("code=x"))
			require.NoError(t, err)
			_, err = c.Do(t.Context(), req)
			require.Error(t, err)
			require.Equal(t, row.never, errors.Is(err, ErrNotSent), "%v", err)
		})
	}
}
