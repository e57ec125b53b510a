// A relying party on npm's openid-client, which nobody here wrote. It reads one JSON command a line and answers with one
// JSON line: the test plays the person's browser, this script plays the app. Every signature is verified, also where TLS
// alone would do.
import { webcrypto } from 'node:crypto'
import * as readline from 'node:readline'
import * as client from 'openid-client'

// Node.js 18, which Debian 12 has, keeps these two to itself.
globalThis.crypto ??= webcrypto
globalThis.CryptoKey ??= webcrypto.CryptoKey

let config
let expected

const commands = {
  async discover({ issuer, client_id, client_secret, auth, private_jwk }) {
    config = await client.discovery(new URL(issuer), client_id, client_secret ?? undefined,
      await authentication(auth, client_secret, private_jwk), { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] })
    return { metadata: config.serverMetadata() }
  },
  async authorize({ parameters }) {
    const code_verifier = client.randomPKCECodeVerifier()
    expected = { pkceCodeVerifier: code_verifier, expectedState: client.randomState(), expectedNonce: client.randomNonce() }
    const url = client.buildAuthorizationUrl(config, {
      ...parameters,
      code_challenge: await client.calculatePKCECodeChallenge(code_verifier),
      code_challenge_method: 'S256',
      state: expected.expectedState,
      nonce: expected.expectedNonce,
    })
    return { url: url.href }
  },
  async callback({ url, resource }) {
    const tokens = await client.authorizationCodeGrant(config, new URL(url), { ...expected, idTokenExpected: true },
      resource ? { resource } : undefined)
    const header = JSON.parse(Buffer.from(tokens.id_token.split('.')[0], 'base64url'))
    return { tokens, claims: tokens.claims(), header }
  },
  async userinfo({ access_token, sub }) {
    return { userinfo: await client.fetchUserInfo(config, access_token, sub) }
  },
  async refresh({ refresh_token, parameters }) {
    const tokens = await client.refreshTokenGrant(config, refresh_token, parameters)
    return { tokens, claims: tokens.claims() }
  },
  async credentials({ parameters }) {
    return { tokens: await client.clientCredentialsGrant(config, parameters) }
  },
  async introspect({ token }) {
    return { answer: await client.tokenIntrospection(config, token) }
  },
  async revoke({ token }) {
    await client.tokenRevocation(config, token)
    return {}
  },
  async logout({ parameters }) {
    return { url: client.buildEndSessionUrl(config, parameters).href }
  },
}

async function authentication(method, secret, jwk) {
  switch (method) {
    case 'client_secret_post': return client.ClientSecretPost(secret)
    case 'client_secret_basic': return client.ClientSecretBasic(secret)
    case 'none': return client.None()
    case 'private_key_jwt': {
      const algorithm = { ES256: { name: 'ECDSA', namedCurve: 'P-256' }, Ed25519: { name: 'Ed25519' } }[jwk.alg]
      const key = await crypto.subtle.importKey('jwk', jwk, algorithm, false, ['sign'])
      return client.PrivateKeyJwt({ key, kid: jwk.kid })
    }
    default: throw new Error(`no such method: ${method}`)
  }
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { command, ...parameters } = JSON.parse(line)
  let answer
  try {
    answer = { ok: true, ...await commands[command](parameters) }
  } catch (error) {
    answer = { ok: false, name: error.name, code: error.code, error: error.error, status: error.status,
      message: error.message, cause: error.cause?.message ?? null }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
