package broker

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/session"
	"github.com/oidcgate/oidcgate/core/internal/vault"
)

// refreshTokenPrefix begins every refresh token of the broker, so that people,
// and programs that look for leaked secrets, know one when they see it.
const refreshTokenPrefix = "ogr1."

// handle is what a refresh token knows its session by. The store doesn't know
// it, nor does anybody who sees an access token: both have the session's id,
// which follows from the handle and not the other way round.
type handle [16]byte

// sessionName is the text of a session's id.
type sessionName [22]byte

// sessionName makes the id of the session, without memory but the stack's.
func (h handle) sessionName() (name sessionName) {
	const label = "oidcgate session "
	var text [len(label) + len(h)]byte
	copy(text[copy(text[:], label):], h[:])
	hash := sha256.Sum256(text[:])
	base64.RawURLEncoding.Encode(name[:], hash[:16])
	return name
}

// sessionID is the sid claim, and the id of the session's record.
func (h handle) sessionID() string {
	name := h.sessionName()
	return string(name[:])
}

// Where the parts of a refresh token are, in bytes: the secret's name, the
// handle, the generation's number, its salt, and a MAC over it all.
const (
	endSecret = 4
	endHandle = endSecret + 16
	endNumber = endHandle + 8
	endSalt   = endNumber + 16
	endMAC    = endSalt + sha256.Size
)

// refreshToken makes the token of a generation. It is the same whoever makes it.
// It fails when another replica has made the generation with a secret that is not
// here yet.
func (b *Broker) refreshToken(client string, h handle, g session.Generation) (string, error) {
	token := make([]byte, 0, endMAC)
	token = append(token, g.Secret[:]...)
	token = append(token, h[:]...)
	token = binary.BigEndian.AppendUint64(token, uint64(g.Number))
	token = append(token, g.Salt[:]...)
	mac := b.macs[client].MACBy(g.Secret, string(token))
	if mac == nil {
		return "", vault.ErrSealed.From(errors.New("a refresh token was made with a secret that is not in Config.Secrets: give every replica a new secret last before it moves first anywhere"))
	}
	return refreshTokenPrefix + base64.RawURLEncoding.EncodeToString(append(token, mac...)), nil
}

// parseRefreshToken tells a genuine token from a forged one, without asking the
// store. A token has one spelling.
func (b *Broker) parseRefreshToken(client, raw string) (handle, session.Generation, bool) {
	encoded, ok := strings.CutPrefix(raw, refreshTokenPrefix)
	if !ok || len(encoded) != base64.RawURLEncoding.EncodedLen(endMAC) {
		return handle{}, session.Generation{}, false
	}
	token, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(token) != endMAC {
		return handle{}, session.Generation{}, false
	}
	g := session.Generation{
		Number: int64(binary.BigEndian.Uint64(token[endHandle:])),
		Salt:   [16]byte(token[endNumber:endSalt]),
	}
	copy(g.Secret[:], token)
	mac := b.macs[client].MACBy(g.Secret, string(token[:endSalt]))
	if mac == nil || !hmac.Equal(mac, token[endSalt:]) {
		return handle{}, session.Generation{}, false
	}
	return handle(token[endSecret:endHandle]), g, true
}

// generation makes a generation with a salt of its own.
func (b *Broker) generation(number int64) (session.Generation, error) {
	g := session.Generation{Number: number, Secret: b.macs[b.ClientID].First()}
	_, err := io.ReadFull(b.Rand, g.Salt[:])
	return g, err
}
