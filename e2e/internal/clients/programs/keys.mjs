// jose as a resource server, while the broker's signing keys change.
import assert from 'node:assert/strict'
import { resourceServer } from './resource-server.mjs'
import { refused, step, target } from './steps.mjs'

const verify = await resourceServer(target.api, target.audience)

for (const { name, token, valid } of target.tokens) {
  await step(`${valid ? 'verifies' : 'refuses'} a token ${name}`, async () => {
    if (valid) return verify(token)
    assert.equal((await refused(() => verify(token))).code, 'ERR_JWKS_NO_MATCHING_KEY')
  })
}
