package claim

import (
	"bytes"
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/oidcgate/oidcgate/core/internal/text"
)

// malformed is what is wrong with a claim.
type malformed string

func (m malformed) Error() string { return string(m) }

// claimError tells which claim is wrong, and how.
type claimError struct {
	claim string
	malformed
}

func (e *claimError) Error() string { return "the claim " + e.claim + " " + string(e.malformed) }

// blame tells whose claim's value the decoder has just read, and found malformed.
func blame(decoder *jsontext.Decoder, err error) error {
	var m malformed
	if !errors.As(err, &m) {
		return err
	}
	for name := range decoder.StackPointer().Tokens() {
		name = text.Quotable(name)
		return &claimError{name[:min(len(name), maxClaimName)], m}
	}
	return err
}

// maxClaimName is how much of a claim's name an error repeats.
const maxClaimName = 64

// UnmarshalJSONFrom goes through the members one by one, since it is most of what a
// token costs besides its signature. The decoder refuses duplicates and invalid
// UTF-8.
func (c *Set) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	if begin, err := decoder.ReadToken(); err != nil || begin.Kind() != '{' {
		return errors.Join(err, errors.New("it is no object"))
	}
	for decoder.PeekKind() != '}' {
		quoted, err := decoder.ReadValue()
		if err != nil {
			return err
		}
		name := quoted[1 : len(quoted)-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			if name, err = jsontext.AppendUnquote(nil, quoted); err != nil {
				return err
			}
		}
		if err := c.readMember(name, decoder); err != nil {
			return blame(decoder, err)
		}
	}
	_, err := decoder.ReadToken()
	return err
}

// readMember reads the value of the member of that name, which is gone as soon as
// something is read.
func (c *Set) readMember(name []byte, decoder *jsontext.Decoder) (err error) {
	switch string(name) {
	case "iss":
		c.Issuer, err = readText(decoder)
	case "sub":
		c.Subject, err = readText(decoder)
	case "aud":
		err = c.Audience.read(decoder)
	case "exp":
		err = c.Expires.read(decoder)
	case "nbf":
		err = c.NotBefore.read(decoder)
	case "iat":
		err = c.IssuedAt.read(decoder)
	case "auth_time":
		err = c.AuthTime.readAny(decoder)
	case "typ":
		c.Type, err = readText(decoder)
	case "token_use":
		c.Use, err = readText(decoder)
	case "azp":
		c.AuthorizedParty, err = readText(decoder)
	case "client_id":
		c.ClientID, err = readName(decoder)
	case "scope":
		err = c.Scope.read(decoder)
	case "scp":
		err = c.ScopeShort.read(decoder)
	case "nonce":
		c.Nonce, err = readOptional(decoder)
	case "at_hash":
		c.AccessTokenHash, err = readOptional(decoder)
	case "c_hash":
		c.CodeHash, err = readOptional(decoder)
	case "events":
		c.Events, err = skip(decoder)
	case "cnf":
		c.Confirmation, err = skip(decoder)
	default:
		_, err = skip(decoder)
	}
	return err
}

// readText reads a string; null is none.
func readText(decoder *jsontext.Decoder) (string, error) {
	text, err := readOptional(decoder)
	if text == nil {
		return "", err
	}
	return *text, nil
}

// readOptional reads a string, and gives nil for null.
func readOptional(decoder *jsontext.Decoder) (*string, error) {
	token, err := decoder.ReadToken()
	switch {
	case err != nil:
		return nil, err
	case token.Kind() == 'n':
		return nil, nil
	case token.Kind() != '"':
		return nil, malformed("is not a string")
	}
	text := token.String()
	return &text, nil
}

// readName reads a text or a number; anything else is none, since no check needs it.
func readName(decoder *jsontext.Decoder) (string, error) {
	if decoder.PeekKind() == '"' {
		return readText(decoder)
	}
	value, err := readUnused(decoder)
	if err != nil || value.Kind() != '0' {
		return "", err
	}
	return string(value), nil
}

// skip passes over a value that nobody needs yet, and reports whether it is more than
// null.
func skip(decoder *jsontext.Decoder) (found bool, err error) {
	value, err := readUnused(decoder)
	return err == nil && value.Kind() != 'n', err
}

// readUnused reads a value as it is spelled, but checks its numbers. One that is too
// large for a float64 would read as 0 later, and hide what comes behind it.
func readUnused(decoder *jsontext.Decoder) (jsontext.Value, error) {
	value, err := decoder.ReadValue()
	if err != nil || value.Kind() == '"' || !mayOverflow(value) {
		return value, err
	}
	var decoded any
	if json.Unmarshal(value, &decoded) != nil {
		return nil, malformed("contains a number that is too large")
	}
	return value, nil
}

// mayOverflow reports whether a value may hold a number larger than any float64:
// one that has an exponent, or very many digits. Hardly any token has one, and to
// find out must cost next to nothing.
func mayOverflow(value []byte) bool {
	digits := 0 // and points, one behind the other
	for _, c := range value {
		switch {
		case '0' <= c && c <= '9' || c == '.':
			if digits++; digits > 300 {
				return true
			}
		case (c == 'e' || c == 'E') && digits > 0:
			return true
		default:
			digits = 0
		}
	}
	return false
}
