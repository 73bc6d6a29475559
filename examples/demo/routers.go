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
// routes of auth and the application's own below the prefix, metadata at the root,
// and the page where nothing else is.
var routers = map[string]func(auth *core.Auth, prefix string, page http.Handler, routes []route) server{
	"chi":   chiRouter,
	"std":   stdRouter,
	"fiber": fiberRouter,
	"gin":   ginRouter,
	"echo":  echoRouter,
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

func chiRouter(auth *core.Auth, prefix string, page http.Handler, routes []route) server {
	api := chiauth.Router(auth)
	for _, r := range routes {
		guard := chiauth.Required
		if r.optional {
			guard = chiauth.Optional
		}
		api.With(guard(auth, r.needs...)).Method(r.verb(), r.Path, r.serve)
	}
	root := chi.NewRouter()
	root.Mount(prefix, api)
	for _, e := range auth.RootEndpoints() {
		root.Handle(e.Path, e.Handler)
	}
	root.Handle("/*", page)
	return serveHTTP(root)
}

func stdRouter(auth *core.Auth, prefix string, page http.Handler, routes []route) server {
	mux := http.NewServeMux()
	stdauth.Mount(mux, prefix, auth)
	for _, r := range routes {
		guard := stdauth.Required
		if r.optional {
			guard = stdauth.Optional
		}
		mux.Handle(r.verb()+" "+prefix+r.Path, guard(auth, r.needs...)(r.serve))
	}
	// With its method: a pattern that has none panics beside "GET /".
	for _, e := range auth.RootEndpoints() {
		mux.Handle("GET "+e.Path, e.Handler)
	}
	mux.Handle("GET /", page)
	return serveHTTP(mux)
}

func fiberRouter(auth *core.Auth, prefix string, page http.Handler, routes []route) server {
	app := fiber.New(fiber.Config{ReadBufferSize: fiberauth.ReadBufferSize, ReadTimeout: fiberauth.ReadTimeout})
	app.Use(recover.New()) // or a handler that panics ends the program
	api := app.Group(prefix)
	fiberauth.Mount(api, auth)
	for _, r := range routes {
		guard := fiberauth.Required
		if r.optional {
			guard = fiberauth.Optional
		}
		// Not the handler as it is, though Fiber takes it: its own adaptor leaves
		// the context behind, and the token with it.
		api.Add([]string{r.verb()}, r.Path, guard(auth, r.needs...), fiberauth.Handler(r.serve))
	}
	for _, e := range auth.RootEndpoints() {
		app.All(e.Path, fiberauth.Handler(e.Handler))
	}
	app.Get("/*", fiberauth.Handler(page))
	return fiberServer{app}
}

// fiberServer is a Fiber app, which serves without net/http.
type fiberServer struct{ app *fiber.App }

func (s fiberServer) Serve(listener net.Listener) error {
	return s.app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true})
}

func (s fiberServer) Shutdown(ctx context.Context) error { return s.app.ShutdownWithContext(ctx) }

func ginRouter(auth *core.Auth, prefix string, page http.Handler, routes []route) server {
	gin.SetMode(gin.ReleaseMode) // or Gin lists every route at the start
	root := gin.New()
	api := root.Group(prefix)
	ginauth.Mount(api, auth)
	for _, r := range routes {
		guard := ginauth.Required
		if r.optional {
			guard = ginauth.Optional
		}
		api.Handle(r.verb(), r.Path, guard(auth, r.needs...), gin.WrapF(r.serve))
	}
	for _, e := range auth.RootEndpoints() {
		root.Any(e.Path, gin.WrapH(e.Handler))
	}
	// Gin has no "/*" beside other routes.
	root.Any("/", gin.WrapH(page))
	root.Any("/:file", gin.WrapH(page))
	return serveHTTP(root)
}

func echoRouter(auth *core.Auth, prefix string, page http.Handler, routes []route) server {
	root := echo.New()
	api := root.Group(prefix)
	echoauth.Mount(api, auth)
	for _, r := range routes {
		guard := echoauth.Required
		if r.optional {
			guard = echoauth.Optional
		}
		api.Add(r.verb(), r.Path, echo.WrapHandler(r.serve), guard(auth, r.needs...))
	}
	for _, e := range auth.RootEndpoints() {
		root.Any(e.Path, echo.WrapHandler(e.Handler))
	}
	root.Any("/*", echo.WrapHandler(page))
	return serveHTTP(root)
}
