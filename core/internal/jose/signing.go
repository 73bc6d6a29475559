package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// SigningAlgorithms are the algorithms that a PrivateKey can be made for.
var SigningAlgorithms = []string{"RS256", "ES256", "PS256", "EdDSA"}

// PrivateKey signs tokens, by one algorithm. It is immutable and safe for
// concurrent use. Printing one shows its name alone.
type PrivateKey struct {
	ID        string // RFC 7638 thumbprint
	Algorithm string
	jwk       jwk.Key
	raw       any
	signer    jws.Signer
}

// Generate makes a new key for one of SigningAlgorithms.
func Generate(algorithm string) (*PrivateKey, error) {
	var raw any
	var err error
	switch algorithm {
	case "RS256", "PS256":
		raw, err = rsa.GenerateKey(rand.Reader, MinRSABits)
	case "ES256":
		raw, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, raw, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, fmt.Errorf("the algorithm %q is not one to sign with", algorithm)
	}
	if err != nil {
		return nil, err
	}
	key, err := jwk.FromRaw(raw)
	if err != nil {
		return nil, err
	}
	thumbprint, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]any{
		jwk.KeyIDKey: strict.EncodeToString(thumbprint), jwk.AlgorithmKey: jwa.SignatureAlgorithm(algorithm), jwk.KeyUsageKey: jwk.ForSignature,
	} {
		if err := key.Set(name, value); err != nil {
			return nil, err
		}
	}
	return newPrivateKey(key)
}

// ParsePrivateKey reads what Marshal wrote.
func ParsePrivateKey(document []byte) (*PrivateKey, error) {
	key, err := jwk.ParseKey(document)
	if err != nil {
		// The decoder's error could repeat the key.
		return nil, errors.New("it is not a JWK")
	}
	return newPrivateKey(key)
}

func newPrivateKey(key jwk.Key) (*PrivateKey, error) {
	k := &PrivateKey{ID: key.KeyID(), Algorithm: key.Algorithm().String(), jwk: key}
	if err := key.Raw(&k.raw); err != nil {
		return nil, errors.New("it is not a private key")
	}
	if _, ok := k.raw.(crypto.Signer); !ok || k.ID == "" {
		return nil, errors.New("it is not a private key with a name")
	}
	var err error
	if k.signer, err = jws.NewSigner(jwa.SignatureAlgorithm(k.Algorithm)); err != nil {
		return nil, errors.New("its algorithm is not one to sign with")
	}
	return k, nil
}

// IsRSA reports whether it is an RSA key.
func (k *PrivateKey) IsRSA() bool {
	_, ok := k.raw.(*rsa.PrivateKey)
	return ok
}

// Marshal gives the private key as a JWK (RFC 7517), to be sealed.
func (k *PrivateKey) Marshal() ([]byte, error) { return json.Marshal(k.jwk) }

// Public gives the public half as a JWK, to be published.
func (k *PrivateKey) Public() ([]byte, error) {
	public, err := jwk.PublicKeyOf(k.jwk)
	if err != nil {
		return nil, err
	}
	return json.Marshal(public)
}

// Sign makes a compact JWS of the payload with the type in its header.
func (k *PrivateKey) Sign(tokenType string, payload []byte) (string, error) {
	header, err := json.Marshal(struct {
		Algorithm string `json:"alg"`
		Type      string `json:"typ"`
		KeyID     string `json:"kid"`
	}{k.Algorithm, tokenType, k.ID})
	if err != nil {
		return "", err
	}
	token := strict.AppendEncode(nil, header)
	token = strict.AppendEncode(append(token, '.'), payload)
	signature, err := k.signer.Sign(token, k.raw)
	if err != nil {
		return "", err
	}
	return string(strict.AppendEncode(append(token, '.'), signature)), nil
}

// String keeps %v from showing the key.
func (k *PrivateKey) String() string { return k.ID }

// GoString keeps %#v from showing the key.
func (k *PrivateKey) GoString() string { return k.ID }
