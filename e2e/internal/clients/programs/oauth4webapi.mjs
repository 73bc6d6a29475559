// oauth4webapi, which checks every answer by the letter of its RFC, as a client and
// as a resource server.
import assert from 'node:assert/strict'
import * as oauth from 'oauth4webapi'
import { at, decide, refused, scopes, target, signIn, step } from './steps.mjs'

const { broker } = target

const http = { [oauth.allowInsecureRequests]: true } // the suite is on loopback
const client = { client_id: target.client_id }
const anyone = oauth.None()

// configure is for an application whose routes are below api, and its provider.
async function configure(api, provider, algorithm) {
  const issuer = new URL(broker ? api : provider)
  const found = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { ...http, algorithm }))
  return {
    ...found,
    issuer: provider, // it is the provider that answers a login
    authorization_endpoint: `${api}/auth/v2/login`,
    token_endpoint: `${api}/auth/v2/token`,
    device_authorization_endpoint: `${api}/auth/v2/device`,
    userinfo_endpoint: `${api}/auth/v2/userinfo`,
  }
}

const server = await configure(target.api, target.provider, 'oidc')

if (broker) {
  await step('finds the same by RFC 8414', async () => {
    assert.deepEqual(await configure(target.api, target.provider, 'oauth2'), server)
  })
}

async function login(scope = 'openid profile email') {
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const nonce = broker ? undefined : oauth.generateRandomNonce()
  const url = new URL(server.authorization_endpoint)
  url.search = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: target.redirect_uri,
    response_type: 'code',
    scope,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    ...(nonce && { nonce }),
  })
  const answer = oauth.validateAuthResponse(server, client, await signIn(url.href), state)
  const response = await oauth.authorizationCodeGrantRequest(server, client, anyone, answer, target.redirect_uri, verifier, http)
  if (broker) return oauth.processAuthorizationCodeResponse(server, client, response)
  const got = await oauth.processAuthorizationCodeResponse(server, client, response, { expectedNonce: nonce, requireIdToken: true })
  await oauth.validateApplicationLevelSignature(server, response, http)
  return got
}

await step('signs in by code, and checks the ID token where there is one', async () => {
  const tokens = await login()
  assert.equal(oauth.getValidatedIdTokenClaims(tokens)?.sub, broker ? undefined : target.user.sub)
})

async function refresh(token, scope) {
  const response = await oauth.refreshTokenGrantRequest(server, client, anyone, token, {
    ...http, additionalParameters: scope ? { scope } : {},
  })
  return oauth.processRefreshTokenResponse(server, client, response)
}

await step('refreshes, and for fewer scopes too', async () => {
  const tokens = await refresh((await login()).refresh_token)
  const fewer = await refresh(tokens.refresh_token, 'openid')
  assert.equal(scopes(fewer), 'openid')
  assert.equal(scopes(await refresh(fewer.refresh_token)), 'email openid profile')
})

await step('reads the error of a refresh', async () => {
  const error = await refused(() => refresh('made up'))
  assert.deepEqual([error.constructor, error.status, error.error], [oauth.ResponseBodyError, 400, 'invalid_grant'])
})

const info = async (token) => oauth.processUserInfoResponse(server, client, target.user.sub,
  await oauth.userInfoRequest(server, client, token, http))

await step('reads userinfo', async () => {
  const { access_token } = await login()
  assert.equal((await info(access_token)).preferred_username, target.user.preferred_username)
})

await step("reads userinfo's challenge", async () => {
  const error = await refused(() => info('made.up.token'))
  assert.ok(error instanceof oauth.WWWAuthenticateChallengeError, error)
  assert.equal(error.cause[0].parameters.error, 'invalid_token')
})

const poll = async (device) => oauth.processDeviceCodeResponse(server, client,
  await oauth.deviceCodeGrantRequest(server, client, anyone, device.device_code, http))

await step('logs a device in: pending, approved, used up', async () => {
  const device = await oauth.processDeviceAuthorizationResponse(server, client,
    await oauth.deviceAuthorizationRequest(server, client, anyone, { scope: 'openid profile email' }, http))
  assert.equal((await refused(() => poll(device))).error, 'authorization_pending')
  await decide(device, 'approve')
  const got = await poll(device)
  assert.equal((await info(got.access_token)).preferred_username, target.user.preferred_username)
  assert.equal((await refused(() => poll(device))).error, 'invalid_grant')
})

// revoke gives up a token, and with it its session.
async function revoke(token) {
  await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, anyone, token, http))
}

if (broker) {
  for (const kind of ['refresh_token', 'access_token']) {
    await step(`revokes the session of a token: ${kind}`, async () => {
      const tokens = await login()
      const other = await login()
      await revoke(tokens[kind])
      assert.equal((await refused(() => refresh(tokens.refresh_token))).error, 'invalid_grant')
      assert.ok((await refresh(other.refresh_token)).access_token)
    })
  }
}

// introspect asks the broker about a token, as the resource server that has an id and a
// secret there.
async function introspect(issuer, id, authentication, token) {
  const found = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, http))
  const response = await oauth.introspectionRequest(found, { client_id: id }, authentication, token, http)
  return oauth.processIntrospectionResponse(found, { client_id: id }, response)
}

if (broker) {
  for (const method of ['ClientSecretBasic', 'ClientSecretPost']) {
    await step(`introspects, until the token is revoked: ${method}`, async () => {
      const { id, secret } = target.resource_server
      const ask = (token, password = secret) => introspect(new URL(target.api), id, oauth[method](password), token)
      const { access_token } = await login()
      const { active, sub, aud, scope } = await ask(access_token)
      assert.deepEqual({ active, sub, scope: scopes({ scope }) }, {
        active: true, sub: target.user.sub, scope: 'email openid profile',
      })
      assert.deepEqual(aud, [target.audience, target.api]) // the application is a resource of its own
      await revoke(access_token)
      assert.deepEqual(await ask(access_token), { active: false })
      assert.deepEqual(await ask('made.up.token'), { active: false })
      assert.equal((await refused(() => ask(access_token, 'another'))).status, 401)
    })
  }
}

// arrives is a resource server that knows the broker's issuer URL alone.
async function arrives(request, issuer, audience) {
  const found = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, http))
  return oauth.validateJwtAccessToken(found, request, audience, http)
}

if (broker) {
  await step('a resource server verifies access tokens as RFC 9068 says', async () => {
    const issuer = new URL(target.api)
    const { access_token } = await login()
    const request = new Request(at('/me'), { headers: { authorization: `Bearer ${access_token}` } })
    const claims = await arrives(request, issuer, target.audience)
    assert.equal(claims.sub, target.user.sub)
    const error = await refused(() => arrives(request, issuer, 'somebody else'))
    assert.match(error.message, /"aud"/)
  })

  await step('finds who issues tokens for a resource by RFC 9728', async () => {
    const resource = new URL(target.api)
    const found = await oauth.processResourceDiscoveryResponse(resource, await oauth.resourceDiscoveryRequest(resource, http))
    assert.deepEqual(found.authorization_servers, [target.api])
  })
}
