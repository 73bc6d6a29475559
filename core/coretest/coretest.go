// Package coretest makes tokens for tests of single handlers, without a provider or a
// network:
//
//	func TestOrdersGreetTheUser(t *testing.T) {
//		r := httptest.NewRequest("GET", "/orders", nil)
//		r = r.WithContext(core.WithToken(r.Context(), coretest.NewToken(t, map[string]any{"sub": "alice"})))
//		w := httptest.NewRecorder()
//		orders(w, r) // calls core.TokenFrom(r.Context())
//		if w.Code != http.StatusOK {
//			t.Errorf("status %d", w.Code)
//		}
//	}
//
// The guard itself does not run. To test guards and logins, use package oidctest, which is a
// real provider.
package coretest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/internal/jose"
)

// Default claims of [NewToken].
const (
	DefaultIssuer  = "https://id.example.com"
	DefaultSubject = "alice"
	DefaultClient  = "app" // aud and client_id
)

// NewToken returns a valid token with these claims, as handlers get it from a guard. Missing
// claims have defaults: iss, sub, aud and client_id are the constants of this package, iat is
// now, exp is in one hour. A claim that is nil is left out.
//
// Claims are encoded with encoding/json. Write times as Unix seconds:
//
//	map[string]any{"sub": "alice", "roles": []string{"admin"}, "scope": "orders:read orders:write"}
//
// The token is signed, and verified by [core.Auth.Verify]. If no guard would accept it, for
// example because it has expired or has no sub, the test fails and says why. Any aud is
// accepted. Roles are read at the default Provider.RoleClaims: roles, groups and
// realm_access.roles. If your application has its own RoleClaims, put its roles into roles
// here. Config.Require is not applied.
//
// NewToken is safe for concurrent use by several tests. It works inside a testing/synctest
// bubble and uses its clock. Like tb.Fatal, call it from the test's goroutine.
func NewToken(tb testing.TB, claims map[string]any) core.Token {
	tb.Helper()
	token, err := newToken(claims)
	if err != nil {
		tb.Fatalf("coretest.NewToken: %v", err)
	}
	return token
}

// signingKey is made once. EdDSA is the fastest to make a key for.
var signingKey = sync.OnceValues(func() (*jose.PrivateKey, error) { return jose.Generate("EdDSA") })

func newToken(claims map[string]any) (core.Token, error) {
	all := complete(claims, time.Now())
	payload, err := json.Marshal(all)
	if err != nil {
		return core.Token{}, fmt.Errorf("the claims can't be written as JSON: %w", err)
	}
	key, err := signingKey()
	if err != nil {
		return core.Token{}, fmt.Errorf("making a signing key: %w", err)
	}
	raw, err := key.Sign("at+jwt", payload)
	if err != nil {
		return core.Token{}, fmt.Errorf("signing the token: %w", err)
	}
	issuer, ok := all["iss"].(string)
	if !ok {
		return core.Token{}, fmt.Errorf("the claim iss must be the URL of an issuer, as a string, and is %v", all["iss"])
	}
	transport, err := newTransport(issuer, key)
	if err != nil {
		return core.Token{}, err
	}
	// One Auth per token: it costs less than a millisecond, leaves no timer or
	// goroutine behind, and shares nothing between synctest bubbles.
	auth, err := core.New(core.Config{
		Providers:            []core.Provider{{Issuer: issuer, ClientID: DefaultClient, InsecureAcceptAnyAudience: true}},
		HTTPClient:           &http.Client{Transport: transport},
		Logger:               slog.New(slog.DiscardHandler),
		InsecureProviderHTTP: true,
	})
	if err != nil {
		return core.Token{}, fmt.Errorf("the claim iss can't be that of a token: %w", err)
	}
	defer auth.Close()
	token, err := auth.Verify(context.Background(), raw)
	if err != nil {
		return core.Token{}, fmt.Errorf("no guard accepts a token with these claims, so no handler can see one: %w\nclaims: %s", err, payload)
	}
	return token, nil
}

// complete gives the claims with the defaults of those that are missing.
func complete(claims map[string]any, now time.Time) map[string]any {
	all := map[string]any{
		"iss": DefaultIssuer, "sub": DefaultSubject, "aud": DefaultClient, "client_id": DefaultClient,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	return all
}

// transport answers requests for an issuer's documents from memory.
type transport struct{ discovery, keys []byte }

// keysPath is where the key set is.
const keysPath = "/keys"

func newTransport(issuer string, key *jose.PrivateKey) (*transport, error) {
	public, err := key.Public()
	if err != nil {
		return nil, fmt.Errorf("publishing the signing key: %w", err)
	}
	base := strings.TrimSuffix(issuer, "/")
	discovery, err := json.Marshal(map[string]string{
		"issuer": issuer, "authorization_endpoint": base + "/authorize", "token_endpoint": base + "/token", "jwks_uri": base + keysPath,
	})
	if err != nil {
		return nil, fmt.Errorf("writing the discovery document: %w", err)
	}
	keys, err := json.Marshal(map[string][]json.RawMessage{"keys": {public}})
	if err != nil {
		return nil, fmt.Errorf("writing the key set: %w", err)
	}
	return &transport{discovery, keys}, nil
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body := t.discovery
	if strings.HasSuffix(r.URL.Path, keysPath) {
		body = t.keys
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"application/json"}},
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)), Request: r,
	}, nil
}
