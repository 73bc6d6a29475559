package fiberauth

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/oidcgate/oidcgate/core"
	"github.com/stretchr/testify/require"
)

// A guard is given the same of a request on Fiber as on net/http.
func TestAGuardIsGivenWhatItIsOnNetHTTP(t *testing.T) {
	for name, header := range map[string]http.Header{
		"none": {},
		"all": {
			"Authorization": {"Bearer x"}, "Dpop": {"proof"}, "Cookie": {"a=1; b=2"}, "Accept": {"text/html, */*;q=0.1"},
			"Origin": {"https://app.example.org"}, "Sec-Fetch-Site": {"same-origin"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"},
		},
		"several": {
			"Authorization": {"Bearer x", "", "Bearer y"}, "Dpop": {"proof", "other"}, "Cookie": {"a=1", "b=2"}, "Accept": {"text/html", "*/*"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPut, "/api/a%2Fb/../c?q=%41+;x", nil)
			r.Header = header
			app, asked := fiber.New(), 0
			app.Use(func(c fiber.Ctx) error {
				asked++
				require.Equal(t, core.RequestOf(r), requestOf(c, new([4]string)))
				return nil
			})
			res, err := app.Test(r)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, 1, asked)
		})
	}
}
