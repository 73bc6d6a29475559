// Package fiberauth puts OpenID Connect on Fiber v3: [Mount] adds the routes of a
// [core.Auth] to an app or a group, and [Required] and [Optional] are middleware for
// the application's own routes.
//
//	app := fiber.New(fiber.Config{ReadBufferSize: fiberauth.ReadBufferSize, ReadTimeout: fiberauth.ReadTimeout})
//	api := app.Group("/api")
//	fiberauth.Mount(api, auth)
//	api.Get("/me", fiberauth.Required(auth), func(c fiber.Ctx) error {
//		return c.SendString("hello " + core.TokenFrom(c.Context()).Username())
//	})
//
// A group may be below a parameter, as in "/u/:tenant/api"; an app of its own that is
// mounted with Use may not, since Fiber doesn't find its routes there.
//
// # What Fiber does differently
//
// Fiber uses the memory of a request again for the next one. Nothing that core is
// given, and so nothing that a [core.Token] holds, is a view of it: tokens may be
// kept.
//
// Fiber's context does not end when the client goes away. The routes therefore have
// a time limit, [TimeLimit], or what is left of a shorter one that a middleware has
// set with c.SetContext. Handlers behind a guard have the context that they had,
// with the token in it; the guard itself waits for the provider no longer than
// Config.Timeout allows.
//
// Fiber answers 431 to headers that don't fit its read buffer of 4 KiB, and a token
// may have 16: see [ReadBufferSize]. It reads the body of a request before any handler
// is asked, and waits for it for ever unless its config has a [ReadTimeout]. It also answers 413 in its own words to bodies
// beyond its BodyLimit (4 MiB), and leaves it to its recover middleware that a
// handler which panics does not end the program. Letter case and a slash at the end
// make no difference to its paths, unless its config is CaseSensitive and
// StrictRouting.
//
// The package translates and decides nothing; everything else is in [core].
package fiberauth

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"time"
	"unsafe"

	"github.com/gofiber/fiber/v3"
	"github.com/oidcgate/oidcgate/core"
)

// ReadBufferSize, as the ReadBufferSize of a fiber.Config, in bytes, takes requests
// with the longest token that core does, and cookies besides.
const ReadBufferSize = 32 << 10

// ReadTimeout, as the ReadTimeout of a fiber.Config, is how long a request may take to
// arrive. Other routers are given this limit by core.
const ReadTimeout = 10 * time.Second

// TimeLimit is how long a request to one of the routes may take. Each call to the
// provider or the store has a limit of its own, Config.Timeout; this one is for all
// of them together.
const TimeLimit = time.Minute

// Local is the key of c.Locals under which a guard leaves the [core.Token], for
// middleware and templates that look there. It is what [core.TokenFrom] gives for
// c.Context().
const Local = "oidcgate"

// Mount adds every route of auth that is switched on to r, an app or a group, which
// must be where Config.PublicURL leads to. It is called before the app serves, by
// one goroutine.
func Mount(r fiber.Router, auth *core.Auth) {
	for _, e := range auth.Endpoints() {
		r.All(e.Path, Handler(e.Handler))
	}
}

// Required is middleware that rejects requests without a valid access token that
// satisfies the constraints: they are answered 401, 403 or 503 as [core.WriteError] does.
// For the others [core.TokenFrom] finds the token in c.Context(). It panics
// on a malformed constraint. See [core.Auth.Required].
func Required(auth *core.Auth, constraints ...core.Constraint) fiber.Handler {
	return guard(auth.Required(constraints...))
}

// Optional is middleware that takes requests without a valid access token for anonymous:
// for those [core.TokenFrom] gives a token that is not Valid. See [core.Auth.Optional].
func Optional(auth *core.Auth, constraints ...core.Constraint) fiber.Handler {
	return guard(auth.Optional(constraints...))
}

func guard(g *core.Guard) fiber.Handler {
	return func(c fiber.Ctx) error {
		var authorization [1]string // which needs no memory but the stack's
		token, err := g.Check(c.Context(), requestOf(c, authorization[:0]))
		if err != nil {
			core.WriteError(newWriter(c), err)
			return nil
		}
		c.SetContext(core.WithToken(c.Context(), token))
		c.RequestCtx().SetUserValue(Local, token) // c.Locals, without the slice for its arguments
		return c.Next()
	}
}

