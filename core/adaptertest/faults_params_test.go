package adaptertest

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// paramFaults are what adapters do wrong with queries and forms.
var paramFaults = []fault{
	{"parameters count in their place only", "query and form are one", edits(func(r *http.Request, body string) string {
		if r.Method != http.MethodPost || r.URL.RawQuery == "" {
			return body
		}
		return strings.Trim(body+"&"+r.URL.RawQuery, "&")
	})},
	{"parameters count in their place only", "the query comes before the form", edits(func(r *http.Request, body string) string {
		values, _ := url.ParseQuery(body)
		maps.Copy(values, r.URL.Query())
		return values.Encode()
	})},
	{"parameters count in their place only", "a GET may have a form", sends(func(r *http.Request) {
		if r.Method == http.MethodGet {
			body, _ := io.ReadAll(r.Body)
			r.URL.RawQuery = strings.Trim(r.URL.RawQuery+"&"+string(body), "&")
		}
	})},
	{"parameters arrive as they were sent", "the query is parsed and written anew", sends(func(r *http.Request) {
		r.URL.RawQuery = r.URL.Query().Encode()
	})},
	{"parameters arrive as they were sent", "of several values the last counts", sends(func(r *http.Request) {
		values := url.Values{}
		for field := range strings.SplitSeq(r.URL.RawQuery, "&") {
			name, value, _ := strings.Cut(field, "=")
			name, _ = url.QueryUnescape(name)
			value, _ = url.QueryUnescape(value)
			values.Set(name, value)
		}
		r.URL.RawQuery = values.Encode()
	})},
	{"parameters arrive as they were sent", "a plus is a plus", sends(func(r *http.Request) {
		r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "+", "%2B")
	})},
}
