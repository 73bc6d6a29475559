package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/oidcgate/oidcgate/examples/internal/probe"
)

// browserSteps are about people who are signed in by a cookie. The browser is one
// without JavaScript.
var browserSteps = []step{
	{"browser session: a deep link leads through the provider and back", (*check).deepLink},
	{"browser session: the session route tells who it is, and no token", (*check).sessionRoute},
	{"browser session: a bearer token decides before the cookie", (*check).bearerFirst},
	{"browser session: a form of another site is refused", (*check).crossSite},
	{"browser session: a form without a session is not sent", (*check).formTooLate},
	{"browser session: a page for a role", (*check).pageForRole},
	{"browser session: a form ends the session on another device", (*check).endsOtherDevice},
	{"browser session: a link signs nobody out, a form does", (*check).formSignsOut},
	{"browser session: another login replaces it", (*check).loginReplaces},
	{"browser session: silent sign-in comes back without a session", (*check).silentSignIn},
	{"browser session: goes on while the provider is down, and is refreshed", (*check).staleSession},
	{"browser session: ends when the provider ends it", (*check).providerEndsBrowserSession},
}

// noteLink is a deep link of the application's.
const noteLink = "/notes?about=order+42"

// signInBrowser gives a browser in which somebody is signed in.
func (c *check) signInBrowser(ctx context.Context, who probe.Person) (*probe.Browser, error) {
	b := probe.NewBrowser()
	return b, c.signInWith(ctx, b, who)
}

// signInWith opens the deep link, signs in, and has to be back at it.
func (c *check) signInWith(ctx context.Context, b *probe.Browser, who probe.Person) error {
	back, err := b.SignIn(ctx, c.app.origin+"/api/auth/v2/login?prompt=login&return_to="+url.QueryEscape(noteLink), who)
	if err != nil {
		return err
	}
	if err := c.restarted(ctx); err != nil {
		return err
	}
	return probe.InOrder(
		func() error { return b.Visit(ctx, back.String()).IsPage(http.StatusOK, noteLink, who.Name) },
		func() error { return c.restarted(ctx) },
	)
}

// deepLink: the page itself sends the browser to sign in. Its answer is kept nowhere.
func (c *check) deepLink(ctx context.Context) error {
	b := probe.NewBrowser()
	back, err := b.SignIn(ctx, c.app.origin+noteLink, probe.Alice)
	if err != nil {
		return err
	}
	if err := c.restarted(ctx); err != nil {
		return err
	}
	a := b.Visit(ctx, back.String())
	return probe.InOrder(
		func() error { return a.IsPage(http.StatusOK, noteLink, `value="order 42"`) },
		func() error { return a.Has("Cache-Control", "no-store") },
		func() error { return c.restarted(ctx) },
		func() error { return b.Visit(ctx, c.app.origin+"/").IsPage(http.StatusOK, "/", "Alice Liddell") },
		func() error { return b.Visit(ctx, back.String()).IsPage(http.StatusOK, noteLink, "alice") }, // the back button
	)
}

func (c *check) sessionRoute(ctx context.Context) error {
	b, err := c.signInBrowser(ctx, probe.Alice)
	if err != nil {
		return err
	}
	a := b.Call(ctx, c.app.publicURL+"/auth/v2/session")
	if err := a.Is(http.StatusOK, ""); err != nil {
		return err
	}
	if a.Text("sub") != "user-alice" || a.Text("name") != "Alice Liddell" {
		return fmt.Errorf("the session is of %q, %q", a.Text("sub"), a.Text("name"))
	}
	for name := range a.Body {
		if !slices.Contains([]string{"sub", "username", "name", "email", "roles", "scope", "expires"}, name) {
			return fmt.Errorf("the session route tells %s", name)
		}
	}
	return probe.NewBrowser().Call(ctx, c.app.publicURL+"/auth/v2/session").Is(http.StatusUnauthorized, "missing_token")
}

