package core_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/stretchr/testify/require"
)

// answer is what a route answered.
type answer struct {
	*http.Response
	body string
	json map[string]any
}

// do sends a request, and keeps what an error says for the log's check.
func (a *app) do(client *http.Client, req *http.Request) answer {
	a.t.Helper()
	res, err := client.Do(req)
	require.NoError(a.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(a.t, err)
	got := answer{Response: res, body: string(body)}
	_ = json.Unmarshal(body, &got.json)
	if res.StatusCode >= 400 {
		// Whatever may not be logged may not be in an error either.
		a.log.add(got.body + res.Header.Get("WWW-Authenticate"))
	}
	if res.StatusCode == http.StatusServiceUnavailable {
		require.NotEmpty(a.t, res.Header.Get("Retry-After"), "whoever is told to come again is told when: %s", got.body)
	}
	return got
}

// get asks a route, with "name: value" headers.
func (a *app) get(client *http.Client, path string, headers ...string) answer {
	a.t.Helper()
	req, err := http.NewRequest(http.MethodGet, a.api+path, nil)
	require.NoError(a.t, err)
	addHeaders(req, headers)
	return a.do(client, req)
}

func addHeaders(r *http.Request, headers []string) {
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
}

// post sends a form of name, value, name, value …
func (a *app) post(client *http.Client, path string, fields ...string) answer {
	a.t.Helper()
	return a.postBody(client, path, form(fields...).Encode(), "application/x-www-form-urlencoded")
}

func (a *app) postBody(client *http.Client, path, body, contentType string) answer {
	a.t.Helper()
	req, err := http.NewRequest(http.MethodPost, a.api+path, strings.NewReader(body))
	require.NoError(a.t, err)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return a.do(client, req)
}

// form makes a form of name, value, name, value …
func form(fields ...string) url.Values {
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		values.Add(fields[i], fields[i+1])
	}
	return values
}

// bearer is the header of a request with an access token.
func bearer(raw string) string { return "Authorization: Bearer " + raw }

// browser is a client with cookies that shows redirects.
func browser() *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// keptCookies is a jar that never lets a cookie expire.
type keptCookies map[string]*http.Cookie

func (j keptCookies) SetCookies(u *url.URL, cookies []*http.Cookie) {
	for _, c := range cookies {
		j[c.Name] = c
	}
}

func (j keptCookies) Cookies(*url.URL) (all []*http.Cookie) {
	for _, c := range j {
		all = append(all, &http.Cookie{Name: c.Name, Value: c.Value})
	}
	return all
}

// record sends a GET to a handler, without a server.
func record(h http.Handler, headers ...string) answer {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	addHeaders(r, headers)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return newAnswer(w)
}

func newAnswer(w *httptest.ResponseRecorder) answer {
	got := answer{Response: w.Result(), body: w.Body.String()}
	_ = json.Unmarshal(w.Body.Bytes(), &got.json)
	return got
}

// ask asks a route without a server.
func ask(auth *core.Auth, name string, headers ...string) answer {
	for _, e := range auth.Endpoints() {
		if e.Name == name {
			return record(e.Handler, headers...)
		}
	}
	panic("there is no route " + name)
}

// serve sends one request through a guard, to a handler that answers who the user is.
func serve(guard *core.Guard, headers ...string) answer {
	return record(guard.Handler(http.HandlerFunc(whoami)), headers...)
}

// me asks a guarded route who a token stands for.
func me(auth *core.Auth, raw string) answer { return serve(auth.Required(), bearer(raw)) }

// whoami answers the subject of the request's token.
func whoami(w http.ResponseWriter, r *http.Request) {
	subject := "anonymous"
	if token := core.TokenFrom(r.Context()); token.Valid() {
		subject = token.Subject()
	}
	_, _ = io.WriteString(w, subject)
}

// requireError holds an answer against a row of the table of errors.
func requireError(t *testing.T, got answer, status int, code string) {
	t.Helper()
	require.Equal(t, status, got.StatusCode, got.body)
	if code == "" {
		require.NotContains(t, got.json, "error")
	} else {
		require.Equal(t, code, got.json["error"], got.body)
	}
	description, _ := got.json["error_description"].(string)
	require.NotEmpty(t, description)
	require.Equal(t, description, got.json["detail"])
	require.True(t, strings.HasSuffix(description, ".") || !strings.HasPrefix(description, "The "), "a sentence: %q", description)
	requireProtected(t, got)
	require.Equal(t, "application/json", got.Header.Get("Content-Type"))
	require.Equal(t, status == http.StatusServiceUnavailable, got.Header.Get("Retry-After") != "", "every 503 has Retry-After, and nothing else")
}

// requireProtected looks for the headers that every answer to one person has.
func requireProtected(t *testing.T, got answer) {
	t.Helper()
	require.Equal(t, "no-store", got.Header.Get("Cache-Control"))
	require.Equal(t, "nosniff", got.Header.Get("X-Content-Type-Options"))
	require.Equal(t, "no-referrer", got.Header.Get("Referrer-Policy"))
}
