package jose

import (
	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// HalfHash is the at_hash of an access token for an ID token signed with this
// algorithm (OpenID Connect Core 3.1.3.6).
func HalfHash(algorithm, accessToken string) (string, error) {
	return oidc.ClaimHash(accessToken, jose.SignatureAlgorithm(algorithm))
}