// bearerFirst: one route serves browsers and programs. A token that is sent is looked at
// alone.
func (c *check) bearerFirst(ctx context.Context) error {
	b, err := c.signInBrowser(ctx, probe.Alice)
	if err != nil {
		return err
	}
	a := b.Call(ctx, c.app.publicURL+"/me")
	if err := a.Is(http.StatusOK, ""); err != nil {
		return err
	}
	if a.Text("subject") != "user-alice" {
		return fmt.Errorf("the cookie is of %q", a.Text("subject"))
	}
	return b.CallWith(ctx, c.app.publicURL+"/me", "nonsense").Is(http.StatusUnauthorized, "invalid_token")
}

func (c *check) crossSite(ctx context.Context) error {
	b, err := c.signInBrowser(ctx, probe.Alice)
	if err != nil {
		return err
	}
	form := url.Values{"about": {"a trick"}, "text": {"I did not write this"}}
	return probe.InOrder(
		func() error {
			return b.Submit(ctx, "https://elsewhere.example", c.app.origin+"/notes", form).IsPage(http.StatusForbidden, "/notes", "cross_site")
		},
		func() error { return b.Send(ctx, c.app.origin+"/notes", form).Is(http.StatusForbidden, "cross_site") }, // who sends it, nobody says
		func() error { return c.hasNote(ctx, b, "I did not write this", false) },
		func() error {
			return b.Submit(ctx, c.app.origin, c.app.origin+"/notes", url.Values{"text": {"my own"}}).Is(http.StatusSeeOther, "")
		},
		func() error { return c.hasNote(ctx, b, "my own", true) },
	)
}

func (c *check) hasNote(ctx context.Context, b *probe.Browser, text string, want bool) error {
	a := b.Visit(ctx, c.app.origin+"/notes")
	if err := a.IsPage(http.StatusOK, "/notes", ""); err != nil {
		return err
	}
	if strings.Contains(a.Page, text) != want {
		return fmt.Errorf("the note %q is there: %t", text, !want)
	}
	return nil
}

// formTooLate: whoever has written something is not sent away from it without a word.
func (c *check) formTooLate(ctx context.Context) error {
	a := probe.NewBrowser().Submit(ctx, c.app.origin, c.app.origin+"/notes", url.Values{"text": {"lost?"}})
	return a.IsPage(http.StatusUnauthorized, "/notes", "not sent")
}

func (c *check) pageForRole(ctx context.Context) error {
	alice, err := c.signInBrowser(ctx, probe.Alice)
	if err != nil {
		return err
	}
	bob, err := c.signInBrowser(ctx, probe.Bob)
	if err != nil {
		return err
	}
	return probe.InOrder(
		func() error {
			return alice.Visit(ctx, c.app.origin+"/admin").IsPage(http.StatusOK, "/admin", "Signing keys")
		},
		func() error {
			return bob.Visit(ctx, c.app.origin+"/admin").IsPage(http.StatusForbidden, "/admin", "insufficient_claims")
		},
	)
}

// endsOtherDevice: the list on the home page has a form for each session but this one.
func (c *check) endsOtherDevice(ctx context.Context) error {
	lost, err := c.signInBrowser(ctx, probe.Bob)
	if err != nil {
		return err
	}
	here, err := c.signInBrowser(ctx, probe.Bob)
	if err != nil {
		return err
	}
	home := here.Visit(ctx, c.app.origin+"/")
	if err := home.IsPage(http.StatusOK, "/", "Firefox on Linux"); err != nil {
		return err
	}
	for _, form := range regexp.MustCompile(`name="session" value="([^"]+)"`).FindAllStringSubmatch(home.Page, -1) {
		if err := here.Submit(ctx, c.app.origin, c.app.origin+"/sessions/end", url.Values{"session": {form[1]}}).Is(http.StatusSeeOther, ""); err != nil {
			return err
		}
	}
	return probe.InOrder(
		func() error { return c.restarted(ctx) },
		func() error { return c.isSignedOut(ctx, lost) },
		func() error { return here.Visit(ctx, c.app.origin+noteLink).IsPage(http.StatusOK, noteLink, "bob") },
	)
}

// isSignedOut holds that a browser has no session here any more.
func (c *check) isSignedOut(ctx context.Context, b *probe.Browser) error {
	return b.Call(ctx, c.app.publicURL+"/me").Is(http.StatusUnauthorized, "invalid_token")
}

