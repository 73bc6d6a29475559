package ginauth_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/ginauth"
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

	router := gin.New()
	api := router.Group("/api")
	ginauth.Mount(api, auth)
	api.GET("/me", ginauth.Required(auth), func(c *gin.Context) {
		c.String(http.StatusOK, "hello %s", core.TokenFrom(c.Request.Context()).Username())
	})

	answer := httptest.NewRecorder()
	router.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/api/me", nil))
	fmt.Println(answer.Code, answer.Header().Get("WWW-Authenticate"))
	fmt.Print(answer.Body)
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

	router := gin.New()
	ginauth.Mount(router.Group("/api"), auth)
	router.GET("/orders", ginauth.Pages(auth), func(c *gin.Context) {
		c.String(http.StatusOK, "orders of %s", core.TokenFrom(c.Request.Context()).Username())
	})

	request, answer := httptest.NewRequest(http.MethodGet, "/orders?page=2", nil), httptest.NewRecorder()
	request.Header.Set("Accept", "text/html")
	router.ServeHTTP(answer, request)
	fmt.Println(answer.Code, answer.Header().Get("Location"))
	// Output: 302 https://shop.example.org/api/auth/v2/login?return_to=%2Forders%3Fpage%3D2
}
