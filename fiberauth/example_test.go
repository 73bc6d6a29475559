package fiberauth_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/gofiber/fiber/v3"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/fiberauth"
)

// The routes are on the group to which PublicURL leads, and routes of the
// application take the guards as middleware.
func Example() {
	auth, err := core.New(core.Config{
		Providers: []core.Provider{{Issuer: "https://id.example.org/realms/demo", ClientID: "shop"}},
		PublicURL: "https://shop.example.org/api",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer auth.Close()

	app := fiber.New(fiber.Config{ReadBufferSize: fiberauth.ReadBufferSize, ReadTimeout: fiberauth.ReadTimeout})
	api := app.Group("/api")
	fiberauth.Mount(api, auth)
	api.Get("/me", fiberauth.Required(auth), func(c fiber.Ctx) error {
		return c.SendString("hello " + core.TokenFrom(c.Context()).Username())
	})

	answer, err := app.Test(httptest.NewRequest(http.MethodGet, "/api/me", nil))
	if err != nil {
		log.Fatal(err)
	}
	body, _ := io.ReadAll(answer.Body)
	fmt.Println(answer.StatusCode, answer.Header.Get("WWW-Authenticate"))
	fmt.Print(string(body))
	// Output:
	// 401 Bearer realm="https://shop.example.org/api"
	// {"error":"missing_token","error_description":"A bearer token is needed in the Authorization header.","detail":"A bearer token is needed in the Authorization header."}
}

// People who are not signed in are sent to the login, and from there back to the page.
func ExamplePages() {
	auth, err := core.New(core.Config{
		Providers: []core.Provider{{Issuer: "https://id.example.org/realms/demo", ClientID: "shop"}},
		PublicURL: "https://shop.example.org/api", Browser: &core.Browser{},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer auth.Close()

	app := fiber.New(fiber.Config{ReadBufferSize: fiberauth.ReadBufferSize, ReadTimeout: fiberauth.ReadTimeout})
	fiberauth.Mount(app.Group("/api"), auth)
	app.Get("/orders", fiberauth.Pages(auth), func(c fiber.Ctx) error {
		return c.SendString("orders of " + core.TokenFrom(c.Context()).Username())
	})

	request := httptest.NewRequest(http.MethodGet, "/orders?page=2", nil)
	request.Header.Set("Accept", "text/html")
	answer, err := app.Test(request)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.StatusCode, answer.Header.Get("Location"))
	// Output: 302 https://shop.example.org/api/auth/v2/login?return_to=%2Forders%3Fpage%3D2
}
