package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // of PS256
	_ "crypto/sha512" // of PS384 and PS512
	"errors"
	"iter"
	"slices"
	"sync/atomic"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// Bounds of an RSA key. The modulus has at least the bits that RFC 7518 3.3 asks
// for, and no more than a request has time for. Time grows with the exponent, too;
// 65537 is the largest in use (FIPS 186-5 allows more, and nobody makes them).
const (
	MinRSABits     = 2048
	MaxRSABits     = 8192
	minRSAExponent = 3
	maxRSAExponent = 65537
)

// ErrSignature is what Verify answers for a signature that doesn't hold.
var ErrSignature = errors.New("its signature does not match")

// MaxKeys is how many usable keys a set may have. A token that names none is tried
// with each of them, and an issuer may mean harm.
const MaxKeys = 100

// ErrTooManyKeys is what ParseKeySet answers for more usable keys than MaxKeys.
var ErrTooManyKeys = errors.New("the document holds more than 100 keys")

// ErrNoKeys is what ParseKeySet answers for a document without a usable key.
var ErrNoKeys = errors.New("the document holds no key that can verify a signature")

// Algorithms are the signature algorithms that can be verified: asymmetric
// ones only, so that nobody's public key can ever serve as a shared secret.
var Algorithms = []string{
	"RS256", "RS384", "RS512",
	"PS256", "PS384", "PS512",
	"ES256", "ES384", "ES512",
	"EdDSA",
}

// Canonical gives the name by which Algorithms has an algorithm: Ed25519 (RFC 9864
// 2.2) is EdDSA, since Ed25519 is the only curve of it that is verified here.
func Canonical(algorithm string) string {
	if algorithm == "Ed25519" {
		return "EdDSA"
	}
	return algorithm
}

// Key is a public key that verifies signatures. It is safe for concurrent use.
type Key struct {
	ID         string // "" when the document gave it none
	algorithms []string
	public     publicKey
	withdrawn  atomic.Bool
}

// publicKey is what every public key of the standard library is.
type publicKey interface{ Equal(crypto.PublicKey) bool }

// Withdrawn reports whether the issuer has stopped to publish the key, so that
// what was verified by it is not valid any more.
func (k *Key) Withdrawn() bool { return k.withdrawn.Load() }

// KeySet is the usable part of a JWK Set (RFC 7517), in the document's order.
type KeySet []*Key

// Marshal gives the set as a JWK Set, from which ParseKeySet makes an equal one.
func (s KeySet) Marshal() ([]byte, error) {
	set := jwk.NewSet()
	for _, key := range s {
		jwKey, err := jwk.FromRaw(key.public)
		if err != nil {
			return nil, err
		}
		fields := map[string]any{}
		if key.ID != "" {
			fields[jwk.KeyIDKey] = key.ID
		}
		if len(key.algorithms) == 1 {
			fields[jwk.AlgorithmKey] = key.algorithms[0]
		}
		for name, value := range fields {
			if err := jwKey.Set(name, value); err != nil {
				return nil, err
			}
		}
		if err := set.AddKey(jwKey); err != nil {
			return nil, err
		}
	}
	return json.Marshal(set)
}

// Replace gives the set that takes the place of an older one: keys that are in
// both stay what they were, and those that are in the older one alone are
// withdrawn. A nil set withdraws all.
func (s KeySet) Replace(older KeySet) KeySet {
	next := slices.Clone(s)
	for _, old := range older {
		i := slices.IndexFunc(next, old.equal)
		if i < 0 {
			old.withdrawn.Store(true)
			continue
		}
		next[i] = old
	}
	return next
}

// Clone gives a set of the same keys, none of which is withdrawn.
func (s KeySet) Clone() KeySet {
	clone := make(KeySet, len(s))
	for i, key := range s {
		clone[i] = &Key{ID: key.ID, algorithms: key.algorithms, public: key.public}
	}
	return clone
}

func (k *Key) equal(other *Key) bool {
	return k.ID == other.ID && slices.Equal(k.algorithms, other.algorithms) && k.public.Equal(other.public)
}

// ParseKeySet reads a JWK Set. Keys that can't verify are left out: shared
// secrets, keys for encryption, unknown types and curves, malformed keys, RSA
// keys out of bounds, of which maxRSABits is one (at most MaxRSABits). A set with
// none left, or more than MaxKeys, is an error, and so is text behind the JSON, which
// another reader might take for the set.
func ParseKeySet(document []byte, maxRSABits int) (KeySet, error) {
	if !jsontext.Value(document).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
		return nil, errors.New("the document is not one JSON value")
	}
	set, err := jwk.Parse(document, jwk.WithIgnoreParseError(true))
	if err != nil {
		return nil, err
	}
	var keys KeySet
	for i := range set.Len() {
		jwKey, _ := set.Key(i)
		if key, ok := usable(jwKey, maxRSABits); ok && !slices.ContainsFunc(keys, key.equal) {
			keys = append(keys, key)
		}
		if len(keys) > MaxKeys {
			return nil, ErrTooManyKeys
		}
	}
	if len(keys) == 0 {
		return nil, ErrNoKeys
	}
	return keys, nil
}

