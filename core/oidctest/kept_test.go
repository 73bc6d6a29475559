package oidctest_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// restartable gives a function that starts a provider, in the place of the one
// before it and at the same address.
func restartable(t *testing.T) func(secret string) *oidctest.Provider {
	var current atomic.Pointer[oidctest.Provider]
	address := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { current.Load().ServeHTTP(w, r) }))
	t.Cleanup(address.Close)
	return func(secret string) *oidctest.Provider {
		p := oidctest.New(t, oidctest.Options{Issuer: address.URL, Secret: secret, SigningAlgorithm: "ES256", StrictRefresh: true})
		current.Store(p)
		return p
	}
}

func TestProviderWithASecretGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	start := restartable(t)
	p := start("secret")
	first := tokens(t, p, "alice", nil)
	p = start("secret")
	assert.True(t, signed(t, p, first.AccessToken), "the keys are the same")
	later := refresh(t, p, first.RefreshToken)
	require.Equal(t, http.StatusOK, later.Status)
	for _, claim := range []string{"sub", "sid", "auth_time"} {
		assert.Equal(t, claims(t, first.IDToken)[claim], claims(t, later.IDToken)[claim], claim)
	}
	assert.Equal(t, first.Scope, later.Scope)
	// It rotates as ever.
	p = start("secret")
	require.Equal(t, http.StatusOK, refresh(t, p, later.RefreshToken).Status)
	assert.Equal(t, "invalid_grant", refresh(t, p, later.RefreshToken).Error)
	assert.Equal(t, "invalid_grant", refresh(t, p, later.RefreshToken).Error)
	p.RotateKeys()
	assert.False(t, signed(t, p, first.AccessToken))
}

func TestWhatWasEndedAfterARestartStaysEnded(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(p *oidctest.Provider, got reply){
		"revocation": func(p *oidctest.Provider, got reply) {
			post(t, p, oidctest.RevokePath, map[string]string{"token": got.RefreshToken})
		},
		"logout": func(p *oidctest.Provider, got reply) {
			response, err := http.Get(p.Issuer + oidctest.EndSessionPath + "?" + url.Values{"id_token_hint": {got.IDToken}}.Encode())
			require.NoError(t, err)
			response.Body.Close()
			assert.Equal(t, http.StatusOK, response.StatusCode)
		},
		"every session": func(p *oidctest.Provider, _ reply) { p.EndSessions() },
	} {
		start := restartable(t)
		got := tokens(t, start("secret"), "alice", nil)
		p := start("secret")
		end(p, got)
		assert.Equal(t, "invalid_grant", refresh(t, p, got.RefreshToken).Error, name)
	}
}

func TestWithoutTheSameSecretARestartForgets(t *testing.T) {
	t.Parallel()
	for before, after := range map[string]string{"": "", "one": "another", "secret": ""} {
		start := restartable(t)
		got := tokens(t, start(before), "alice", nil)
		p := start(after)
		assert.Equal(t, "invalid_grant", refresh(t, p, got.RefreshToken).Error)
		assert.False(t, signed(t, p, got.AccessToken))
	}
	_, err := oidctest.Start("127.0.0.1:0", oidctest.Options{Secret: "secret"})
	require.ErrorContains(t, err, "set SigningAlgorithm to ES256")
}
