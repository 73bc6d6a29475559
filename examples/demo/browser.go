package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"github.com/oidcgate/oidcgate/core/oidctest"
)

// browser is what a person needs: it keeps cookies, follows redirects and sends
// forms. It stops at the redirect that a form is answered with, so that the
// check sees it.
type browser struct{ http http.Client }

func newBrowser() *browser {
	jar, _ := cookiejar.New(nil) // fails only for options that are not used
	return &browser{http.Client{
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

// signIn opens an application's login, fills in the page of the provider that it
// leads to, and gives the URL to which the provider sends the browser back.
func (b *browser) signIn(ctx context.Context, loginURL string, who person) (*url.URL, error) {
	page, err := b.open(ctx, loginURL)
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

// decide opens the page where a device's code is typed, signs in, and approves
// or refuses.
func (b *browser) decide(ctx context.Context, verificationURI, userCode string, who person, decision string) error {
	sent, err := b.send(ctx, verificationURI, url.Values{
		"user_code": {userCode}, "username": {who.Name}, "password": {who.Password}, "decision": {decision},
	})
	if err == nil && sent.StatusCode != http.StatusOK {
		err = fmt.Errorf("the provider's device page answered %s", sent.Status)
	}
	return err
}

// call opens an address and reads the answer.
func (b *browser) call(ctx context.Context, address string) answer {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return answer{err: err}
	}
	return read(b.http.Do(request))
}

func (b *browser) open(ctx context.Context, address string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	return b.do(request)
}

func (b *browser) send(ctx context.Context, address string, form url.Values) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(request)
}

// do gives an answer whose body nobody reads.
func (b *browser) do(request *http.Request) (*http.Response, error) {
	response, err := b.http.Do(request)
	if err == nil {
		response.Body.Close()
	}
	return response, err
}
