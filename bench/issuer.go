package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
)

// algorithms are those that are measured.
var algorithms = []string{"RS256", "ES256", "EdDSA"}

// audience is the name of the application that all verifiers stand before.
const audience = "shop"

// issuer is a provider as far as verifiers see one: a discovery document and a
// key set over HTTP, and tokens that its keys have signed. Any device login there succeeds, and any code, which is the nonce of its login.
type issuer struct {
	url     string
	keys    map[string]crypto.Signer // by algorithm, which is the kid as well
	fetches atomic.Int64             // of the key set
	hang    atomic.Int64             // how long an answer with the key set takes, a time.Duration

	server *http.Server
	keySet []byte
}

func newIssuer() (*issuer, error) {
	i := &issuer{keys: map[string]crypto.Signer{}}
	set := jwk.NewSet()
	for _, algorithm := range algorithms {
		key, err := generate(algorithm)
		if err != nil {
			return nil, err
		}
		i.keys[algorithm] = key
		public, err := jwk.FromRaw(key.Public())
		if err != nil {
			return nil, err
		}
		for name, value := range map[string]any{jwk.KeyIDKey: algorithm, jwk.AlgorithmKey: jwa.SignatureAlgorithm(algorithm), jwk.KeyUsageKey: "sig"} {
			if err := public.Set(name, value); err != nil {
				return nil, err
			}
		}
		if err := set.AddKey(public); err != nil {
			return nil, err
		}
	}
	var err error
	if i.keySet, err = json.Marshal(set); err != nil {
		return nil, err
	}
	return i, i.serve()
}

func generate(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case "RS256":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("there is no key for %s", algorithm)
}

func (i *issuer) serve() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	i.url = "http://" + listener.Addr().String()
	discovery, err := json.Marshal(map[string]any{
		"issuer": i.url, "jwks_uri": i.keySetURL(), "authorization_endpoint": i.url + "/authorize", "token_endpoint": i.url + "/token",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"device_authorization_endpoint":         i.url + "/device",
		"id_token_signing_alg_values_supported": algorithms,
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, document []byte) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document)
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) { answer(w, discovery) })
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, r *http.Request) {
		i.fetches.Add(1)
		select {
		case <-time.After(time.Duration(i.hang.Load())):
			answer(w, i.keySet)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST /device", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, fmt.Appendf(nil, `{"device_code":"d","user_code":"u","verification_uri":%q,"expires_in":60}`, i.url))
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		id := i.token("RS256", "RS256", map[string]any{"typ": "ID", "nonce": r.PostFormValue("code")})
		answer(w, fmt.Appendf(nil, `{"access_token":%q,"id_token":%q,"token_type":"Bearer","refresh_token":"r","expires_in":3600}`, i.token("RS256", "RS256", nil), id))
	})
	i.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := i.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic(err)
		}
	}()
	return nil
}

func (i *issuer) close() error { return i.server.Close() }

func (i *issuer) keySetURL() string { return i.url + "/keys" }

// claims are those of an access token as a provider such as Keycloak issues it to
// somebody with a handful of roles.
func (i *issuer) claims() map[string]any {
	now := time.Now().Unix()
	return map[string]any{
		"iss": i.url, "sub": "8f6c1f0a-6a3e-4a53-9d6f-2f1d0b7c9e11", "aud": audience,
		"iat": now, "nbf": now, "exp": now + 3600,
		"jti": "0f9b6c52-7a1d-4c55-8e0c-6b1f6a1f2d34", "sid": "c2b7e9d4-3f18-4d0b-9a60-5e7d8c1b2a90",
		"typ": "Bearer", "azp": audience, "acr": "1", "allowed-origins": []string{"https://shop.example.org"}, "scope": "openid profile email",
		"realm_access":       map[string]any{"roles": []string{"user", "editor", "offline_access"}},
		"resource_access":    map[string]any{"account": map[string]any{"roles": []string{"view-profile"}}},
		"preferred_username": "alice", "name": "Alice Liddell", "given_name": "Alice", "family_name": "Liddell",
		"email": "alice@example.org", "email_verified": true,
	}
}

// token is an access token with the claims above, some of them changed, or left out
// where a change is nil.
func (i *issuer) token(algorithm, kid string, changes map[string]any) string {
	return sign(i.keys[algorithm], algorithm, header(algorithm, kid), i.payload(changes))
}

func header(algorithm, kid string) string {
	return fmt.Sprintf(`{"alg":%q,"typ":"JWT","kid":%q}`, algorithm, kid)
}

func (i *issuer) payload(changes map[string]any) string {
	claims := i.claims()
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err) // they are ours
	}
	return string(payload)
}

// sign makes a compact token of exactly this header and payload, by an algorithm
// that is not taken from the header.
func sign(key crypto.Signer, algorithm, header, payload string) string {
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(header)) + "." + encode([]byte(payload))
	signature, err := jwt.GetSigningMethod(algorithm).Sign(input, key)
	if err != nil {
		panic(err) // the key is one for the algorithm
	}
	return input + "." + encode(signature)
}
