package core_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
)

// Any router serves the endpoints as they are; here it is net/http's, with a
// guarded route of the application's own.
func Example() {
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
		PublicURL: server.URL + "/api",
		Secrets:   []string{"bWFrZSBvbmUgd2l0aCBvcGVuc3NsIHJhbmQgLWJhc2U2NA=="},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer auth.Close()
	for _, e := range auth.Endpoints() {
		mux.Handle("/api"+e.Path, e.Handler)
	}
	mux.Handle("/api/orders", auth.Required(core.AnyRole("admin")).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello ", core.TokenFrom(r.Context()).Username())
	})))

	for _, user := range []string{"alice", "bob"} {
		token := signIn(server.URL+"/api/auth/v2/login", user)
		req, _ := http.NewRequest(http.MethodGet, server.URL+"/api/orders", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		fmt.Println(user, res.StatusCode)
		if res.StatusCode == http.StatusOK {
			fmt.Println(string(body))
		}
	}
	// Output:
	// alice 200
	// hello alice
	// bob 403
}

// signIn does what a person with a browser does.
func signIn(loginURL, user string) (accessToken string) {
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	page, err := browser.Get(loginURL)
	if err != nil {
		log.Fatal(err)
	}
	page.Body.Close()
	passwords := map[string]string{"alice": "wonderland", "bob": "builder"}
	answer, err := browser.PostForm(page.Request.URL.String(), url.Values{"username": {user}, "password": {passwords[user]}})
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	var tokens struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&tokens); err != nil {
		log.Fatal(err)
	}
	return tokens.AccessToken
}

// In broker mode the application mints tokens of its own. Here it takes the
// user's roles from a place of its own, too.
func ExampleBroker() {
	provider, err := oidctest.Start("127.0.0.1:0", oidctest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer provider.Close()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()

	roles := map[string][]string{"user-bob": {"editor"}}
	auth, err := core.New(core.Config{
		Providers: []core.Provider{{Issuer: provider.Issuer, ClientID: provider.ClientID, ClientSecret: provider.ClientSecret}},
		PublicURL: server.URL + "/api",
		Secrets:   []string{"bWFrZSBvbmUgd2l0aCBvcGVuc3NsIHJhbmQgLWJhc2U2NA=="},
		Broker: &core.Broker{
			Algorithm: "ES256",
			Identify: func(_ context.Context, who *core.Identity) error {
				if who.Roles = roles[who.Subject]; who.Roles == nil {
					return core.Refuse("You have no role here.")
				}
				return nil
			},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer auth.Close()
	for _, e := range auth.Endpoints() {
		mux.Handle("/api"+e.Path, e.Handler)
	}

	token, err := auth.Verify(context.Background(), signIn(server.URL+"/api/auth/v2/login", "bob"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ours:", token.Issuer() == server.URL+"/api")
	fmt.Println(token.Username(), token.Roles(), time.Until(token.Expiry()).Round(time.Minute))
	// Output:
	// ours: true
	// bob [editor] 15m0s
}

// New reports every mistake of a configuration at once.
func ExampleNew() {
	_, err := core.New(core.Config{Providers: []core.Provider{{Issuer: "http://id.example.org"}}, PublicURL: "https://shop.example.org/"})
	fmt.Println(err)
	// Output:
	// Config.Providers[0].Issuer "http://id.example.org": must be https; http is for loopback (127.0.0.1, [::1], localhost)
	// Config.Providers[0].ClientID is missing: the name under which the provider knows this application
	// Config.PublicURL "https://shop.example.org/": must not end in a slash nor have a query
}

// Health is for a probe or a dashboard.
func ExampleAuth_Health() {
	provider, err := oidctest.Start("127.0.0.1:0", oidctest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer provider.Close()
	auth, err := core.New(core.Config{
		Providers: []core.Provider{{Issuer: provider.Issuer, ClientID: provider.ClientID, ClientSecret: provider.ClientSecret}},
		PublicURL: "http://localhost:8080/api",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer auth.Close()
	fmt.Println(auth.Health().Keys.State)
	if err := auth.Start(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(auth.Health().Keys.State, auth.Health().Err())
	// Output:
	// unknown
	// good <nil>
}

// A claim that the library has no method for is decoded into a type of the
// application's own.
func ExampleClaimsFrom() {
	type person struct {
		Department string `json:"department"`
	}
	_ = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, err := core.ClaimsFrom[person](r.Context())
		if err != nil {
			core.WriteError(w, err)
			return
		}
		fmt.Fprintln(w, claims.Department)
	})
}
