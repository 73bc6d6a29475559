// Command demo shows oidcgate at work: an OpenID provider, a web application that
// signs its users in there, on any of five routers, and a page to click through.
//
//	go run ./examples/demo
//	go run ./examples/demo -router fiber
//	go run ./examples/demo -passthrough
//	go run ./examples/demo -check
//
// The application is a broker: it mints tokens of its own, and keeps the
// provider's in a store, that of OIDC_STORE or else its memory. With -passthrough
// its clients have the provider's tokens instead.
//
// The provider is one for tests, started along with the application. With
// OIDC_ISSUER, OIDC_CLIENT_ID and, for a confidential client, OIDC_CLIENT_SECRET
// set (see core.ConfigFromEnv for the rest) the application uses that provider
// instead. With -check nobody has to click: clients of other makers go through
// every flow, and the last line says how many steps passed.
package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	_ "github.com/oidcgate/oidcgate/store/memory" // OIDC_STORE=memory:
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return
	case !errors.Is(err, errCheckFailed):
		fmt.Fprintln(os.Stderr, "demo:", err)
	}
	os.Exit(1)
}

// run is the program, until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	addr := flags.String("addr", "localhost:8080", "where the application listens; port 0 takes a free one")
	router := flags.String("router", "chi", "the application's router: "+routerNames()+" (net/http)")
	passthrough := flags.Bool("passthrough", false, "give clients the provider's tokens, instead of minting the application's own")
	check := flags.Bool("check", false, "go through every flow without a person, on free ports, with a provider of its own")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case routers[*router] == nil:
		return fmt.Errorf("there is no router %q: choose one of %s", *router, routerNames())
	case *check:
		return runCheck(ctx, *router, *passthrough, out)
	}
	return demonstrate(ctx, *addr, *router, *passthrough, out)
}

// person is somebody who can sign in at the demonstration's own provider.
type person struct{ Name, Password string }

// The users whom oidctest knows by default. Alice has the role admin.
var (
	alice = person{"alice", "wonderland"}
	bob   = person{"bob", "builder"}
)

// demonstrate serves the application until ctx ends.
func demonstrate(ctx context.Context, addr, router string, passthrough bool, out io.Writer) error {
	config, err := core.ConfigFromEnv()
	if err != nil {
		return err
	}
	var people []person
	if config.Issuer == "" {
		// Short-lived tokens, so that one can watch them expire.
		provider, err := oidctest.Start("127.0.0.1:0", oidctest.Options{
			AccessTokenLifetime: 2 * time.Minute,
			DeviceInterval:      2 * time.Second,
		})
		if err != nil {
			return err
		}
		defer provider.Close()
		config.Issuer, config.ClientID, config.ClientSecret = provider.Issuer, provider.ClientID, provider.ClientSecret
		people = []person{alice, bob}
		// No login outlives this provider, and so no secret has to.
		if config.Secrets == nil {
			config.Secrets = []string{newSecret()}
		}
	}
	if passthrough {
		config.Broker = nil
	} else {
		broker := newBroker()
		if config.Broker != nil {
			broker.Store = config.Broker.Store // of OIDC_STORE
		}
		config.Broker = broker
	}
	config.Observe = logEvent

	app, err := startApplication(addr, router, config, people)
	if err != nil {
		return err
	}
	defer app.close()

	// A provider or a store that is down may come back, and is asked again when
	// it is needed; anything else is a mistake in the configuration.
	if err := app.auth.Start(ctx); err != nil && ctx.Err() == nil {
		if !errors.Is(err, core.ErrUnavailable) {
			return err
		}
		slog.Warn("going on, and trying again when it is needed", "error", err)
	}
	announce(out, app, config, people)

	select {
	case <-ctx.Done():
		return nil
	case err := <-app.failed:
		return err
	}
}

// newSecret makes a secret as "openssl rand -base64 32" does.
func newSecret() string {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // documented never to fail
	return base64.StdEncoding.EncodeToString(secret)
}

func announce(out io.Writer, app *application, config core.Config, people []person) {
	fmt.Fprintf(out, "\n  The application   %s\n  Its provider      %s\n", app.origin, config.Issuer)
	if config.Broker == nil {
		fmt.Fprint(out, "  Its own tokens    none: clients have the provider's (-passthrough)\n\n")
	} else {
		fmt.Fprintf(out, "  Its own tokens    %s, the issuer\n", app.publicURL)
		fmt.Fprintf(out, "                    %s/.well-known/openid-configuration\n\n", app.publicURL)
	}
	for _, p := range people {
		fmt.Fprintf(out, "  Sign in as %-5s  with the password %s\n", p.Name, p.Password)
	}
	if len(people) > 0 {
		fmt.Fprintf(out, "\n  Another application at its provider:\n    OIDC_ISSUER=%s OIDC_CLIENT_ID=%s OIDC_CLIENT_SECRET=%s go run ./examples/chi\n",
			config.Issuer, config.ClientID, config.ClientSecret)
	} else {
		fmt.Fprintf(out, "  Redirect URIs that the provider must know:\n    %s/\n    %s/auth/v2/callback\n", app.origin, app.publicURL)
	}
	fmt.Fprint(out, "\n  Ctrl-C ends it.\n\n")
}

// logEvent shows what a security log would be told.
func logEvent(ctx context.Context, event core.Event) {
	attrs := []any{"kind", event.Kind, "subject", event.Subject}
	if event.Session != "" {
		attrs = append(attrs, "session", event.Session)
	}
	if event.Reason != "" {
		attrs = append(attrs, "reason", event.Reason)
	}
	if event.Error != nil {
		attrs = append(attrs, "error", event.Error)
	}
	slog.InfoContext(ctx, "event", attrs...)
}
