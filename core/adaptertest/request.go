package adaptertest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// request is one to the application.
type request struct {
	method string
	path   string   // below the mount, with its query; one that begins with // is below the root
	header []string // name, value, name, value …
	body   string
}

func get(path string, header ...string) request {
	return request{method: http.MethodGet, path: path, header: header}
}

// post is a form of name, value, name, value …
func post(path string, fields ...string) request {
	return postBody(path, formType, form(fields...).Encode())
}

func postBody(path, contentType, body string) request {
	return request{method: http.MethodPost, path: path, header: []string{"Content-Type", contentType}, body: body}
}

// with gives a copy with further headers.
func (r request) with(header ...string) request {
	r.header = slices.Concat(r.header, header)
	return r
}

const formType = "application/x-www-form-urlencoded"

func form(fields ...string) url.Values {
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		values.Add(fields[i], fields[i+1])
	}
	return values
}

func bearer(token string) string { return "Bearer " + token }

// build makes the request for a client, which may also write it by hand.
func (a *app) build(r request) *http.Request {
	target := a.base + r.path
	if path, ok := strings.CutPrefix(r.path, "//"); ok {
		target = "http://" + a.address + "/" + path
	}
	built, err := http.NewRequest(r.method, target, strings.NewReader(r.body))
	if err != nil {
		panic(err) // a mistake in the suite
	}
	for i := 0; i < len(r.header); i += 2 {
		built.Header.Add(r.header[i], r.header[i+1])
	}
	return built
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (got answer) String() string {
	return fmt.Sprintf("%d %v %.300s", got.status, got.header, got.body)
}

// field gives a member of a JSON body, "" for one that is not there or no text.
func (got answer) field(name string) string {
	var body map[string]any
	_ = json.Unmarshal([]byte(got.body), &body)
	text, _ := body[name].(string)
	return text
}

func readAnswer(res *http.Response) (answer, error) {
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(body)}, err
}

// as sends a request as a client that has its own cookies.
func (a *app) as(client *http.Client, r request) answer {
	a.Helper()
	res, err := client.Do(a.build(r))
	if err != nil {
		a.Fatalf("%s %.200s: %v", r.method, r.path, err)
	}
	got, err := readAnswer(res)
	if err != nil {
		a.Fatalf("%s %.200s: reading the answer: %v", r.method, r.path, err)
	}
	return got
}

func (a *app) ask(r request) answer { a.Helper(); return a.as(a.client, r) }
