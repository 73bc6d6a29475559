package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
)

// stepTimeout is how long one step may take, so that nothing hangs the check.
const stepTimeout = 15 * time.Second

// step is one thing that has to work. Each begins with institutes that are up and
// trust each other and the broker of another make.
type step struct {
	name string
	run  func(*check, context.Context) error
}

var steps = slices.Concat(trustSteps, attackSteps, troubleSteps)

// check is a federation and somebody who tries it.
type check struct {
	north, south *institute
	python       *foreign
	http         *http.Client
}

// runCheck goes through all the steps, says how each went, and fails if any did.
func runCheck(ctx context.Context, out io.Writer) error {
	report := probe.NewReport(out)
	if err := goThrough(ctx, report.Step); err != nil {
		report.Step("start and end", err)
	}
	return report.End()
}

// goThrough reports how each step went, and fails if it can't begin, or leaves
// something behind.
func goThrough(ctx context.Context, report func(string, error)) (err error) {
	folder, err := os.MkdirTemp("", "oidcgate-federation-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	python, err := newForeign()
	if err != nil {
		return err
	}
	defer python.close()
	north, south, err := found(ctx, folder, "127.0.0.1:0", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer north.close()
	defer south.close()
	python.trusts = []string{north.url, south.url}
	c := &check{north: north, south: south, python: python, http: &http.Client{
		// With no connection kept, a request that a peer cuts is never tried again.
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, s := range steps {
		report(s.name, c.try(ctx, s))
	}
	return nil
}

func (c *check) try(ctx context.Context, s step) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	if err := errors.Join(c.north.trust(c.friendsOf(c.north)...), c.south.trust(c.friendsOf(c.south)...)); err != nil {
		return err
	}
	return s.run(c, ctx)
}

// friendsOf are the peers that an institute trusts, and those of a step besides.
func (c *check) friendsOf(i *institute, more ...*foreign) []core.Issuer {
	var peers []core.Issuer
	for _, url := range []string{c.north.url, c.south.url, c.python.url} {
		if url != i.url {
			peers = append(peers, visitorsFrom(url))
		}
	}
	for _, f := range more {
		peers = append(peers, visitorsFrom(f.url))
	}
	return peers
}

// signIn signs somebody in at an institute.
func (c *check) signIn(ctx context.Context, at *institute, who probe.Person) (probe.Answer, error) {
	browser := probe.NewBrowser()
	back, err := browser.SignIn(ctx, at.url+"/auth/v2/login", who)
	if err != nil {
		return probe.Answer{}, err
	}
	tokens := browser.Call(ctx, back.String())
	return tokens, tokens.IsTokens()
}

// signInAtBoth signs alice in at both institutes, and gives her access tokens.
func (c *check) signInAtBoth(ctx context.Context) (north, south string, err error) {
	n, errNorth := c.signIn(ctx, c.north, probe.Alice)
	s, errSouth := c.signIn(ctx, c.south, probe.Alice)
	return n.Text("access_token"), s.Text("access_token"), errors.Join(errNorth, errSouth)
}

// everywhere requests a route of each instance of an institute.
func (c *check) everywhere(ctx context.Context, at *institute, path, token string, status int, code string) error {
	for n := range at.instances {
		if err := probe.Get(ctx, c.http, fmt.Sprintf("%s%s?instance=%d", at.url, path, n), token).Is(status, code); err != nil {
			return fmt.Errorf("%s%s: %w", at.url, path, err)
		}
	}
	return nil
}

// taken holds that every instance of an institute takes a token.
func (c *check) taken(ctx context.Context, at *institute, token string) error {
	return c.everywhere(ctx, at, "/me", token, http.StatusOK, "")
}

// refused holds that none does.
func (c *check) refused(ctx context.Context, at *institute, token string) error {
	return c.everywhere(ctx, at, "/me", token, http.StatusUnauthorized, "invalid_token")
}
