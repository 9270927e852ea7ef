import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { IdentifierParts } from '../../../src/identity/identifier.ts';
import {
  bearer,
  configFor,
  epoch,
  identifierOf,
  makeKey,
  revoking,
  type SigningKey,
  TestProvider,
  tokenOf,
} from './provider.ts';

let key: SigningKey;
let provider: TestProvider;
const now = () => epoch;
beforeAll(async () => {
  key = await makeKey('first');
  provider = await TestProvider.start(key);
});
afterAll(() => provider.stop());

const identifierWith = (more: object = {}, parts: Partial<IdentifierParts> = {}, overrides: object = {}) =>
  identifierOf(configFor(provider, { ...overrides }, { ...more }), now, parts);

describe('a token to be exchanged', () => {
  const login = { clientId: 'cli', exchange: 'id_token' };
  const idToken = (claims: object = {}) =>
    tokenOf(provider, { key, header: { typ: 'JWT' }, claims: { aud: 'cli', nonce: 'n', at_hash: 'h', ...claims } });
  const verify = async (token: string, type: 'access_token' | 'id_token', overrides: object, parts = {}) => {
    const answer = await identifierWith({}, parts, overrides).verifySubjectToken(token, type);
    return answer.ok ? 'ok' : answer.reason;
  };

  test('is an access token as callers send it', async () => {
    const token = await tokenOf(provider, { key });
    expect(await verify(token, 'access_token', {})).toBe('ok');
    expect(await verify(token, 'id_token', {})).toBe('token_invalid');
    expect(await verify(token, 'id_token', { login })).toBe('token_invalid');
    expect(await verify(await idToken(), 'access_token', {})).toBe('token_invalid');
    expect(await verify('', 'access_token', {})).toBe('token_malformed');
    expect(await verify('a'.repeat(20_000), 'access_token', {})).toBe('token_malformed');
  });

  test.each<[string, object, object, string]>([
    ['for our client', {}, { login }, 'ok'],
    ['for our client, which is no listed party', { azp: 'cli' }, { login, authorizedParties: ['webapp'] }, 'ok'],
    ['for the gateway, not for our client', { aud: 'https://gateway.test' }, { login }, 'audience_wrong'],
    ['for another client', { aud: 'other' }, { login }, 'audience_wrong'],
    ['made for another client by azp', { azp: 'other' }, { login }, 'token_invalid'],
    ['where access tokens are exchanged', {}, { login: { clientId: 'cli' } }, 'token_invalid'],
    ['where people cannot sign in', {}, {}, 'token_invalid'],
    ['where callers send ID tokens, too', { aud: 'https://gateway.test' }, { login, tokenType: 'id_token' }, 'ok'],
    ['where callers send ID tokens, for our client', {}, { login, tokenType: 'id_token' }, 'ok'],
    ['without the required claim', {}, { login, requiredClaims: { hd: 'example.com' } }, 'token_invalid'],
    ['that has expired', { exp: epoch / 1000 - 31, iat: epoch / 1000 - 60 }, { login }, 'token_expired'],
  ])('is an ID token %s', async (_what, claims, overrides, expected) => {
    expect(await verify(await idToken(claims), 'id_token', overrides)).toBe(expected);
  });

  test('is not one that was taken back, nor an ID token for calling', async () => {
    const revocations = revoking(() => 'revoked');
    expect(await verify(await idToken(), 'id_token', { login }, { revocations })).toBe('token_revoked');
    const called = await identifierWith({}, {}, { login }).identify(bearer(await idToken()));
    expect(called).toMatchObject({ ok: false });
  });

  test('is no access token where the provider has only ID tokens', async () => {
    expect(await verify(await idToken(), 'access_token', { tokenType: 'id_token' })).toBe('token_invalid');
  });
});
