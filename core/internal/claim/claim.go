// Package claim decodes the claims of tokens strictly, and reads them in the forms that
// providers use.
package claim

import (
	"errors"
	"sync"

	"github.com/go-json-experiment/json"
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
		return nil, errors.New("the claims are not a JSON object, or a claim occurs twice")
	}
	return c, nil
}

// Of makes a Set of claims that were decoded before.
func Of(scopes []string, all map[string]any) *Set {
	c := &Set{Scope: scopes, decoded: all}
	c.decode.Do(func() {})
	return c
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
