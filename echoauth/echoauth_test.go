package echoauth_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/echoauth"
)

func TestAHandlerMaySayHowLongItsPageIsKept(t *testing.T) {
	auth, err := core.New(core.Config{
		Providers: []core.Provider{{Issuer: "https://id.example.org/realms/demo", ClientID: "shop"}},
		PublicURL: "https://shop.example.org/api", Browser: &core.Browser{}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer auth.Close()
	raw, err := auth.Mint(t.Context(), core.Identity{Subject: "user-alice"}, core.MintOptions{})
	if err != nil {
		t.Fatal(err)
	}

	router := echo.New()
	router.GET("/page", func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "private")
		return c.NoContent(http.StatusNoContent)
	}, echoauth.Pages(auth))

	r := httptest.NewRequest(http.MethodGet, "/page", nil)
	r.Header.Set("Authorization", "Bearer "+raw)
	w := httptest.NewRecorder()
	router.ServeHTTP(w, r)
	if values := w.Header().Values("Cache-Control"); w.Code != http.StatusNoContent || !slices.Equal(values, []string{"private"}) {
		t.Fatalf("the answer is %d, with the Cache-Control %q", w.Code, values)
	}
}
