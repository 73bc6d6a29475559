package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Answer is what somebody has answered, or why there is none.
type Answer struct {
	Err    error
	URL    *url.URL // of the request
	Status int
	Header http.Header
	Body   map[string]any // of JSON
	Text   string
}

// Send makes a request: a POST with a form, a GET without. token is sent as bearer
// token, unless it is "".
func Send(ctx context.Context, client *http.Client, address, token string, form url.Values) Answer {
	return send(ctx, client, address, form, func(header http.Header) {
		if token != "" {
			header.Set("Authorization", "Bearer "+token)
		}
	})
}

func send(ctx context.Context, client *http.Client, address string, form url.Values, prepare func(http.Header)) Answer {
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return Answer{Err: err}
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	prepare(request.Header)
	return do(client, request)
}

func do(client *http.Client, request *http.Request) Answer {
	response, err := client.Do(request)
	if err != nil {
		return Answer{Err: err}
	}
	defer response.Body.Close()
	a := Answer{URL: response.Request.URL, Status: response.StatusCode, Header: response.Header}
	text, err := io.ReadAll(response.Body)
	a.Text, a.Err = string(text), err
	if err == nil && strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(text, &a.Body); err != nil && !strings.HasPrefix(a.Text, "[") {
			a.Err = err
		}
	}
	return a
}

// Value is a text among the members of the answer, "" when it is none.
func (a Answer) Value(name string) string {
	text, _ := a.Body[name].(string)
	return text
}

// Is holds an answer of an application against a status and an error code, "" for none.
func (a Answer) Is(status int, code string) error {
	switch {
	case a.Err != nil:
		return a.Err
	case a.Status != status || a.Value("error") != code:
		return fmt.Errorf("%s answered %d %s %s, expected %d %s", a.URL.Path, a.Status, a.Value("error"), a.Value("detail"), status, code)
	case code != "" && (a.Value("detail") == "" || a.Value("detail") != a.Value("error_description")):
		return fmt.Errorf("the error has no description, or two: %v", a.Body)
	}
	return nil
}

// IsErrorPage holds an answer of an application to a browser against a status and the
// error code that its page must have.
func (a Answer) IsErrorPage(status int, code string) error {
	switch {
	case a.Err != nil:
		return a.Err
	case a.Status != status || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") || !strings.Contains(a.Text, code):
		return fmt.Errorf("%s answered %d %s %s, expected a page with %d %s", a.URL.Path, a.Status, a.Header.Get("Content-Type"), shortened(a.Text), status, code)
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

// IsTokens holds an answer against what every token answer has.
func (a Answer) IsTokens() error {
	if err := a.Is(http.StatusOK, ""); err != nil {
		return err
	}
	for _, name := range []string{"access_token", "token_type", "expires", "expires_in", "refresh_expires", "refresh_expires_in"} {
		if value, ok := a.Body[name]; !ok || value == "" || value == 0.0 {
			return fmt.Errorf("the token answer has no %s", name)
		}
	}
	for name, value := range a.Body {
		if value == nil || value == "" {
			return fmt.Errorf("the token answer has %s, which is empty", name)
		}
	}
	return nil
}

// InOrder runs parts of a step until one fails.
func InOrder(parts ...func() error) error {
	for _, part := range parts {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}
