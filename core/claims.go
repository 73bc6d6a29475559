package core

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// claims are the claims of a token, decoded strictly: duplicate members, wrong
// types of registered claims, invalid UTF-8 and numbers that are too large are
// refused (RFC 7519 4, RFC 8725 2.6). What the checks need is decoded at once, the
// rest when somebody asks for it.
type claims struct {
	Issuer    string      // iss
	Subject   string      // sub
	Audience  textList    // aud
	Expires   numericDate // exp
	NotBefore numericDate // nbf
	IssuedAt  numericDate // iat
	AuthTime  numericDate // auth_time

	Type            string    // typ
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

	payload []byte
	decode  sync.Once
	decoded map[string]any
}

// parseClaims decodes the payload of a token, of which it keeps the slice.
func parseClaims(payload []byte) (*claims, error) {
	c := &claims{payload: payload}
	if err := json.Unmarshal(payload, c); err != nil {
		return nil, errors.New("the claims are not a JSON object with the registered types, or hold a number that is too large")
	}
	return c, nil
}

// UnmarshalJSONFrom goes through the members one by one, since it is most of what a
// token costs besides its signature. The decoder refuses duplicates and invalid
// UTF-8.
func (c *claims) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
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
			return err
		}
	}
	_, err := decoder.ReadToken()
	return err
}

// readMember reads the value of the member of that name, which is gone as soon as
// something is read.
func (c *claims) readMember(name []byte, decoder *jsontext.Decoder) (err error) {
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
		err = c.AuthTime.read(decoder)
	case "typ":
		c.Type, err = readText(decoder)
	case "azp":
		c.AuthorizedParty, err = readText(decoder)
	case "client_id":
		c.ClientID, err = readText(decoder)
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
		c.Events, err = true, skip(decoder)
	case "cnf":
		c.Confirmation, err = true, skip(decoder)
	default:
		err = skip(decoder)
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
		return nil, errors.New("a claim is no string")
	}
	text := token.String()
	return &text, nil
}

// skip passes over a value that nobody needs yet, but for its numbers. One that is
// too large for a float64 would read as 0 later, and hide what comes behind it.
func skip(decoder *jsontext.Decoder) error {
	value, err := decoder.ReadValue()
	if err != nil || value.Kind() == '"' || !mayOverflow(value) {
		return err
	}
	var decoded any
	return json.Unmarshal(value, &decoded)
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

// all are the claims as a map, which nobody may change.
func (c *claims) all() map[string]any {
	c.decode.Do(func() {
		// It can't fail: the payload was decoded before, strictly.
		_ = json.Unmarshal(c.payload, &c.decoded)
	})
	return c.decoded
}

// text gives a claim at the top level if it is a string, else "".
func (c *claims) text(name string) string {
	value, _ := c.all()[name].(string)
	return value
}

// scopes are the scopes of the token, from scope or, where a provider spells it
// so, scp.
func (c *claims) scopes() []string {
	if len(c.Scope) > 0 {
		return c.Scope
	}
	return c.ScopeShort
}

// at finds the claim at a path: the path as it is, since some providers' claims
// are URLs, else split at its dots.
func at(claims map[string]any, path string) (any, bool) {
	if value, ok := claims[path]; ok {
		return value, true
	}
	var value any = claims
	for name := range strings.SplitSeq(path, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		if value, ok = object[name]; !ok {
			return nil, false
		}
	}
	return value, true
}

// flatRoles gathers the roles from wherever providers put them, each once and
// sorted.
func flatRoles(claims map[string]any) []string {
	var roles []string
	add := func(value any) {
		list, _ := value.([]any)
		for _, entry := range list {
			if role, ok := entry.(string); ok && role != "" {
				roles = append(roles, role)
			}
		}
	}
	rolesOf := func(value any) {
		if object, ok := value.(map[string]any); ok {
			add(object["roles"])
		}
	}
	rolesOf(claims["realm_access"])
	if clients, ok := claims["resource_access"].(map[string]any); ok {
		for _, access := range clients {
			rolesOf(access)
		}
	}
	add(claims["groups"])
	add(claims["roles"])
	slices.Sort(roles)
	return slices.Compact(roles)
}

// latest is the end of the year 9999, past which a date is a mistake.
const latest = 253402300799

// numericDate is a NumericDate of RFC 7519 2: seconds, maybe with a fraction. Its
// zero value is that of a claim that is not there, which none that is there has:
// they begin in 1970.
type numericDate struct{ time.Time }

func (d *numericDate) read(decoder *jsontext.Decoder) error {
	token, err := decoder.ReadToken()
	if err != nil {
		return err
	}
	if token.Kind() != '0' {
		return errors.New("a date is not a number")
	}
	seconds, err := token.Float()
	if err != nil || seconds < 0 || seconds > latest {
		return errors.New("a date is out of range")
	}
	whole, fraction := math.Modf(seconds)
	d.Time = time.Unix(int64(whole), int64(fraction*1e9))
	return nil
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
			return errors.New("a list holds something that is no string")
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
		*l = append(*l, strings.Fields(entry)...)
	}
	return nil
}
