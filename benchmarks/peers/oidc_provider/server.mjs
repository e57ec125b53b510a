// The peer: `node server.mjs PORT COUNT FILE` makes COUNT of each thing that a client spends, writes them to FILE, and serves.
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { Provider } from 'oidc-provider'
import { createTable, PostgresAdapter } from './adapter.mjs'

const [port, count, file] = process.argv.slice(2)
const RESOURCE = 'https://api.bench.example'
const REDIRECT_URI = 'https://app.bench.example/callback'
const secret = process.env.PEER_CLIENT_SECRET
const key = { ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid: 'bench' }

const provider = new Provider(`http://127.0.0.1:${port}`, {
  adapter: PostgresAdapter,
  clients: [{
    client_id: 'bench', client_secret: secret, redirect_uris: [REDIRECT_URI], response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    token_endpoint_auth_method: 'client_secret_basic', id_token_signed_response_alg: 'ES256',
  }],
  jwks: { keys: [key] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  claims: { openid: ['sub'], profile: ['name', 'birthdate'] },
  scopes: ['openid', 'profile', 'offline_access'],
  findAccount: (_ctx, id) => ({ accountId: id, claims: async () => ({ sub: id, name: 'Siti Rahayu', birthdate: '1990-05-15' }) }),
  issueRefreshToken: async () => true,
  rotateRefreshToken: () => true,
  ttl: { AuthorizationCode: 3600, AccessToken: 3600, ClientCredentials: 600, RefreshToken: 86400, Grant: 86400, IdToken: 600 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    resourceIndicators: {
      enabled: true,
      // With it, access tokens are ES256 JWTs as ours are; /userinfo and introspection need the opaque ones without it.
      defaultResource: () => RESOURCE,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({ scope: 'api', audience: RESOURCE, accessTokenTTL: 600, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }),
    },
  },
})

await createTable()
const client = await provider.Client.find('bench')
const spent = { codes: [], refresh_tokens: [], access_tokens: [], redirect_uri: REDIRECT_URI }
for (let number = 0; number < Number(count); number++) {
  const accountId = `person-${number}`
  const grant = new provider.Grant({ clientId: 'bench', accountId })
  grant.addOIDCScope('openid profile offline_access')
  grant.addResourceScope(RESOURCE, 'api')
  const grantId = await grant.save()
  const common = { accountId, client, grantId, scope: 'openid profile offline_access', authTime: Math.floor(Date.now() / 1000), claims: {}, gty: 'authorization_code' }
  const verifier = randomBytes(32).toString('base64url')
  spent.codes.push([await new provider.AuthorizationCode({
    ...common, redirectUri: REDIRECT_URI, nonce: 'n', resource: RESOURCE,
    codeChallenge: createHash('sha256').update(verifier).digest('base64url'), codeChallengeMethod: 'S256',
  }).save(), verifier])
  spent.refresh_tokens.push(await new provider.RefreshToken({ ...common, resource: RESOURCE, rotations: 0 }).save())
  if (number < 100) spent.access_tokens.push(await new provider.AccessToken(common).save())
}
writeFileSync(file, JSON.stringify(spent))
provider.on('server_error', (_ctx, error) => { console.error(error) })
provider.listen(Number(port), '127.0.0.1', () => { process.stdout.write('ready\n') })
