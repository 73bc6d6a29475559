package core

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/address"
	"github.com/oidcgate/oidcgate/core/internal/broker"
	"github.com/oidcgate/oidcgate/core/internal/browser"
	"github.com/oidcgate/oidcgate/core/internal/session"
)

// DefaultStaleFor is the default of Browser.StaleFor.
const DefaultStaleFor = time.Hour

// Browser, in a [Config], keeps people signed in by a cookie: no token reaches the browser
// (RFC 10017, the pattern "Backend For Frontend"). A login that ends at the callback route
// sets the cookie and leads to a page of the application. Guards accept the cookie of a
// request that has no Authorization header. The session is the Broker's, so that its
// lifetimes apply; without Config.Broker it is the zero one. The zero Browser is safe and
// complete.
//
// The cookie has the prefix __Host- on https, and is HttpOnly and SameSite=Lax. Its value
// names the session and proves nothing but that; a copy of the database can't make one.
//
// When Broker.TokenLifetime has passed since the last refresh, the next request refreshes
// the session at the provider, once for all requests at all replicas. A guard remembers a
// session for Broker.CheckSession, or 30 seconds if that is 0: so long a session that
// another replica has ended can go on.
type Browser struct {
	// LandingPath is the path of the page on which a login ends that names no return_to. It
	// begins with one slash, and may have a query. "": "/".
	LandingPath string
	// ErrorPath is the path of the page on which a login ends that failed, with error and
	// error_description (RFC 6749 4.1.2.1) in the query. It must be open to people who are not
	// signed in. "": a page of this package.
	ErrorPath string
	// StaleFor is how long a session can be used after it was to be refreshed, while the
	// provider is down. It is as well how long a session lasts for which the provider gave no
	// refresh token. 0: an hour; negative: not at all.
	StaleFor time.Duration
	// Persistent keeps people signed in when they close the browser: the cookie gets a
	// Max-Age. false: the cookie is a session cookie.
	Persistent bool
	// AllowOrigins are other origins of the same site, such as https://app.example.org, whose
	// pages may send requests by cookie. They are compared exactly, so patterns are errors. The
	// application's CORS middleware must allow them, too. nil: the origin of PublicURL alone.
	AllowOrigins []string
}

// rememberBrowser is how long guards remember a browser's session where
// Broker.CheckSession does not say.
const rememberBrowser = 30 * time.Second

func (b *Browser) withDefaults() *Browser {
	if b == nil {
		return nil
	}
	c := *b
	setDefault(&c.LandingPath, "/")
	setDefault(&c.StaleFor, DefaultStaleFor)
	c.StaleFor = max(c.StaleFor, 0)
	c.AllowOrigins = slices.Clone(c.AllowOrigins)
	return &c
}

// check reports what is wrong with the configuration of browser sessions.
func (b *Browser) check(c Config) (problems []error) {
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf("Config."+format, args...)) }
	for name, path := range map[string]string{"Login": c.Routes.Login, "Callback": c.Routes.Callback, "Logout": c.Routes.Logout} {
		if path == Off {
			wrong("Routes.%s is off: with Config.Browser people sign in and out there", name)
		}
	}
	if err := browser.CheckReturn(b.LandingPath); err != nil {
		wrong("Browser.LandingPath %q %w", b.LandingPath, err)
	}
	if err := browser.CheckReturn(b.ErrorPath); b.ErrorPath != "" && err != nil {
		wrong("Browser.ErrorPath %q %w", b.ErrorPath, err)
	}
	if strings.Contains(b.ErrorPath, "#") {
		wrong("Browser.ErrorPath %q must have no fragment: the error is put into its query", b.ErrorPath)
	}
	for _, origin := range b.AllowOrigins {
		u, err := address.Absolute(origin)
		if err == nil {
			err = address.Check(origin, c.InsecurePublicHTTP)
		}
		switch {
		case strings.Contains(origin, "*"):
			wrong("Browser.AllowOrigins %q is a pattern, which would let in too many: list each origin", address.Shown(origin))
		case err != nil:
			wrong("Browser.AllowOrigins %q: %w", address.Shown(origin), err)
		case address.Origin(u) != origin:
			wrong("Browser.AllowOrigins %q is not an origin as browsers write it: use %q", address.Shown(origin), address.Origin(u))
		}
	}
	return problems
}

