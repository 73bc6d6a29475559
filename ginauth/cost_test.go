package ginauth_test

import (
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/adaptertest"
	"github.com/oidcgate/oidcgate/ginauth"
)

func requests(auth *core.Auth, header http.Header) (bare, guarded func()) {
	router := gin.New()
	done := func(c *gin.Context) { c.Status(http.StatusNoContent) }
	router.GET("/bare", done)
	router.GET("/guarded", ginauth.Required(auth), done)
	return adaptertest.Get(router, "/bare", header), adaptertest.Get(router, "/guarded", header)
}

func TestGuardMakesFewAllocations(t *testing.T) { adaptertest.GuardAllocations(t, 3, requests) }

func BenchmarkGuard(b *testing.B) { adaptertest.BenchmarkGuard(b, requests) }
