// Package seal encrypts and authenticates what the library hands out and
// takes back: AES-256-GCM and HMAC-SHA-256, under keys that HKDF (RFC 5869)
// derives from the application's secrets, one pair for each purpose.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
)

// ErrOpen is what Open answers for anything that none of the secrets sealed.
var ErrOpen = errors.New("not sealed by any of the secrets, or changed since")

// Keys seal and open for one purpose. The first secret seals; all of them
// open, so that secrets can be rolled over. Keys are safe for concurrent use.
type Keys struct {
	pairs []pair
}

type pair struct {
	aead cipher.AEAD
	mac  []byte
}

// New derives the keys of a purpose from one or more secrets.
func New(purpose string, secrets [][]byte) *Keys {
	keys := &Keys{}
	for _, secret := range secrets {
		block, err := aes.NewCipher(derive(secret, purpose+" seal"))
		if err != nil {
			panic(err) // the key is always 32 bytes
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			panic(err) // the block size is always 16 bytes
		}
		keys.pairs = append(keys.pairs, pair{aead: aead, mac: derive(secret, purpose+" mac")})
	}
	return keys
}

func derive(secret []byte, info string) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, "oidcgate "+info, sha256.Size)
	if err != nil {
		panic(err) // the length is far below HKDF's limit
	}
	return key
}

// Seal encrypts plaintext; the nonce, read from random, comes first.
func (k *Keys) Seal(random io.Reader, plaintext []byte) ([]byte, error) {
	aead := k.pairs[0].aead
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plaintext)+aead.Overhead())
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, err
	}
	return aead.Seal(nonce, nonce, plaintext, nil), nil
}

// Open decrypts what Seal made with any of the secrets, or fails with ErrOpen.
func (k *Keys) Open(sealed []byte) ([]byte, error) {
	for _, pair := range k.pairs {
		size := pair.aead.NonceSize()
		if len(sealed) < size {
			break
		}
		if plaintext, err := pair.aead.Open(nil, sealed[:size], sealed[size:], nil); err == nil {
			return plaintext, nil
		}
	}
	return nil, ErrOpen
}

// MAC authenticates the parts, each framed by its length, with the first
// secret.
func (k *Keys) MAC(parts ...string) []byte {
	return k.pairs[0].sum(parts)
}

// CheckMAC reports, in constant time, whether any of the secrets gives this
// MAC for the parts.
func (k *Keys) CheckMAC(mac []byte, parts ...string) bool {
	found := false
	for _, pair := range k.pairs {
		found = hmac.Equal(mac, pair.sum(parts)) || found
	}
	return found
}

func (p pair) sum(parts []string) []byte {
	mac := hmac.New(sha256.New, p.mac)
	for _, part := range parts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		mac.Write(length[:])
		mac.Write([]byte(part))
	}
	return mac.Sum(nil)
}