// rememberFor is how long guards remember a browser's session; 0: there are none.
func (c Config) rememberFor() time.Duration {
	switch {
	case c.Browser == nil:
		return 0
	case c.Broker.CheckSession > 0:
		return c.Broker.CheckSession
	}
	return min(rememberBrowser, c.Broker.TokenLifetime)
}

// staleFor is how long a browser's session goes on after it was to be refreshed.
func (c Config) staleFor() time.Duration {
	if c.Browser == nil {
		return 0
	}
	return c.Browser.StaleFor
}

// hasBrowsers reports whether browsers have sessions here.
func (c Config) hasBrowsers() bool { return c.Browser != nil }

// sessionCookieName is the name of a session's cookie. It tells applications on one host
// apart, which get each other's cookies: ports and paths keep no cookie away.
func (c Config) sessionCookieName() string {
	hash := sha256.Sum256([]byte(c.provider().ClientID + " " + c.PublicURL))
	name := "oidcgate-session-" + hex.EncodeToString(hash[:4])
	if c.secureCookies() {
		return "__Host-" + name
	}
	return name
}

// ownOrigins are the origins whose pages may send requests by cookie.
func (c Config) ownOrigins() []string {
	public, err := url.Parse(c.PublicURL)
	if err != nil || c.Browser == nil {
		return nil
	}
	return append([]string{address.Origin(public)}, c.Browser.AllowOrigins...)
}

// sessionCookie gives the cookie of a request's session; "" if there is none.
func (a *Auth) sessionCookie(header []string) (string, error) {
	cookie, err := browser.Cookie(header, a.sessionCookieName)
	if err != nil {
		return "", ErrInvalidRequest.because("The request has more than one session cookie. Delete the cookies of this site, and sign in again.").from(err)
	}
	return cookie, nil
}

// foreign reports whether a page of another origin may have sent a request by cookie.
func (a *Auth) foreign(request Request) bool {
	return browser.Sender{Method: request.Method, Origin: request.Origin, FetchSite: request.FetchSite}.Foreign(a.origins)
}

// browserSession gives the session of a request by cookie.
func (a *Auth) browserSession(ctx context.Context, request Request) (*broker.BrowserSession, error) {
	cookie, err := a.sessionCookie(request.Cookie)
	switch {
	case err != nil:
		return nil, err
	case cookie == "":
		return nil, ErrMissingToken.because("Sign in, or send a bearer token in the Authorization header.")
	case a.foreign(request):
		return nil, ErrCrossSite
	}
	return a.broker.Browser(ctx, cookie)
}

// browserToken is browserSession for guards.
func (a *Auth) browserToken(ctx context.Context, request Request) (Token, error) {
	found, err := a.browserSession(ctx, request)
	if err != nil {
		return Token{}, err
	}
	return Token{found.Token}, nil
}

// signInBrowser ends a login with the cookie of a new session. The session that the browser
// had before ends.
func (a *Auth) signInBrowser(w http.ResponseWriter, r *http.Request, cookie string) {
	before, _ := a.sessionCookie(r.Header["Cookie"])
	if id := a.broker.CookieSession(before); id != "" {
		_, err := a.broker.End(r.Context(), broker.Filter{Session: id}, session.ReasonReplaced)
		a.complaints.note(r.Context(), "ending the session that a browser had before a login, without which logins go on", err)
	}
	http.SetCookie(w, a.cookie(a.sessionCookieName, cookie, a.config.cookieAge()))
}

// maxCookieAge is the longest Max-Age that browsers take (RFC 6265bis 5.5).
const maxCookieAge = 400 * 24 * time.Hour

// cookieAge is the Max-Age of a session's cookie in seconds; 0: it has none.
func (c Config) cookieAge() int {
	if !c.Browser.Persistent {
		return 0
	}
	return int(min(c.Broker.SessionLifetime, maxCookieAge).Seconds())
}

