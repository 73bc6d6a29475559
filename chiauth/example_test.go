package chiauth_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/go-chi/chi/v5"
	"github.com/oidcgate/oidcgate/chiauth"
	"github.com/oidcgate/oidcgate/core"
)

// The routes are mounted where PublicURL says, and routes of the application
// take the guards as middleware.
func Example() {
	auth, err := core.New(core.Config{
		Providers: []core.Provider{{Issuer: "https://id.example.org/realms/demo", ClientID: "shop"}},
		PublicURL: "https://shop.example.org/api",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer auth.Close()

	api := chiauth.Router(auth)
	api.With(chiauth.Required(auth)).Get("/me", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello", core.TokenFrom(r.Context()).Username())
	})
	r := chi.NewRouter()
	r.Mount("/api", api)

	answer := httptest.NewRecorder()
	r.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/api/me", nil))
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

	router := chi.NewRouter()
	router.Mount("/api", chiauth.Router(auth))
	router.With(chiauth.Pages(auth)).Get("/orders", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "orders of", core.TokenFrom(r.Context()).Username())
	})

	request, answer := httptest.NewRequest(http.MethodGet, "/orders?page=2", nil), httptest.NewRecorder()
	request.Header.Set("Accept", "text/html")
	router.ServeHTTP(answer, request)
	fmt.Println(answer.Code, answer.Header().Get("Location"))
	// Output: 302 https://shop.example.org/api/auth/v2/login?return_to=%2Forders%3Fpage%3D2
}
