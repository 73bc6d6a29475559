package fiberauth_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/fiberauth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// start serves what build puts on an app, and gives the app's URL.
func start(t *testing.T, app *fiber.App, configure func(*core.Config), build func(*core.Auth)) (*oidctest.Provider, string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	provider := oidctest.New(t, oidctest.Options{})
	config := core.Config{
		Providers: []core.Provider{{Issuer: provider.Issuer, ClientID: provider.ClientID, ClientSecret: provider.ClientSecret}},
		PublicURL: "http://" + listener.Addr().String() + "/api", Logger: slog.New(slog.DiscardHandler),
	}
	if configure != nil {
		configure(&config)
	}
	auth, err := core.New(config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, auth.Close()) })
	build(auth)
	serve(t, listener, app)
	return provider, "http://" + listener.Addr().String()
}

// ask sends a request with "name: value" headers.
func ask(t *testing.T, method, url, body string, headers ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	require.NoError(t, err)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		req.Header.Add(name, value)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := transport.RoundTrip(req)
	require.NoError(t, err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(answer), res.Header
}

func whoami(c fiber.Ctx) error {
	return c.SendString("hello " + core.TokenFrom(c.Context()).Username())
}

func TestAnAppOfItsOwnIsMountedWithUse(t *testing.T) {
	app := newApp()
	provider, url := start(t, app, nil, func(auth *core.Auth) {
		api := fiber.New()
		fiberauth.Mount(api, auth)
		api.Get("/me", fiberauth.Required(auth), whoami)
		app.Use("/api", api)
	})
	tokens := provider.SignIn(t, url+"/api/auth/v2/login", "alice")
	_, body, _ := ask(t, "GET", url+"/api/me", "", "Authorization: Bearer "+tokens.AccessToken)
	require.Equal(t, "hello alice", body)
}

// As on net/http: core adds to the challenges of others, and a handler that sets one
// replaces them.
func TestAChallengeAddsToThoseOfAMiddleware(t *testing.T) {
	app := newApp()
	_, url := start(t, app, nil, func(auth *core.Auth) {
		app.Use(func(c fiber.Ctx) error {
			c.Set("WWW-Authenticate", `Basic realm="staff"`)
			return c.Next()
		})
		fiberauth.Mount(app.Group("/api"), auth)
		app.Get("/me", fiberauth.Required(auth), whoami)
		app.Get("/set", fiberauth.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", "Digest")
		})))
	})
	bearer := `Bearer realm="` + url + `/api"`
	for path, want := range map[string][]string{
		"/me": {`Basic realm="staff"`, bearer}, "/api/auth/v2/userinfo": {`Basic realm="staff"`, bearer}, "/set": {"Digest"},
	} {
		_, _, header := ask(t, "GET", url+path, "")
		require.Equal(t, want, header.Values("WWW-Authenticate"), path)
	}
}

func TestATokenIsInLocalsToo(t *testing.T) {
	app := newApp()
	provider, url := start(t, app, nil, func(auth *core.Auth) {
		app.Get("/me", fiberauth.Optional(auth), func(c fiber.Ctx) error {
			token, ok := c.Locals(fiberauth.Local).(core.Token)
			assert.True(t, ok)
			assert.Equal(t, core.TokenFrom(c.Context()), token)
			return c.SendString(token.Subject())
		})
	})
	_, body, _ := ask(t, "GET", url+"/me", "", "Authorization: Bearer "+provider.AccessToken(t, "bob"))
	require.Equal(t, "user-bob", body)
	_, body, _ = ask(t, "GET", url+"/me", "")
	require.Empty(t, body)
}

