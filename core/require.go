package core

import (
	"encoding/json"

	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

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
	said := claim.Of(m.who.Scopes, merge(provider, minted))
	token := verify.NewToken(said, &verify.Verifier{Roles: b.auth.trust.Own.Roles})
	if failure := verify.Judge(token, rulesOf(b.config.Require)); failure != nil {
		return fault.AccessDenied.New(failure.Reason)
	}
	return nil
}
