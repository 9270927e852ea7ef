/** Against `oidc-provider`, an OpenID provider that somebody else wrote: its discovery, keys and access tokens. */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK } from 'jose';
import Provider from 'oidc-provider';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { identitySection } from '../../../src/identity/config.ts';
import { inspectToken } from '../../../src/identity/inspect.ts';
import { bearer, identifierOf, partsOf } from './provider.ts';

const algorithms = ['RS256', 'ES256', 'EdDSA'] as const;
type Algorithm = (typeof algorithms)[number];

let answer: RequestListener;
let fetches = 0;
const server = createServer((req, res) => {
  if (req.url === '/jwks') fetches += 1;
  answer(req, res);
});
let issuer: string;
let now: () => number;
let laterMs = 0;

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  now = () => Date.now() + laterMs;
});
beforeEach(() => {
  laterMs = 0;
  fetches = 0;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

async function privateJwk(kid: string, alg: Algorithm): Promise<JWK> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey as CryptoKey)), alg, kid, use: 'sig' };
}

/** Every token is a JWT: there is nothing to keep. */
class ForgetfulAdapter {
  async upsert(): Promise<void> {}
  async find(): Promise<undefined> {}
  async consume(): Promise<void> {}
  async destroy(): Promise<void> {}
  async revokeByGrantId(): Promise<void> {}
}

/** From now on the issuer has these keys, and signs access tokens with the first of the algorithm. */
function serve(alg: Algorithm, ...keys: readonly JWK[]): void {
  const resource = { scope: 'chat', audience: 'sallyport', accessTokenTTL: 600, accessTokenFormat: 'jwt' };
  const provider = new Provider(issuer, {
    jwks: { keys },
    adapter: ForgetfulAdapter,
    ttl: { ClientCredentials: 600 },
    clients: [
      {
        client_id: 'batch',
        client_secret: 'secret',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
    ],
    clientDefaults: { id_token_signed_response_alg: alg },
    enabledJWA: { idTokenSigningAlgValues: [alg] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:gateway',
        getResourceServerInfo: () => ({ ...resource, jwt: { sign: { alg } } }),
      },
    },
    extraTokenClaims: () => ({ groups: ['services'] }),
  });
  answer = provider.callback();
}

async function accessToken(): Promise<string> {
  const form = { grant_type: 'client_credentials', client_id: 'batch', client_secret: 'secret', scope: 'chat' };
  const response = await fetch(`${issuer}/token`, { method: 'POST', body: new URLSearchParams(form) });
  const body = (await response.json()) as { readonly access_token?: string };
  if (body.access_token === undefined) throw new Error(JSON.stringify(body));
  return body.access_token;
}

const configOf = (alg: Algorithm, more: object = {}) =>
  identitySection.parse({ providers: [{ name: 'corp', issuer, audience: 'sallyport', algorithms: [alg], ...more }] });

describe.each(algorithms)('an access token by client credentials, signed with %s', (alg) => {
  beforeEach(async () => serve(alg, await privateJwk('first', alg)));

  test('is a service’s, checked by discovery and keys alone', async () => {
    const identified = await identifierOf(configOf(alg), now).identify(bearer(await accessToken()));
    expect(identified).toMatchObject({
      ok: true,
      caller: { provider: 'corp', issuer, subject: 'batch', kind: 'service', groups: ['services'], proof: 'token' },
    });
    expect(identified.ok && identified.caller.tokenId).toBeTruthy();
    expect(identified.ok && identified.caller.expiresAtMs - now()).toBeGreaterThan(600_000);
  });

  test('passes every check of the report', async () => {
    const report = await inspectToken(await accessToken(), configOf(alg), partsOf(now));
    expect(report.checks.filter(({ outcome }) => outcome === 'fail')).toEqual([]);
    expect(report.verdict.ok).toBe(true);
  });

  test('is refused for another audience, from another client, and when it is changed', async () => {
    const token = await accessToken();
    const reasonBy = async (config: ReturnType<typeof configOf>, sent = token) => {
      const identified = await identifierOf(config, now).identify(bearer(sent));
      return identified.ok ? 'ok' : identified.reason;
    };
    expect(await reasonBy(configOf(alg, { audience: 'other' }))).toBe('audience_wrong');
    expect(await reasonBy(configOf(alg, { authorizedParties: ['web'] }))).toBe('token_invalid');
    expect(await reasonBy(configOf(alg, { authorizedParties: ['batch'] }))).toBe('ok');
    const [header, claims, signature = ''] = token.split('.');
    const changed = `${header}.${claims}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    expect(await reasonBy(configOf(alg), changed)).toBe('token_invalid');
    laterMs = 631_000;
    expect(await reasonBy(configOf(alg))).toBe('token_expired');
  });
});

test('when the provider rotates its keys, tokens of both are good, and then only those of the new one', async () => {
  const [first, second] = [await privateJwk('first', 'ES256'), await privateJwk('second', 'ES256')];
  serve('ES256', first);
  const identifier = identifierOf(configOf('ES256', { keys: { refreshAfterSeconds: 60, cooldownSeconds: 30 } }), now);
  const outcome = async (token: string) => {
    const identified = await identifier.identify(bearer(token));
    return identified.ok ? 'ok' : identified.reason;
  };
  const old = await accessToken();
  expect(await outcome(old)).toBe('ok');

  serve('ES256', second, first);
  const fresh = await accessToken();
  expect(await outcome(fresh)).toBe('token_invalid');
  laterMs = 30_000;
  expect([await outcome(fresh), await outcome(old)]).toEqual(['ok', 'ok']);
  expect(fetches).toBe(2);

  serve('ES256', second);
  laterMs = 90_000;
  await outcome(fresh);
  await expect.poll(() => fetches).toBe(3);
  await expect.poll(() => outcome(old)).toBe('token_invalid');
  expect(await outcome(fresh)).toBe('ok');
});