func TestAHandlerKeepsTheContextOfItsMiddleware(t *testing.T) {
	type key struct{}
	app := newApp()
	provider, url := start(t, app, nil, func(auth *core.Auth) {
		app.Use(func(c fiber.Ctx) error {
			c.SetContext(context.WithValue(c.Context(), key{}, "kept"))
			return c.Next()
		})
		app.Get("/me", fiberauth.Required(auth), func(c fiber.Ctx) error {
			return c.SendString(c.Context().Value(key{}).(string))
		})
	})
	_, body, _ := ask(t, "GET", url+"/me", "", "Authorization: Bearer "+provider.AccessToken(t, "bob"))
	require.Equal(t, "kept", body)
}

func TestAHandlerMaySayHowLongItsPageIsKept(t *testing.T) {
	app := newApp()
	var raw string
	_, url := start(t, app, func(c *core.Config) { c.Browser = &core.Browser{} }, func(auth *core.Auth) {
		var err error
		raw, err = auth.Mint(t.Context(), core.Identity{Subject: "user-alice"}, core.MintOptions{})
		require.NoError(t, err)
		app.Get("/page", fiberauth.Pages(auth), func(c fiber.Ctx) error {
			c.Set("Cache-Control", "private")
			return c.SendStatus(http.StatusNoContent)
		})
		app.Get("/handler", fiberauth.Pages(auth), fiberauth.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "private")
			w.WriteHeader(http.StatusNoContent)
		})))
	})
	for _, path := range []string{"/page", "/handler"} {
		status, body, header := ask(t, "GET", url+path, "", "Authorization: Bearer "+raw)
		require.Equal(t, http.StatusNoContent, status, body)
		require.Equal(t, []string{"private"}, header.Values("Cache-Control"), path)
	}
}

// The context of a route is seen where core hands it on.
func TestRoutesHaveATimeLimit(t *testing.T) {
	limits := make(chan time.Duration, 1)
	app := newApp()
	_, url := start(t, app, func(c *core.Config) {
		c.Observe = func(ctx context.Context, _ core.Event) {
			deadline, _ := ctx.Deadline()
			limits <- time.Until(deadline)
		}
	}, func(auth *core.Auth) {
		api := app.Group("/api", func(c fiber.Ctx) error {
			if c.Query("hurry") == "" {
				return c.Next()
			}
			ctx, cancel := context.WithTimeout(c.Context(), 5*time.Second)
			defer cancel()
			c.SetContext(ctx)
			return c.Next()
		})
		fiberauth.Mount(api, auth)
	})
	ask(t, "GET", url+"/api/auth/v2/logout", "")
	require.InDelta(t, fiberauth.TimeLimit, <-limits, float64(30*time.Second))
	ask(t, "GET", url+"/api/auth/v2/logout?hurry=1", "")
	require.LessOrEqual(t, <-limits, 5*time.Second)
}

func TestARouteEndsWithItsContext(t *testing.T) {
	app := newApp()
	provider, url := start(t, app, nil, func(auth *core.Auth) {
		fiberauth.Mount(app.Group("/api", func(c fiber.Ctx) error {
			ctx, cancel := context.WithCancel(c.Context())
			cancel()
			c.SetContext(ctx)
			return c.Next()
		}), auth)
	})
	provider.Delay(time.Hour)
	status, body, _ := ask(t, "GET", url+"/api/auth/v2/login", "")
	require.Equal(t, http.StatusServiceUnavailable, status, body)
	provider.Down(true) // the fetch goes on, for others; let it end
}

// A long token needs the read buffer that the package's documentation asks for.
func TestWithoutAReadBufferLongHeadersAreRefusedByFiber(t *testing.T) {
	for size, want := range map[int]int{0: http.StatusRequestHeaderFieldsTooLarge, fiberauth.ReadBufferSize: http.StatusOK} {
		app := fiber.New(fiber.Config{ReadBufferSize: size})
		provider, url := start(t, app, nil, func(auth *core.Auth) { app.Get("/me", fiberauth.Required(auth), whoami) })
		long := provider.SignedToken(t, nil, provider.Claims("alice", map[string]any{"pad": strings.Repeat("x", 11000)}))
		require.Greater(t, len(long), 15<<10)
		status, _, _ := ask(t, "GET", url+"/me", "", "Authorization: Bearer "+long)
		require.Equal(t, want, status)
	}
}

