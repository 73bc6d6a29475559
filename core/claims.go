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
// types of registered claims and invalid UTF-8 are refused (RFC 7519 4,
// RFC 8725 2.6). What the checks need is decoded at once, the rest when somebody
// asks for it.
type claims struct {
	Issuer    string      `json:"iss"`
	Subject   string      `json:"sub"`
	Audience  textList    `json:"aud"`
	Expires   numericDate `json:"exp"`
	NotBefore numericDate `json:"nbf"`
	IssuedAt  numericDate `json:"iat"`
	AuthTime  numericDate `json:"auth_time"`

	Type            string    `json:"typ"`
	AuthorizedParty string    `json:"azp"`
	ClientID        string    `json:"client_id"`
	Scope           scopeList `json:"scope"`
	ScopeShort      scopeList `json:"scp"`

	// What only ID tokens and logout tokens have.
	Nonce           *string        `json:"nonce"`
	AccessTokenHash *string        `json:"at_hash"`
	CodeHash        *string        `json:"c_hash"`
	Events          jsontext.Value `json:"events"`

	Confirmation jsontext.Value `json:"cnf"` // RFC 7800 3.1: the token is bound to a key

	payload []byte
	decode  sync.Once
	decoded map[string]any
}

// parseClaims decodes the payload of a token, of which it keeps the slice.
func parseClaims(payload []byte) (*claims, error) {
	c := &claims{}
	if err := json.Unmarshal(payload, c); err != nil {
		return nil, errors.New("the claims are not a JSON object with the registered types")
	}
	c.payload = payload
	// Such a number would read as 0, and hide the claims behind it.
	if mayOverflow(payload) && json.Unmarshal(payload, new(map[string]any)) != nil {
		return nil, errors.New("the claims hold a number that is too large")
	}
	return c, nil
}

// mayOverflow reports whether an object may hold a number larger than any float64:
// one that has an exponent, or very many digits. Hardly any token has one, and to
// find out must cost next to nothing.
func mayOverflow(object []byte) bool {
	for _, before := range []string{":", "[", ","} {
		for rest := object; ; {
			_, after, found := bytes.Cut(rest, []byte(before))
			if !found {
				break
			}
			rest = after
			number := bytes.TrimLeft(rest, " \t\r\n")
			number = number[:len(number)-len(bytes.TrimLeft(number, "+-.eE0123456789"))]
			if len(number) > 300 || bytes.ContainsAny(number, "eE") {
				return true
			}
		}
	}
	return false
}

// all are the claims as a map, which nobody may change.
func (c *claims) all() map[string]any {
	c.decode.Do(func() {
		// The payload was decoded before, and holds no number that is too large.
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

func (d *numericDate) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	if decoder.PeekKind() == 'n' {
		return errors.New("a date is null")
	}
	var seconds float64
	if err := json.UnmarshalDecode(decoder, &seconds); err != nil {
		return err
	}
	if seconds < 0 || seconds > latest {
		return errors.New("a date is out of range")
	}
	whole, fraction := math.Modf(seconds)
	d.Time = time.Unix(int64(whole), int64(fraction*1e9))
	return nil
}

// textList is a claim that is a string or a list of strings, such as aud.
type textList []string

func (l *textList) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	if decoder.PeekKind() == '"' {
		var one string
		if err := json.UnmarshalDecode(decoder, &one); err != nil {
			return err
		}
		*l = textList{one}
		return nil
	}
	var list []string
	if err := json.UnmarshalDecode(decoder, &list); err != nil {
		return err
	}
	*l = list
	return nil
}

// scopeList is a scope claim: a list separated by spaces (RFC 8693 4.2), or an
// array, as some providers have it.
type scopeList []string

func (l *scopeList) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	var list textList
	if err := list.UnmarshalJSONFrom(decoder); err != nil {
		return err
	}
	for _, entry := range list {
		*l = append(*l, strings.Fields(entry)...)
	}
	return nil
}
