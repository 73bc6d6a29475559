// jose as a resource server of somebody else's, which knows of the broker its issuer
// URL alone.
import { createRemoteJWKSet, jwtVerify } from 'jose'

// resourceServer gives what checks an access token, and gives its claims.
export async function resourceServer(issuer, audience) {
  const answer = await fetch(`${issuer}/.well-known/openid-configuration`)
  const { jwks_uri } = await answer.json()
  const keys = createRemoteJWKSet(new URL(jwks_uri))
  return async (token) => (await jwtVerify(token, keys, { issuer, audience, typ: 'at+jwt' })).payload
}
