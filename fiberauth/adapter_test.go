package fiberauth_test

import (
	"net"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/oidcgate/oidcgate/core/adaptertest"
	"github.com/oidcgate/oidcgate/fiberauth"
	"github.com/stretchr/testify/require"
)

// newApp is a Fiber app as the package's documentation wants it.
func newApp() *fiber.App {
	app := fiber.New(fiber.Config{ReadBufferSize: fiberauth.ReadBufferSize, ReadTimeout: fiberauth.ReadTimeout})
	app.Use(recover.New())
	return app
}

// serve answers the connections of a listener until the test ends.
func serve(t *testing.T, listener net.Listener, app *fiber.App) {
	done := make(chan error, 1)
	go func() { done <- app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true}) }()
	t.Cleanup(func() {
		require.NoError(t, app.Shutdown())
		require.NoError(t, <-done)
	})
}

func TestAdapter(t *testing.T) {
	adaptertest.Run(t, func(t *testing.T, listener net.Listener, app adaptertest.App) {
		root := newApp()
		var api fiber.Router = root
		for _, segment := range app.Segments(":") {
			api = api.Group(segment)
		}
		fiberauth.Mount(api, app.Auth)
		for _, e := range app.Auth.RootEndpoints() {
			root.All(e.Path, fiberauth.Handler(e.Handler))
		}
		for _, route := range app.Routes {
			var handlers []any
			for _, guard := range adaptertest.Guards(app.Auth, route, fiberauth.Required, fiberauth.Optional, fiberauth.Pages) {
				handlers = append(handlers, guard)
			}
			handlers = append(handlers, func(c fiber.Ctx) error {
				status, body := route.Serve(c.Context())
				return c.Status(status).SendString(body)
			})
			api.Add([]string{route.Method}, route.Path, handlers[0], handlers[1:]...)
		}
		serve(t, listener, root)
	})
}
