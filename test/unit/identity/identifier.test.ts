import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Caller, Identification, Proof } from '../../../src/identity/caller.ts';
import type { Groups } from '../../../src/identity/groups/groups.ts';
import type { IdentifierParts } from '../../../src/identity/identifier.ts';
import type { Revocations, TokenIssuer } from '../../../src/identity/issued/issued.ts';
import {
  bearer,
  configFor,
  epoch,
  goodClaims,
  identifierOf,
  makeKey,
  type SigningKey,
  TestProvider,
  tokenOf,
} from './provider.ts';

const spiffe = 'spiffe://cluster.local/ns/batch/sa/nightly';
const peers = { allow: ['spiffe://cluster.local/ns/batch/sa/*'] };
const jwtAuthn = { enabled: true, providers: ['corp'] };

let key: SigningKey;
let provider: TestProvider;
let nowMs = epoch;
const now = () => nowMs;
beforeAll(async () => {
  key = await makeKey('first');
  provider = await TestProvider.start(key);
});
beforeEach(() => {
  nowMs = epoch;
});
afterAll(() => provider.stop());

const identifierWith = (more: object = {}, parts: Partial<IdentifierParts> = {}, overrides: object = {}) =>
  identifierOf(configFor(provider, { ...overrides }, { ...more }), now, parts);
const proof = (more: Partial<Proof>): Proof => ({ token: undefined, peer: '', jwtAuthn: undefined, ...more });
const metadata =
  (claims: object, name = 'payload') =>
  () => ({ [name]: claims });

function callerOf(answer: Identification): Caller {
  if (!answer.ok) throw new Error(`${answer.reason}: ${answer.detail}`);
  return answer.caller;
}

describe('who decides', () => {
  test('nobody, without any proof: the token is missing', async () => {
    const refusal = { ok: false, reason: 'token_missing' };
    expect(await identifierWith({ peers, jwtAuthn }).identify(proof({}))).toMatchObject(refusal);
    expect(await identifierWith().identify(proof({ peer: spiffe }))).toMatchObject(refusal);
    const unasked = proof({ jwtAuthn: metadata(goodClaims(provider)) });
    expect(await identifierWith().identify(unasked)).toMatchObject(refusal);
  });

  test('the token, also when it is bad and the peer or Envoy’s word would do', async () => {
    const identifier = identifierWith({ peers, jwtAuthn });
    const bad = proof({ token: 'a.b.c', peer: spiffe, jwtAuthn: metadata(goodClaims(provider)) });
    expect(await identifier.identify(bad)).toMatchObject({ ok: false, reason: 'token_malformed' });
    const empty = proof({ token: '', peer: spiffe });
    expect(await identifier.identify(empty)).toMatchObject({ ok: false, reason: 'token_malformed' });
    const good = proof({ token: await tokenOf(provider, { key }), peer: spiffe });
    expect(callerOf(await identifier.identify(good))).toMatchObject({ proof: 'token', subject: 'jane' });
  });

  test('Envoy’s jwt_authn without a token, and not the peer', async () => {
    const both = proof({ peer: spiffe, jwtAuthn: metadata(goodClaims(provider)) });
    expect(callerOf(await identifierWith({ peers, jwtAuthn }).identify(both))).toMatchObject({ proof: 'jwt_authn' });
  });

  test('the peer where jwt_authn has verified nothing', async () => {
    const nothing = proof({ peer: spiffe, jwtAuthn: () => ({ status: { code: 5, message: 'Jwt is missing' } }) });
    expect(callerOf(await identifierWith({ peers, jwtAuthn }).identify(nothing))).toMatchObject({ proof: 'peer' });
  });
});

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

  test('is not looked at beside a token where the config does not take it', async () => {
    const both = proof({ token: await tokenOf(provider, { key }), jwtAuthn: () => expect.unreachable() });
    expect(callerOf(await identifierWith().identify(both)).subject).toBe('jane');
  });
});

/** Answers for every caller alike, and remembers who was asked about. */
function revoking(answer: () => ReturnType<Revocations['check']>): Revocations & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    check: (caller) => {
      asked.push(`${caller.provider}/${caller.subject}`);
      return answer();
    },
    revokeToken: () => Promise.reject(new Error('not here')),
    revokeSubject: () => Promise.reject(new Error('not here')),
  };
}

/** Takes any token of its own for jane's. */
const issuerOf = (issuer: string): TokenIssuer => ({
  issuer,
  issue: () => Promise.reject(new Error('not here')),
  assertion: () => Promise.reject(new Error('not here')),
  jwks: () => ({ keys: [] }),
  verify: async (_token, { claims }) => ({ ok: true, caller: { ...ours, tokenId: String(claims['jti']) } }),
});
const ours: Caller = Object.freeze({
  provider: 'corp',
  issuer: 'https://id.test',
  subject: 'jane',
  kind: 'person',
  email: undefined,
  groups: [],
  team: undefined,
  claims: {},
  proof: 'issued',
  tokenId: undefined,
  issuedAtMs: epoch,
  expiresAtMs: epoch + 900_000,
});

