package oidctest_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oidcgate/oidcgate/core/oidctest"
)

func encode(t *testing.T, object any) string {
	t.Helper()
	plain, err := json.Marshal(object)
	require.NoError(t, err)
	return base64.RawURLEncoding.EncodeToString(plain)
}

func TestSignSignsExactlyWhatItIsGiven(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	token := p.SignedToken(t, nil, map[string]any{"sub": "x", "exp": "soon"})
	assert.Equal(t, map[string]any{"alg": "RS256", "typ": "JWT", "kid": p.KeyID(t)}, header(t, token))
	assert.Equal(t, map[string]any{"sub": "x", "exp": "soon"}, claims(t, token))
	assert.True(t, signed(t, p, token))

	token = p.SignedToken(t, map[string]any{"typ": "at+jwt", "kid": nil, "crit": []string{"x"}}, nil)
	assert.Equal(t, map[string]any{"alg": "RS256", "typ": "at+jwt", "crit": []any{"x"}}, header(t, token))
	assert.Contains(t, failure(t, func(tb testing.TB) { p.SignedToken(tb, nil, map[string]any{"x": func() {}}) }), "can't be written")
}

func TestAProgramGetsTokensAndErrorsWithoutATest(t *testing.T) {
	t.Parallel()
	p, err := oidctest.Start("127.0.0.1:0", oidctest.Options{})
	require.NoError(t, err)
	defer p.Close()

	token, err := p.Issue("bob", "openid", "orders:read")
	require.NoError(t, err)
	assert.True(t, signed(t, p, token))
	assert.Equal(t, "user-bob", claims(t, token)["sub"])
	assert.Equal(t, "openid orders:read", claims(t, token)["scope"])
	_, err = p.Issue("carol")
	assert.EqualError(t, err, `oidctest: there is no user "carol", only alice, bob`)
	assert.Contains(t, failure(t, func(tb testing.TB) { p.AccessToken(tb, "carol") }), "carol")

	token, err = p.Sign(nil, map[string]any{"sub": "x"})
	require.NoError(t, err)
	assert.True(t, signed(t, p, token))
	_, err = p.Sign(map[string]any{"crit": func() {}}, nil)
	assert.ErrorContains(t, err, "can't be written")
}

func TestSignFollowsTheAlgorithmOfTheHeader(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{})
	jwk := fetch(t, p.Issuer+oidctest.KeysPath)["keys"].([]any)[0].(map[string]any)
	n, err := base64.RawURLEncoding.DecodeString(jwk["n"].(string))
	require.NoError(t, err)
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}
	split := func(algorithm string) (input, signature []byte) {
		token := p.SignedToken(t, map[string]any{"alg": algorithm}, map[string]any{"sub": "x"})
		i := strings.LastIndex(token, ".")
		signature, err := base64.RawURLEncoding.DecodeString(token[i+1:])
		require.NoError(t, err)
		return []byte(token[:i]), signature
	}

	_, signature := split("none")
	assert.Empty(t, signature)

	input, signature := split("HS256")
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mac.Write(input)
	assert.Equal(t, mac.Sum(nil), signature)

	input, signature = split("PS256")
	digest := sha256.Sum256(input)
	assert.NoError(t, rsa.VerifyPSS(public, crypto.SHA256, digest[:], signature, nil))

	input, signature = split("RS512")
	long := sha512.Sum512(input)
	assert.NoError(t, rsa.VerifyPKCS1v15(public, crypto.SHA512, long[:], signature))

	for _, unknown := range []string{"", "XX256", "ES256", "nonsense"} {
		input, signature = split(unknown)
		digest = sha256.Sum256(input)
		assert.NoError(t, rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature), unknown)
	}

	ec := oidctest.New(t, oidctest.Options{SigningAlgorithm: "ES256"})
	assert.True(t, signed(t, ec, ec.SignedToken(t, nil, map[string]any{"sub": "x"})))
}

func TestClaimsAreThoseOfAnAccessToken(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{Audience: []string{"orders"}})
	var made map[string]any
	plain, err := json.Marshal(p.Claims("alice", nil))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(plain, &made))
	issued := claims(t, p.AccessToken(t, "alice"))
	for _, differs := range []string{"jti", "sid", "iat", "nbf", "exp"} {
		assert.Contains(t, made, differs)
		assert.Contains(t, issued, differs)
		delete(made, differs)
		delete(issued, differs)
	}
	assert.Equal(t, issued, made)

	changed := p.Claims("alice", map[string]any{"exp": time.Now().Unix() - 1, "iss": nil, "extra": true})
	assert.NotContains(t, changed, "iss")
	assert.Equal(t, true, changed["extra"])
	assert.Contains(t, p.Claims("alice", nil), "iss", "what is handed out is a copy")
	assert.Panics(t, func() { p.Claims("carol", nil) })
}
