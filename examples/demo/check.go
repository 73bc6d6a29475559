package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
	"github.com/oidcgate/oidcgate/store"
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
	return slices.Concat(steps, brokerSteps, sessionSteps, browserSteps, operationSteps)
}

// check is an application with a provider of its own, and the client that tries
// them.
type check struct {
	options
	provider *oidctest.Provider
	secrets  []string
	newStore func() (store.Store, error) // another handle on the same records
	http     *http.Client                // does not follow redirects, and has no cookies

	change   func(*core.Config) // what is special about the application
	listener *net.TCPListener   // stays while the application restarts
	app      *application
}

// runCheck goes through all the steps, says how each went, and fails if any did.
func runCheck(ctx context.Context, o options, out io.Writer) error {
	report := probe.NewReport(out)
	if err := goThrough(ctx, o, report.Step); err != nil {
		report.Step("start and end", err)
	}
	return report.End()
}

// goThrough reports how each step went, and fails if it can't begin, or leaves
// something behind.
func goThrough(ctx context.Context, o options, report func(string, error)) (err error) {
	newStore, remove, err := checkStore(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove(ctx)) }()
	c, err := newCheck(ctx, o, newStore)
	if err != nil {
		return err
	}
	defer c.close()
	for _, s := range stepsOf(o.passthrough) {
		report(s.name, c.try(ctx, s))
	}
	return nil
}

func newCheck(ctx context.Context, o options, newStore func() (store.Store, error)) (*check, error) {
	provider, err := oidctest.Start("127.0.0.1:0", oidctest.Options{
		// Announces one second, the shortest interval there is, and lets the steps
		// that poll by themselves poll as often as they like.
		DeviceInterval: -1,
		// A broker must not use any of the provider's refresh tokens twice.
		// Clients do, in a step of passthrough mode.
		StrictRefresh: !o.passthrough,
	})
	if err != nil {
		return nil, err
	}
	c := &check{options: o, provider: provider, secrets: []string{newSecret()}, newStore: newStore, http: &http.Client{
		// A server that is to stop would wait for connections that are kept.
		Transport:     &http.Transport{DisableKeepAlives: o.restart},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if c, err = c.another(ctx, func(*core.Config) {}); err != nil {
		provider.Close()
		return nil, err
	}
	return c, nil
}

// another starts one more application at the same provider, with the same store,
// and gives a check of that one. It is to be stopped.
func (c *check) another(ctx context.Context, change func(*core.Config)) (*check, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	second := *c
	second.change, second.listener = change, listener.(*net.TCPListener)
	if err := second.start(ctx); err != nil {
		listener.Close()
		return nil, err
	}
	return &second, nil
}

// withClock is another with a clock of its own, and gives what puts it forward.
func (c *check) withClock(ctx context.Context) (second *check, later func(time.Duration), err error) {
	var ahead atomic.Int64 // of the real time
	second, err = c.another(ctx, func(config *core.Config) {
		config.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	return second, func(d time.Duration) { ahead.Add(int64(d)) }, err
}

// start starts the application, as another run of its program would: it has
// nothing of an earlier one but the address, the secrets and the store.
func (c *check) start(ctx context.Context) error {
	config := core.Config{
		Providers: []core.Provider{{Issuer: c.provider.Issuer, ClientID: c.provider.ClientID, ClientSecret: c.provider.ClientSecret}},
		Secrets:   c.secrets, RedirectURIs: []string{pageURI},
		Logger: slog.New(slog.DiscardHandler), // most steps provoke what an operator should know
	}
	if !c.passthrough {
		config.Broker, config.Browser = newBroker(), &core.Browser{}
		config.Broker.Algorithm = "ES256" // whose keys are made in no time
		var err error
		if config.Broker.Store, err = c.newStore(); err != nil {
			return err
		}
	}
	c.change(&config)
	lent, err := lend(c.listener)
	if err != nil {
		return err
	}
	o := c.options
	o.addr = c.listener.Addr().String()
	app, err := startApplication(ctx, lent, o, config, nil)
	if err == nil {
		c.app = app
	}
	return err
}

// restarted restarts the application, with -restart. Steps call it wherever a
// client must not notice, and nothing is under way.
func (c *check) restarted(ctx context.Context) error {
	if !c.restart {
		return nil
	}
	c.http.CloseIdleConnections()
	c.app.close()
	return c.start(ctx)
}

// stop stops the application.
func (c *check) stop() {
	c.http.CloseIdleConnections()
	c.app.close()
	_ = c.listener.Close()
}

func (c *check) close() {
	c.stop()
	c.provider.Close()
}

// lent is a listener that its owner lends: closing it ends Accept and leaves the
// port with the owner. Who connects in between waits.
type lent struct {
	*net.TCPListener
	closed atomic.Bool
}

func lend(listener *net.TCPListener) (*lent, error) {
	return &lent{TCPListener: listener}, listener.SetDeadline(time.Time{})
}

func (l *lent) Accept() (net.Conn, error) {
	conn, err := l.TCPListener.Accept()
	if err != nil && l.closed.Load() {
		return nil, net.ErrClosed
	}
	return conn, err
}

func (l *lent) Close() error {
	l.closed.Store(true)
	return l.SetDeadline(time.Now())
}

func (c *check) try(ctx context.Context, s step) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	if err := c.restarted(ctx); err != nil {
		return err
	}
	return s.run(c, ctx)
}
