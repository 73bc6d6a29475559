package oidctest_test

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/url"

	"github.com/oidcgate/oidcgate/core/oidctest"
)

// A program signs a person in by plain HTTP and asks the provider who they are.
func Example() {
	provider, err := oidctest.Start("127.0.0.1:0", oidctest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer provider.Close()

	// The login page, as the person's browser gets it. The redirect URI is not
	// requested here: it only shows the code.
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Host == "app.example" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	page, err := browser.Get(provider.Issuer + oidctest.AuthorizePath + "?" + url.Values{
		"client_id":     {provider.ClientID},
		"redirect_uri":  {"https://app.example/callback"},
		"response_type": {"code"},
		"scope":         {"openid email"},
	}.Encode())
	if err != nil {
		log.Fatal(err)
	}
	page.Body.Close()
	answer, err := browser.PostForm(page.Request.URL.String(), url.Values{"username": {"alice"}, "password": {"wonderland"}})
	if err != nil {
		log.Fatal(err)
	}
	answer.Body.Close()
	callback, err := answer.Location()
	if err != nil {
		log.Fatal(err)
	}

	// The application's side.
	answer, err = http.PostForm(provider.Issuer+oidctest.TokenPath, url.Values{
		"grant_type":    {"authorization_code"},
		"client_id":     {provider.ClientID},
		"client_secret": {provider.ClientSecret},
		"redirect_uri":  {"https://app.example/callback"},
		"code":          {callback.Query().Get("code")},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	var tokens oidctest.Tokens
	if err := json.NewDecoder(answer.Body).Decode(&tokens); err != nil {
		log.Fatal(err)
	}

	request, _ := http.NewRequest(http.MethodGet, provider.Issuer+oidctest.UserinfoPath, nil)
	request.Header.Set("Authorization", "Bearer "+tokens.AccessToken)
	answer, err = http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	var person struct{ Sub, Email string }
	if err := json.NewDecoder(answer.Body).Decode(&person); err != nil {
		log.Fatal(err)
	}
	fmt.Println(person.Sub, person.Email)
	// Output: user-alice alice@example.com
}

// A program hands developers tokens to try requests with.
func ExampleProvider_Issue() {
	provider, err := oidctest.Start("127.0.0.1:0", oidctest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer provider.Close()

	token, err := provider.Issue("alice", "openid", "orders:read")
	if err != nil {
		log.Fatal(err)
	}
	request, _ := http.NewRequest(http.MethodGet, provider.Issuer+oidctest.UserinfoPath, nil)
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	fmt.Println(answer.Status)

	_, err = provider.Issue("carol")
	fmt.Println(err)
	// Output:
	// 200 OK
	// oidctest: there is no user "carol", only alice, bob
}
