package oidctest

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"sync"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/op"
)

var generators = map[string]func() (crypto.Signer, error){
	"RS256": func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) },
	"ES256": func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
}

// spare holds the keys that no provider uses at the moment, by algorithm. An RSA
// key takes longer to make than a provider lives in most tests, so providers
// that follow each other use the same key, under another key id.
var spare = struct {
	sync.Mutex
	keys map[string][]crypto.Signer
}{keys: map[string][]crypto.Signer{}}

func takeKey(algorithm string) (crypto.Signer, error) {
	spare.Lock()
	keys := spare.keys[algorithm]
	if n := len(keys); n > 0 {
		defer spare.Unlock()
		spare.keys[algorithm] = keys[:n-1]
		return keys[n-1], nil
	}
	spare.Unlock()
	return generators[algorithm]()
}

// keyring is the signing keys of one provider. The first is taken when it is
// needed, since many a test never sees a token.
type keyring struct {
	options *Options

	mu      sync.Mutex
	current *signingKey
	keyID   string // of the next key; "": one of its own
	taken   []crypto.Signer
	derived int // how many follow from Options.Secret
}

func (k *keyring) signer() (*signingKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current != nil {
		return k.current, nil
	}
	if k.options.Secret != "" {
		key, err := k.options.derivedKey(k.derived)
		if err != nil {
			return nil, fmt.Errorf("oidctest: no signing key: %w", err)
		}
		k.derived++
		k.current = &signingKey{id: k.nextID(fmt.Sprintf("derived-key-%d", k.derived)), algorithm: k.options.SigningAlgorithm, private: key}
		return k.current, nil
	}
	key, err := takeKey(k.options.SigningAlgorithm)
	if err != nil {
		return nil, fmt.Errorf("oidctest: no signing key: %w", err)
	}
	// A key that was rotated out stays with the provider until it closes:
	// taken back, it could not be told from a key that never was.
	k.taken = append(k.taken, key)
	k.current = &signingKey{id: k.nextID("key-" + rand.Text()[:10]), algorithm: k.options.SigningAlgorithm, private: key}
	return k.current, nil
}

// nextID is the kid of a key that is new: own, unless it is to be another or none. The
// caller holds the lock.
func (k *keyring) nextID(own string) string {
	if k.options.NoKeyIDs {
		return ""
	}
	return cmp.Or(k.keyID, own)
}

// rotate has the next token signed with another key, whose kid is that of the last
// if that is to stay.
func (k *keyring) rotate(sameID bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keyID = ""; sameID && k.current != nil {
		k.keyID = k.current.id
	}
	k.current = nil
}

func (k *keyring) release() {
	k.mu.Lock()
	defer k.mu.Unlock()
	spare.Lock()
	defer spare.Unlock()
	algorithm := k.options.SigningAlgorithm
	spare.keys[algorithm] = append(spare.keys[algorithm], k.taken...)
	k.current, k.taken = nil, nil
}

// signingKey is a key as op signs with it; publicKey is the same key as op
// publishes it.
type signingKey struct {
	id        string
	algorithm string
	private   crypto.Signer
}

type publicKey struct{ *signingKey }

var (
	_ op.SigningKey = (*signingKey)(nil)
	_ op.Key        = publicKey{}
)

func (k *signingKey) ID() string { return k.id }
func (k *signingKey) Key() any   { return k.private }
func (k *signingKey) SignatureAlgorithm() jose.SignatureAlgorithm {
	return jose.SignatureAlgorithm(k.algorithm)
}

func (k publicKey) Key() any                           { return k.private.Public() }
func (k publicKey) Use() string                        { return "sig" }
func (k publicKey) Algorithm() jose.SignatureAlgorithm { return k.SignatureAlgorithm() }

var hashes = map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}

// sign makes the signature that algorithm calls for as far as the key can: an
// attacker's header may name any.
func (k *signingKey) sign(algorithm string, input []byte) ([]byte, error) {
	if algorithm == "none" {
		return nil, nil
	}
	family, hash := "", crypto.SHA256
	if len(algorithm) == 5 && hashes[algorithm[2:]] != 0 {
		family, hash = algorithm[:2], hashes[algorithm[2:]]
	}
	if family == "HS" {
		der, err := x509.MarshalPKIXPublicKey(k.private.Public())
		if err != nil {
			return nil, err
		}
		mac := hmac.New(hash.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		mac.Write(input)
		return mac.Sum(nil), nil
	}
	digest := func(h crypto.Hash) []byte {
		d := h.New()
		d.Write(input)
		return d.Sum(nil)
	}
	switch key := k.private.(type) {
	case *rsa.PrivateKey:
		if family == "PS" {
			return rsa.SignPSS(rand.Reader, key, hash, digest(hash), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.SignPKCS1v15(rand.Reader, key, hash, digest(hash))
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, digest(crypto.SHA256))
		if err != nil {
			return nil, err
		}
		signature := make([]byte, 64)
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		return signature, nil
	default:
		return nil, fmt.Errorf("a %T cannot sign", key)
	}
}
