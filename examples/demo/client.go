package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// afterLogin is the redirect URI of a client that listens on loopback. Nothing
// has to listen there: the check's browser stops before it.
const afterLogin = "http://127.0.0.1/after-login"

// client is golang.org/x/oauth2 as any program would configure it, with the
// application's routes for endpoints.
func (c *check) client() *oauth2.Config {
	return &oauth2.Config{
		ClientID:    c.provider.ClientID,
		RedirectURL: afterLogin,
		Endpoint: oauth2.Endpoint{
			AuthURL:       c.app.publicURL + "/auth/v2/login",
			TokenURL:      c.app.publicURL + "/auth/v2/token",
			DeviceAuthURL: c.app.publicURL + "/auth/v2/device",
			// The routes want no client authentication. Left to find out by itself,
			// x/oauth2 would send every request that is refused a second time.
			AuthStyle: oauth2.AuthStyleInParams,
		},
	}
}

// withClient has x/oauth2 and go-oidc use the check's HTTP client.
func (c *check) withClient(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, c.http)
}

// signIn signs somebody in to the application.
func (c *check) signIn(ctx context.Context, who person, scopes ...string) (*oauth2.Token, error) {
	return c.signInBy(ctx, c.client(), who, scopes)
}

// signInAtProvider signs somebody in at the provider itself, for its own tokens.
func (c *check) signInAtProvider(ctx context.Context, who person) (*oauth2.Token, error) {
	provider, err := oidc.NewProvider(c.withClient(ctx), c.provider.Issuer)
	if err != nil {
		return nil, err
	}
	return c.signInBy(ctx, &oauth2.Config{
		ClientID: c.provider.ClientID, ClientSecret: c.provider.ClientSecret,
		RedirectURL: afterLogin, Endpoint: provider.Endpoint(),
	}, who, []string{"openid", "profile", "email"})
}

// signInBy signs somebody in with x/oauth2 and its own PKCE. With -restart every
// login ends after a restart, and every step that signs in has tokens from before.
func (c *check) signInBy(ctx context.Context, client *oauth2.Config, who person, scopes []string) (*oauth2.Token, error) {
	client.Scopes = scopes
	verifier := oauth2.GenerateVerifier()
	back, err := newBrowser().signIn(ctx, client.AuthCodeURL("my state", oauth2.S256ChallengeOption(verifier)), who)
	if err != nil {
		return nil, err
	}
	if state := back.Query().Get("state"); state != "my state" {
		return nil, fmt.Errorf("the client's state came back as %q", state)
	}
	if err := c.restarted(ctx); err != nil {
		return nil, err
	}
	tokens, err := client.Exchange(c.withClient(ctx), back.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return nil, err
	}
	return tokens, c.restarted(ctx)
}

// answer is what the application has answered, or why there is none.
type answer struct {
	err    error
	status int
	header http.Header
	body   map[string]any
}

// get requests one of the application's routes, with a token if there is one.
func (c *check) get(ctx context.Context, path, token string) answer {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.app.local+path, nil)
	if err != nil {
		return answer{err: err}
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return read(c.http.Do(request))
}

// post sends a form to one of the application's routes.
func (c *check) post(ctx context.Context, path string, form url.Values) answer {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.app.local+path, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{err: err}
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return read(c.http.Do(request))
}

// refreshBy redeems a refresh token.
func (c *check) refreshBy(ctx context.Context, token string) answer {
	return c.post(ctx, "/auth/v2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

func read(response *http.Response, err error) answer {
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	a := answer{status: response.StatusCode, header: response.Header}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		a.err = json.NewDecoder(response.Body).Decode(&a.body)
	}
	return a
}

// text is a member of the answer, "" when it is none or no text.
func (a answer) text(name string) string {
	text, _ := a.body[name].(string)
	return text
}

// is holds an answer against a status and an error code, "" for none.
func (a answer) is(status int, code string) error {
	switch {
	case a.err != nil:
		return a.err
	case a.status != status || a.text("error") != code:
		return fmt.Errorf("answered %d %s %s, expected %d %s", a.status, a.text("error"), a.text("detail"), status, code)
	case code != "" && (a.text("detail") == "" || a.text("detail") != a.text("error_description")):
		return fmt.Errorf("the error has no description, or two: %v", a.body)
	}
	return nil
}

// has holds a header against a text that must be in it.
func (a answer) has(header, part string) error {
	if value := a.header.Get(header); !strings.Contains(value, part) {
		return fmt.Errorf("the header %s is %q, expected it to have %q", header, value, part)
	}
	return nil
}

// refused holds an answer against an error, and against a part of its challenge
// to the client (RFC 6750, section 3).
func (a answer) refused(status int, code, challenge string) error {
	if err := a.is(status, code); err != nil {
		return err
	}
	return a.has("WWW-Authenticate", challenge)
}

// isTokens holds an answer against what every token answer has.
func (a answer) isTokens() error {
	if err := a.is(http.StatusOK, ""); err != nil {
		return err
	}
	for _, name := range []string{"access_token", "token_type", "expires", "expires_in", "refresh_token", "refresh_expires", "refresh_expires_in", "scope"} {
		if value, ok := a.body[name]; !ok || value == "" || value == 0.0 {
			return fmt.Errorf("the token answer has no %s", name)
		}
	}
	return nil
}
