import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Identifier } from '../../../src/identity/caller.ts';
import { configFor, epoch, identifierOf, makeKey, outcomeOf, type SigningKey, TestProvider } from './provider.ts';

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
  test('are found by discovery, and fetched once', async () => {
    const identifier = identifierWith();
    expect(await outcome(identifier)).toBe('ok');
    expect(await outcome(identifier, { sub: 'sam' })).toBe('ok');
    expect(provider.requests).toEqual([discovery, '/jwks']);
  });

  test('are fetched from jwksUri without discovery where the config says so', async () => {
    expect(await outcome(identifierWith({ jwksUri: `${provider.issuer}/jwks` }))).toBe('ok');
    expect(provider.requests).toEqual(['/jwks']);
  });

  test('rotated are found also for tokens that name no key, when the cooldown is over', async () => {
    const identifier = identifierWith();
    provider.keys = [key.publicJwk, { ...other.publicJwk, kid: 'else' }];
    expect(await outcome(identifier)).toBe('ok');
    const third = await makeKey('third');
    provider.keys = [third.publicJwk, key.publicJwk];
    nowMs += 30_000;
    expect(await outcome(identifier, { key: { ...third, kid: undefined as unknown as string } })).toBe('ok');
    expect(provider.keyFetches).toBe(2);
  });

  test('are tried again after 1, 2 and 4 seconds when there are none yet', async () => {
    const good = provider.answers['/jwks']!;
    provider.answers['/jwks'] = (_req, res) => res.writeHead(503).end();
    const identifier = identifierWith();
    for (const [waitMs, fetches] of [
      [0, 1],
      [999, 1],
      [1, 2],
      [1_999, 2],
      [1, 3],
    ] as const) {
      nowMs += waitMs;
      expect(await outcome(identifier)).toBe('keys_unavailable');
      expect(provider.keyFetches).toBe(fetches);
    }
    provider.answers['/jwks'] = good;
    nowMs += 4_000;
    expect(await outcome(identifier)).toBe('ok');
  });

  test('are fetched again after the clock was set back', async () => {
    const identifier = identifierWith();
    expect(await outcome(identifier)).toBe('ok');
    nowMs -= 86_400_000;
    expect(await outcome(identifier)).toBe('ok');
    expect(provider.keyFetches).toBe(2);
  });
});
