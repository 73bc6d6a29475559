package oidctest

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// maxSteps is how many requests a login may take.
const maxSteps = 20

// Tokens is a token response (RFC 6749, section 5.1), with members that applications and
// providers add. Absent members are zero.
type Tokens struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	RefreshToken string `json:"refresh_token"`
	IDToken      string `json:"id_token"`
	Scope        string `json:"scope"`

	// How many seconds the tokens live, and when that is over, in seconds since
	// 1970.
	ExpiresIn        int64 `json:"expires_in"`
	Expires          int64 `json:"expires"`
	RefreshExpiresIn int64 `json:"refresh_expires_in"`
	RefreshExpires   int64 `json:"refresh_expires"`
}

// SignIn signs a user in to an application, like a browser without cookies. It requests
// loginURL, the application's login route, and follows the redirect to the provider. There
// it fills in the login page, and then follows all redirects, through the application's
// callback. The last answer must have status 200 and be a JSON object with an access_token.
// SignIn returns it. Otherwise the test fails and shows the answer and its URL.
func (p *Provider) SignIn(tb testing.TB, loginURL, user string) Tokens {
	tb.Helper()
	u := p.known(tb, user)
	b := p.newBrowser(nil)
	tokens, err := b.tokens(loginURL, u)
	if err != nil {
		tb.Fatalf("oidctest: %s cannot sign in at %s: %v", user, loginURL, err)
	}
	return tokens
}

// Authorize is the first part of [Provider.SignIn]. It stops before the redirect URI and
// returns it, with the code and state, or the error, in its query. So nothing needs to
// listen there, and loginURL may also be an authorization URL of the provider.
//
// The client must have a cookie jar; nil means a new client with one. A second call with the
// same client finds its user signed in at the provider. Use the same client to continue
// with the application's callback.
func (p *Provider) Authorize(tb testing.TB, client *http.Client, loginURL, user string) *url.URL {
	tb.Helper()
	u := p.known(tb, user)
	if client != nil && client.Jar == nil {
		tb.Fatalf("oidctest: the client of Authorize has no cookie jar")
	}
	target, err := p.newBrowser(client).authorize(loginURL, u)
	if err != nil {
		tb.Fatalf("oidctest: %s cannot sign in at %s: %v", user, loginURL, err)
	}
	return target
}

// Device does what a person does on the device page: it enters the user code, signs in as
// user, and approves or refuses. The test fails if no device waits with this code.
func (p *Provider) Device(tb testing.TB, userCode, user string, approve bool) {
	tb.Helper()
	u := p.known(tb, user)
	decision := "refuse"
	if approve {
		decision = "approve"
	}
	page := p.Issuer + DevicePath
	answer, err := p.newBrowser(nil).post(page, url.Values{
		"user_code": {userCode}, "username": {u.Username}, "password": {u.Password}, "decision": {decision},
	})
	if err == nil && answer.status != http.StatusOK {
		err = answer.unexpected()
	}
	if err != nil {
		tb.Fatalf("oidctest: %s cannot %s the device with the code %s: %v", user, decision, userCode, err)
	}
}

// browser goes from page to page, and looks at each redirect before it follows.
type browser struct {
	p      *Provider
	client *http.Client
}

func (p *Provider) newBrowser(client *http.Client) *browser {
	c := http.Client{}
	if client != nil {
		c = *client
	} else {
		// With no connection kept, nothing is left running after the test.
		c.Transport = &http.Transport{DisableKeepAlives: true}
		c.Jar, _ = cookiejar.New(nil) // fails only for options that are not used
		c.Timeout = time.Minute
	}
	if c.Transport == nil {
		c.Transport = http.DefaultTransport
	}
	c.Transport = transport{p, c.Transport}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{p, &c}
}

