package adaptertest

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
)

// signInFaults are what adapters do wrong on the way of a login, a refresh and a logout.
var signInFaults = []fault{
	{"a browser signs in by the callback", "cookies are readable by scripts", answers(func(_ *http.Request, got *httptest.ResponseRecorder) {
		if cookie := got.Header().Get("Set-Cookie"); cookie != "" {
			got.Header().Set("Set-Cookie", strings.Replace(cookie, "; HttpOnly", "", 1))
		}
	})},
	{"a browser signs in by the callback", "cookies are not Secure", answers(func(_ *http.Request, got *httptest.ResponseRecorder) {
		if cookie := got.Header().Get("Set-Cookie"); cookie != "" {
			got.Header().Set("Set-Cookie", strings.Replace(cookie, "; Secure", "", 1))
		}
	})},
	{"a browser signs in by the callback", "redirects are 303", answers(func(_ *http.Request, got *httptest.ResponseRecorder) {
		if got.Code == http.StatusFound {
			got.Code = http.StatusSeeOther
		}
	})},
	{"a browser signs in by the callback", "the first cookie is all", sends(func(r *http.Request) {
		first, _, _ := strings.Cut(r.Header.Get("Cookie"), ";")
		r.Header.Set("Cookie", first)
	})},
	{"a browser signs in by the callback", "cookies are lost", drops("Set-Cookie")},
	{"a page signs in by the state and its cookie", "a form comes without cookies", sends(func(r *http.Request) {
		if r.Method == http.MethodPost {
			r.Header.Del("Cookie")
		}
	})},
	{"a page signs in by the state and its cookie", "a form is answered without cookies", answers(func(r *http.Request, got *httptest.ResponseRecorder) {
		if r.Method == http.MethodPost {
			got.Header().Del("Set-Cookie")
		}
	})},
	{"a program signs in by the state", "redirects lead nowhere", drops("Location")},
	{"a program signs in by the state", "a hyphen becomes an underscore", edits(func(_ *http.Request, body string) string {
		return strings.ReplaceAll(body, "refresh-token=", "refresh_token_=")
	})},
	{"a client does PKCE itself", "the query is decoded twice", sends(func(r *http.Request) {
		if decoded, err := url.QueryUnescape(r.URL.RawQuery); err == nil {
			r.URL.RawQuery = decoded
		}
	})},
	{"a device signs in", "a POST needs a body", answers(func(r *http.Request, got *httptest.ResponseRecorder) {
		if r.Method == http.MethodPost && r.ContentLength == 0 {
			got.Code = http.StatusLengthRequired
		}
	})},
	{"a device signs in", "device answers may be cached", answers(func(_ *http.Request, got *httptest.ResponseRecorder) {
		if strings.Contains(got.Body.String(), "user_code") {
			got.Header().Set("Cache-Control", "max-age=60")
		}
	})},
	{"a broker serves every grant", "a field that repeats is kept once, and joined", edits(func(_ *http.Request, body string) string {
		values, _ := url.ParseQuery(body)
		for name, list := range values {
			values.Set(name, strings.Join(list, ","))
		}
		return values.Encode()
	})},
	{"a broker serves every grant", "logout has no Authorization", sends(func(r *http.Request) {
		if strings.HasSuffix(r.URL.Path, logoutRoute) {
			r.Header.Del("Authorization")
		}
	})},
	{"a broker publishes its keys and metadata", "ETag is dropped", drops("ETag")},
	{"a broker publishes its keys and metadata", "If-None-Match is lost", loses("If-None-Match")},
	{"a broker publishes its keys and metadata", "other origins may not read", drops("Access-Control-Allow-Origin")},
	{"a broker publishes its keys and metadata", "everything is no-store", answers(func(_ *http.Request, got *httptest.ResponseRecorder) {
		got.Header().Set("Cache-Control", "no-store")
	})},
}
