package core_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha512" // of the algorithms that end in 384 and 512
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// forger has a private key, and signs with it whatever it is given.
type forger struct {
	kid, alg string
	private  crypto.Signer
}

// rsaKeys are two, since they take long to make: an issuer's and an attacker's.
var rsaKeys = sync.OnceValue(func() (keys [2]*rsa.PrivateKey) {
	for i := range keys {
		keys[i], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	return keys
})

// newForger makes a forger for an algorithm. An RSA key is that of the issuer.
func newForger(t testing.TB, alg string) forger {
	f := forger{kid: "kid-of-" + alg, alg: alg}
	var err error
	switch alg {
	case "EdDSA":
		_, f.private, err = ed25519.GenerateKey(rand.Reader)
	case "ES256":
		f.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		f.private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		f.private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	default:
		f.private = rsaKeys()[0]
	}
	require.NoError(t, err)
	return f
}

// named is the same forger, who calls his key and algorithm something else.
func (f forger) named(kid, alg string) forger { f.kid, f.alg = kid, alg; return f }

func (f forger) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: f.private.Public(), KeyID: f.kid, Algorithm: f.alg, Use: "sig"}
}

// header is a JOSE header with some members more, given as JSON.
func (f forger) header(members ...string) string {
	return "{" + strings.Join(append([]string{`"alg":"` + f.alg + `"`, `"kid":"` + f.kid + `"`}, members...), ",") + "}"
}

// token makes a compact token of a header and a payload, of whatever bytes.
func (f forger) token(t testing.TB, header, payload string) string {
	signed := encode(header) + "." + encode(payload)
	return signed + "." + encode(string(f.sign(t, signed)))
}

// sign makes the signature that the key is for, with the hash of the algorithm
// where it names one.
func (f forger) sign(t testing.TB, signed string) []byte {
	hash := crypto.SHA256
	switch {
	case strings.HasSuffix(f.alg, "384"):
		hash = crypto.SHA384
	case strings.HasSuffix(f.alg, "512"):
		hash = crypto.SHA512
	}
	h := hash.New()
	io.WriteString(h, signed)
	var signature []byte
	var err error
	switch key := f.private.(type) {
	case *rsa.PrivateKey:
		if signature, err = rsa.SignPKCS1v15(nil, key, hash, h.Sum(nil)); strings.HasPrefix(f.alg, "PS") {
			signature, err = rsa.SignPSS(rand.Reader, key, hash, h.Sum(nil), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
	case *ecdsa.PrivateKey:
		r, s, e := ecdsa.Sign(rand.Reader, key, h.Sum(nil))
		size := (key.Curve.Params().BitSize + 7) / 8
		signature, err = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...), e
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, []byte(signed))
	}
	require.NoError(t, err)
	return signature
}

// encode is base64url without padding, as the parts of a token are.
func encode(part string) string { return base64.RawURLEncoding.EncodeToString([]byte(part)) }

func decode(t testing.TB, part string) string {
	t.Helper()
	decoded, err := base64.RawURLEncoding.DecodeString(part)
	require.NoError(t, err)
	return string(decoded)
}

// target is an application that takes the tokens of an issuer whose private keys
// the test has.
type target struct {
	*app
	forger
	guard *core.Guard
}

// newTarget makes a target whose issuer signs by an algorithm. The clock stands
// at a whole second.
func newTarget(t *testing.T, alg string, configure ...func(*core.Config)) *target {
	provider := newProvider(t, oidctest.Options{})
	x := &target{forger: newForger(t, alg)}
	publish(t, provider, x.jwk())
	x.app = newApp(t, provider, configure...)
	x.clock.Add(x.clock.Now().Truncate(time.Second).Sub(x.clock.Now()))
	x.guard = x.auth.Required()
	require.NoError(t, x.auth.Start(t.Context()))
	x.log.check(t)
	return x
}

// publish has a provider publish these keys and no others.
func publish(t testing.TB, provider *oidctest.Provider, keys ...any) {
	document, err := json.Marshal(map[string]any{"keys": append([]any{}, keys...)})
	require.NoError(t, err)
	provider.Answer(oidctest.KeysPath, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { _, _ = w.Write(document) })
}

// claims is the payload of a valid token, with some claims changed and those that
// are nil left out.
func (x *target) claims(change map[string]any) string {
	x.t.Helper()
	now := x.clock.Now().Unix()
	claims := map[string]any{
		"iss": x.provider.Issuer, "sub": "user-alice", "aud": "app", "scope": "openid",
		"exp": now + 300, "nbf": now, "iat": now,
	}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	payload, err := json.Marshal(claims)
	require.NoError(x.t, err)
	return string(payload)
}

// valid is a token that nothing is wrong with.
func (x *target) valid() string { return x.token(x.t, x.header(), x.claims(nil)) }

func (x *target) requireAccepted(t *testing.T, raw string) core.Token {
	t.Helper()
	got := serve(x.guard, bearer(raw))
	require.Equal(t, http.StatusOK, got.StatusCode, got.body)
	token, err := x.auth.Verify(t.Context(), raw)
	require.NoError(t, err)
	return token
}

func (x *target) requireRefused(t *testing.T, raw string) {
	t.Helper()
	requireRefused(t, x.app, x.guard, raw)
}

// requireRefused holds what every bad token has in common: it is 401
// invalid_token, Verify says the same, nobody is asked about it, but for the keys once
// per cool-down, and none of it is in an error or in the log.
func requireRefused(t *testing.T, a *app, guard *core.Guard, raw string) {
	t.Helper()
	asked, keys := a.provider.Requests(""), a.provider.Requests(oidctest.KeysPath)
	got := serve(guard, bearer(raw))
	requireError(t, got, http.StatusUnauthorized, "invalid_token")
	challenge := got.Header.Get("WWW-Authenticate")
	require.True(t, strings.HasPrefix(challenge, `Bearer realm="`+a.api+`", error="invalid_token", error_description="`), challenge)
	_, err := a.auth.Verify(t.Context(), raw)
	require.ErrorIs(t, err, core.ErrInvalidToken)
	fetched := a.provider.Requests(oidctest.KeysPath) - keys
	require.LessOrEqual(t, fetched, 1, "both were within one cool-down")
	require.Equal(t, asked, a.provider.Requests("")-fetched, "nobody is asked about a bad token")
	for part := range strings.FieldsFuncSeq(raw, func(r rune) bool { return r == '.' || r == '\n' }) {
		if len(part) > 8 {
			require.NotContains(t, got.body+challenge+err.Error(), part)
			a.log.keep(part) // looked for in the log at the end
		}
	}
}

// flipped is a signature with one other bit.
func flipped(signature []byte) []byte { signature[len(signature)/2] ^= 1; return signature }

// otherSignature gives the token with another signature, made of its own.
func otherSignature(t *testing.T, raw string, change func(signature []byte) []byte) string {
	end := strings.LastIndexByte(raw, '.') + 1
	return raw[:end] + encode(string(change([]byte(decode(t, raw[end:])))))
}

// authenticated is a token with a MAC in the place of a signature.
func authenticated(hash crypto.Hash, header, payload string, secret []byte) string {
	signed := encode(header) + "." + encode(payload)
	mac := hmac.New(hash.New, secret)
	io.WriteString(mac, signed)
	return signed + "." + encode(string(mac.Sum(nil)))
}
