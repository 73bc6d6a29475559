package fiberauth_test

import (
	"net"
	"strings"
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

// groups nests a group for each segment of a prefix.
func groups(root fiber.Router, prefix string) fiber.Router {
	for segment := range strings.SplitSeq(strings.Trim(prefix, "/"), "/") {
		if segment != "" {
			root = root.Group("/" + segment)
		}
	}
	return root
}

func TestAdapter(t *testing.T) {
	adaptertest.Run(t, func(t *testing.T, listener net.Listener, app adaptertest.App) {
		root := newApp()
		api := groups(root, strings.NewReplacer("{", ":", "}", "").Replace(app.Prefix))
		fiberauth.Mount(api, app.Auth)
		for _, e := range app.Auth.RootEndpoints() {
			root.All(e.Path, fiberauth.Handler(e.Handler))
		}
		for _, route := range app.Routes {
			handlers := []any{func(c fiber.Ctx) error {
				status, body := route.Serve(c.Context())
				return c.Status(status).SendString(body)
			}}
			switch route.Guard {
			case adaptertest.Required:
				handlers = append([]any{fiberauth.Required(app.Auth, route.Constraints...)}, handlers...)
			case adaptertest.Optional:
				handlers = append([]any{fiberauth.Optional(app.Auth, route.Constraints...)}, handlers...)
			}
			api.Add([]string{route.Method}, route.Path, handlers[0], handlers[1:]...)
		}
		serve(t, listener, root)
	})
}
