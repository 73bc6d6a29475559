// Command demo shows oidcgate at work: an OpenID provider, and a web application on any of
// five routers that signs its users in there, by a cookie. Its pages need no JavaScript. One
// more page, /tokens, is a client that holds tokens.
//
//	go run ./examples/demo
//	go run ./examples/demo -router fiber
//	go run ./examples/demo -passthrough
//	go run ./examples/demo -store postgres://…
//	go run ./examples/demo -check
//	go run ./examples/demo -check -restart
//
// The application is a broker: it mints tokens of its own, and keeps the
// provider's in a store, that of -store or OIDC_STORE, or else an SQLite file in
// the user's data folder. The secrets that seal it are in a file beside that,
// made at the first start, unless OIDC_SECRETS or OIDC_SECRETS_FILE is set. With
// -passthrough its clients have the provider's tokens instead.
//
// The provider is one for tests, started along with the application at the next
// port, where each run has the same issuer; so whoever is signed in stays so when
// the demo is ended and started again. Where that port is taken the provider has
// another, and sessions are in memory. With OIDC_ISSUER, OIDC_CLIENT_ID and, for a
// confidential client, OIDC_CLIENT_SECRET set (see core.ConfigFromEnv for the rest)
// the application uses that provider instead.
//
// With -check nobody has to click: clients of other makers go through every flow,
// and the last line says how many steps passed. With -restart as well, the
// application restarts between the steps and in the middle of them. A check
// leaves nothing behind, neither in a temporary folder nor in the store that
// -store names.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return
	case !errors.Is(err, probe.ErrFailed):
		fmt.Fprintln(os.Stderr, "demo:", err)
	}
	os.Exit(1)
}

// options are what the command line says.
type options struct {
	addr, router         string
	passthrough, restart bool
	store                string // a URL, "" for none
	tokenLifetime        time.Duration
}

// run is the program, until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	var o options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.StringVar(&o.addr, "addr", "localhost:8080", "where the application listens, its provider at the next `port`; port 0 takes free ones")
	flags.StringVar(&o.router, "router", "chi", "the application's router: "+routerNames()+" (net/http)")
	flags.BoolVar(&o.passthrough, "passthrough", false, "give clients the provider's tokens, instead of minting the application's own")
	flags.StringVar(&o.store, "store", "", "where sessions are kept, a `URL`: memory:, sqlite:<file> or postgres://…; else OIDC_STORE, or a file in the user's data folder")
	flags.DurationVar(&o.tokenLifetime, "token-lifetime", 2*time.Minute, "how long an access token is valid, and a browser's session is not refreshed")
	check := flags.Bool("check", false, "go through every flow without a person, on free ports, with a provider and a store of its own")
	flags.BoolVar(&o.restart, "restart", false, "with -check: restart the application between the steps and within them")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case routers[o.router] == nil:
		return fmt.Errorf("there is no router %q: choose one of %s", o.router, routerNames())
	case o.passthrough && o.store != "":
		return errors.New("with -passthrough there are no sessions to keep: leave out -store")
	case o.restart && !*check:
		return errors.New("-restart is for -check: otherwise end the demo and start it again")
	case *check:
		return runCheck(ctx, o, out)
	}
	return demonstrate(ctx, o, out)
}

