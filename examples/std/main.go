// Command std is a web application on net/http alone whose users sign in at an OpenID provider.
//
//	OIDC_ISSUER=https://id.example.org/realms/demo OIDC_CLIENT_ID=shop OIDC_CLIENT_SECRET=… \
//		go run ./examples/std
//
// The provider has to know the redirect URI http://localhost:8082/api/auth/v2/callback. For
// one to try it with, run ./examples/demo, which prints its variables. Open
// http://localhost:8082/api/auth/v2/login, sign in, and use the access_token that you get:
//
//	curl -H "Authorization: Bearer …" http://localhost:8082/api/me
//
// With OIDC_STORE=memory: it mints tokens of its own (broker mode). ADDR is where it listens,
// OIDC_PUBLIC_URL where browsers find it; core.ConfigFromEnv knows more variables.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/stdauth"
	_ "github.com/oidcgate/oidcgate/store/memory" // OIDC_STORE=memory:
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	config, err := core.ConfigFromEnv()
	if err != nil {
		log.Fatal(err)
	}
	config.PublicURL = cmp.Or(config.PublicURL, "http://localhost:8082/api")
	auth, err := core.New(config)
	if err != nil {
		log.Fatal(err)
	}
	if err := auth.Start(ctx); errors.Is(err, core.ErrUnavailable) {
		log.Print(err) // the provider or the store is down, and is asked again when it is needed
	} else if err != nil {
		log.Fatal(err) // the configuration is wrong
	}

	router := http.NewServeMux()
	stdauth.Mount(router, "/api", auth) // where PublicURL leads
	router.HandleFunc("GET /api/hello", hello)
	router.Handle("GET /api/me", stdauth.Required(auth)(http.HandlerFunc(me)))
	router.Handle("GET /api/admin", stdauth.Required(auth, core.Scopes("email"), core.AnyRole("admin"))(http.HandlerFunc(admin)))

	server := &http.Server{
		Addr: cmp.Or(os.Getenv("ADDR"), "localhost:8082"), Handler: router,
		// Without these, a client that sends slowly keeps a connection for ever.
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	go func() {
		log.Printf("sign in at %s/auth/v2/login", config.PublicURL)
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			log.Fatal(err)
		}
	}()
	<-ctx.Done()
	stop() // so that a second Ctrl-C ends the program at once
	ending, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_ = server.Shutdown(ending) // lets requests finish, for a while
	_ = auth.Close()            // lets refreshes be saved
}

func hello(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") }

func me(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, "hello", core.TokenFrom(r.Context()).Username())
}

func admin(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, "at your service,", core.TokenFrom(r.Context()).Username())
}
