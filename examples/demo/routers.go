package main

import (
	"context"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/labstack/echo/v4"
	"github.com/oidcgate/oidcgate/chiauth"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/echoauth"
	"github.com/oidcgate/oidcgate/fiberauth"
	"github.com/oidcgate/oidcgate/ginauth"
	"github.com/oidcgate/oidcgate/stdauth"
)

// routers make the application, by the name of its router. All do the same: the
// routes of auth and the application's own below the prefix, metadata and pages at
// the root, and files where nothing else is.
var routers = map[string]func(auth *core.Auth, served served) server{
	"chi":   chiRouter,
	"std":   stdRouter,
	"fiber": fiberRouter,
	"gin":   ginRouter,
	"echo":  echoRouter,
}

// served is what the application serves besides the routes of auth.
type served struct {
	prefix string // of the routes of auth and of api
	api    []route
	pages  []route
	files  http.Handler
}

// guardOf is the guard of a route among those of a router.
func guardOf[G any](r route, required, optional, pages G) G {
	switch r.guard {
	case isOptional:
		return optional
	case isPage:
		return pages
	}
	return required
}

// routerNames lists them for people.
func routerNames() string { return strings.Join(slices.Sorted(maps.Keys(routers)), ", ") }

// server serves the application until it is shut down.
type server interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
}

// serveHTTP is the server of every router that is an http.Handler.
func serveHTTP(router http.Handler) server {
	return &http.Server{Handler: router, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute}
}

func chiRouter(auth *core.Auth, served served) server {
	add := func(router chi.Router, routes []route) {
		for _, r := range routes {
			guard := guardOf(r, chiauth.Required, chiauth.Optional, chiauth.Pages)
			router.With(guard(auth, r.needs...)).Method(r.verb(), r.Path, r.serve)
		}
	}
	api, root := chiauth.Router(auth), chi.NewRouter()
	add(api, served.api)
	add(root, served.pages)
	root.Mount(served.prefix, api)
	for _, e := range auth.RootEndpoints() {
		root.Handle(e.Path, e.Handler)
	}
	root.Handle("/*", served.files)
	return serveHTTP(root)
}

func stdRouter(auth *core.Auth, served served) server {
	mux := http.NewServeMux()
	add := func(prefix string, routes []route) {
		for _, r := range routes {
			guard := guardOf(r, stdauth.Required, stdauth.Optional, stdauth.Pages)
			pattern := r.verb() + " " + prefix + r.Path
			if r.Path == "/" {
				pattern += "{$}" // or it would be all paths
			}
			mux.Handle(pattern, guard(auth, r.needs...)(r.serve))
		}
	}
	stdauth.Mount(mux, served.prefix, auth)
	add(served.prefix, served.api)
	add("", served.pages)
	// With its method: a pattern that has none panics beside "GET /".
	for _, e := range auth.RootEndpoints() {
		mux.Handle("GET "+e.Path, e.Handler)
	}
	mux.Handle("GET /", served.files)
	return serveHTTP(mux)
}

func fiberRouter(auth *core.Auth, served served) server {
	app := fiber.New(fiber.Config{ReadBufferSize: fiberauth.ReadBufferSize, ReadTimeout: fiberauth.ReadTimeout})
	app.Use(recover.New()) // or a handler that panics ends the program
	add := func(router fiber.Router, routes []route) {
		for _, r := range routes {
			guard := guardOf(r, fiberauth.Required, fiberauth.Optional, fiberauth.Pages)
			// Not the handler as it is, though Fiber takes it: its own adaptor leaves
			// the context behind, and the token with it.
			router.Add([]string{r.verb()}, r.Path, guard(auth, r.needs...), fiberauth.Handler(r.serve))
		}
	}
	api := app.Group(served.prefix)
	fiberauth.Mount(api, auth)
	add(api, served.api)
	add(app, served.pages)
	for _, e := range auth.RootEndpoints() {
		app.All(e.Path, fiberauth.Handler(e.Handler))
	}
	app.Get("/*", fiberauth.Handler(served.files))
	return fiberServer{app}
}

// fiberServer is a Fiber app, which serves without net/http.
type fiberServer struct{ app *fiber.App }

func (s fiberServer) Serve(listener net.Listener) error {
	return s.app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true})
}

func (s fiberServer) Shutdown(ctx context.Context) error { return s.app.ShutdownWithContext(ctx) }

func ginRouter(auth *core.Auth, served served) server {
	gin.SetMode(gin.ReleaseMode) // or Gin lists every route at the start
	root := gin.New()
	add := func(router gin.IRouter, routes []route) {
		for _, r := range routes {
			guard := guardOf(r, ginauth.Required, ginauth.Optional, ginauth.Pages)
			router.Handle(r.verb(), r.Path, guard(auth, r.needs...), gin.WrapF(r.serve))
		}
	}
	api := root.Group(served.prefix)
	ginauth.Mount(api, auth)
	add(api, served.api)
	add(root, served.pages)
	for _, e := range auth.RootEndpoints() {
		root.Any(e.Path, gin.WrapH(e.Handler))
	}
	root.GET("/:file", gin.WrapH(served.files)) // Gin has no "/*" beside other routes
	return serveHTTP(root)
}

func echoRouter(auth *core.Auth, served served) server {
	root := echo.New()
	add := func(router interface {
		Add(method, path string, handler echo.HandlerFunc, middleware ...echo.MiddlewareFunc) *echo.Route
	}, routes []route) {
		for _, r := range routes {
			guard := guardOf(r, echoauth.Required, echoauth.Optional, echoauth.Pages)
			router.Add(r.verb(), r.Path, echo.WrapHandler(r.serve), guard(auth, r.needs...))
		}
	}
	api := root.Group(served.prefix)
	echoauth.Mount(api, auth)
	add(api, served.api)
	add(root, served.pages)
	for _, e := range auth.RootEndpoints() {
		root.Any(e.Path, echo.WrapHandler(e.Handler))
	}
	root.Any("/*", echo.WrapHandler(served.files))
	return serveHTTP(root)
}