describe('a caller that was taken back', () => {
  test.each<[string, () => Promise<Proof> | Proof, string]>([
    ['a token', async () => bearer(await tokenOf(provider, { key })), 'corp/jane'],
    [
      'one of our own',
      async () => bearer(await tokenOf(provider, { key, claims: { iss: 'https://gw.test' } })),
      'corp/jane',
    ],
    ['Envoy’s word', () => proof({ jwtAuthn: metadata(goodClaims(provider)) }), 'corp/jane'],
    ['an mTLS peer', () => proof({ peer: spiffe }), `mesh/${spiffe}`],
  ])('is refused by %s, verified before or not', async (_what, make, who) => {
    let answer: ReturnType<Revocations['check']>;
    const revocations = revoking(() => answer);
    const identifier = identifierWith({ peers, jwtAuthn }, { revocations, issuer: issuerOf('https://gw.test') });
    const sent = await make();
    for (const [next, expected] of [
      [undefined, 'ok'],
      ['revoked', 'token_revoked'],
      ['unknown', 'state_unavailable'],
      [undefined, 'ok'],
    ] as const) {
      answer = next;
      const identified = await identifier.identify(sent);
      expect(identified.ok ? 'ok' : identified.reason).toBe(expected);
    }
    expect(revocations.asked).toEqual([who, who, who, who]);
  });
});

describe('a token of our own', () => {
  const issuer = issuerOf('https://gw.test');
  const token = (jti: string) => tokenOf(provider, { key, claims: { iss: 'https://gw.test', jti } });

  test('is verified by the issuer, once, until it expires', async () => {
    let asked = 0;
    const counting: TokenIssuer = {
      ...issuer,
      verify: (...args) => {
        asked += 1;
        return issuer.verify(...args);
      },
    };
    const identifier = identifierWith({}, { issuer: counting });
    const sent = bearer(await token('id-1'));
    expect(callerOf(await identifier.identify(sent))).toMatchObject({ proof: 'issued', tokenId: 'id-1' });
    expect(identifier.identify(sent)).not.toBeInstanceOf(Promise);
    expect(asked).toBe(1);
    nowMs = ours.expiresAtMs;
    await identifier.identify(sent);
    expect(asked).toBe(2);
  });

  test('is of an unknown issuer where the gateway issues none, and is never exchanged', async () => {
    const sent = await token('id-2');
    expect(await identifierWith().identify(bearer(sent))).toMatchObject({ ok: false, reason: 'issuer_unknown' });
    const exchange = identifierWith({}, { issuer }).verifySubjectToken(sent, 'access_token');
    expect(await exchange).toMatchObject({ ok: false, reason: 'issuer_unknown' });
  });
});

describe('groups that were asked for', () => {
  test('are asked for again when their time is over, before the token expires', async () => {
    const answers: Groups[] = [
      { ok: true, groups: ['a'], goodUntilMs: epoch + 1000 },
      { ok: true, groups: ['b'], goodUntilMs: epoch + 2000 },
      { ok: false, detail: 'the directory answered 503' },
    ];
    let asked = 0;
    const identifier = identifierWith({}, { groupsOf: () => ({ read: async () => answers[asked++]! }) });
    const sent = bearer(await tokenOf(provider, { key }));
    const groups = async () => {
      const answer = await identifier.identify(sent);
      return answer.ok ? answer.caller.groups : answer.reason;
    };
    expect([await groups(), await groups(), asked]).toEqual([['a'], ['a'], 1]);
    nowMs = epoch + 1000;
    expect([await groups(), await groups(), asked]).toEqual([['b'], ['b'], 2]);
    nowMs = epoch + 2000;
    expect([await groups(), asked]).toEqual(['groups_unavailable', 3]);
  });

  test('are asked for with the access token, never with an ID token or without a good signature', async () => {
    const tokens: (string | undefined)[] = [];
    const groupsOf: IdentifierParts['groupsOf'] = () => ({
      read: (_claims, _subject, token) => {
        tokens.push(token);
        return { ok: true, groups: [], goodUntilMs: Number.POSITIVE_INFINITY };
      },
    });
    const access = await tokenOf(provider, { key });
    await identifierWith({}, { groupsOf }).identify(bearer(access));
    const id = await tokenOf(provider, { key, header: { typ: 'JWT' } });
    await identifierWith({}, { groupsOf }, { tokenType: 'id_token' }).identify(bearer(id));
    const forged = await tokenOf(provider, { key: await makeKey('first') });
    await identifierWith({}, { groupsOf }).identify(bearer(forged));
    expect(tokens).toEqual([access, undefined]);
  });
});

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
