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

// stepsOf are the steps that a mode has to pass: those that concern any client,
// and those that are about whose tokens a client has.
func stepsOf(passthrough bool) []step {
	steps := slices.Concat(loginSteps, guardSteps, tokenSteps, deviceSteps, logoutSteps, outageSteps)
	if passthrough {
		return slices.Concat(steps, passthroughSteps)
	}
	return slices.Concat(steps, brokerSteps, sessionSteps)
}

// errCheckFailed is told by the exit code alone: the steps have said why.
var errCheckFailed = errors.New("a step of the check failed")

// check is an application with a provider of its own, and the client that tries
// them.
type check struct {
	router      string
	passthrough bool
	provider    *oidctest.Provider
	app         *application
	http        *http.Client // does not follow redirects, and has no cookies
}

// runCheck goes through all the steps, says how each went, and fails if any did.
func runCheck(ctx context.Context, router string, passthrough bool, out io.Writer) error {
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
	c, err := newCheck(router, passthrough)
	if err != nil {
		report("start", err)
	} else {
		defer c.close()
		for _, s := range stepsOf(passthrough) {
			report(s.name, c.try(ctx, s))
		}
	}
	fmt.Fprintf(out, "%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		return errCheckFailed
	}
	return nil
}

func newCheck(router string, passthrough bool) (*check, error) {
	provider, err := oidctest.Start("127.0.0.1:0", oidctest.Options{
		// Announces one second, the shortest interval there is, and lets the steps
		// that poll by themselves poll as often as they like.
		DeviceInterval: -1,
		// A broker must not use any of the provider's refresh tokens twice.
		// Clients do, in a step of passthrough mode.
		StrictRefresh: !passthrough,
	})
	if err != nil {
		return nil, err
	}
	c := &check{router: router, passthrough: passthrough, provider: provider, http: &http.Client{
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if c.app, err = c.newApp(c.config()); err != nil {
		provider.Close()
		return nil, err
	}
	return c, nil
}

func (c *check) config() core.Config {
	config := core.Config{
		Issuer: c.provider.Issuer, ClientID: c.provider.ClientID, ClientSecret: c.provider.ClientSecret,
		Logger: slog.New(slog.DiscardHandler), // most steps provoke what an operator should know
	}
	if !c.passthrough {
		config.Broker = newBroker()
		config.Broker.Algorithm = "ES256" // whose keys are made in no time
	}
	return config
}

// newApp starts an application on a free port.
func (c *check) newApp(config core.Config) (*application, error) {
	return startApplication("127.0.0.1:0", c.router, config, nil)
}

// another starts a second application at the same provider, and gives a check of
// that one. Only its application is to be closed.
func (c *check) another(change func(*core.Config)) (*check, error) {
	config := c.config()
	change(&config)
	app, err := c.newApp(config)
	if err != nil {
		return nil, err
	}
	second := *c
	second.app = app
	return &second, nil
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
