// Command fiber is a web application on Fiber whose users sign in at an OpenID provider.
//
//	OIDC_ISSUER=https://id.example.org/realms/demo OIDC_CLIENT_ID=shop OIDC_CLIENT_SECRET=… \
//		go run ./examples/fiber
//
// The provider has to know the redirect URI http://localhost:8082/api/auth/v2/callback. For
// one to try it with, run ./examples/demo, which prints its variables. Open
// http://localhost:8082/api/auth/v2/login, sign in, and use the access_token that you get:
//
//	curl -H "Authorization: Bearer …" http://localhost:8082/api/me
//
// With OIDC_STORE=memory: it mints tokens of its own (broker mode). ADDR is where it listens,
// OIDC_PUBLIC_URL where browsers find it; core.ConfigFromEnv knows more variables.
package main

import (
	"cmp"
	"context"
	"errors"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/fiberauth"
	_ "github.com/oidcgate/oidcgate/store/memory" // OIDC_STORE=memory:
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	config, err := core.ConfigFromEnv()
	if err != nil {
		log.Fatal(err)
	}
	config.PublicURL = cmp.Or(config.PublicURL, "http://localhost:8082/api")
	auth, err := core.New(config)
	if err != nil {
		log.Fatal(err)
	}
	if err := auth.Start(ctx); errors.Is(err, core.ErrUnavailable) {
		log.Print(err) // the provider or the store is down, and is asked again when it is needed
	} else if err != nil {
		log.Fatal(err) // the configuration is wrong
	}

	router := fiber.New(fiber.Config{ReadBufferSize: fiberauth.ReadBufferSize, ReadTimeout: fiberauth.ReadTimeout})
	router.Use(recover.New())   // a handler that panics must not end the program
	api := router.Group("/api") // where PublicURL leads
	fiberauth.Mount(api, auth)
	api.Get("/hello", hello)
	api.Get("/me", fiberauth.Required(auth), me)
	api.Get("/admin", fiberauth.Required(auth, core.Scopes("email"), core.AnyRole("admin")), admin)

	go func() {
		log.Printf("sign in at %s/auth/v2/login", config.PublicURL)
		addr := cmp.Or(os.Getenv("ADDR"), "localhost:8082")
		if err := router.Listen(addr, fiber.ListenConfig{DisableStartupMessage: true}); err != nil {
			log.Fatal(err)
		}
	}()
	<-ctx.Done()
	stop()                                           // so that a second Ctrl-C ends the program at once
	_ = router.ShutdownWithTimeout(30 * time.Second) // lets requests finish, for a while
	_ = auth.Close()                                 // lets refreshes be saved
}

func hello(c fiber.Ctx) error { return c.SendString("hello\n") }

func me(c fiber.Ctx) error {
	return c.SendString("hello " + core.TokenFrom(c.Context()).Username() + "\n")
}

func admin(c fiber.Ctx) error {
	return c.SendString("at your service, " + core.TokenFrom(c.Context()).Username() + "\n")
}
