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
	"slices"
)

// Errors of Open.
var (
	// ErrOpen: it was changed since it was sealed, or belongs elsewhere.
	ErrOpen = errors.New("what was sealed was changed since")
	// ErrUnknownSecret: it was sealed, but by none of these secrets.
	ErrUnknownSecret = errors.New("it is sealed by a secret that is not among the configured ones")
)

// KeyID names the secret that sealed or authenticated something, and tells
// nothing about it.
type KeyID [4]byte

// Keys seal and open for one purpose. The first secret seals; all of them
// open, so that secrets can be rolled over. Keys are safe for concurrent use.
type Keys struct {
	pairs []pair
}

type pair struct {
	id   KeyID
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
		keys.pairs = append(keys.pairs, pair{
			id: KeyID(derive(secret, purpose+" id")[:len(KeyID{})]), aead: aead, mac: derive(secret, purpose+" mac"),
		})
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

func (k *Keys) find(id KeyID) (pair, bool) {
	i := slices.IndexFunc(k.pairs, func(p pair) bool { return p.id == id })
	if i < 0 {
		return pair{}, false
	}
	return k.pairs[i], true
}

// First names the secret that seals.
func (k *Keys) First() KeyID { return k.pairs[0].id }

// SealedByFirst reports whether something is sealed by the secret that Seal
// uses now, and need not be sealed again.
func (k *Keys) SealedByFirst(sealed []byte) bool {
	first := k.First()
	return len(sealed) > len(first) && KeyID(sealed[:len(first)]) == first
}

// Seal encrypts plaintext. The secret's name comes first, then the nonce, which
// is read from random. What is sealed opens only together with the same
// associated parts, which are not in it.
func (k *Keys) Seal(random io.Reader, plaintext []byte, associated ...string) ([]byte, error) {
	p := k.pairs[0]
	size := len(p.id) + p.aead.NonceSize()
	sealed := make([]byte, size, size+len(plaintext)+p.aead.Overhead())
	nonce := sealed[copy(sealed, p.id[:]):]
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, err
	}
	return p.aead.Seal(sealed, nonce, plaintext, frame(associated)), nil
}

// Open decrypts what Seal made with any of the secrets. It fails with
// ErrUnknownSecret or ErrOpen.
func (k *Keys) Open(sealed []byte, associated ...string) ([]byte, error) {
	var id KeyID
	if len(sealed) < len(id) {
		return nil, ErrOpen
	}
	p, ok := k.find(KeyID(sealed[:len(id)]))
	if !ok {
		return nil, ErrUnknownSecret
	}
	rest := sealed[len(id):]
	size := p.aead.NonceSize()
	if len(rest) < size {
		return nil, ErrOpen
	}
	plaintext, err := p.aead.Open(nil, rest[:size], rest[size:], frame(associated))
	if err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}

// MAC authenticates the parts with the first secret.
func (k *Keys) MAC(parts ...string) []byte { return k.pairs[0].sum(parts) }

// MACBy authenticates the parts with the secret of that name. It gives nil when
// there is none.
func (k *Keys) MACBy(id KeyID, parts ...string) []byte {
	p, ok := k.find(id)
	if !ok {
		return nil
	}
	return p.sum(parts)
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
	mac.Write(frame(parts))
	return mac.Sum(nil)
}

// frame writes the parts one after another, each behind its length, so that
// different parts never look the same.
func frame(parts []string) []byte {
	var framed []byte
	for _, part := range parts {
		framed = binary.BigEndian.AppendUint64(framed, uint64(len(part)))
		framed = append(framed, part...)
	}
	return framed
}