// demonstrate serves the application until ctx ends.
func demonstrate(ctx context.Context, o options, out io.Writer) error {
	config, err := core.ConfigFromEnv()
	if err != nil {
		return err
	}
	g := greeting{secrets: "those of OIDC_SECRETS or OIDC_SECRETS_FILE"}
	if config.Secrets == nil {
		if config.Secrets, g.secrets, err = keptSecrets(); err != nil {
			return err
		}
	}
	sameAgain := true // whether the next run has the same provider
	if config.Providers[0].Issuer == "" {
		var provider *oidctest.Provider
		if provider, sameAgain, err = startProvider(o.addr, config.Secrets[0]); err != nil {
			return err
		}
		defer provider.Close()
		config.Providers[0].Issuer, config.Providers[0].ClientID, config.Providers[0].ClientSecret = provider.Issuer, provider.ClientID, provider.ClientSecret
		g.people = []probe.Person{probe.Alice, probe.Bob}
	}
	if o.passthrough {
		config.Broker = nil
	} else {
		broker := newBroker()
		broker.TokenLifetime = o.tokenLifetime
		if broker.Store, g.sessions, err = chooseStore(o.store, config, sameAgain); err != nil {
			return err
		}
		config.Broker, config.Browser = broker, &core.Browser{}
	}
	config.Observe = core.LogEvents(slog.Default())

	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return fmt.Errorf("%w; choose another address with -addr (localhost:0 takes a free port)", err)
	}
	app, err := startApplication(ctx, listener, o, config, g.people)
	if err != nil {
		return err
	}
	defer app.close()

	// A provider that is down may come back, and is asked again when it is needed;
	// anything else is a mistake in the configuration.
	if err := app.auth.Start(ctx); err != nil && ctx.Err() == nil {
		if !errors.Is(err, core.ErrUnavailable) {
			return fmt.Errorf("%w (this is the client %q at %s, its sessions are %s)", err, config.Providers[0].ClientID, config.Providers[0].Issuer, cmp.Or(g.sessions, "nowhere"))
		}
		slog.Warn("going on, and trying again when it is needed", "error", err)
	}
	g.print(out, app, config)

	select {
	case <-ctx.Done():
		return nil
	case err := <-app.failed:
		return err
	}
}

// startProvider starts the demonstration's own provider at the port next to the
// application's, so that it has the same issuer in each run, and tells whether it
// has: where that port is taken, it takes a free one.
func startProvider(addr, secret string) (provider *oidctest.Provider, sameAgain bool, err error) {
	// Short-lived tokens, so that one can watch them expire.
	options := oidctest.Options{
		AccessTokenLifetime: 2 * time.Minute,
		DeviceInterval:      2 * time.Second,
		Secret:              secret,
		SigningAlgorithm:    "ES256",
	}
	_, port, _ := net.SplitHostPort(addr)
	if n, err := strconv.Atoi(port); err == nil && n > 0 {
		if provider, err := oidctest.Start(fmt.Sprintf("127.0.0.1:%d", n+1), options); err == nil {
			return provider, true, nil
		}
	}
	provider, err = oidctest.Start("127.0.0.1:0", options)
	return provider, false, err
}

// greeting is what a person is told besides the configuration.
type greeting struct {
	sessions, secrets string // where they are
	people            []probe.Person
}

func (g greeting) print(out io.Writer, app *application, config core.Config) {
	fmt.Fprintf(out, "\n  The application   %s\n  Its provider      %s\n", app.origin, config.Providers[0].Issuer)
	if config.Broker == nil {
		fmt.Fprint(out, "  Its own tokens    none: clients have the provider's (-passthrough)\n")
	} else {
		fmt.Fprintf(out, "  Its own tokens    %s, the issuer\n", app.publicURL)
		fmt.Fprintf(out, "                    %s/.well-known/openid-configuration\n", app.publicURL)
		fmt.Fprintf(out, "  Its sessions      %s\n", g.sessions)
	}
	fmt.Fprintf(out, "  Its secrets       %s\n\n", g.secrets)
	for _, p := range g.people {
		fmt.Fprintf(out, "  Sign in as %-5s  with the password %s\n", p.Name, p.Password)
	}
	if len(g.people) > 0 {
		fmt.Fprintf(out, "\n  Another application at its provider:\n    OIDC_ISSUER=%s OIDC_CLIENT_ID=%s OIDC_CLIENT_SECRET=%s go run ./examples/chi\n",
			config.Providers[0].Issuer, config.Providers[0].ClientID, config.Providers[0].ClientSecret)
	} else {
		fmt.Fprintf(out, "  Redirect URIs that the provider must know:\n    %s%s\n    %s/auth/v2/callback\n", app.origin, tokensPage(config.Broker), app.publicURL)
	}
	fmt.Fprint(out, "\n  Ctrl-C ends it.\n\n")
}
