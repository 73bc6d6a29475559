package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
)

// attackSteps are about a peer that is trusted, and should not be.
var attackSteps = []step{
	{"a peer can't speak for another, nor for us, by any key id", (*check).speaksForOthers},
	{"a peer that publishes others' keys as its own gains nothing", (*check).publishesOthersKeys},
	{"a peer that answers garbage stops nobody else", (*check).answersGarbage},
	{"a peer that hangs stops nobody else", (*check).hangs},
	{"made-up key ids make nobody ask a peer again and again", (*check).madeUpKeys},
}

// newcomer is a peer that south has come to trust like the others.
func (c *check) newcomer() (*foreign, error) {
	peer, err := newForeign()
	if err != nil {
		return nil, err
	}
	return peer, c.south.trust(c.friendsOf(c.south, peer)...)
}

func (c *check) speaksForOthers(ctx context.Context) error {
	evil, err := c.newcomer()
	if err != nil {
		return err
	}
	defer evil.close()
	north, south, err := c.signInAtBoth(ctx)
	if err != nil {
		return err
	}
	own, err := evil.mint(nil)
	if err := errors.Join(err, c.taken(ctx, c.south, own)); err != nil {
		return err // in its own name it may speak
	}
	for _, iss := range []any{c.south.url, c.north.url, c.python.url, c.south.provider.Issuer, evil.url + "/", nil} {
		for _, kid := range []string{keyID(own), keyID(north), keyID(south), ""} {
			raw, err := evil.mintAs(kid, map[string]any{"iss": iss})
			if err := errors.Join(err, c.refused(ctx, c.south, raw)); err != nil {
				return fmt.Errorf("as %v, by the key %q: %w", iss, kid, err)
			}
		}
	}
	return errors.Join(c.taken(ctx, c.south, north), c.taken(ctx, c.south, south))
}

func (c *check) publishesOthersKeys(ctx context.Context) error {
	evil, err := newForeign()
	if err != nil {
		return err
	}
	defer evil.close()
	var all []jose.JSONWebKey
	for _, url := range []string{c.north.url, c.south.url, c.python.url, evil.url} {
		set, err := fetchKeys(ctx, c.http, url)
		if err != nil {
			return err
		}
		all = append(all, set...)
	}
	evil.says(func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, jose.JSONWebKeySet{Keys: all}) })
	if err := c.south.trust(c.friendsOf(c.south, evil)...); err != nil {
		return err
	}
	north, south, err := c.signInAtBoth(ctx)
	if err != nil {
		return err
	}
	own, err := evil.mint(nil)
	if err := errors.Join(err, c.taken(ctx, c.south, own), c.taken(ctx, c.south, north), c.taken(ctx, c.south, south)); err != nil {
		return err
	}
	for _, iss := range []string{c.north.url, c.south.url, c.python.url} {
		raw, err := evil.mint(map[string]any{"iss": iss})
		if err := errors.Join(err, c.refused(ctx, c.south, raw)); err != nil {
			return fmt.Errorf("as %s: %w", iss, err)
		}
	}
	return nil
}

func (c *check) answersGarbage(ctx context.Context) error {
	text := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", c.python.url+keysPath)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	north, south, err := c.signInAtBoth(ctx)
	if err != nil {
		return err
	}
	for name, answer := range map[string]http.HandlerFunc{
		"a page":          text(http.StatusOK, "<!doctype html>"),
		"no keys":         text(http.StatusOK, `{"keys":[]}`),
		"a shared secret": text(http.StatusOK, `{"keys":[{"kty":"oct","k":"AAAA"}]}`),
		"a deep one":      text(http.StatusOK, strings.Repeat(`{"keys":[`, 100_000)),
		"a redirect":      text(http.StatusFound, ""),
		"an error":        text(http.StatusInternalServerError, ""),
		"nothing":         func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"100 MB": func(w http.ResponseWriter, _ *http.Request) {
			megabyte := strings.Repeat(" ", 1<<20)
			for range 100 {
				if _, err := io.WriteString(w, megabyte); err != nil {
					return
				}
			}
		},
	} {
		if err := c.garbage(ctx, answer, north, south); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// garbage has a peer answer so, and holds that its tokens are refused for the time
// being, and those of others are not.
func (c *check) garbage(ctx context.Context, answer http.HandlerFunc, others ...string) error {
	evil, err := newForeign()
	if err != nil {
		return err
	}
	defer evil.close()
	evil.says(answer)
	if err := c.south.trust(c.friendsOf(c.south, evil)...); err != nil {
		return err
	}
	raw, err := evil.mint(nil)
	if err != nil {
		return err
	}
	if err := c.everywhere(ctx, c.south, "/me", raw, http.StatusServiceUnavailable, "temporarily_unavailable"); err != nil {
		return err
	}
	for _, token := range others {
		err = errors.Join(err, c.taken(ctx, c.south, token))
	}
	return err
}

func (c *check) hangs(ctx context.Context) error {
	evil, err := newForeign()
	if err != nil {
		return err
	}
	defer evil.close()
	arrived := make(chan struct{}, 1)
	evil.says(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case arrived <- struct{}{}:
		default:
		}
		<-r.Context().Done()
	})
	raw, err := evil.mint(nil)
	if err := errors.Join(err, c.south.trust(c.friendsOf(c.south, evil)...)); err != nil {
		return err
	}
	patience, cancel := context.WithCancel(ctx)
	defer cancel()
	waiting := make(chan probe.Answer, 1)
	go func() { waiting <- probe.Get(patience, c.http, c.south.url+"/me", raw) }()
	select {
	case <-arrived:
	case <-ctx.Done():
		return errors.New("the peer was not asked")
	}
	north, south, err := c.signInAtBoth(ctx)
	err = errors.Join(err, c.taken(ctx, c.south, north), c.taken(ctx, c.south, south))
	select {
	case a := <-waiting:
		err = errors.Join(err, fmt.Errorf("its own token was answered %d meanwhile", a.Status))
	default:
	}
	return err
}

func (c *check) madeUpKeys(ctx context.Context) error {
	evil, err := c.newcomer()
	if err != nil {
		return err
	}
	defer evil.close()
	own, err := evil.mint(nil)
	if err := errors.Join(err, c.taken(ctx, c.south, own)); err != nil {
		return err
	}
	began := time.Now()
	for n := range 50 {
		raw, err := evil.mintAs(fmt.Sprintf("%016x", n), nil)
		if err := errors.Join(err, c.refused(ctx, c.south, raw)); err != nil {
			return err
		}
	}
	// Each instance has asked at first, and once in ten seconds for the keys that there
	// are not.
	each := 2 + int(time.Since(began)/(10*time.Second))
	if asked := evil.asked.Load(); asked > int64(each*len(c.south.instances)) {
		return fmt.Errorf("%d instances have asked for its keys %d times", len(c.south.instances), asked)
	}
	return nil
}

// keyID is the key by which a token says it is signed.
func keyID(raw string) string {
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return ""
	}
	return token.Headers[0].KeyID
}
