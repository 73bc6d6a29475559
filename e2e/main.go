// Command e2e runs the whole contract against real providers, each a process of its
// own on loopback, and foreign clients and browsers against applications of ours.
//
//	go run ./e2e                       # everything
//	go run ./e2e -list                 # the suites, and what each needs
//	go run ./e2e -only keycloak        # one suite
//	go run ./e2e -only keycloak/logout # its steps that have "logout" in their names
//
// Providers are downloaded once, into the folder that E2E_CACHE names, or oidcgate-e2e
// in the user's cache folder. It prints a line per step, and at the end how many passed
// and failed. Nothing keeps running afterwards; when a step failed, the last lines say
// where the logs of the providers are.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/oidcgate/oidcgate/e2e/internal/browsers"
	"github.com/oidcgate/oidcgate/e2e/internal/clients"
	"github.com/oidcgate/oidcgate/e2e/internal/contract"
	"github.com/oidcgate/oidcgate/e2e/internal/harness"
	"github.com/oidcgate/oidcgate/e2e/internal/providers"
)

// suites are all there are, in the order in which they run.
func suites() []harness.Suite {
	return slices.Concat(contract.Suites(), clients.Suites(), browsers.Suites())
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == providers.ZitadelCommand {
		fmt.Fprintln(os.Stderr, providers.ServeZitadel(os.Args[2], os.Args[3:]))
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return
	case !errors.Is(err, harness.ErrFailed):
		fmt.Fprintln(os.Stderr, "e2e:", err)
	}
	os.Exit(1)
}

// run is the program, until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	var o harness.Options
	flags := flag.NewFlagSet("e2e", flag.ContinueOnError)
	flags.StringVar(&o.Only, "only", "", "run one `suite`, or suite/text: its steps that have the text in their names")
	flags.StringVar(&o.Cache, "cache", "", "the `folder` for downloads; else E2E_CACHE, or oidcgate-e2e in the user's cache folder")
	list := flags.Bool("list", false, "list the suites, and run none")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *list {
		for _, s := range suites() {
			fmt.Fprintf(out, "%-14s %s; needs %s\n", s.Name, s.About, strings.Join(s.Needs, ", "))
		}
		return nil
	}
	return harness.RunAll(ctx, out, o, suites())
}
