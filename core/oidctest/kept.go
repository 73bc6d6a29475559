package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A provider with Options.Secret writes nothing down. Its signing keys follow from
// the secret, and its refresh tokens say whose they are, under a MAC.

// derive gives the 32 bytes that follow from the secret for a purpose.
func (o *Options) derive(purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, []byte(o.Secret), nil, "oidctest "+purpose+" of "+o.Issuer, 32)
}

// derivedKey is the key that follows the given number of others.
func (o *Options) derivedKey(number int) (crypto.Signer, error) {
	raw, err := o.derive(fmt.Sprintf("signing key %d", number))
	if err != nil {
		return nil, err
	}
	return ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
}

// keptGrant is what a refresh token says.
type keptGrant struct {
	ID       string    `json:"jti"`
	User     string    `json:"user"`
	Session  string    `json:"sid"`
	AuthTime time.Time `json:"auth_time"`
	Scopes   []string  `json:"scopes"`
	Issued   time.Time `json:"issued"`
	Expires  time.Time `json:"expires"`
}

// newRefreshToken makes the refresh token of a grant.
func (s *storage) newRefreshToken(g grant, expires time.Time) (string, error) {
	if s.options.Secret == "" {
		return rand.Text(), nil
	}
	key, err := s.options.derive("refresh tokens")
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: key}, nil)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(keptGrant{rand.Text(), g.user.Username, g.session, g.authTime, g.scopes, time.Now(), expires})
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// find gives the family of a refresh token, or nil. One that a provider before this
// one has made is taken up again, once: what this provider has ended stays so.
func (s *storage) find(refresh string) *family {
	if f := s.families[refresh]; f != nil || s.options.Secret == "" || s.restored[refresh] {
		return f
	}
	kept, err := s.open(refresh)
	if err != nil || s.user(kept.User) == nil || !kept.Issued.Before(s.started) {
		return nil
	}
	for _, ended := range s.endings {
		if ended(kept.Session) {
			return nil
		}
	}
	by := &session{user: s.user(kept.User), id: kept.Session, authTime: kept.AuthTime}
	f := &family{grant: s.grantTo(by, kept.Scopes), live: refresh, expires: kept.Expires}
	s.families[refresh], s.restored[refresh] = f, true
	return f
}

// open reads a refresh token that newRefreshToken has made.
func (s *storage) open(refresh string) (kept keptGrant, err error) {
	key, err := s.options.derive("refresh tokens")
	if err != nil {
		return kept, err
	}
	signed, err := jose.ParseSignedCompact(refresh, []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		return kept, err
	}
	payload, err := signed.Verify(key)
	if err != nil {
		return kept, err
	}
	return kept, json.Unmarshal(payload, &kept)
}
