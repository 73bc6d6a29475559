// openid-client as an application uses it that was written for any provider.
import assert from 'node:assert/strict'
import * as client from 'openid-client'
import { resourceServer } from './resource-server.mjs'
import { at, decide, redirectURI, refused, scopes, target, signIn, step } from './steps.mjs'

const { broker } = target

const options = { execute: [client.allowInsecureRequests] } // the suite is on loopback

// configure is for an application whose routes are below api, and its provider.
async function configure(api, provider, clientID) {
  const found = await client.discovery(new URL(broker ? api : provider), clientID, undefined, client.None(), options)
  return new client.Configuration({
    ...found.serverMetadata(),
    issuer: provider, // it is the provider that answers a login
    authorization_endpoint: `${api}/auth/v2/login`,
    token_endpoint: `${api}/auth/v2/token`,
    device_authorization_endpoint: `${api}/auth/v2/device`,
    userinfo_endpoint: `${api}/auth/v2/userinfo`,
    end_session_endpoint: `${api}/auth/v2/logout`,
  }, clientID, undefined, client.None())
}

let config // of the client
let tokens // of the user

await step('discovers the issuer and is configured', async () => {
  config = await configure(target.api, target.provider, target.client_id)
  client.allowInsecureRequests(config)
  if (!broker) client.enableNonRepudiationChecks(config) // check ID tokens' signatures too
})

// login signs the user in, with a nonce where there will be an ID token.
async function login(parameters = {}) {
  const verifier = client.randomPKCECodeVerifier()
  const checks = { pkceCodeVerifier: verifier, expectedState: client.randomState() }
  if (!broker) checks.expectedNonce = client.randomNonce()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: redirectURI,
    scope: 'openid profile email',
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state: checks.expectedState,
    ...(checks.expectedNonce && { nonce: checks.expectedNonce }),
    ...parameters,
  })
  return { answer: await signIn(url.href), checks }
}

const finish = ({ answer, checks }) => client.authorizationCodeGrant(config, answer, checks)

await step('signs in by code, with its own PKCE, state and nonce', async () => {
  tokens = await finish(await login())
  assert.equal(tokens.token_type, 'bearer')
  assert.ok(tokens.expiresIn() > 0)
  assert.ok(tokens.refresh_token)
  assert.equal(scopes(tokens), 'email openid profile')
  assert.equal(tokens.claims()?.sub, broker ? undefined : target.user.sub)
})

if (!broker) {
  await step('signs in without a nonce', async () => {
    const verifier = client.randomPKCECodeVerifier()
    const answer = await signIn(client.buildAuthorizationUrl(config, {
      redirect_uri: redirectURI,
      scope: 'openid',
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    }).href)
    const got = await client.authorizationCodeGrant(config, answer, { pkceCodeVerifier: verifier })
    assert.equal(got.claims().nonce, undefined)
  })
}

await step('signs in with max_age, and checks when that was', async () => {
  const { answer, checks } = await login({ max_age: '600' })
  await finish({ answer, checks: broker ? checks : { ...checks, maxAge: 600 } })
})

await step('hears that a login without a page is not possible', async () => {
  const error = await refused(async () => finish(await login({ prompt: 'none' })))
  assert.ok(error instanceof client.AuthorizationResponseError, error)
  assert.equal(error.error, 'login_required')
})

await step('hears that a code is of another verifier', async () => {
  const { answer, checks } = await login()
  const error = await refused(() => finish({ answer, checks: { ...checks, pkceCodeVerifier: client.randomPKCECodeVerifier() } }))
  assert.deepEqual([error.constructor, error.status, error.error], [client.ResponseBodyError, 400, 'invalid_grant'])
  assert.ok(error.error_description)
})

await step('reads userinfo, for the subject that it knows', async () => {
  const info = await client.fetchUserInfo(config, tokens.access_token, target.user.sub)
  assert.equal(info.preferred_username, target.user.preferred_username)
  assert.equal(info.email, target.user.email)
  assert.ok(!Object.values(info).includes(null))
})

await step('refreshes', async () => {
  tokens = await client.refreshTokenGrant(config, tokens.refresh_token)
  assert.ok(tokens.access_token)
  assert.equal(scopes(tokens), 'email openid profile')
})

await step('refreshes for fewer scopes, and has all again afterwards', async () => {
  const fewer = await client.refreshTokenGrant(config, tokens.refresh_token, { scope: 'openid profile' })
  assert.equal(scopes(fewer), 'openid profile')
  const response = await client.fetchProtectedResource(config, fewer.access_token, new URL(at('/me')), 'GET')
  assert.equal(response.status, 200)
  tokens = await client.refreshTokenGrant(config, fewer.refresh_token ?? tokens.refresh_token)
  assert.equal(scopes(tokens), 'email openid profile')
})

