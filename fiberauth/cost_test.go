package fiberauth_test

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/adaptertest"
	"github.com/oidcgate/oidcgate/fiberauth"
	"github.com/valyala/fasthttp"
)

func requests(auth *core.Auth, header http.Header) (bare, guarded func()) {
	app := fiber.New()
	done := func(c fiber.Ctx) error { return c.SendStatus(http.StatusNoContent) }
	app.Get("/bare", done)
	app.Get("/guarded", fiberauth.Required(auth), done)
	request := func(path string) func() {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header = header
		var sent bytes.Buffer
		var c fasthttp.RequestCtx
		if err := errors.Join(r.Write(&sent), c.Request.Read(bufio.NewReader(&sent))); err != nil {
			panic(err)
		}
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

func TestGuardMakesFewAllocations(t *testing.T) { adaptertest.GuardAllocations(t, 1, requests) }

func BenchmarkGuard(b *testing.B) { adaptertest.BenchmarkGuard(b, requests) }
