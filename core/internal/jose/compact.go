// Package jose is the one place that knows how keys, signatures and compact
// tokens look. Everything of lestrrat-go/jwx that the library uses is behind
// it.
package jose

import (
	"encoding/base64"
	"errors"
	"hash/maphash"
	"strings"
	"sync/atomic"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Errors of Cut. They say what was wrong and never repeat the token.
var (
	ErrNoJWT    = errors.New("it is not a JWT: three base64url parts separated by dots, the first of which is a JSON object")
	ErrEncoding = errors.New("one of its parts is not canonical base64url")
	ErrHeader   = errors.New("its header is not a JSON object with members of the expected types")
	ErrCritical = errors.New("its header requires an extension that is not supported")
)

// Token is a compact JWS (RFC 7515 7.1) that was cut into its parts. Its
// signature has not been looked at.
type Token struct {
	Header    Header
	Payload   []byte // decoded; a copy, never a view of the raw token
	Signature []byte // decoded
	Signed    []byte // what the signature covers: header and payload as sent
}

// Header is what a verifier needs of a JOSE header. Keys that a token brings
// along (jwk, jku, x5u, x5c) are not even read.
type Header struct {
	Algorithm string `json:"alg"` // by its name in Algorithms; see Canonical
	Type      string `json:"typ"`
	KeyID     string `json:"kid"`

	Critical jsontext.Value `json:"crit"`
	Base64   jsontext.Value `json:"b64"`
}

// strict refuses what RawURLEncoding alone lets through: trailing bits that
// are not zero. Line breaks, which any decoder of encoding/base64 skips, are
// refused in decode.
var strict = base64.RawURLEncoding.Strict()

// Cut takes a raw compact token apart. What a token says has one spelling only:
// whitespace, padding, line breaks and non-canonical base64url are refused. The text
// of a token is still no name for it: from an ECDSA signature (r, s) anybody can make
// a second one, (r, -s).
func Cut(raw string) (Token, error) {
	header, rest, ok := strings.Cut(raw, ".")
	if !ok {
		return Token{}, ErrNoJWT
	}
	payload, signature, ok := strings.Cut(rest, ".")
	if !ok || header == "" || payload == "" || signature == "" || strings.Contains(signature, ".") {
		return Token{}, ErrNoJWT
	}
	// One byte at a time, for which the processor has an instruction.
	if strings.IndexByte(raw, '\r') >= 0 || strings.IndexByte(raw, '\n') >= 0 {
		return Token{}, ErrEncoding
	}
	encoded := []byte(raw)
	t := Token{Signed: encoded[:len(header)+1+len(payload)]}
	var err error
	if t.Header, err = readHeader(header); err != nil {
		return Token{}, err
	}
	if t.Payload, err = decode(t.Signed[len(header)+1:]); err != nil {
		return Token{}, ErrEncoding
	}
	if t.Signature, err = decode(encoded[len(t.Signed)+1:]); err != nil {
		return Token{}, ErrEncoding
	}
	return t, nil
}

func decode(encoded []byte) ([]byte, error) {
	decoded := make([]byte, strict.DecodedLen(len(encoded)))
	n, err := strict.Decode(decoded, encoded)
	return decoded[:n], err
}

// knownHeader is a header that was read before. All the tokens that a key signs
// have the same one, mostly.
type knownHeader struct {
	encoded string
	header  Header
}

// knownHeaders are some headers, each at a place that follows from its hash.
// Anybody may put another there, which only costs to read it again.
var (
	knownHeaders [64]atomic.Pointer[knownHeader]
	headerSeed   = maphash.MakeSeed()
)

// maxKnown is how long a header may be that is remembered, in bytes as it is sent.
const maxKnown = 256

func readHeader(encoded string) (Header, error) {
	place := &knownHeaders[maphash.String(headerSeed, encoded)%uint64(len(knownHeaders))]
	if known := place.Load(); known != nil && known.encoded == encoded {
		return known.header, nil
	}
	document, err := decode([]byte(encoded))
	if err != nil || document[0] != '{' {
		return Header{}, ErrNoJWT
	}
	var header Header
	if err := json.Unmarshal(document, &header); err != nil {
		return Header{}, ErrHeader
	}
	if header.Critical != nil || header.Base64 != nil {
		return Header{}, ErrCritical
	}
	header.Algorithm = Canonical(header.Algorithm)
	if len(encoded) <= maxKnown {
		place.Store(&knownHeader{strings.Clone(encoded), header})
	}
	return header, nil
}
