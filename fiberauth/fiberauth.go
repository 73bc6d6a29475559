// Package fiberauth adds OpenID Connect to Fiber v3:
//
//	func main() {
//		auth, err := core.New(core.Config{
//			Providers: []core.Provider{{Issuer: "https://id.example.org/realms/demo", ClientID: "shop", ClientSecret: os.Getenv("CLIENT_SECRET")}},
//			PublicURL: "http://localhost:8000/api",
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//		app := fiber.New(fiber.Config{ReadBufferSize: fiberauth.ReadBufferSize, ReadTimeout: fiberauth.ReadTimeout})
//		api := app.Group("/api")
//		fiberauth.Mount(api, auth)
//		api.Get("/me", fiberauth.Required(auth), func(c fiber.Ctx) error {
//			return c.SendString("hello " + core.TokenFrom(c.Context()).Username())
//		})
//		log.Fatal(app.Listen("localhost:8000"))
//	}
//
// [Mount] adds the routes of a [core.Auth] to an app or a group. [Required], [Optional] and
// [Pages] are middleware for the application's own routes. A group may be below a parameter,
// as in "/u/:tenant/api". A separate app that is mounted with Use may not, because Fiber does
// not find its routes there. The package only translates: all decisions are in core.
//
// # How Fiber differs
//
//   - Fiber reuses the memory of a request for the next one. A [core.Token] never refers to
//     this memory, so you may keep tokens.
//   - Fiber's context does not end when the client disconnects. So the routes have a time
//     limit, [TimeLimit], or the rest of a shorter one that a middleware set with
//     c.SetContext. Handlers behind a guard keep their context, with the token added. The
//     guard waits for the provider no longer than Config.Timeout allows.
//   - Fiber answers 431 if the headers don't fit into its read buffer of 4 KiB. A token may
//     have 16 KiB: set [ReadBufferSize].
//   - Fiber reads a request's body before it calls any handler, and waits for it forever:
//     set [ReadTimeout].
//   - Fiber answers 413 in its own format to bodies larger than its BodyLimit (4 MiB).
//   - A panic in a handler ends the program unless you use Fiber's recover middleware.
//   - Paths ignore letter case and a trailing slash, unless CaseSensitive and StrictRouting
//     are set.
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

// ReadBufferSize, in bytes, is a value for ReadBufferSize of fiber.Config. It is large
// enough for the longest token that core accepts, and for cookies.
const ReadBufferSize = 32 << 10

// ReadTimeout is a value for ReadTimeout of fiber.Config: the time in which a request
// must arrive. On other routers core sets this limit for its routes.
const ReadTimeout = 10 * time.Second

// TimeLimit is how long a request to one of the routes may take, with all its calls to the
// provider and the store. Each single call is limited by Config.Timeout.
const TimeLimit = time.Minute

// Local is the key of c.Locals under which a guard stores the [core.Token], for middleware
// and templates that look there. It is the same token that [core.TokenFrom] returns for
// c.Context().
const Local = "oidcgate"

// Mount adds every route of auth that is switched on to r, an app or a group at the path
// of Config.PublicURL. Call it before the app serves.
func Mount(r fiber.Router, auth *core.Auth) {
	for _, e := range auth.Endpoints() {
		r.All(e.Path, Handler(e.Handler))
	}
}

// Required returns middleware that rejects requests without a valid access token that
// satisfies the constraints. It answers them 401, 403 or 503 with [core.WriteError].
// Handlers get the token from [core.TokenFrom] with c.Context().
// Required panics on a malformed constraint. The middleware is safe for concurrent use.
// See [core.Auth.Required].
func Required(auth *core.Auth, constraints ...core.Constraint) fiber.Handler {
	return guard(auth.Required(constraints...))
}

// Optional returns middleware that also lets requests without a valid access token
// through. For these, Valid of the token from [core.TokenFrom] is false. Optional panics
// on a malformed constraint. See [core.Auth.Optional].
func Optional(auth *core.Auth, constraints ...core.Constraint) fiber.Handler {
	return guard(auth.Optional(constraints...))
}

// Pages returns middleware for pages that people open with a browser: it sends people who are
// not signed in to the provider and back to the page. Answers get Cache-Control: no-store,
// unless the handler sets another. Pages panics on a malformed constraint, and without
// Config.Browser. See [core.Auth.Pages].
func Pages(auth *core.Auth, constraints ...core.Constraint) fiber.Handler {
	return guard(auth.Pages(constraints...))
}

func guard(g *core.Guard) fiber.Handler {
	return func(c fiber.Ctx) error {
		var room [4]string // on the stack
		token, err := g.Check(c.Context(), requestOf(c, &room))
		if err != nil {
			core.WriteError(newWriter(c), err)
			return nil
		}
		if value := g.CacheControl(); value != "" {
			c.Set(fiber.HeaderCacheControl, value)
		}
		c.SetContext(core.WithToken(c.Context(), token))
		c.RequestCtx().SetUserValue(Local, token) // c.Locals, without the slice for its arguments
		return c.Next()
	}
}

// requestOf gives a guard what it may look at, as views of the request's own memory. There is
// room for the values of four headers: more of them need memory of their own.
func requestOf(c fiber.Ctx, room *[4]string) core.Request {
	header := &c.Request().Header
	all := func(i int, name string) (values []string) {
		for n, value := range header.PeekAll(name) {
			if n == 0 {
				values = room[i : i : i+1]
			}
			values = append(values, view(value))
		}
		return values
	}
	return core.Request{
		Method: view(header.Method()), URL: view(header.RequestURI()),
		Authorization: all(0, fiber.HeaderAuthorization), DPoP: all(1, "Dpop"), Cookie: all(2, fiber.HeaderCookie), Accept: all(3, fiber.HeaderAccept),
		Origin: view(header.Peek(fiber.HeaderOrigin)), FetchSite: view(header.Peek("Sec-Fetch-Site")),
		FetchMode: view(header.Peek("Sec-Fetch-Mode")), FetchDest: view(header.Peek("Sec-Fetch-Dest")),
	}
}

func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Handler converts a net/http handler to a Fiber handler. Use it for
// [core.Auth.RootEndpoints], which are not below the prefix, and for net/http handlers
// behind a guard. Fiber accepts net/http handlers without it, but does not give them
// c.Context(), so [core.TokenFrom] finds no token.
//
//	for _, e := range auth.RootEndpoints() {
//		app.All(e.Path, fiberauth.Handler(e.Handler))
//	}
//	api.Get("/me", fiberauth.Required(auth), fiberauth.Handler(me))
//
// The handler's context ends after [TimeLimit]. The handler must not stream, because its
// answer is buffered, and must not keep the request's body. The result is safe for
// concurrent use.
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
