package core_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// A refresh token that is dead has many names, and so has a provider that is in trouble,
// or does not accept this application: then nobody must be signed out.
func TestWhatAProvidersRefusalOfARefreshMeansForTheSession(t *testing.T) {
	const (
		over    = iota // at once
		ours           // 502, and nothing of the session changes
		outage         // 503, and nothing of the session changes
		unclear        // 503, and over when it is said again a minute later
	)
	for answered, means := range map[string]int{
		"400 invalid_grant":              over,
		"401 invalid_token":              over,
		"400 access_denied":              over,
		"400 login_required":             over,
		"400 interaction_required":       over,
		"403 consent_required":           over,
		"400 account_selection_required": over,
		"200 invalid_grant":              over,
		"401 invalid_client":             ours,
		"400 unauthorized_client":        ours,
		"400 unsupported_grant_type":     ours,
		"400 invalid_scope":              ours,
		"400 use_dpop_nonce":             ours,
		"500 Internal Server Error":      ours,
		"500 server_error":               outage,
		"400 temporarily_unavailable":    outage,
		"429 slow_down":                  outage,
		"400 invalid_request":            unclear,
		"500 invalid_request":            unclear,
		"400 invalid_refresh_token":      unclear,
		"400 token_expired":              unclear,
		"404 Not Found":                  unclear,
	} {
		t.Run(answered, func(t *testing.T) {
			provider := newProvider(t, oidctest.Options{})
			a := newApp(t, provider, brokered())
			token := a.signIn("alice").RefreshToken
			status, code, _ := strings.Cut(answered, " ")
			fail(provider, oidctest.TokenPath, int(status[0]-'0')*100+int(status[1]-'0')*10+int(status[2]-'0'), `{"error":"`+code+`"}`)
			refused := func() {
				t.Helper()
				got := a.refresh(token)
				if means == ours {
					requireError(t, got, http.StatusBadGateway, "server_error")
				} else {
					requireError(t, got, http.StatusServiceUnavailable, "temporarily_unavailable")
				}
				require.Empty(t, a.log.ends())
			}
			if means != over {
				refused()
				a.clock.Add(time.Minute - 1)
				refused()
				a.clock.Add(1)
			}
			if means == ours || means == outage {
				refused()
				provider.Answer(oidctest.TokenPath, nil)
				a.tokens(a.refresh(token))
				return
			}
			requireError(t, a.refresh(token), http.StatusBadRequest, "invalid_grant")
			require.Equal(t, []string{core.ReasonRefused}, a.log.ends())
			provider.Answer(oidctest.TokenPath, nil)
			requireError(t, a.refresh(token), http.StatusBadRequest, "invalid_grant")
		})
	}
}

func TestAGlitchOfAProviderSignsNobodyOut(t *testing.T) {
	provider := newProvider(t, oidctest.Options{StrictRefresh: true})
	a := newApp(t, provider, brokered())
	token := a.signIn("alice").RefreshToken
	for range 3 {
		fail(provider, oidctest.TokenPath, http.StatusBadRequest, `{"error":"invalid_request"}`)
		requireError(t, a.refresh(token), http.StatusServiceUnavailable, "temporarily_unavailable")
		provider.Answer(oidctest.TokenPath, nil)
		token = a.tokens(a.refresh(token)).RefreshToken
		a.clock.Add(time.Hour)
	}
	require.Contains(t, a.log.logged(), "the provider says invalid_request", "an operator is told what it was")
}

// A provider that can't be reached has used nothing up: the log must not fill with that,
// and a later end of the session has its own reason.
func TestAProviderThatRefusesConnectionsLeavesNothingUnsure(t *testing.T) {
	var away atomic.Bool
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if away.Load() {
			address = "127.0.0.1:0" // where nobody can ever listen
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	provider := newProvider(t, oidctest.Options{})
	a := newApp(t, provider, brokered(), func(c *core.Config) { c.HTTPClient = &http.Client{Transport: transport} })
	token := a.signIn("alice").RefreshToken
	away.Store(true)
	for range 20 {
		requireError(t, a.refresh(token), http.StatusServiceUnavailable, "temporarily_unavailable")
	}
	require.NotContains(t, a.log.logged(), mayBeUsedUp)
	away.Store(false)
	provider.EndSessions()
	requireError(t, a.refresh(token), http.StatusBadRequest, "invalid_grant")
	require.Equal(t, []string{core.ReasonRefused}, a.log.ends())
}
