import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { IdentifierParts } from '../../../src/identity/identifier.ts';
import {
  bearer,
  callerOf,
  configFor,
  epoch,
  goodClaims,
  identifierOf,
  makeKey,
  metadata,
  proof,
  type SigningKey,
  TestProvider,
  tokenOf,
} from './provider.ts';

const spiffe = 'spiffe://cluster.local/ns/batch/sa/nightly';
const peers = { allow: ['spiffe://cluster.local/ns/batch/sa/*'] };
const jwtAuthn = { enabled: true, providers: ['corp'] };

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
describe('what Envoy’s jwt_authn has verified', () => {
  const identify = async (claims: object, overrides: object = {}, more: object = {}) =>
    identifierWith({ jwtAuthn, ...more }, {}, overrides).identify(proof({ jwtAuthn: metadata(claims) }));

  test('says who is calling, with groups and team, and needs no keys', async () => {
    const teams = [{ name: 'ml', groups: ['ml-eng'] }];
    const before = provider.requests.length;
    expect(callerOf(await identify({ ...goodClaims(provider), jti: 'id-1' }, {}, { teams }))).toMatchObject({
      provider: 'corp',
      issuer: provider.issuer,
      subject: 'jane',
      kind: 'person',
      groups: ['ml-eng'],
      team: 'ml',
      proof: 'jwt_authn',
      tokenId: 'id-1',
      issuedAtMs: epoch - 10_000,
      expiresAtMs: epoch + 630_000,
    });
    expect(provider.requests).toHaveLength(before);
  });

  test('counts under whatever name it was put, header and status beside it', async () => {
    const beside = () => ({
      [provider.issuer]: goodClaims(provider),
      header: { alg: 'ES256' },
      failed: { code: 0 },
      x: 7,
    });
    const answer = await identifierWith({ jwtAuthn }).identify(proof({ jwtAuthn: beside }));
    expect(callerOf(answer).subject).toBe('jane');
  });

  test.each<[string, object, object, string]>([
    ['an unknown issuer', { iss: 'https://other.test' }, {}, 'issuer_unknown'],
    ['no issuer', { iss: undefined }, {}, 'issuer_unknown'],
    ['another audience', { aud: 'https://other.test' }, {}, 'audience_wrong'],
    ['an end that is past', { exp: epoch / 1000 - 31, iat: epoch / 1000 - 600 }, {}, 'token_expired'],
    ['a beginning to come', { nbf: epoch / 1000 + 31 }, {}, 'token_not_yet_valid'],
    ['no dates', { exp: undefined }, {}, 'token_invalid'],
    ['marks of an ID token', { nonce: 'n' }, {}, 'token_invalid'],
    ['no required claim', {}, { requiredClaims: { hd: true } }, 'token_invalid'],
    ['another client', { azp: 'x' }, { authorizedParties: ['webapp'] }, 'token_invalid'],
    ['no subject', { sub: '' }, {}, 'token_invalid'],
    ['groups that cannot be read', { groups: 7 }, {}, 'groups_unavailable'],
  ])('is checked again: %s', async (_what, claims, overrides, reason) => {
    expect(await identify({ ...goodClaims(provider), ...claims }, overrides)).toMatchObject({ ok: false, reason });
  });

  test('is refused where its provider is not named, and the peer that brought it is not asked', async () => {
    const other = { ...configFor(provider).providers[0]!, name: 'mesh-idp', issuer: 'https://mesh.test' };
    const config = configFor(provider, {}, { peers });
    const both = {
      ...config,
      providers: [...config.providers, other],
      jwtAuthn: { enabled: true, providers: ['mesh-idp'] },
    };
    const sent = proof({ peer: spiffe, jwtAuthn: metadata(goodClaims(provider)) });
    expect(await identifierOf(both, now).identify(sent)).toMatchObject({ ok: false, reason: 'issuer_unknown' });
  });

  test('is refused when it is two tokens of known issuers, and not because of one that is nobody’s', async () => {
    const claims = goodClaims(provider);
    const identifier = identifierWith({ jwtAuthn });
    const two = proof({ jwtAuthn: () => ({ a: claims, b: { ...claims, sub: 'root' } }) });
    expect(await identifier.identify(two)).toMatchObject({ ok: false, reason: 'token_invalid' });
    const beside = proof({ jwtAuthn: () => ({ a: claims, b: { iss: 'https://other.test', sub: 'root' } }) });
    expect(callerOf(await identifier.identify(beside)).subject).toBe('jane');
  });

  test.each<[string, object, string]>([
    ['the same issuer and subject', {}, 'ok'],
    ['another subject', { sub: 'root' }, 'token_invalid'],
    ['another issuer that is not known', { iss: 'https://other.test', sub: 'root' }, 'ok'],
  ])('beside a token must be of %s, each time', async (_what, claims, expected) => {
    const identifier = identifierWith({ jwtAuthn });
    const token = await tokenOf(provider, { key });
    const both = proof({ token, jwtAuthn: metadata({ ...goodClaims(provider), ...claims }) });
    for (let time = 0; time < 2; time += 1) {
      const answer = await identifier.identify(both);
      expect(answer.ok ? 'ok' : answer.reason).toBe(expected);
    }
    expect(callerOf(await identifier.identify(bearer(token))).subject).toBe('jane');
  });

  test('is refused when it cannot be read, alone and beside a token, and the peer is not asked', async () => {
    const unreadable = () => {
      throw new RangeError('the struct has a name twice');
    };
    const identifier = identifierWith({ jwtAuthn, peers });
    for (const token of [undefined, await tokenOf(provider, { key })])
      expect(await identifier.identify({ token, peer: spiffe, jwtAuthn: unreadable })).toMatchObject({
        ok: false,
        reason: 'token_malformed',
      });
  });

  test('is not looked at beside a token where the config does not take it', async () => {
    const both = proof({ token: await tokenOf(provider, { key }), jwtAuthn: () => expect.unreachable() });
    expect(callerOf(await identifierWith().identify(both)).subject).toBe('jane');
  });
});
