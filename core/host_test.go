package core_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// What a request, or a proxy, says of the host that it was sent to leads nobody
// anywhere, allows no redirect, and has no cookie lose its Secure.
func TestNoAnswerFollowsTheHostThatARequestNames(t *testing.T) {
	provider := newProvider(t, oidctest.Options{})
	for mode, configure := range map[string]func(*core.Config){"passthrough": func(*core.Config) {}, "broker": brokered()} {
		a := newApp(t, provider, configure, func(c *core.Config) { c.PublicURL = "https://app.example.org/api" })
		for _, e := range append(a.auth.Endpoints(), a.auth.RootEndpoints()...) {
			for _, target := range []string{
				"/", "/?redirect_uri=https://evil.example.org/api/auth/v2/callback", "/?post_logout_redirect_uri=https://evil.example.org/", "/?state=og1.x&code=c",
			} {
				t.Run(mode+"/"+e.Name+target, func(t *testing.T) {
					got := misled(e, target)
					require.NotContains(t, got.body, "evil")
					require.NotContains(t, fmt.Sprint(got.Header), "evil")
					for _, cookie := range got.Cookies() {
						require.True(t, cookie.Secure)
						require.Empty(t, cookie.Domain)
					}
				})
			}
		}
	}
}

// misled is what a route answers behind a proxy that passes on whatever a stranger
// says.
func misled(e core.Endpoint, target string) answer {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host = "evil.example.org"
	for name, value := range map[string]string{
		"Forwarded": "host=evil.example.org;proto=http", "X-Forwarded-Host": "evil.example.org", "X-Forwarded-Proto": "http",
		"X-Forwarded-Prefix": "/evil", "X-Original-URL": "/evil", "Origin": "https://evil.example.org", "Referer": "https://evil.example.org/",
	} {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	e.Handler.ServeHTTP(w, r)
	return newAnswer(w)
}
