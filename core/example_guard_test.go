package core_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/oidcgate/oidcgate/core"
)

// shop is an application whose provider nobody asks.
func shop() *core.Auth {
	auth, err := core.New(core.Config{
		Providers: []core.Provider{{Issuer: "https://id.example.org/realms/demo", ClientID: "shop"}},
		PublicURL: "https://shop.example.org/api",
	})
	if err != nil {
		log.Fatal(err)
	}
	return auth
}

// A handler calls another API as its user. The host is the program's, and never one from a
// request.
func ExampleAuth_ProviderClient() {
	auth := shop()
	defer auth.Close()
	_ = auth.Required().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client := auth.ProviderClient(r.Context(), "graph.microsoft.com")
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "https://graph.microsoft.com/v1.0/me", nil)
		if err != nil {
			core.WriteError(w, err)
			return
		}
		res, err := client.Do(req)
		if err != nil {
			core.WriteError(w, err) // 401 if the session has ended, 503 if the provider is down
			return
		}
		defer res.Body.Close()
		_, _ = io.Copy(w, io.LimitReader(res.Body, 1<<20))
	}))
}

// A document about the application, such as OpenAPI, lists the routes and the scopes that
// its own routes need.
func ExampleAuth_Endpoints() {
	auth := shop()
	defer auth.Close()
	for _, e := range auth.Endpoints() {
		fmt.Println(e.Name, e.Methods, auth.PublicURL()+e.Path)
	}
	orders := auth.Required(core.Scopes("orders:read"), core.AnyRole("clerk"))
	fmt.Println("orders", orders.Scopes())
	// Output:
	// login [GET] https://shop.example.org/api/auth/v2/login
	// callback [GET] https://shop.example.org/api/auth/v2/callback
	// token [POST] https://shop.example.org/api/auth/v2/token
	// device [POST] https://shop.example.org/api/auth/v2/device
	// logout [GET POST] https://shop.example.org/api/auth/v2/logout
	// userinfo [GET HEAD POST] https://shop.example.org/api/auth/v2/userinfo
	// orders [orders:read]
}

// An interceptor of an RPC library has no ResponseWriter. It fills a Request with what
// the library has, and hands on the headers of the error.
func ExampleError_Header() {
	auth := shop()
	defer auth.Close()
	guard := auth.Required(core.Scopes("orders:read"))

	metadata := map[string][]string{"authorization": {"Bearer garbage"}}
	_, err := guard.Check(context.Background(), core.Request{Authorization: metadata["authorization"]})
	var refused *core.Error
	if errors.As(err, &refused) {
		fmt.Println(refused.Status, refused.Code)
		for name, values := range refused.Header() {
			fmt.Println(name, values[0])
		}
	}
	// Output:
	// 401 invalid_token
	// Www-Authenticate Bearer realm="https://shop.example.org/api", error="invalid_token", error_description="The access token is invalid: it is not a JWT: three base64url parts separated by dots, the first of which is a JSON object.", scope="orders:read"
}

// A stream outlives the request that has opened it. Each message is judged by itself, and
// the stream ends with its token.
func ExampleGuard_Judge() {
	_ = func(auth *core.Auth, receive func(context.Context) (message string, err error)) http.Handler {
		reads, writes := auth.Required(core.Scopes("chat:read")), auth.Required(core.Scopes("chat:write"))
		return reads.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			ctx, token := r.Context(), core.TokenFrom(r.Context())
			if end := token.GoodUntil(); !end.IsZero() {
				var cancel context.CancelFunc
				ctx, cancel = context.WithDeadline(ctx, end)
				defer cancel()
			}
			for {
				message, err := receive(ctx)
				if err != nil {
					return
				}
				if err := writes.Judge(token); err != nil {
					log.Print("refused: ", err) // the sender is told the Description, and no more
					continue
				}
				log.Print(token.Username(), " says ", message)
			}
		}))
	}
}

// A handler that finds out by itself what a request needs answers as a guard does.
func ExampleWriteError() {
	w := httptest.NewRecorder()
	core.WriteError(w, &core.Error{
		Status: http.StatusForbidden, Code: core.ErrInsufficientScope.Code,
		Description: "Orders of other departments need orders:all.", Scope: "orders:read orders:all",
	})
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output:
	// 403 Bearer realm="oidcgate", error="insufficient_scope", error_description="Orders of other departments need orders:all.", scope="orders:read orders:all"
}

// The page for operators belongs behind a guard, or behind whatever operators sign in with.
func ExampleAdmin() {
	auth := shop()
	defer auth.Close()
	mux := http.NewServeMux()
	mux.Handle("/operations", auth.Required(core.AnyRole("admin")).Handler(core.Admin(auth)))

	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequest("GET", "/operations", nil))
	fmt.Println(answer.Code)
	// Output: 401
}
