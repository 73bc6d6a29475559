package httpx

import (
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
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
