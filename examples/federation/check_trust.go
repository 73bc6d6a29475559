package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
)

// trustSteps are about what peers may do.
var trustSteps = []step{
	{"each institute takes the other's tokens, at each instance", (*check).takeEachOthers},
	{"nobody takes a token of an institute that is not on the list", (*check).strangers},
	{"a user is known by issuer and subject together", (*check).identity},
	{"roles arrive as they are configured, and no others", (*check).roles},
	{"a broker of py-oidc-auth takes our tokens, and we take its", (*check).bothLanguages},
	{"userinfo knows a peer's user from the token", (*check).userinfo},
	{"a peer's tokens refresh, exchange and end nothing", (*check).otherRoutes},
	{"a visitor's narrowed token is worth nothing at home", (*check).narrowed},
	{"health tells of each peer", (*check).health},
}

func (c *check) takeEachOthers(ctx context.Context) error {
	north, south, err := c.signInAtBoth(ctx)
	return errors.Join(err,
		c.taken(ctx, c.north, north), c.taken(ctx, c.south, north),
		c.taken(ctx, c.north, south), c.taken(ctx, c.south, south))
}

func (c *check) strangers(ctx context.Context) error {
	north, _, err := c.signInAtBoth(ctx)
	if err != nil {
		return err
	}
	stranger, err := newForeign()
	if err != nil {
		return err
	}
	defer stranger.close()
	raw, err := stranger.mint(nil)
	return errors.Join(err,
		c.refused(ctx, c.south, raw),
		c.south.trust(visitorsFrom(c.python.url)),
		c.refused(ctx, c.south, north))
}

// identity: both providers have a user-alice, and they are two people.
func (c *check) identity(ctx context.Context) error {
	north, south, err := c.signInAtBoth(ctx)
	if err != nil {
		return err
	}
	for token, issuer := range map[string]string{north: c.north.url, south: c.south.url} {
		a := probe.Get(ctx, c.http, c.south.url+"/me", token)
		if a.Text("subject") != "user-alice" || a.Text("issuer") != issuer {
			return fmt.Errorf("the token of %s is about %v", issuer, a.Body)
		}
	}
	return nil
}

// roles: an administrator of north reads at south as north's users do, and runs
// nothing there.
func (c *check) roles(ctx context.Context) error {
	north, south, err := c.signInAtBoth(ctx)
	if err != nil {
		return err
	}
	a := probe.Get(ctx, c.http, c.south.url+"/me", north)
	if !reflect.DeepEqual(a.Body["roles"], []any{"visitor"}) {
		return fmt.Errorf("a visitor has the roles %v", a.Body["roles"])
	}
	return errors.Join(
		c.everywhere(ctx, c.south, "/library", north, http.StatusOK, ""),
		c.everywhere(ctx, c.south, "/peers", north, http.StatusForbidden, "insufficient_claims"),
		c.everywhere(ctx, c.south, "/peers", south, http.StatusOK, ""),
		c.everywhere(ctx, c.north, "/peers", north, http.StatusOK, ""))
}

func (c *check) bothLanguages(ctx context.Context) error {
	north, south, err := c.signInAtBoth(ctx)
	if err != nil {
		return err
	}
	raw, err := c.python.mint(nil)
	return errors.Join(err,
		c.python.takes(ctx, c.http, north), c.python.takes(ctx, c.http, south),
		c.taken(ctx, c.north, raw), c.taken(ctx, c.south, raw),
		c.everywhere(ctx, c.south, "/library", raw, http.StatusOK, ""))
}

func (c *check) userinfo(ctx context.Context) error {
	north, _, err := c.signInAtBoth(ctx)
	if err != nil {
		return err
	}
	for range c.south.instances {
		a := probe.Get(ctx, c.http, c.south.url+"/auth/v2/userinfo", north)
		if err := a.Is(http.StatusOK, ""); err != nil {
			return err
		}
		if a.Text("username") != "alice" || a.Text("email") != "alice@example.com" {
			return fmt.Errorf("userinfo says %v", a.Body)
		}
	}
	return nil
}

func (c *check) otherRoutes(ctx context.Context) error {
	theirs, err := c.signIn(ctx, c.north, probe.Alice)
	if err != nil {
		return err
	}
	ours, err := c.signIn(ctx, c.south, probe.Alice)
	if err != nil {
		return err
	}
	token := func(form url.Values) probe.Answer {
		return probe.Post(ctx, c.http, c.south.url+"/auth/v2/token", "", form)
	}
	// It may say that it is of a session of south's.
	session := claimsOf(ours.Text("access_token"))
	forged, err := c.python.mint(map[string]any{"sid": session["sid"], "sub": session["sub"]})
	if err != nil {
		return err
	}
	return probe.InOrder(
		func() error {
			return token(url.Values{"refresh_token": {theirs.Text("refresh_token")}}).Is(http.StatusBadRequest, "invalid_grant")
		},
		func() error {
			return token(url.Values{
				"grant_type":    {"urn:ietf:params:oauth:grant-type:token-exchange"},
				"subject_token": {theirs.Text("access_token")},
			}).Is(http.StatusBadRequest, "invalid_request")
		},
		func() error {
			return probe.Post(ctx, c.http, c.south.url+"/auth/v2/logout", forged, nil).Is(http.StatusFound, "")
		},
		func() error { return token(url.Values{"refresh_token": {ours.Text("refresh_token")}}).IsTokens() },
	)
}

// narrowed: south, which has seen the token, can't act as the user at north with it.
func (c *check) narrowed(ctx context.Context) error {
	tokens, err := c.signIn(ctx, c.north, probe.Alice)
	if err != nil {
		return err
	}
	visiting := probe.Post(ctx, c.http, c.north.url+"/auth/v2/token", "", url.Values{
		"refresh_token": {tokens.Text("refresh_token")}, "resource": {guests},
	})
	if err := visiting.IsTokens(); err != nil {
		return err
	}
	return errors.Join(
		c.taken(ctx, c.south, visiting.Text("access_token")),
		c.refused(ctx, c.north, visiting.Text("access_token")))
}

// health: whoever runs south sees which of its peers are doing well.
func (c *check) health(ctx context.Context) error {
	north, south, err := c.signInAtBoth(ctx)
	if err != nil {
		return err
	}
	raw, err := c.python.mint(nil)
	if err := errors.Join(err, c.taken(ctx, c.south, north), c.taken(ctx, c.south, raw)); err != nil {
		return err
	}
	for range c.south.instances {
		peers := probe.Get(ctx, c.http, c.south.url+"/peers", south).Body
		for _, url := range []string{c.north.url, c.python.url} {
			if peer, _ := peers[url].(map[string]any); peer["state"] != string(core.StateGood) {
				return fmt.Errorf("%s is %v", url, peer)
			}
		}
	}
	return nil
}

// claimsOf reads a token without verifying it.
func claimsOf(raw string) map[string]any {
	claims := map[string]any{}
	if token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256}); err == nil {
		_ = token.UnsafeClaimsWithoutVerification(&claims)
	}
	return claims
}
