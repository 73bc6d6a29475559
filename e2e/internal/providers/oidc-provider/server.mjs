// A strict provider of another make: PKCE is demanded, refresh tokens are rotated and a
// reuse ends the grant, every answer names its issuer. Client app has opaque access
// tokens, client jwt has JWTs for the resource https://api.example, client backchannel is
// told of logouts. It is told its port, folder, key id and URIs in E2E_PROVIDER, and what
// it keeps outlives it.
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Provider from 'oidc-provider';

const told = JSON.parse(process.env.E2E_PROVIDER);
const issuer = `http://127.0.0.1:${told.port}`;
const resource = 'https://api.example';

// kept reads a file of the folder, and makes it when there is none.
function kept(name, make) {
  const file = join(told.folder, name);
  if (!existsSync(file)) write(name, make());
  return JSON.parse(readFileSync(file));
}

function write(name, value) {
  const file = join(told.folder, name);
  writeFileSync(`${file}.new`, JSON.stringify(value));
  renameSync(`${file}.new`, file);
}

function newKeys() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: told.kid, use: 'sig', alg: 'RS256' }] };
}

const records = kept('records.json', () => ({}));

class Adapter {
  constructor(model) { this.model = model; }

  key(id) { return `${this.model}:${id}`; }

  change(f) {
    f();
    write('records.json', records);
  }

  async upsert(id, payload) { this.change(() => { records[this.key(id)] = payload; }); }

  async find(id) { return records[this.key(id)]; }

  async findWhere(name, value) {
    return Object.entries(records).find(([key, record]) => key.startsWith(`${this.model}:`) && record[name] === value)?.[1];
  }

  async findByUid(uid) { return this.findWhere('uid', uid); }

  async findByUserCode(userCode) { return this.findWhere('userCode', userCode); }

  async consume(id) { this.change(() => { records[this.key(id)].consumed = Math.floor(Date.now() / 1000); }); }

  async destroy(id) { this.change(() => { delete records[this.key(id)]; }); }

  async revokeByGrantId(grantId) {
    this.change(() => {
      for (const [key, record] of Object.entries(records)) if (record.grantId === grantId) delete records[key];
    });
  }
}

const client = (id, more) => ({
  client_id: id,
  client_secret: `${id}-secret`,
  redirect_uris: told.redirectURIs,
  post_logout_redirect_uris: told.postLogoutURIs,
  grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
  ...more,
});

const profile = (id) => ({
  preferred_username: id, given_name: 'Alice', family_name: 'Liddell', name: 'Alice Liddell',
  email: `${id}@example.org`, roles: ['admin', 'user'],
});

const provider = new Provider(issuer, {
  adapter: Adapter,
  clients: [
    client('app'),
    client('jwt'),
    client('backchannel', { backchannel_logout_uri: told.logoutURI, backchannel_logout_session_required: true }),
  ],
  jwks: kept('keys.json', newKeys),
  cookies: { keys: ['a key for tests'] },
  pkce: { required: () => true },
  scopes: ['openid', 'offline_access', 'profile', 'email'],
  claims: {
    profile: ['preferred_username', 'given_name', 'family_name', 'name', 'roles'],
    email: ['email', 'email_verified'],
  },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, ...profile(id), email_verified: true }),
  }),
  // Its own dispatcher calls no address on loopback, where the applications are.
  fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined }),
  rotateRefreshToken: true,
  issueRefreshToken: (ctx, c) => c.grantTypeAllowed('refresh_token'),
  extraTokenClaims: (ctx, token) => (token.aud === resource ? profile(token.accountId) : undefined),
  features: {
    backchannelLogout: { enabled: true },
    deviceFlow: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx, c) => (c.clientId === 'jwt' ? resource : undefined),
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        audience: resource, scope: 'profile email', accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});

provider.on('backchannel.error', (ctx, error) => console.error(error));

provider.listen(told.port, '127.0.0.1');