// transport takes requests to the issuer to where the provider listens: the
// issuer may be an address that leads there only in production.
type transport struct {
	p    *Provider
	base http.RoundTripper
}

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.p.at(r.URL) {
		return t.base.RoundTrip(r)
	}
	listens, err := url.Parse(t.p.url)
	if err != nil {
		return nil, err
	}
	there := r.Clone(r.Context())
	there.Host = r.URL.Host
	there.URL.Scheme, there.URL.Host = listens.Scheme, listens.Host
	return t.base.RoundTrip(there)
}

// at tells whether a URL is one of the provider.
func (p *Provider) at(u *url.URL) bool {
	origin := u.Scheme + "://" + u.Host
	if origin == p.url {
		return true
	}
	rest, ok := strings.CutPrefix(origin+u.EscapedPath(), p.Issuer)
	return ok && (rest == "" || rest[0] == '/')
}

// page is an answer that a browser has got.
type page struct {
	url    *url.URL
	status int
	next   *url.URL // where it redirects to, or nil
	body   []byte
}

func (b *browser) get(target string) (*page, error) {
	request, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	return b.do(request)
}

func (b *browser) post(target string, form url.Values) (*page, error) {
	request, err := http.NewRequest(http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(request)
}

func (b *browser) do(request *http.Request) (*page, error) {
	response, err := b.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", request.URL, err)
	}
	got := &page{url: request.URL, status: response.StatusCode, body: body}
	if got.status >= 300 && got.status < 400 && response.Header.Get("Location") != "" {
		if got.next, err = response.Location(); err != nil {
			return nil, fmt.Errorf("%s redirects to what is no URL: %w", request.URL, err)
		}
	}
	return got, nil
}

// authorize follows redirects to the provider, signs in if it is asked to, and
// returns the first that leads away from there.
func (b *browser) authorize(start string, user *User) (*url.URL, error) {
	got, err := b.get(start)
	for range maxSteps {
		if err != nil {
			return nil, err
		}
		here := b.p.at(got.url)
		switch {
		case got.next != nil && here && !b.p.at(got.next):
			return got.next, nil
		case got.next != nil:
			got, err = b.get(got.next.String())
		case here && b.p.path(got.url.Path) == LoginPath && got.status == http.StatusOK:
			got, err = b.post(got.url.String(), url.Values{"username": {user.Username}, "password": {user.Password}})
		case here:
			return nil, got.unexpected()
		default:
			return nil, fmt.Errorf("%w, where a redirect to the provider was expected", got.unexpected())
		}
	}
	return nil, fmt.Errorf("no end after %d requests, the last to %s", maxSteps, got.url)
}

// tokens goes all the way to the application's token answer.
func (b *browser) tokens(start string, user *User) (tokens Tokens, err error) {
	next, err := b.authorize(start, user)
	for range maxSteps {
		if err != nil {
			return tokens, err
		}
		got, err := b.get(next.String())
		if err != nil {
			return tokens, err
		}
		if next = got.next; next != nil {
			continue
		}
		if got.status != http.StatusOK || json.Unmarshal(got.body, &tokens) != nil || tokens.AccessToken == "" {
			return tokens, fmt.Errorf("%w, where a token answer was expected", got.unexpected())
		}
		return tokens, nil
	}
	return tokens, fmt.Errorf("no end after %d redirects, the last to %s", maxSteps, next)
}

var (
	unseen = regexp.MustCompile(`(?s)<(style|head|aside)\b.*?</(style|head|aside)>|<[^>]*>`)
	spaces = regexp.MustCompile(`\s+`)
)

// unexpected is an error that shows where the browser is and what it sees.
func (g *page) unexpected() error {
	if g.next != nil {
		return fmt.Errorf("%s redirects (%d) to %s", g.url, g.status, g.next)
	}
	text := html.UnescapeString(unseen.ReplaceAllString(string(g.body), " "))
	text = strings.TrimSpace(spaces.ReplaceAllString(text, " "))
	if len(text) > 500 {
		text = text[:500] + "…"
	}
	return fmt.Errorf("%s answers %d: %s", g.url, g.status, text)
}