// requestOf gives a guard what it may look at, as views of the request's own memory.
// The values of Authorization are appended to a slice of the caller's.
func requestOf(c fiber.Ctx, authorization []string) core.Request {
	header := &c.Request().Header
	all := func(name string, values []string) []string {
		for _, value := range header.PeekAll(name) {
			values = append(values, view(value))
		}
		return values
	}
	return core.Request{
		Method: view(header.Method()), URL: view(header.RequestURI()),
		Authorization: all(fiber.HeaderAuthorization, authorization),
		DPoP:          all("Dpop", nil), Cookie: all(fiber.HeaderCookie, nil), Accept: all(fiber.HeaderAccept, nil),
		Origin: view(header.Peek(fiber.HeaderOrigin)), FetchSite: view(header.Peek("Sec-Fetch-Site")),
		FetchMode: view(header.Peek("Sec-Fetch-Mode")), FetchDest: view(header.Peek("Sec-Fetch-Dest")),
	}
}

func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Handler makes a handler of net/http one of Fiber: for [core.Auth.RootEndpoints],
// which don't belong below the prefix, and for handlers of the application behind a
// guard. Fiber also takes those as they are, but then they are not given c.Context(),
// and [core.TokenFrom] finds no token.
//
//	for _, e := range auth.RootEndpoints() {
//		app.All(e.Path, fiberauth.Handler(e.Handler))
//	}
//	api.Get("/me", fiberauth.Required(auth), fiberauth.Handler(me))
//
// The request is as on net/http, with [TimeLimit] for all that the handler does.
// The handler must not stream, since its answer is collected first, and must not keep
// the body of its request. It may be used concurrently.
func Handler(h http.Handler) fiber.Handler {
	return func(c fiber.Ctx) error {
		ctx, cancel := context.WithTimeout(c.Context(), TimeLimit)
		defer cancel()
		r, err := request(ctx, c)
		if err != nil {
			return fiber.ErrBadRequest
		}
		w := newWriter(c)
		h.ServeHTTP(w, r)
		w.WriteHeader(http.StatusOK)
		return nil
	}
}

// request makes a copy of a request for net/http.
func request(ctx context.Context, c fiber.Ctx) (*http.Request, error) {
	in := c.Request()
	target, err := url.ParseRequestURI(string(in.Header.RequestURI())) // as it came
	if err != nil {
		return nil, err
	}
	body := in.BodyStream() // with Config.StreamRequestBody: in memory it may be of any size
	if body == nil {
		body = bytes.NewReader(in.Body())
	}
	r := &http.Request{
		Method: string(in.Header.Method()), URL: target, RequestURI: target.String(), Host: string(in.Host()),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: c.RequestCtx().RemoteAddr().String(),
		Header: http.Header{}, Body: io.NopCloser(body), ContentLength: int64(max(in.Header.ContentLength(), -1)),
	}
	for name, value := range in.Header.All() {
		r.Header.Add(string(name), string(value))
	}
	return r.WithContext(ctx), nil
}

// writer is the answer for net/http. It goes to Fiber as it is written.
type writer struct {
	c      fiber.Ctx
	header http.Header
	wrote  bool
}

// newWriter begins with the challenges that a middleware has set, to which core adds its
// own.
func newWriter(c fiber.Ctx) *writer {
	w := &writer{c: c, header: http.Header{}}
	for _, challenge := range c.Response().Header.PeekAll(fiber.HeaderWWWAuthenticate) {
		w.header.Add(fiber.HeaderWWWAuthenticate, string(challenge))
	}
	return w
}

func (w *writer) Header() http.Header { return w.header }

func (w *writer) WriteHeader(status int) {
	if w.wrote {
		return
	}
	w.wrote = true
	out := &w.c.Response().Header
	out.SetStatusCode(status)
	for name := range w.header {
		if name != fiber.HeaderSetCookie {
			out.Del(name) // as on net/http, what stands there is replaced
		}
	}
	for name, values := range w.header { // afterwards, since Del changes the order
		for _, value := range values {
			out.Add(name, value)
		}
	}
}

func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.c.Response().BodyWriter().Write(p)
}
