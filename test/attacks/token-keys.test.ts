/** attacks.md, "Tokens (JWT)": the signing keys of a provider that rotates, fails, lies or is flooded. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Identifier } from '../../src/identity/caller.ts';
import {
  bearer,
  callerOf,
  configFor,
  encode,
  epoch,
  goodClaims,
  identifierOf,
  json,
  makeKey,
  outcomeOf,
  type SigningKey,
  TestProvider,
  tokenOf,
} from '../unit/identity/provider.ts';

let key: SigningKey;
let other: SigningKey;
let provider: TestProvider;
let nowMs = epoch;
const now = () => nowMs;
const discovery = '/.well-known/openid-configuration';

beforeAll(async () => {
  key = await makeKey('first');
  other = await makeKey('second');
});
beforeEach(async () => {
  nowMs = epoch;
  provider = await TestProvider.start(key);
});
afterEach(() => provider.stop());

function identifierWith(overrides: Record<string, unknown> = {}): Identifier {
  return identifierOf(configFor(provider, overrides), now);
}

function outcome(identifier: Identifier, parts: { key?: SigningKey; sub?: string } = {}): Promise<string> {
  return outcomeOf(identifier, provider, { key, ...parts, nowMs });
}

describe('signing keys (JWKS)', () => {
  test('are fetched once for 10,000 random key ids inside the cooldown, and others do not wait', async () => {
    const identifier = identifierWith();
    expect(await outcome(identifier)).toBe('ok');
    nowMs += 30_000;
    const known = await tokenOf(provider, { key, claims: { sub: 'sam' } });
    let letThrough = () => {};
    const asked = new Promise<void>((resolve) => {
      const good = provider.answers['/jwks']!;
      provider.answers['/jwks'] = (req, res) => {
        letThrough = () => good(req, res);
        resolve();
      };
    });
    const body = encode({ ...goodClaims(provider), exp: nowMs / 1000 + 600, iat: nowMs / 1000 });
    const signature = 'A'.repeat(86);
    const flood = Array.from({ length: 10_000 }, () => {
      const header = encode({ alg: 'ES256', typ: 'at+jwt', kid: crypto.randomUUID() });
      return identifier.identify(bearer(`${header}.${body}.${signature}`));
    });
    await asked;
    // The fetch has not been answered yet: who has a known key is not kept waiting for it.
    expect(await identifier.identify(bearer(known))).toMatchObject({ ok: true });
    letThrough();
    const reasons = (await Promise.all(flood)).map((answer) => (answer.ok ? 'ok' : answer.reason));
    expect(new Set(reasons)).toEqual(new Set(['token_invalid']));
    expect(provider.keyFetches).toBe(2);
    nowMs += 29_999;
    expect(await outcome(identifier, { key: { ...key, kid: 'one more' } })).toBe('token_invalid');
    expect(provider.keyFetches).toBe(2);
    nowMs += 1;
    expect(await outcome(identifier, { key: { ...key, kid: 'and one' } })).toBe('token_invalid');
    expect(provider.keyFetches).toBe(3);
  });

  test('are fetched once a cooldown for made-up key ids also while the provider is down', async () => {
    const identifier = identifierWith();
    expect(await outcome(identifier)).toBe('ok');
    provider.answers['/jwks'] = (_req, res) => res.writeHead(503).end();
    for (let second = 0; second < 60; second += 1) {
      nowMs += 1000;
      expect(await outcome(identifier, { key: { ...key, kid: `made-up-${second}` } })).toBe('token_invalid');
    }
    expect(provider.keyFetches).toBe(3);
    expect(await outcome(identifier)).toBe('ok');
  });

  test('rotated inside the cooldown are refused until it is over, then accepted', async () => {
    const identifier = identifierWith();
    expect(await outcome(identifier)).toBe('ok');
    provider.keys = [key.publicJwk, other.publicJwk];
    nowMs += 29_000;
    expect(await outcome(identifier, { key: other })).toBe('token_invalid');
    nowMs += 1_000;
    expect(await outcome(identifier, { key: other })).toBe('ok');
    expect(await outcome(identifier)).toBe('ok');
  });

  test('down past the cache: are used through an outage, and no longer than maxAgeSeconds', async () => {
    const identifier = identifierWith();
    const token = await tokenOf(provider, { key, claims: { exp: epoch / 1000 + 86_400 } });
    expect(await identifier.identify(bearer(token))).toMatchObject({ ok: true });
    provider.answers['/jwks'] = (_req, res) => res.writeHead(500).end();
    nowMs += 3_599_000;
    expect(await identifier.identify(bearer(token))).toMatchObject({ ok: true });
    await expect.poll(() => provider.keyFetches).toBe(2);
    nowMs += 1_000;
    expect(await identifier.identify(bearer(token))).toMatchObject({ ok: false, reason: 'keys_unavailable' });
    expect(await outcome(identifier)).toBe('keys_unavailable');
  });

  test.each<[string, (p: TestProvider) => void]>([
    ['answer with an error', (p) => (p.answers['/jwks'] = (_q, res) => res.writeHead(500).end('{}'))],
    ['redirect', (p) => (p.answers['/jwks'] = (_q, res) => res.writeHead(302, { location: '/elsewhere' }).end())],
    ['are huge', (p) => (p.answers['/jwks'] = json(() => ({ keys: p.keys, pad: 'x'.repeat(300_000) })))],
    ['never end', (p) => (p.answers['/jwks'] = (_q, res) => res.writeHead(200).write('{"keys":['))],
    ['never answer', (p) => (p.answers['/jwks'] = () => {})],
    ['are not JSON', (p) => (p.answers['/jwks'] = (_q, res) => res.writeHead(200).end('<html>'))],
    ['are no list', (p) => (p.answers['/jwks'] = json(() => ({ keys: {} })))],
    ['are empty', (p) => (p.answers['/jwks'] = json(() => ({ keys: [] })))],
    ['are more than a hundred', (p) => (p.keys = Array.from({ length: 101 }, () => key.publicJwk))],
    [
      'belong to a document of another issuer',
      (p) => (p.answers[discovery] = json(() => ({ issuer: `${p.issuer}/`, jwks_uri: `${p.issuer}/jwks` }))),
    ],
    ['are said to be nowhere', (p) => (p.answers[discovery] = json(() => ({ issuer: p.issuer })))],
    [
      'are said to be in a file',
      (p) => (p.answers[discovery] = json(() => ({ issuer: p.issuer, jwks_uri: 'file:///etc/passwd' }))),
    ],
    [
      'are said to be at a link-local address',
      (p) => (p.answers[discovery] = json(() => ({ issuer: p.issuer, jwks_uri: 'https://169.254.169.254/' }))),
    ],
    [
      'are said to be at a mapped private address',
      (p) => (p.answers[discovery] = json(() => ({ issuer: p.issuer, jwks_uri: 'https://[::ffff:10.0.0.1]/' }))),
    ],
    [
      'are said to be in the clear',
      (p) => (p.answers[discovery] = json(() => ({ issuer: p.issuer, jwks_uri: 'http://keys.example.com/' }))),
    ],
  ])('that %s make every token refused', async (_what, spoil) => {
    spoil(provider);
    expect(await outcome(identifierWith({ keys: { timeoutMs: 300 } }))).toBe('keys_unavailable');
    expect(provider.requests).not.toContain('/elsewhere');
  });

  test.each<[string, () => unknown]>([
    ['a shared secret', () => ({ kty: 'oct', k: 'c2VjcmV0', kid: 'first', alg: 'HS256' })],
    ['a key for encryption', () => ({ ...key.publicJwk, use: 'enc' })],
    ['a key for another algorithm', () => ({ ...key.publicJwk, alg: 'ES384' })],
    ['a key without its parts', () => ({ kty: 'EC', kid: 'first' })],
    ['a private key', async () => undefined],
  ])('that are only %s verify nothing', async (_what, jwk) => {
    const exported = (await jwk()) ?? { ...(await crypto.subtle.exportKey('jwk', key.privateKey)), kid: 'first' };
    provider.answers['/jwks'] = json(() => ({ keys: [exported] }));
    expect(await outcome(identifierWith())).toBe('token_invalid');
  });

  test('two of one key id are each tried', async () => {
    provider.keys = [{ ...other.publicJwk, kid: 'first' }, key.publicJwk];
    expect(await outcome(identifierWith())).toBe('ok');
    provider.keys = [
      { ...other.publicJwk, kid: 'first' },
      { ...other.publicJwk, kid: 'first' },
    ];
    expect(await outcome(identifierWith())).toBe('token_invalid');
  });
});

describe('a token', () => {
  test('of two issuers with the same sub makes two people', async () => {
    const otherKey = await makeKey('other');
    const other = await TestProvider.start(otherKey);
    try {
      const both = configFor(provider);
      const second = { ...configFor(other).providers[0]!, name: 'partner' };
      const identifier = identifierOf({ ...both, providers: [...both.providers, second] }, now);
      const ours = callerOf(await identifier.identify(bearer(await tokenOf(provider, { key }))));
      const theirs = callerOf(await identifier.identify(bearer(await tokenOf(other, { key: otherKey }))));
      expect([ours.subject, theirs.subject]).toEqual(['jane', 'jane']);
      expect([ours.provider, theirs.provider]).toEqual(['corp', 'partner']);
      const crossed = await identifier.identify(bearer(await tokenOf(provider, { key: otherKey })));
      expect(crossed).toMatchObject({ ok: false, reason: 'token_invalid' });
    } finally {
      await other.stop();
    }
  });
});