// usable turns a JWK into a Key if it can verify signatures.
func usable(jwKey jwk.Key, maxRSABits int) (*Key, bool) {
	if use := jwKey.KeyUsage(); use != "" && use != string(jwk.ForSignature) {
		return nil, false
	}
	if operations := jwKey.KeyOps(); len(operations) > 0 && !slices.Contains(operations, jwk.KeyOpVerify) {
		return nil, false
	}
	publicKey, err := jwk.PublicKeyOf(jwKey)
	if err != nil {
		return nil, false
	}
	var raw any
	if err := publicKey.Raw(&raw); err != nil {
		return nil, false
	}
	key := &Key{ID: jwKey.KeyID()}
	key.algorithms, key.public = fitting(raw, maxRSABits)
	if named := Canonical(jwKey.Algorithm().String()); named != "" {
		if !slices.Contains(key.algorithms, named) {
			return nil, false
		}
		key.algorithms = []string{named}
	}
	return key, len(key.algorithms) > 0
}

// fitting names the algorithms that a raw public key can be used with; the
// key's type decides, and for elliptic curves the curve does (RFC 7518 3.4).
func fitting(raw any, maxRSABits int) (algorithms []string, public publicKey) {
	switch key := raw.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < MinRSABits || bits > maxRSABits {
			return nil, nil
		}
		if key.E < minRSAExponent || key.E > maxRSAExponent || key.E%2 == 0 {
			return nil, nil
		}
		return Algorithms[:6], key
	case *ecdsa.PublicKey:
		if _, err := key.ECDH(); err != nil { // not a point on the curve
			return nil, nil
		}
		switch key.Curve {
		case elliptic.P256():
			return []string{"ES256"}, key
		case elliptic.P384():
			return []string{"ES384"}, key
		case elliptic.P521():
			return []string{"ES512"}, key
		}
	case ed25519.PublicKey:
		// crypto/ed25519 panics at a key of another length.
		if len(key) == ed25519.PublicKeySize {
			return []string{"EdDSA"}, key
		}
	}
	return nil, nil
}

// For lists the keys that a token with this header can be signed with: first those
// of its kid and then, since some providers name their keys in tokens alone, those
// without one. A token without a kid may come from any of them.
func (s KeySet) For(h Header) iter.Seq[*Key] {
	return func(yield func(*Key) bool) {
		for _, named := range []bool{true, false} {
			for _, key := range s {
				fits := (key.ID == h.KeyID) == named && (named || key.ID == "" || h.KeyID == "")
				if fits && slices.Contains(key.algorithms, h.Algorithm) && !yield(key) {
					return
				}
			}
		}
	}
}

// Names reports whether a key with the kid of this header is among those that a token
// with it can be signed with; for a header without one, whether there is any.
func (s KeySet) Names(h Header) bool {
	for key := range s.For(h) {
		if key.ID == h.KeyID || h.KeyID == "" {
			return true
		}
	}
	return false
}

// Verify checks the token's signature with the key. The caller has chosen the
// key by For, so that algorithm and key fit.
func (k *Key) Verify(t Token) error {
	if hash, ok := pssHashes[t.Header.Algorithm]; ok {
		return k.verifyPSS(hash, t)
	}
	verifier, err := jws.NewVerifier(jwa.SignatureAlgorithm(t.Header.Algorithm))
	if err != nil {
		return err
	}
	if err := verifier.Verify(t.Signed, t.Signature, k.public); err != nil {
		return ErrSignature
	}
	return nil
}

var pssHashes = map[string]crypto.Hash{"PS256": crypto.SHA256, "PS384": crypto.SHA384, "PS512": crypto.SHA512}

// verifyPSS checks an RSASSA-PSS signature, with a salt as long as its hash (RFC 7518
// 3.5). jwx takes a salt of any length.
func (k *Key) verifyPSS(hash crypto.Hash, t Token) error {
	public, ok := k.public.(*rsa.PublicKey)
	if !ok {
		return ErrSignature
	}
	digest := hash.New()
	digest.Write(t.Signed)
	options := rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
	if err := rsa.VerifyPSS(public, hash, digest.Sum(nil), t.Signature, &options); err != nil {
		return ErrSignature
	}
	return nil
}
