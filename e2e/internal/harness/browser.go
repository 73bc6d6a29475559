package harness

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
)

// Person is somebody who fills in a provider's forms.
type Person struct {
	Name, Password string
	Code           string // what a device shows
	Refuses        bool   // presses the button that says no, where there is one
}

// Browser keeps cookies, follows redirects and fills in forms. It runs no scripts.
type Browser struct {
	client http.Client
	stops  []string
}

// NewBrowser gives one in which nobody is signed in. It does not follow a redirect to
// one of stops, whatever its query: nobody has to listen there.
func NewBrowser(stops ...string) *Browser {
	jar, _ := cookiejar.New(nil) // fails only for options that are not used
	b := &Browser{stops: stops}
	b.client = http.Client{
		Jar:       loopbackJar{jar},
		Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(request *http.Request, via []*http.Request) error {
			if request.Method == http.MethodGet {
				request.Header.Del("Origin") // which browsers send with no GET of a page (Fetch 3.2)
			}
			if len(via) > 15 {
				return errors.New("too many redirects")
			}
			if b.stopsAt(request.URL) {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	return b
}

func (b *Browser) stopsAt(u *url.URL) bool {
	return slices.Contains(b.stops, u.Scheme+"://"+u.Host+u.Path)
}

// loopbackJar treats loopback as secure, as browsers do.
type loopbackJar struct{ http.CookieJar }

func (j loopbackJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.CookieJar.SetCookies(overTLS(u), cookies)
}

func (j loopbackJar) Cookies(u *url.URL) []*http.Cookie { return j.CookieJar.Cookies(overTLS(u)) }

func overTLS(u *url.URL) *url.URL {
	secure := *u
	secure.Scheme = "https"
	return &secure
}

// Open opens an address.
func (b *Browser) Open(ctx context.Context, address string) Answer {
	return b.navigate(ctx, address, nil, nil)
}

// navigate asks for a page. By what a browser accepts Keycloak tells a form of its own
// from a device's request to the same address.
// A form tells the page that it is sent from.
func (b *Browser) navigate(ctx context.Context, address string, from *url.URL, form url.Values) Answer {
	return send(ctx, &b.client, address, form, func(header http.Header) {
		header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
		if from != nil {
			header.Set("Origin", from.Scheme+"://"+from.Host)
		}
	})
}

// Post sends a form, as a page's script does, with the cookies.
func (b *Browser) Post(ctx context.Context, address string, form url.Values) Answer {
	return Send(ctx, &b.client, address, "", form)
}

// SignIn opens an address and fills in each form that follows, until there is none, or
// the browser stops. The answer is the last one.
func (b *Browser) SignIn(ctx context.Context, address string, who Person) Answer {
	answer := b.Open(ctx, address)
	asked := 0 // for the password
	for answer.Err == nil {
		form := findForm(answer)
		if form == nil || answer.Header.Get("Location") != "" {
			return answer
		}
		if form.password {
			if asked++; asked > 1 {
				return Answer{Err: fmt.Errorf("%s asks for the password again", answer.URL)}
			}
		}
		answer = b.submit(ctx, form, who)
		if who.Refuses && form.refusable() {
			return answer // whatever form follows, it is another beginning
		}
	}
	return answer
}

// Back opens a login, signs in, and gives the address of the stop to which the browser
// is sent.
func (b *Browser) Back(ctx context.Context, login string, who Person) (*url.URL, error) {
	answer := b.SignIn(ctx, login, who)
	if answer.Err != nil {
		return nil, answer.Err
	}
	back, err := answer.URL.Parse(answer.Header.Get("Location"))
	if err != nil || !b.stopsAt(back) {
		return nil, fmt.Errorf("the browser ended at %s with %d %s, not at the client", answer.URL.Path, answer.Status, shortened(answer.Text))
	}
	return back, nil
}

// AsksForPassword opens an address, and tells whether it ends at a form for a password.
func (b *Browser) AsksForPassword(ctx context.Context, address string) (bool, error) {
	answer := b.Open(ctx, address)
	if answer.Err != nil {
		return false, answer.Err
	}
	form := findForm(answer)
	return form != nil && form.password, nil
}

func (b *Browser) submit(ctx context.Context, f *form, who Person) Answer {
	values := f.values(who)
	if f.method == http.MethodPost {
		return b.navigate(ctx, f.action.String(), f.page, values)
	}
	target := *f.action
	target.RawQuery = values.Encode()
	return b.Open(ctx, target.String())
}

func shortened(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return text[:min(len(text), 300)]
}
