// Command federation shows brokers that trust each other: two institutes, north and
// south, each with users, a provider and a store of its own. Each takes the other's
// access tokens. South runs as two instances that share its store.
//
//	go run ./examples/federation
//	go run ./examples/federation -check
//
// Sign in at one, and use the access token that you get at the other. With -check
// nobody has to: users of both, a broker as py-oidc-auth is one, and some that lie go
// through all that federation promises, and the last line says how many steps passed.
// Nothing is kept when the program ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/oidcgate/oidcgate/core"
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
		fmt.Fprintln(os.Stderr, "federation:", err)
	}
	os.Exit(1)
}

// run is the program, until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("federation", flag.ContinueOnError)
	check := flags.Bool("check", false, "go through all that federation promises without a person, on free ports")
	northAddr := flags.String("north", "localhost:8090", "where north listens; port 0 takes a free one")
	southAddr := flags.String("south", "localhost:8091", "where south listens")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *check {
		return runCheck(ctx, out)
	}
	folder, err := os.MkdirTemp("", "oidcgate-federation-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	north, south, err := found(ctx, folder, *northAddr, *southAddr)
	if err != nil {
		return err
	}
	defer north.close()
	defer south.close()
	if err := errors.Join(north.trust(visitorsFrom(south.url)), south.trust(visitorsFrom(north.url))); err != nil {
		return err
	}
	greet(out, north, south)
	<-ctx.Done()
	return nil
}

// found makes two institutes that do not trust anybody yet.
func found(ctx context.Context, folder, northAddr, southAddr string) (north, south *institute, err error) {
	if north, err = newInstitute(ctx, "north", northAddr, folder, 1); err != nil {
		return nil, nil, err
	}
	if south, err = newInstitute(ctx, "south", southAddr, folder, 2); err != nil {
		north.close()
		return nil, nil, err
	}
	return north, south, nil
}

func greet(out io.Writer, north, south *institute) {
	fmt.Fprintf(out, "\n  north   %s   one instance\n  south   %s   two instances, one store\n\n", north.url, south.url)
	fmt.Fprintf(out, "  1. Sign in at north, as %s with the password %s, and copy the access_token:\n       %s/auth/v2/login\n",
		probe.Alice.Name, probe.Alice.Password, north.url)
	fmt.Fprintf(out, "  2. Use it at south, where north's users are visitors, and its administrators no more:\n")
	for _, row := range [][2]string{
		{"/me", "issuer north, role visitor"}, {"/library", "visitors may read"}, {"/peers", "403: for administrators of south's own"},
	} {
		fmt.Fprintf(out, "       curl -H \"Authorization: Bearer $TOKEN\" %s%-8s  # %s\n", south.url, row[0], row[1])
	}
	fmt.Fprintf(out, "  3. Or the other way round. South's alice is another one, and runs south:\n       %s/auth/v2/login\n\n  Ctrl-C ends it.\n\n", south.url)
}

// listen gives a listener and the URL by which this machine reaches it.
func listen(addr string) (net.Listener, string, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, "", fmt.Errorf("%w; choose other addresses with -north and -south (localhost:0 takes a free port)", err)
	}
	host, _, _ := net.SplitHostPort(addr)
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return listener, "http://" + net.JoinHostPort(host, port), nil
}

// visitorsFrom is how an institute trusts another: for whom its users are, and for
// no more about them than that. Its administrators are not ours.
func visitorsFrom(url string) core.Issuer {
	return core.Issuer{URL: url, Audiences: []string{fleet, guests}, Roles: func(asserted []string) []string {
		for _, role := range asserted {
			if role == "user" {
				return []string{"visitor"}
			}
		}
		return nil
	}}
}
