package core_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// pythonPeer is a broker as py-oidc-auth is one: its keys at the one place that
// there is for them, its tokens, and the checks that it makes of others'.
type pythonPeer struct {
	t        *testing.T
	url      string
	kid      string
	signer   *oidctest.Provider // an RSA key, published by another name
	audience string
	trusted  []string
	keysPath string // of whom it trusts
	now      func() time.Time
}

// newPythonPeer starts one. Whatever else is asked of it, it answers with a page of
// the application around it.
func newPythonPeer(t *testing.T, audience string) *pythonPeer {
	p := &pythonPeer{t: t, kid: "0123456789abcdef", signer: newProvider(t, oidctest.Options{}), audience: audience, keysPath: peerKeys, now: time.Now}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/auth/v2/.well-known/jwks.json", func(w http.ResponseWriter, r *http.Request) {
		recorder := httptest.NewRecorder()
		p.signer.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, oidctest.KeysPath, nil))
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, strings.ReplaceAll(recorder.Body.String(), p.signer.KeyID(t), p.kid))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>An application</title>")
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.url = server.URL + "/api"
	return p
}

// token makes a token for a user: sub is the username, and there is no nbf, scope or
// client_id.
func (p *pythonPeer) token(changed map[string]any) string {
	now := p.now().Unix()
	claims := map[string]any{
		"iss": p.url, "sub": "alice", "aud": p.audience, "iat": now, "exp": now + 3600, "jti": "0b6c2f0e-3c1b-4a57-9a5e-5e9a3f7c3d41",
		"email": "alice@example.com", "preferred_username": "alice", "roles": []string{"admin"},
	}
	for name, value := range changed {
		claims[name] = value
	}
	return p.signer.SignedToken(p.t, map[string]any{"alg": "RS256", "typ": "JWT", "kid": p.kid}, claims)
}

// verify is what such a broker does with a token: it fetches the key set of an
// issuer on its list, reads each key in there as RSA, and allows no clock to be
// behind.
func (p *pythonPeer) verify(raw string) error {
	parts := strings.Split(raw, ".")
	var header struct{ Alg, Kid string }
	var claims struct {
		Iss, Aud string
		Exp, Iat int64
		Nbf      *int64
	}
	for i, into := range []any{&header, &claims} {
		decoded, err := base64.RawURLEncoding.DecodeString(parts[i])
		require.NoError(p.t, err)
		if err := json.Unmarshal(decoded, into); err != nil {
			return err
		}
	}
	if !slices.Contains(p.trusted, claims.Iss) {
		return errors.New("the issuer is not trusted")
	}
	response, err := http.Get(claims.Iss + p.keysPath)
	require.NoError(p.t, err)
	defer response.Body.Close()
	var set struct {
		Keys []struct{ Kty, Kid, N, E string }
	}
	require.NoError(p.t, json.NewDecoder(response.Body).Decode(&set))
	var key *rsa.PublicKey
	for _, jwk := range set.Keys {
		if jwk.N == "" || jwk.E == "" {
			return fmt.Errorf("KeyError: a key of type %s has no n", jwk.Kty)
		}
		if jwk.Kid == header.Kid {
			n, err := base64.RawURLEncoding.DecodeString(jwk.N)
			require.NoError(p.t, err)
			require.Equal(p.t, "AQAB", jwk.E)
			key = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}
		}
	}
	if key == nil || header.Alg != "RS256" {
		return errors.New("no such key")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	require.NoError(p.t, err)
	hash := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, hash[:], signature); err != nil {
		return err
	}
	now := p.now().Unix()
	switch {
	case claims.Exp <= now:
		return errors.New("expired")
	case claims.Nbf != nil && *claims.Nbf > now, claims.Iat > now:
		return errors.New("not yet valid")
	case claims.Aud != p.audience:
		return errors.New("another audience")
	}
	return nil
}

// pythonPeers has a broker sign as Python peers can verify.
func pythonPeers(b *core.Broker) { b.PythonPeers, b.Algorithm = true, "RS256" }