func (c *check) formSignsOut(ctx context.Context) error {
	b, err := c.signInBrowser(ctx, probe.Alice)
	if err != nil {
		return err
	}
	address := c.app.publicURL + "/auth/v2/logout"
	form := url.Values{"post_logout_redirect_uri": {c.app.origin + "/"}}
	var a probe.Answer
	return probe.InOrder(
		func() error { return b.Visit(ctx, address).IsPage(http.StatusOK, "/api/auth/v2/logout", "<form") },
		func() error {
			return b.Submit(ctx, "https://elsewhere.example", address, form).Is(http.StatusForbidden, "")
		},
		func() error { return b.Call(ctx, c.app.publicURL+"/me").Is(http.StatusOK, "") },
		func() error { a = b.Submit(ctx, c.app.origin, address, form); return a.Is(http.StatusFound, "") },
		func() error { return a.Has("Location", c.provider.Issuer+oidctest.EndSessionPath+"?") },
		func() error { return a.Has("Location", "id_token_hint=") },
		func() error { return c.restarted(ctx) },
		func() error { return b.Call(ctx, c.app.publicURL+"/me").Is(http.StatusUnauthorized, "missing_token") }, // the cookie is gone
		func() error {
			return b.Visit(ctx, a.Header.Get("Location")).IsPage(http.StatusOK, "/", `id="sign-in"`)
		},
	)
}

// loginReplaces: a browser has one session, that of the last login.
func (c *check) loginReplaces(ctx context.Context) error {
	b, err := c.signInBrowser(ctx, probe.Bob)
	if err != nil {
		return err
	}
	sessions := func() (ids []string, err error) {
		list, err := c.app.auth.Sessions(ctx, "user-bob")
		for _, s := range list {
			ids = append(ids, s.ID)
		}
		return ids, err
	}
	before, err := sessions()
	if err != nil {
		return err
	}
	if err := c.signInWith(ctx, b, probe.Bob); err != nil {
		return err
	}
	after, err := sessions()
	if err != nil {
		return err
	}
	if len(before) == 0 || len(after) != len(before) || slices.Contains(after, before[0]) {
		return fmt.Errorf("there were %d sessions, and are %d", len(before), len(after))
	}
	return nil
}

func (c *check) silentSignIn(ctx context.Context) error {
	b := probe.NewBrowser()
	a := b.Visit(ctx, c.app.publicURL+"/auth/v2/login?prompt=none&return_to=/")
	return probe.InOrder(
		func() error { return a.IsPage(http.StatusOK, "/", `id="sign-in"`) },
		func() error { return b.Call(ctx, c.app.publicURL+"/me").Is(http.StatusUnauthorized, "missing_token") },
	)
}

// staleSession: a provider that is down signs nobody out.
func (c *check) staleSession(ctx context.Context) error {
	second, later, err := c.withClock(ctx)
	if err != nil {
		return err
	}
	defer second.stop()
	b, err := second.signInBrowser(ctx, probe.Alice)
	if err != nil {
		return err
	}
	later(newBroker().TokenLifetime + time.Second)
	before := c.provider.Requests(oidctest.TokenPath)
	c.provider.Down(true)
	defer c.provider.Down(false)
	err = probe.InOrder(
		func() error { return b.Visit(ctx, second.app.origin+noteLink).IsPage(http.StatusOK, noteLink, "alice") },
		func() error { return second.restarted(ctx) },
		func() error { c.provider.Down(false); return nil },
		func() error { return second.restarted(ctx) }, // which remembers no outage
		func() error { return b.Visit(ctx, second.app.origin+noteLink).IsPage(http.StatusOK, noteLink, "alice") },
	)
	if err != nil {
		return err
	}
	// The page does not wait for a slow provider, and the refresh goes on.
	for end := time.Now().Add(10 * time.Second); c.provider.Requests(oidctest.TokenPath) == before; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("the session was not refreshed")
		}
	}
	return nil
}

func (c *check) providerEndsBrowserSession(ctx context.Context) error {
	second, later, err := c.withClock(ctx)
	if err != nil {
		return err
	}
	defer second.stop()
	b, err := second.signInBrowser(ctx, probe.Alice)
	if err != nil {
		return err
	}
	c.provider.EndSessions()
	later(newBroker().TokenLifetime + time.Second)
	return second.isSignedOut(ctx, b)
}
