package core

import (
	"errors"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/oidcgate/oidcgate/core/internal/fault"
)

// asMinted are the constraints of Config.Require for guards that take the broker's own
// tokens. Those tokens leave most of the provider's claims out; what is demanded of such a
// claim was judged by permit when the token was minted.
func asMinted(constraints []Constraint) []Constraint {
	own := slices.Clone(constraints)
	for i := range own {
		own[i].minted = true
	}
	return own
}

// permit makes sure that a token can be minted, and may be: Config.Require must hold for
// what it will say, and for what the provider says where it will say nothing.
func (b *broker) permit(m minting, provider map[string]any) error {
	payload, err := b.payload(m)
	if err != nil || len(b.config.Require) == 0 {
		return err
	}
	var minted map[string]any
	if err := json.Unmarshal(payload, &minted); err != nil {
		return identityError(err)
	}
	c := &claims{Scope: m.who.Scopes, decoded: merge(provider, minted)}
	c.decode.Do(func() {})
	by := &verifier{roles: b.auth.trust.own.roles}
	var refused *Error
	if errors.As(judge(newToken(c, by), b.config.Require), &refused) {
		return fault.AccessDenied.New(refused.Description).From(refused)
	}
	return nil
}
