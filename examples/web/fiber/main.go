// Command fiber is a web application on Fiber: people sign in at an OpenID provider, open
// pages and sign out. There is no JavaScript, and no token reaches the browser.
//
//	OIDC_ISSUER=https://id.example.org/realms/demo OIDC_CLIENT_ID=shop OIDC_CLIENT_SECRET=… \
//		go run ./examples/web/fiber
//
// The provider has to know the redirect URI http://localhost:8082/api/auth/v2/callback. For
// one to try it with, run ./examples/demo, which prints its variables. Then open
// http://localhost:8082/: the user alice is an administrator, bob is not. ADDR is where it
// listens, OIDC_PUBLIC_URL where browsers find it. In production, set OIDC_SECRETS as well, and
// keep the sessions in a store: docs/stores.md.
package main

import (
	"cmp"
	"html/template"
	"log"
	"os"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/fiberauth"
)

var page = template.Must(template.New("page").Parse(`<!doctype html>
<title>Shop</title>
<h1>{{.Text}}, {{.Name}}</h1>
<p><a href="/">Home</a> <a href="/admin">Administration</a></p>
<form method="post" action="/api/auth/v2/logout"><button>Sign out</button></form>
`))

func main() {
	config, err := core.ConfigFromEnv()
	if err != nil {
		log.Fatal(err)
	}
	config.PublicURL = cmp.Or(config.PublicURL, "http://localhost:8082/api")
	config.Browser = &core.Browser{} // keeps people signed in by a cookie
	auth, err := core.New(config)
	if err != nil {
		log.Fatal(err)
	}

	router := fiber.New(fiber.Config{ReadBufferSize: fiberauth.ReadBufferSize, ReadTimeout: fiberauth.ReadTimeout})
	router.Use(recover.New())                   // a handler that panics must not end the program
	fiberauth.Mount(router.Group("/api"), auth) // login, callback, logout …, where PublicURL leads
	router.Get("/", fiberauth.Pages(auth), show("Hello"))
	router.Get("/admin", fiberauth.Pages(auth, core.AnyRole("admin")), show("At your service"))

	log.Fatal(router.Listen(cmp.Or(os.Getenv("ADDR"), "localhost:8082"), fiber.ListenConfig{DisableStartupMessage: true}))
}

// show answers with a page for whoever is signed in.
func show(text string) fiber.Handler {
	return func(c fiber.Ctx) error {
		return page.Execute(c.Type("html", "utf-8"), map[string]string{"Text": text, "Name": core.TokenFrom(c.Context()).Username()})
	}
}
