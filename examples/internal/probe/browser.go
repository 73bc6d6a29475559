package probe

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"github.com/oidcgate/oidcgate/core/oidctest"
)

// Person is somebody who can sign in at the provider.
type Person struct{ Name, Password string }

// The users whom oidctest knows by default. Alice has the role admin.
var (
	Alice = Person{"alice", "wonderland"}
	Bob   = Person{"bob", "builder"}
)

// Browser is what a person needs: it keeps cookies, follows redirects and sends
// forms. It stops at the redirect that a form is answered with, so that the
// check sees it.
type Browser struct{ http http.Client }

// NewBrowser gives one in which nobody is signed in.
func NewBrowser() *Browser {
	jar, _ := cookiejar.New(nil) // fails only for options that are not used
	return &Browser{http.Client{
		Jar: jar,
		// With no connection kept, nothing is left running.
		Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if via[len(via)-1].Method == http.MethodPost || len(via) > 10 {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}}
}

// SignIn opens an application's login, fills in the page of the provider that it
// leads to, and gives the URL to which the provider sends the browser back.
func (b *Browser) SignIn(ctx context.Context, loginURL string, who Person) (*url.URL, error) {
	page, err := b.Open(ctx, loginURL)
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(page.Request.URL.Path, oidctest.LoginPath) {
		return nil, fmt.Errorf("the login answered %s at %s, expected the provider's page", page.Status, page.Request.URL.Path)
	}
	sent, err := b.send(ctx, page.Request.URL.String(), url.Values{"username": {who.Name}, "password": {who.Password}})
	if err != nil {
		return nil, err
	}
	if sent.StatusCode != http.StatusSeeOther {
		return nil, fmt.Errorf("the provider's login page answered %s", sent.Status)
	}
	return sent.Location()
}

// Decide opens the page where a device's code is typed, signs in, and approves
// or refuses.
func (b *Browser) Decide(ctx context.Context, verificationURI, userCode string, who Person, decision string) error {
	sent, err := b.send(ctx, verificationURI, url.Values{
		"user_code": {userCode}, "username": {who.Name}, "password": {who.Password}, "decision": {decision},
	})
	if err == nil && sent.StatusCode != http.StatusOK {
		err = fmt.Errorf("the provider's device page answered %s", sent.Status)
	}
	return err
}

// Call requests an address, as a page's script does, and reads the answer.
func (b *Browser) Call(ctx context.Context, address string) Answer {
	return b.CallWith(ctx, address, "")
}

// CallWith is Call with a token, if it is not "".
func (b *Browser) CallWith(ctx context.Context, address, token string) Answer {
	return Get(ctx, &b.http, address, token)
}

// Send sends a form, as a page's script does, and reads the answer.
func (b *Browser) Send(ctx context.Context, address string, form url.Values) Answer {
	return Post(ctx, &b.http, address, "", form)
}

// Open opens an address and gives the answer without its body.
func (b *Browser) Open(ctx context.Context, address string) (*http.Response, error) {
	request, err := navigation(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	return b.do(request)
}

// Copy gives another browser that has the cookies of a host, as a thief has them.
func (b *Browser) Copy(of *url.URL) *Browser {
	c, root := NewBrowser(), &url.URL{Scheme: of.Scheme, Host: of.Host, Path: "/"}
	c.http.Jar.SetCookies(root, b.http.Jar.Cookies(root))
	return c
}

// Visit opens an address, as a person does who types it, and reads the page that it leads to.
func (b *Browser) Visit(ctx context.Context, address string) Answer {
	request, err := navigation(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Answer{Err: err}
	}
	return read(b.http.Do(request))
}

// Submit sends a form of a page that has this origin, and reads the answer. Where that is
// a redirect, Location has it.
func (b *Browser) Submit(ctx context.Context, origin, address string, form url.Values) Answer {
	request, err := navigation(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return Answer{Err: err}
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Origin", origin)
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	if origin != request.URL.Scheme+"://"+request.URL.Host {
		request.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	return read(b.http.Do(request))
}

// navigation is a request of a browser for a page.
func navigation(ctx context.Context, method, address string, body io.Reader) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	request.Header.Set("Sec-Fetch-Mode", "navigate")
	request.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	return request, nil
}

func (b *Browser) send(ctx context.Context, address string, form url.Values) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(request)
}

// do gives an answer whose body nobody reads.
func (b *Browser) do(request *http.Request) (*http.Response, error) {
	response, err := b.http.Do(request)
	if err == nil {
		response.Body.Close()
	}
	return response, err
}