// isSignedIn reports whether a request is of a browser whose session goes on. It fails
// while that can't be known.
func (a *Auth) isSignedIn(r *http.Request) (bool, error) {
	if a.config.Browser == nil {
		return false, nil
	}
	_, err := a.browserSession(r.Context(), RequestOf(r))
	if retryable(err) {
		return false, err
	}
	return err == nil, nil
}

// failCallback answers a callback that failed: with a page, as a person waits for one.
func (a *Auth) failCallback(w http.ResponseWriter, r *http.Request, err error) {
	if a.config.Browser == nil {
		a.writePage(w, r, err)
		return
	}
	e := answerTo(err)
	if a.config.Browser.ErrorPath == "" {
		WriteError(w, a.failurePage(e, a.returnOf(r.URL.Query().Get("state"))))
		return
	}
	failed := url.Values{"error": {e.Code}, "error_description": {e.Description}}
	redirect(w, address.WithParams(a.config.Browser.ErrorPath, failed), http.StatusSeeOther)
}

// sessionBody is the answer of the session route. What is unknown is left out.
type sessionBody struct {
	Subject  string   `json:"sub"`
	Username string   `json:"username,omitempty"`
	Name     string   `json:"name,omitempty"`
	Email    string   `json:"email,omitempty"`
	Roles    []string `json:"roles"`
	Scope    string   `json:"scope,omitempty"`
	Expires  int64    `json:"expires"`
}

// serveSession tells a page who is signed in. It never gives a token.
func (a *Auth) serveSession(w http.ResponseWriter, r *http.Request) error {
	found, err := a.browserSession(r.Context(), RequestOf(r))
	if err != nil {
		return err
	}
	token := Token{found.Token}
	body := sessionBody{
		Subject: token.Subject(), Username: token.Username(), Name: found.Token.Claims.Text("name"), Email: token.Email(),
		Roles: token.Roles(), Scope: found.Token.Claims.Text("scope"), Expires: found.Ends.Unix(),
	}
	if body.Roles == nil {
		body.Roles = []string{}
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

// cookieLogout tells whose session a logout by cookie is to end; "" if there is no such
// session. confirm: the person must confirm it first, as any page can send one here by a
// link.
func (a *Auth) cookieLogout(r *http.Request) (id string, confirm bool, err error) {
	if a.config.Browser == nil {
		return "", false, nil
	}
	cookie, err := a.sessionCookie(r.Header["Cookie"])
	if err != nil {
		return "", false, err
	}
	if id = a.broker.CookieSession(cookie); id == "" {
		return "", false, nil
	}
	if r.Method != http.MethodGet {
		if a.foreign(RequestOf(r)) {
			return "", false, ErrCrossSite
		}
		return id, false, nil
	}
	err = a.broker.Live(r.Context(), id)
	if errors.Is(err, broker.ErrSessionEnded) {
		return "", false, nil
	}
	return id, err == nil, err
}

// clearSession takes away the cookie of a session that has ended. It is empty, and gone in a
// second: Chromium does not notice a cookie that is deleted at once, and would go on showing
// the pages of the session when the person goes back.
func (a *Auth) clearSession(w http.ResponseWriter, r *http.Request) {
	if a.config.Browser == nil {
		return
	}
	if cookie, err := a.sessionCookie(r.Header["Cookie"]); err == nil && cookie != "" {
		http.SetCookie(w, a.cookie(a.sessionCookieName, "", 1))
	}
}

// failLogout answers a logout that failed: with a page where browsers have sessions.
func (a *Auth) failLogout(w http.ResponseWriter, r *http.Request, err error) {
	e := answerTo(err)
	switch {
	case a.config.Browser == nil || !prefersHTML(r.Header["Accept"]):
		e = e.on(nil)
	case e.page == nil:
		e = e.on(&page{Title: "You are not signed out", Text: e.Description, Code: e.Code})
	}
	WriteError(w, e)
}