func TestAStreamedBodyIsReadOnlyAsFarAsItMayBe(t *testing.T) {
	app := fiber.New(fiber.Config{ReadBufferSize: fiberauth.ReadBufferSize, StreamRequestBody: true, BodyLimit: 8 << 10})
	_, url := start(t, app, nil, func(auth *core.Auth) { fiberauth.Mount(app.Group("/api"), auth) })
	const form = "Content-Type: application/x-www-form-urlencoded"
	for n, want := range map[int]int{10: http.StatusBadRequest, 16 << 10: http.StatusBadRequest, 64<<10 + 1: http.StatusRequestEntityTooLarge} {
		status, body, _ := ask(t, "POST", url+"/api/auth/v2/token", "pad="+strings.Repeat("x", n-4), form)
		require.Equal(t, want, status, "%d bytes: %s", n, body)
		require.Contains(t, body, `"error":"invalid_request"`)
	}
}

func TestHandlerTranslatesARequestAndItsAnswer(t *testing.T) {
	var kept []*http.Request
	app := newApp()
	app.Use(func(c fiber.Ctx) error {
		c.Cookie(&fiber.Cookie{Name: "middleware", Value: "1"})
		c.Set("X-Kept", "1")
		c.Set("X-Replaced", "1")
		c.Query("q") // parses the query, and so may write it anew
		return c.Next()
	})
	app.All("/x/*", fiberauth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		kept = append(kept, r)
		http.SetCookie(w, &http.Cookie{Name: "first", Value: "1", Path: "/"})
		http.SetCookie(w, &http.Cookie{Name: "second", Value: "2", Path: "/"})
		w.Header().Set("X-Replaced", "2")
		w.Header().Add("X-Twice", "a")
		w.Header().Add("X-Twice", "b")
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusOK) // too late, as on net/http
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.RequestURI(), body)
	})))
	app.All("/nothing", fiberauth.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	_, url := start(t, app, nil, func(*core.Auth) {})
	for i := range 50 {
		id := strings.Repeat(fmt.Sprint(i%10), 20+i)
		status, body, header := ask(t, "PUT", url+"/x/"+id+"%2F?q="+id+"&a=%41+;b", id, "X-Id: "+id, "X-Id: again", "Cookie: id="+id)
		require.Equal(t, http.StatusTeapot, status)
		require.Equal(t, "PUT /x/"+id+"%2F?q="+id+"&a=%41+;b "+id, body)
		require.Len(t, header.Values("Set-Cookie"), 3)
		require.Equal(t, []string{"a", "b"}, header.Values("X-Twice"))
		require.Equal(t, []string{"2"}, header.Values("X-Replaced"))
		require.Equal(t, "1", header.Get("X-Kept"))
	}
	for i, r := range kept { // nothing of them has become another's
		id := strings.Repeat(fmt.Sprint(i%10), 20+i)
		require.Equal(t, "PUT", r.Method)
		require.Equal(t, "/x/"+id+"%2F?q="+id+"&a=%41+;b", r.RequestURI)
		require.Equal(t, "/x/"+id+"/", r.URL.Path)
		require.Equal(t, []string{id, "again"}, r.Header.Values("X-Id"))
		require.Equal(t, "id="+id, r.Header.Get("Cookie"))
		require.Equal(t, strings.TrimPrefix(url, "http://"), r.Host)
		require.Contains(t, r.RemoteAddr, "127.0.0.1:")
		require.EqualValues(t, len(id), r.ContentLength)
	}
	status, body, _ := ask(t, "GET", url+"/nothing", "")
	require.Equal(t, http.StatusOK, status)
	require.Empty(t, body)
}
