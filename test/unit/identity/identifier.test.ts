import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Caller, Proof } from '../../../src/identity/caller.ts';
import type { Groups } from '../../../src/identity/groups/groups.ts';
import type { IdentifierParts } from '../../../src/identity/identifier.ts';
import type { Revocations, TokenIssuer } from '../../../src/identity/issued/issued.ts';
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
  revoking,
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
