package adaptertest

import (
	"net/http"
	"strings"

	"github.com/oidcgate/oidcgate/core/oidctest"
)

// parametersInTheirPlace sends in the query what belongs in the form, and the other
// way round.
func parametersInTheirPlace(s suite) {
	a := s.start(options{})
	for _, r := range []request{
		post(tokenRoute + "?refresh_token=r"),
		post(tokenRoute+"?code=c", "code_verifier", strings.Repeat("v", 43)),
		{method: http.MethodPost, path: tokenRoute + "?refresh_token=r", header: []string{"Content-Type", "application/json"}},
	} {
		a.refused(r, http.StatusBadRequest, "invalid_request")
	}
	before := a.provider.Requests(oidctest.TokenPath)
	a.refused(post(tokenRoute+"?code=c&client_id=other&grant_type=password", "refresh_token", "unknown"), http.StatusBadRequest, "invalid_grant")
	a.refused(post(tokenRoute+"?refresh_token=q", "refresh_token", "unknown"), http.StatusBadRequest, "invalid_grant")
	if a.provider.Requests(oidctest.TokenPath) == before {
		a.Fatal("the provider was not asked about the form's token")
	}
	a.ok(a.client, request{method: http.MethodPost, path: deviceRoute + "?client_id=other&scope=" + strings.Repeat("x", 3000)}, http.StatusOK)
	a.refused(get(callbackRoute, "Cookie", "code=c; state=s"), http.StatusBadRequest, "invalid_request")

	withBody := get(loginRoute)
	withBody.header, withBody.body = []string{"Content-Type", formType}, "redirect_uri=https://evil.example.org/&prompt=maybe"
	if got := a.ok(a.browser(), withBody, http.StatusFound); strings.Contains(got.header.Get("Location"), "evil") {
		a.Fatalf("the body of a GET has become parameters: %v", got)
	}
}

// parametersArrive looks at what comes out at the other end: a login of a client
// that does PKCE itself is the same each time.
func parametersArrive(s suite) {
	a := s.start(options{})
	challenge := challengeOf(strings.Repeat("v", 43))
	for _, state := range []string{
		"plain", "a+b", "a%2Bb", "a%20b", "a%26b%3Dc", "%25%32%35", "a/b?c:d@e", "a%2Fb%3Fc%23d", "%7Bjson%7D", "a'b(c)*d!", "a,b|c", "~._-", strings.Repeat("s", 4096),
	} {
		a.same(get(loginRoute+"?redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fdone%3Fx%3D1%2526y&code_challenge="+challenge+"&code_challenge_method=S256&state="+state), http.StatusFound)
	}
	for _, query := range []string{"login_hint=%C3%BC", "ui_locales=de+en&&", "&acr_values=a&"} {
		a.same(get(loginRoute+"?redirect_uri="+native+"&code_challenge="+challenge+"&code_challenge_method=S256&"+query), http.StatusFound)
	}
	for _, query := range []string{"a;b=c", "state=%", "login_hint=%00", "login_hint=%FF", "state=%C3%BC", "login_hint=a&login_hint=b", "login_hint=a&login%5Fhint=b"} {
		a.refused(get(loginRoute+"?redirect_uri="+native+"&code_challenge="+challenge+"&code_challenge_method=S256&"+query), http.StatusBadRequest, "invalid_request")
	}
	for _, body := range []string{"refresh_token=a&refresh%5Ftoken=b", "refresh_token=%zz", "refresh_token=a;b", "refresh_token=a%00b"} {
		a.refused(postBody(tokenRoute, formType, body), http.StatusBadRequest, "invalid_request")
	}
	for _, value := range []string{"a+b", "%41", "a%3Db", "a=b", "a%26b"} {
		a.refused(postBody(tokenRoute, formType, "refresh_token=unknown"+value), http.StatusBadRequest, "invalid_grant")
	}
}
