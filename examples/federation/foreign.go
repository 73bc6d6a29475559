package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// keysPath is where brokers publish their keys.
const keysPath = "/auth/v2/.well-known/jwks.json"

// foreign is a broker of another make. As it comes it is one as py-oidc-auth's are:
// it has a key set and nothing else that could be asked for, its tokens have no
// scope and no client, and its key ids are sixteen hexadecimal digits. Its tokens and
// its answers can be made to lie.
type foreign struct {
	url    string
	trusts []string     // the issuers on its list
	asked  atomic.Int64 // how often for its keys
	down   atomic.Bool
	silent atomic.Bool // nothing is answered
	server *http.Server

	mu     sync.Mutex
	key    *rsa.PrivateKey
	answer http.HandlerFunc // in the place of its key set
}

func newForeign() (*foreign, error) {
	listener, origin, err := listen("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &foreign{url: origin + "/api"}
	f.server = &http.Server{Handler: f, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go f.server.Serve(listener) // ends by close
	if err := f.rotate(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *foreign) close() { _ = f.server.Close() }

// rotate replaces its key.
func (f *foreign) rotate() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.key = key
	return err
}

// says has its key set answered by h.
func (f *foreign) says(h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = h
}

func (f *foreign) now() (*rsa.PrivateKey, http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.key, f.answer
}

func (f *foreign) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, answer := f.now()
	switch {
	case f.down.Load():
		panic(http.ErrAbortHandler) // cuts the connection
	case f.silent.Load():
		<-r.Context().Done()
	case r.URL.Path != "/api"+keysPath:
		http.NotFound(w, r)
	case answer != nil:
		f.asked.Add(1)
		answer(w, r)
	default:
		f.asked.Add(1)
		writeJSON(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public(key)}})
	}
}

func public(key *rsa.PrivateKey) jose.JSONWebKey {
	der, _ := x509.MarshalPKIXPublicKey(key.Public()) // fails only for keys of other types
	sum := sha256.Sum256(der)
	return jose.JSONWebKey{Key: key.Public(), KeyID: hex.EncodeToString(sum[:8]), Algorithm: "RS256", Use: "sig"}
}

// mint makes a token about its user alice, with some claims changed, or left out
// where the change is nil.
func (f *foreign) mint(change map[string]any) (string, error) {
	key, _ := f.now()
	return f.mintAs(public(key).KeyID, change)
}

// mintAs makes one that says it is signed by a certain key.
func (f *foreign) mintAs(kid string, change map[string]any) (string, error) {
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": f.url, "sub": "alice", "aud": fleet, "iat": now, "exp": now + 3600, "jti": rand.Text(),
		"preferred_username": "alice", "email": nil, "roles": []string{"user", "admin"},
	}
	for name, value := range change {
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
	}
	key, _ := f.now()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: kid}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}

// takes reports what a broker of py-oidc-auth would find wrong with a token: it
// reads every key of its issuer as an RSA key, and allows no clock to be behind.
func (f *foreign) takes(ctx context.Context, client *http.Client, raw string) error {
	unverified, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return err
	}
	var claims struct {
		Issuer    string       `json:"iss"`
		Audience  jwt.Audience `json:"aud"`
		Expires   int64        `json:"exp"`
		IssuedAt  int64        `json:"iat"`
		NotBefore int64        `json:"nbf"`
	}
	if err := unverified.UnsafeClaimsWithoutVerification(&claims); err != nil {
		return err
	}
	if !slices.Contains(f.trusts, claims.Issuer) {
		return fmt.Errorf("the issuer %s is not on the list", claims.Issuer)
	}
	keys, err := fetchKeys(ctx, client, claims.Issuer)
	if err != nil {
		return err
	}
	if err := unverified.Claims(jose.JSONWebKeySet{Keys: keys}, &claims); err != nil {
		return err
	}
	now := time.Now().Unix()
	switch {
	case claims.Expires <= now:
		return errors.New("it has expired")
	case claims.IssuedAt > now, claims.NotBefore > now:
		return errors.New("it is not yet valid")
	case !claims.Audience.Contains(fleet):
		return fmt.Errorf("it is for %q", claims.Audience)
	}
	return nil
}

// fetchKeys reads the key set of a broker as one of RSA keys.
func fetchKeys(ctx context.Context, client *http.Client, issuer string) ([]jose.JSONWebKey, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, issuer+keysPath, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(response.Body).Decode(&set); err != nil {
		return nil, err
	}
	for _, key := range set.Keys {
		if _, isRSA := key.Key.(*rsa.PublicKey); !isRSA {
			return nil, fmt.Errorf("KeyError: the key %s has no modulus", key.KeyID)
		}
	}
	return set.Keys, nil
}
