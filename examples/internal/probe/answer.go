package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Answer is what an application has answered, or why there is none.
type Answer struct {
	Err    error
	Status int
	Header http.Header
	Body   map[string]any // of JSON
	Page   string         // of HTML
	URL    *url.URL       // that has answered, after redirects
}

// Get requests an address, with a token if there is one.
func Get(ctx context.Context, client *http.Client, address, token string) Answer {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Answer{Err: err}
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return read(client.Do(request))
}

// Post sends a form to an address, with a token if there is one.
func Post(ctx context.Context, client *http.Client, address, token string, form url.Values) Answer {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return Answer{Err: err}
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return read(client.Do(request))
}

func read(response *http.Response, err error) Answer {
	if err != nil {
		return Answer{Err: err}
	}
	defer response.Body.Close()
	a := Answer{Status: response.StatusCode, Header: response.Header, URL: response.Request.URL}
	switch kind := response.Header.Get("Content-Type"); {
	case strings.HasPrefix(kind, "application/json"):
		a.Err = json.NewDecoder(response.Body).Decode(&a.Body)
	case strings.HasPrefix(kind, "text/html"):
		var page []byte
		page, a.Err = io.ReadAll(response.Body)
		a.Page = string(page)
	}
	return a
}

// Text is a member of the answer, "" when it is none or no text.
func (a Answer) Text(name string) string {
	text, _ := a.Body[name].(string)
	return text
}

// Is holds an answer against a status and an error code, "" for none.
func (a Answer) Is(status int, code string) error {
	switch {
	case a.Err != nil:
		return a.Err
	case a.Status != status || a.Text("error") != code:
		return fmt.Errorf("answered %d %s %s, expected %d %s", a.Status, a.Text("error"), a.Text("detail"), status, code)
	case code != "" && (a.Text("detail") == "" || a.Text("detail") != a.Text("error_description")):
		return fmt.Errorf("the error has no description, or two: %v", a.Body)
	}
	return nil
}

// Has holds a header against a text that must be in it.
func (a Answer) Has(header, part string) error {
	if value := a.Header.Get(header); !strings.Contains(value, part) {
		return fmt.Errorf("the header %s is %q, expected it to have %q", header, value, part)
	}
	return nil
}

// IsPage holds an answer against a status, a path with its query, and a text that the page
// must have.
func (a Answer) IsPage(status int, at, has string) error {
	switch {
	case a.Err != nil:
		return a.Err
	case a.Status != status || a.URL.RequestURI() != at:
		return fmt.Errorf("%s answered %d, expected %s to answer %d", a.URL.RequestURI(), a.Status, at, status)
	case !strings.Contains(a.Page, has):
		return fmt.Errorf("the page %s has no %q", at, has)
	}
	return nil
}

// Refused holds an answer against an error, and against a part of its challenge
// to the client (RFC 6750, section 3).
func (a Answer) Refused(status int, code, challenge string) error {
	if err := a.Is(status, code); err != nil {
		return err
	}
	return a.Has("WWW-Authenticate", challenge)
}

// IsTokens holds an answer against what every token answer has.
func (a Answer) IsTokens() error {
	if err := a.Is(http.StatusOK, ""); err != nil {
		return err
	}
	for _, name := range []string{"access_token", "token_type", "expires", "expires_in", "refresh_token", "refresh_expires", "refresh_expires_in", "scope"} {
		if value, ok := a.Body[name]; !ok || value == "" || value == 0.0 {
			return fmt.Errorf("the token answer has no %s", name)
		}
	}
	return nil
}
