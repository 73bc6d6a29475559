// openid-client as an application uses it that was written for any provider.
import { decodeJwt } from 'jose'
import assert from 'node:assert/strict'
import * as client from 'openid-client'
import { resourceServer } from './resource-server.mjs'
import { at, decide, refused, scopes, target, signIn, step } from './steps.mjs'

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

const config = await configure(target.api, target.provider, target.client_id)
client.allowInsecureRequests(config)
if (!broker) client.enableNonRepudiationChecks(config) // check ID tokens' signatures too

// login signs the user in, with a nonce where there will be an ID token.
async function login(parameters = {}) {
  const verifier = client.randomPKCECodeVerifier()
  const checks = { pkceCodeVerifier: verifier, expectedState: client.randomState() }
  if (!broker) checks.expectedNonce = client.randomNonce()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: target.redirect_uri,
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
const tokensOf = async (parameters) => finish(await login(parameters))
const subject = ({ access_token }) => decodeJwt(access_token).sub
const refresh = (token, parameters) => client.refreshTokenGrant(config, token, parameters)
const get = (path, token) => client.fetchProtectedResource(config, token, new URL(at(path)), 'GET')

await step('signs in by code, with its own PKCE, state and nonce', async () => {
  const tokens = await tokensOf()
  assert.equal(tokens.token_type, 'bearer')
  assert.ok(tokens.expiresIn() > 0)
  assert.ok(tokens.refresh_token)
  assert.equal(scopes(tokens), 'email openid profile')
  assert.equal(tokens.claims()?.sub, broker ? undefined : subject(tokens))
})

if (!broker) {
  await step('signs in without a nonce', async () => {
    const verifier = client.randomPKCECodeVerifier()
    const answer = await signIn(client.buildAuthorizationUrl(config, {
      redirect_uri: target.redirect_uri,
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
  const error = await refused(() => tokensOf({ prompt: 'none' }))
  assert.ok(error instanceof client.AuthorizationResponseError, error)
  assert.equal(error.error, 'login_required')
})

await step('reads userinfo, for the subject that it knows', async () => {
  const tokens = await tokensOf()
  const info = await client.fetchUserInfo(config, tokens.access_token, subject(tokens))
  assert.equal(info.preferred_username, target.user.preferred_username)
  assert.ok(info.email)
  assert.ok(!Object.values(info).includes(null))
})

await step('refreshes, for fewer scopes, and for all again', async () => {
  const tokens = await tokensOf()
  const next = await refresh(tokens.refresh_token)
  assert.equal(scopes(next), 'email openid profile')
  const fewer = await refresh(next.refresh_token, { scope: 'openid profile' })
  assert.equal(scopes(fewer), 'openid profile')
  assert.equal((await get('/me', fewer.access_token)).status, 200)
  assert.equal(scopes(await refresh(fewer.refresh_token)), 'email openid profile')
})

// refusal is what the token endpoint has answered.
function refusal(error) {
  assert.ok(error instanceof client.ResponseBodyError, error)
  assert.ok(error.error_description)
  return [error.status, error.error]
}

await step('hears that a code is of another verifier', async () => {
  const { answer, checks } = await login()
  const error = await refused(() => finish({ answer, checks: { ...checks, pkceCodeVerifier: client.randomPKCECodeVerifier() } }))
  assert.deepEqual(refusal(error), [400, 'invalid_grant'])
})

await step('hears that a refresh can not be for more scopes', async () => {
  const { refresh_token } = await tokensOf()
  const error = await refused(() => refresh(refresh_token, { scope: 'openid address' }))
  assert.deepEqual(refusal(error), [400, 'invalid_scope'])
})

await step('hears that a refresh token is not good', async () => {
  const error = await refused(() => refresh('made up'))
  assert.deepEqual(refusal(error), [400, 'invalid_grant'])
})

await step('logs a device in, which a person approves', async () => {
  const device = await client.initiateDeviceAuthorization(config, { scope: 'openid profile email' })
  await decide(device, 'approve')
  const got = await client.pollDeviceAuthorizationGrant(config, device)
  assert.ok(got.refresh_token)
  const info = await client.fetchUserInfo(config, got.access_token, subject(got))
  assert.equal(info.preferred_username, target.user.preferred_username)
})

await step('hears that a person refuses a device', async () => {
  const device = await client.initiateDeviceAuthorization(config, { scope: 'openid' })
  await decide(device, 'refuse')
  const error = await refused(() => client.pollDeviceAuthorizationGrant(config, device))
  assert.deepEqual(refusal(error), [400, 'access_denied'])
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
    const error = await refused(() => get(path, 'made.up.token'))
    assert.equal(challenge(error, 401).error, 'invalid_token')
  }
})

await step('reads from the challenge all scopes that it must ask for', async () => {
  const poor = await tokensOf({ scope: 'openid profile' })
  const { error, scope } = challenge(await refused(() => get('/contact', poor.access_token)), 403)
  assert.equal(error, 'insufficient_scope')
  const rich = await tokensOf({ scope })
  assert.equal((await get('/contact', rich.access_token)).status, 200)
})

if (broker) {
  await step('exchanges a token of the provider', async () => {
    const provider = await client.discovery(new URL(target.provider), target.client_id, target.client_secret, undefined, options)
    const verifier = client.randomPKCECodeVerifier()
    const answer = await signIn(client.buildAuthorizationUrl(provider, {
      redirect_uri: target.redirect_uri,
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

  await step('a resource server of jose verifies the token from the issuer URL alone', async () => {
    const { access_token } = await tokensOf()
    const verify = await resourceServer(target.api, target.audience)
    const claims = await verify(access_token)
    assert.equal(claims.preferred_username, target.user.preferred_username)

    const elsewhere = await resourceServer(target.api, 'somebody else')
    assert.equal((await refused(() => elsewhere(access_token))).code, 'ERR_JWT_CLAIM_VALIDATION_FAILED')
    const [header, payload, signature] = access_token.split('.')
    const changed = [header, payload.slice(0, -4), signature].join('.')
    assert.equal((await refused(() => verify(changed))).code, 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED')
  })
}

await step('signs out', async () => {
  const tokens = await tokensOf()
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
