package fiberauth_test

import (
	"net/http"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/adaptertest"
	"github.com/oidcgate/oidcgate/fiberauth"
	"github.com/valyala/fasthttp"
)

func requests(auth *core.Auth, authorization string) (bare, guarded func()) {
	app := fiber.New()
	done := func(c fiber.Ctx) error { return c.SendStatus(http.StatusNoContent) }
	app.Get("/bare", done)
	app.Get("/guarded", fiberauth.Required(auth), done)
	request := func(path string) func() {
		var c fasthttp.RequestCtx
		c.Request.SetRequestURI(path)
		c.Request.Header.Set("Authorization", authorization)
		handler := app.Handler()
		return func() {
			c.ResetUserValues()
			c.Response.Reset()
			handler(&c)
			if c.Response.StatusCode() != http.StatusNoContent {
				panic(string(c.Response.Body()))
			}
		}
	}
	return request("/bare"), request("/guarded")
}

func TestGuardMakesFewAllocations(t *testing.T) { adaptertest.GuardAllocations(t, 2, requests) }

func BenchmarkGuard(b *testing.B) { adaptertest.BenchmarkGuard(b, requests) }
