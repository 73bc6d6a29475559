package core_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
)

// A person follows a link to a page, signs in on the way, and signs out.
func ExampleBrowser() {
	provider, err := oidctest.Start("127.0.0.1:0", oidctest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer provider.Close()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()

	auth, err := core.New(core.Config{
		Providers: []core.Provider{{Issuer: provider.Issuer, ClientID: provider.ClientID, ClientSecret: provider.ClientSecret}},
		PublicURL: server.URL + "/api", Browser: &core.Browser{},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer auth.Close()
	for _, e := range auth.Endpoints() {
		mux.Handle("/api"+e.Path, e.Handler)
	}
	mux.Handle("GET /orders", auth.Pages().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "orders of ", core.TokenFrom(r.Context()).Username())
	})))

	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	login, _ := browse(browser, http.MethodGet, server.URL+"/orders?page=2", nil)
	page, text := browse(browser, http.MethodPost, login.String(), url.Values{"username": {"alice"}, "password": {"wonderland"}})
	fmt.Println(page.RequestURI(), text)
	out, _ := browse(browser, http.MethodPost, server.URL+"/api/auth/v2/logout", nil)
	fmt.Println("signed out at the provider, too:", out.Host == login.Host)
	again, _ := browse(browser, http.MethodGet, server.URL+"/orders?page=2", nil)
	fmt.Println("the page leads to the provider again:", again.Host == login.Host)
	// Output:
	// /orders?page=2 orders of alice
	// signed out at the provider, too: true
	// the page leads to the provider again: true
}

// browse does what a browser does with a link, or with a form of a page of the same origin.
func browse(browser *http.Client, method, address string, form url.Values) (at *url.URL, text string) {
	r, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	if err != nil {
		log.Fatal(err)
	}
	r.Header = http.Header{"Accept": {"text/html"}, "Content-Type": {"application/x-www-form-urlencoded"}, "Sec-Fetch-Site": {"same-origin"}}
	res, err := browser.Do(r)
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res.Request.URL, string(body)
}
