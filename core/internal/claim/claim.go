package claim

import (
	"bytes"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/oidcgate/oidcgate/core/internal/text"
)

// Set is the claims of a token, decoded strictly: duplicate members, wrong
// types of registered claims, invalid UTF-8 and numbers that are too large are
// refused (RFC 7519 4, RFC 8725 2.6). What the checks need is decoded at once, the
// rest when somebody asks for it.
type Set struct {
	Issuer    string      // iss
	Subject   string      // sub
	Audience  textList    // aud
	Expires   numericDate // exp
	NotBefore numericDate // nbf
	IssuedAt  numericDate // iat
	AuthTime  numericDate // auth_time

	Type            string    // typ
	Use             string    // token_use, of some providers
	AuthorizedParty string    // azp
	ClientID        string    // client_id
	Scope           scopeList // scope
	ScopeShort      scopeList // scp

	// What only ID tokens and logout tokens have.
	Nonce           *string // nonce
	AccessTokenHash *string // at_hash
	CodeHash        *string // c_hash
	Events          bool    // there is the claim events

	Confirmation bool // there is the claim cnf: the token is bound to a key (RFC 7800 3.1)

	// Payload is the JSON object that was decoded, which nobody may change.
	Payload []byte
	decode  sync.Once
	decoded map[string]any
}

// Parse decodes the payload of a token, of which it keeps the slice.
func Parse(payload []byte) (*Set, error) {
	c := &Set{Payload: payload}
	if err := json.Unmarshal(payload, c); err != nil {
		var odd *claimError
		if errors.As(err, &odd) {
			return nil, odd
		}
		return nil, errors.New("the claims are not a JSON object, or one of them is there twice")
	}
	return c, nil
}

// Of makes a Set of claims that were decoded before.
func Of(scopes []string, all map[string]any) *Set {
	c := &Set{Scope: scopes, decoded: all}
	c.decode.Do(func() {})
	return c
}

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
		return nil, malformed("is not a text")
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
		return nil, malformed("holds a number that is too large")
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

// All are the claims as a map, which nobody may change; nil of a nil Set.
func (c *Set) All() map[string]any {
	if c == nil {
		return nil
	}
	c.decode.Do(func() {
		// It can't fail: the payload was decoded before, strictly.
		_ = json.Unmarshal(c.Payload, &c.decoded)
	})
	return c.decoded
}

// Text gives a claim at the top level if it is a text, else "".
func (c *Set) Text(name string) string {
	value, _ := c.All()[name].(string)
	return value
}

// Scopes are the scopes of the token, from scope or, where a provider spells it
// so, scp.
func (c *Set) Scopes() []string {
	if len(c.Scope) > 0 {
		return c.Scope
	}
	return c.ScopeShort
}

// Latest is the end of the year 9999, past which a date is a mistake.
const Latest = 253402300799

// numericDate is a NumericDate of RFC 7519 2: seconds, maybe with a fraction. Its
// zero value means absent: a claim that is there is not before 1970.
type numericDate struct{ time.Time }

// read reads a date; null is none.
func (d *numericDate) read(decoder *jsontext.Decoder) error {
	token, err := decoder.ReadToken()
	switch {
	case err != nil:
		return err
	case token.Kind() == 'n':
		return nil
	case token.Kind() != '0':
		return malformed("is not a number")
	}
	if seconds, err := token.Float(); err != nil || !d.set(seconds) {
		return malformed("is not a date")
	}
	return nil
}

// readAny reads a date that access tokens need not have. Whatever else is there counts
// as none.
func (d *numericDate) readAny(decoder *jsontext.Decoder) error {
	if decoder.PeekKind() != '0' {
		_, err := skip(decoder)
		return err
	}
	token, err := decoder.ReadToken()
	if err != nil {
		return err
	}
	seconds, err := token.Float()
	if err != nil {
		return malformed("holds a number that is too large")
	}
	d.set(seconds)
	return nil
}

// set takes seconds since 1970, and reports whether they are a date.
func (d *numericDate) set(seconds float64) bool {
	if seconds < 0 || seconds > Latest {
		return false
	}
	whole, fraction := math.Modf(seconds)
	d.Time = time.Unix(int64(whole), int64(fraction*1e9))
	return true
}

// textList is a claim that is a string or a list of strings, such as aud; null is
// none.
type textList []string

func (l *textList) read(decoder *jsontext.Decoder) error {
	if decoder.PeekKind() != '[' {
		text, err := readOptional(decoder)
		if text != nil {
			*l = textList{*text}
		}
		return err
	}
	if _, err := decoder.ReadToken(); err != nil {
		return err
	}
	for {
		token, err := decoder.ReadToken()
		if err != nil {
			return err
		}
		switch token.Kind() {
		case ']':
			return nil
		case '"':
			*l = append(*l, token.String())
		default:
			return malformed("holds something that is not a text")
		}
	}
}

// scopeList is a scope claim: a list separated by spaces (RFC 8693 4.2), or an
// array, as some providers have it.
type scopeList []string

func (l *scopeList) read(decoder *jsontext.Decoder) error {
	var list textList
	if err := list.read(decoder); err != nil {
		return err
	}
	for _, entry := range list {
		*l = append(*l, text.Words(entry)...)
	}
	return nil
}