await step('hears that a refresh can not be for more scopes', async () => {
  const error = await refused(() => client.refreshTokenGrant(config, tokens.refresh_token, { scope: 'openid address' }))
  assert.deepEqual([error.constructor, error.status, error.error], [client.ResponseBodyError, 400, 'invalid_scope'])
})

await step('hears that a refresh token is not good', async () => {
  const error = await refused(() => client.refreshTokenGrant(config, 'made up'))
  assert.deepEqual([error.constructor, error.status, error.error], [client.ResponseBodyError, 400, 'invalid_grant'])
})

await step('logs a device in, which a person approves', async () => {
  const device = await client.initiateDeviceAuthorization(config, { scope: 'openid profile email' })
  const polling = client.pollDeviceAuthorizationGrant(config, device)
  await decide(device, 'approve')
  const got = await polling
  assert.ok(got.refresh_token)
  const info = await client.fetchUserInfo(config, got.access_token, target.user.sub)
  assert.equal(info.preferred_username, target.user.preferred_username)
})

await step('hears that a person refuses a device', async () => {
  const device = await client.initiateDeviceAuthorization(config, { scope: 'openid' })
  await decide(device, 'refuse')
  const error = await refused(() => client.pollDeviceAuthorizationGrant(config, device))
  assert.deepEqual([error.constructor, error.status, error.error], [client.ResponseBodyError, 400, 'access_denied'])
})

// challenge is that of a refused request.
function challenge(error, status) {
  assert.ok(error instanceof client.WWWAuthenticateChallengeError, error)
  assert.equal(error.status, status)
  const [{ scheme, parameters }] = error.cause
  assert.equal(scheme, 'bearer')
  assert.ok(parameters.realm)
  return parameters
}

await step('reads the challenge to a token that is not good', async () => {
  for (const path of ['/auth/v2/userinfo', '/me']) {
    const error = await refused(() => client.fetchProtectedResource(config, 'made.up.token', new URL(at(path)), 'GET'))
    assert.equal(challenge(error, 401).error, 'invalid_token')
  }
})

await step('reads from the challenge all scopes that it must ask for', async () => {
  const { answer, checks } = await login({ scope: 'openid profile' })
  const poor = await finish({ answer, checks })
  const error = await refused(() => client.fetchProtectedResource(config, poor.access_token, new URL(at('/contact')), 'GET'))
  const { error: code, scope } = challenge(error, 403)
  assert.equal(code, 'insufficient_scope')
  const rich = await finish(await login({ scope }))
  const response = await client.fetchProtectedResource(config, rich.access_token, new URL(at('/contact')), 'GET')
  assert.equal(response.status, 200)
})

if (broker) {
  await step('exchanges a token of the provider', async () => {
    const provider = await client.discovery(new URL(target.provider), target.client_id, target.client_secret, undefined, options)
    const verifier = client.randomPKCECodeVerifier()
    const answer = await signIn(client.buildAuthorizationUrl(provider, {
      redirect_uri: redirectURI,
      scope: 'openid profile email',
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    }).href)
    const theirs = await client.authorizationCodeGrant(provider, answer, { pkceCodeVerifier: verifier })
    const ours = await client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:token-exchange', {
      subject_token: theirs.access_token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    })
    assert.equal(ours.issued_token_type, 'urn:ietf:params:oauth:token-type:access_token')
    assert.equal(ours.refresh_token, undefined)
  })
}

if (broker) {
  await step('a resource server of jose verifies the token from the issuer URL alone', async () => {
    const verify = await resourceServer(target.api, target.audience)
    const claims = await verify(tokens.access_token)
    assert.deepEqual([claims.sub, claims.preferred_username], [target.user.sub, target.user.preferred_username])

    const elsewhere = await resourceServer(target.api, 'somebody else')
    assert.equal((await refused(() => elsewhere(tokens.access_token))).code, 'ERR_JWT_CLAIM_VALIDATION_FAILED')
    const [header, payload, signature] = tokens.access_token.split('.')
    const changed = [header, payload.slice(0, -4), signature].join('.')
    assert.equal((await refused(() => verify(changed))).code, 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED')
  })
}

if (config.serverMetadata().revocation_endpoint && broker) {
  await step('revokes a refresh token', async () => {
    const got = await finish(await login())
    await client.tokenRevocation(config, got.refresh_token)
    const error = await refused(() => client.refreshTokenGrant(config, got.refresh_token))
    assert.equal(error.error, 'invalid_grant')
  })
}

await step('signs out', async () => {
  const url = client.buildEndSessionUrl(config, {
    post_logout_redirect_uri: new URL('/', target.api).href,
    state: 'bye',
    ...(tokens.id_token && { id_token_hint: tokens.id_token }),
  })
  const answer = await fetch(url, { redirect: 'manual' })
  assert.equal(answer.status, 302)
  const { searchParams } = new URL(answer.headers.get('location'))
  assert.equal(searchParams.get('state'), 'bye')
  assert.equal(searchParams.get('id_token_hint'), tokens.id_token ?? null)
})
