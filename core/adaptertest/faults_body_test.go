package adaptertest

import (
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// bodyFaults are what adapters do wrong with bodies and headers.
var bodyFaults = []fault{
	{"a body has a limit", "413 is in the router's words", replaces(413, 413, "Request Entity Too Large")},
	{"a body has a limit", "the rest is ignored", edits(func(_ *http.Request, body string) string { return body[:min(len(body), maxBody)] })},
	{"a body has a limit", "the limit is lower", sends(func(r *http.Request) { r.Body = http.MaxBytesReader(nil, r.Body, maxBody/2) })},
	{"long tokens are taken", "headers may have 8 KiB", func(t *testing.T, listener net.Listener, app App) {
		mux := plainMux(app)
		Serve(t, listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(r.Header.Get("Authorization")) > 8<<10 {
				w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
				return
			}
			mux.ServeHTTP(w, r)
		}))
	}},
	{"a body may come in pieces", "the first piece is all", sends(func(r *http.Request) {
		piece := make([]byte, maxBody)
		n, _ := r.Body.Read(piece)
		r.Body = io.NopCloser(bytes.NewReader(piece[:n]))
	})},
	{"a body may come in pieces", "a body needs a length", answers(func(r *http.Request, got *httptest.ResponseRecorder) {
		if r.ContentLength < 0 {
			got.Code = http.StatusLengthRequired
		}
	})},
	{"a body that is cut off is not served", "half a body will do", sends(func(r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
	})},
	{"a body that does not arrive is given up", "nobody can set a deadline", answers(func(*http.Request, *httptest.ResponseRecorder) {})},
	{"a body is of the type that it says", "gzip is unpacked", edits(func(r *http.Request, body string) string {
		if packed, err := gzip.NewReader(strings.NewReader(body)); err == nil && r.Header.Get("Content-Encoding") == "gzip" {
			plain, _ := io.ReadAll(packed)
			return string(plain)
		}
		return body
	})},
	{"a body is of the type that it says", "every body is a form", sends(func(r *http.Request) { r.Header.Set("Content-Type", formType) })},
	{"a body is of the type that it says", "Content-Type is lost", loses("Content-Type")},
}
