package echoauth_test

import (
	"net/http"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/adaptertest"
	"github.com/oidcgate/oidcgate/echoauth"
)

func requests(auth *core.Auth, header http.Header) (bare, guarded func()) {
	e := echo.New()
	done := func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }
	e.GET("/bare", done)
	e.GET("/guarded", done, echoauth.Required(auth))
	return adaptertest.Get(e, "/bare", header), adaptertest.Get(e, "/guarded", header)
}

func TestGuardMakesFewAllocations(t *testing.T) { adaptertest.GuardAllocations(t, 3, requests) }

func BenchmarkGuard(b *testing.B) { adaptertest.BenchmarkGuard(b, requests) }
