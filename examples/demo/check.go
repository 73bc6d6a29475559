package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
)

// stepTimeout is how long one step may take, so that nothing hangs the check.
const stepTimeout = 10 * time.Second

// step is one thing that has to work. Steps need nothing of each other: each
// signs in for itself.
type step struct {
	name string
	run  func(*check, context.Context) error
}

var steps = slices.Concat(loginSteps, guardSteps, tokenSteps, deviceSteps, logoutSteps, outageSteps)

// errCheckFailed is told by the exit code alone: the steps have said why.
var errCheckFailed = errors.New("a step of the check failed")

// check is an application with a provider of its own, and the client that tries
// them.
type check struct {
	router   string
	provider *oidctest.Provider
	app      *application
	http     *http.Client // does not follow redirects, and has no cookies
}

// runCheck goes through all the steps, says how each went, and fails if any did.
func runCheck(ctx context.Context, router string, out io.Writer) error {
	passed, failed := 0, 0
	report := func(name string, err error) {
		if err != nil {
			failed++
			fmt.Fprintf(out, "FAIL %s: %v\n", name, err)
			return
		}
		passed++
		fmt.Fprintf(out, "ok %s\n", name)
	}
	c, err := newCheck(router)
	if err != nil {
		report("start", err)
	} else {
		defer c.close()
		for _, s := range steps {
			report(s.name, c.try(ctx, s))
		}
	}
	fmt.Fprintf(out, "%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		return errCheckFailed
	}
	return nil
}

func newCheck(router string) (*check, error) {
	provider, err := oidctest.Start("127.0.0.1:0", oidctest.Options{
		// Announces one second, the shortest interval there is, and lets the steps
		// that poll by themselves poll as often as they like.
		DeviceInterval: -1,
	})
	if err != nil {
		return nil, err
	}
	c := &check{router: router, provider: provider, http: &http.Client{
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if c.app, err = c.newApp(); err != nil {
		provider.Close()
		return nil, err
	}
	return c, nil
}

// newApp starts the application on a free port.
func (c *check) newApp() (*application, error) {
	return startApplication("127.0.0.1:0", c.router, core.Config{
		Issuer: c.provider.Issuer, ClientID: c.provider.ClientID, ClientSecret: c.provider.ClientSecret,
		Logger: slog.New(slog.DiscardHandler), // most steps provoke what an operator should know
	}, nil)
}

func (c *check) close() {
	c.http.CloseIdleConnections()
	c.app.close()
	c.provider.Close()
}

func (c *check) try(ctx context.Context, s step) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	return s.run(c, ctx)
}

// inOrder runs parts of a step until one fails.
func inOrder(parts ...func() error) error {
	for _, part := range parts {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}
