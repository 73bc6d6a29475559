package core_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/stretchr/testify/require"
)

func TestRequestOfHasAllThatGuardsMayLookAt(t *testing.T) {
	var got core.Request
	mux := http.StripPrefix("/api", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = core.RequestOf(r) }))
	r := httptest.NewRequest(http.MethodPut, "/api/a%2Fb?q=%41", nil)
	for _, header := range [][2]string{
		{"authorization", "Bearer x"}, {"authorization", ""}, {"dpop", "proof"}, {"DPoP", "another"}, {"cookie", "a=1"}, {"Cookie", "b=2"},
		{"accept", "text/html"}, {"Accept", "*/*"}, {"origin", "https://app.example.org"},
		{"sec-fetch-site", "same-origin"}, {"sec-fetch-mode", "cors"}, {"sec-fetch-dest", "empty"},
	} {
		r.Header.Add(header[0], header[1])
	}
	mux.ServeHTTP(httptest.NewRecorder(), r)
	require.Equal(t, core.Request{
		Method: "PUT", URL: "/api/a%2Fb?q=%41", // with the prefix that the router has taken off
		Authorization: []string{"Bearer x", ""}, DPoP: []string{"proof", "another"}, Cookie: []string{"a=1", "b=2"}, Accept: []string{"text/html", "*/*"},
		Origin: "https://app.example.org", FetchSite: "same-origin", FetchMode: "cors", FetchDest: "empty",
	}, got)
	require.Equal(t, core.Request{Method: "GET", URL: "/"}, core.RequestOf(httptest.NewRequest(http.MethodGet, "/", nil)))
}
