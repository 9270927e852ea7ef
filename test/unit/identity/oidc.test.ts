import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Caller, Identification, Identifier } from '../../../src/identity/caller.ts';
import { bearer, configFor, epoch, identifierOf, makeKey, type SigningKey, TestProvider, tokenOf } from './provider.ts';

let key: SigningKey;
let provider: TestProvider;
let nowMs = epoch;
const now = () => nowMs;

beforeAll(async () => {
  key = await makeKey('first');
});
beforeEach(async () => {
  nowMs = epoch;
  provider = await TestProvider.start(key);
});
afterEach(() => provider.stop());

function callerOf(answer: Identification): Caller {
  if (!answer.ok) throw new Error(`${answer.reason}: ${answer.detail}`);
  return answer.caller;
}

async function identified(claims: Record<string, unknown>, overrides = {}, more = {}): Promise<Caller> {
  const identifier = identifierOf(configFor(provider, overrides, more), now);
  return callerOf(await identifier.identify(bearer(await tokenOf(provider, { key, claims }))));
}

describe('a good access token', () => {
  test('says who is calling', async () => {
    const caller = await identified({ email: 'jane@example.com', groups: ['ml-eng', 'pii-cleared'] });
    expect(caller).toMatchObject({
      provider: 'corp',
      issuer: provider.issuer,
      subject: 'jane',
      kind: 'person',
      email: 'jane@example.com',
      groups: ['ml-eng', 'pii-cleared'],
      team: undefined,
      expiresAtMs: epoch + 630_000,
    });
  });

  test.each([
    ['a list', 'groups', { groups: ['a', 'b', 'a'] }, ['a', 'b']],
    ['one string', 'groups', { groups: 'ML Engineers' }, ['ML Engineers']],
    ['a nested list', 'realm_access.roles', { realm_access: { roles: ['a'] } }, ['a']],
    ['a name with dots', 'https://corp.test/groups', { 'https://corp.test/groups': ['a'] }, ['a']],
    [
      'a path of names with dots',
      ['https://corp.test/x', 'groups'],
      { 'https://corp.test/x': { groups: ['a'] } },
      ['a'],
    ],
    ['nothing', 'roles', {}, []],
    ['an inherited name', 'constructor.name', {}, []],
  ])('has its groups read from %s', async (_what, groupsClaim, claims, expected) => {
    expect((await identified(claims, { groups: { claims: [groupsClaim] } })).groups).toEqual(expected);
  });

  test.each([
    ['a number', { groups: 7 }],
    ['an object', { groups: { a: true } }],
    ['a list with a number in it', { groups: ['a', 7] }],
    ['a list with an empty name in it', { groups: ['a', ''] }],
    ['a line break in a name', { groups: ['a\nb'] }],
    ['more than a thousand', { groups: Array.from({ length: 1001 }, (_, i) => `g${i}`) }],
    ['a pointer to elsewhere (Entra ID overage)', { groups: undefined, _claim_names: { groups: 'src1' } }],
  ])('is refused when its groups are %s, since a rule may deny by group', async (_what, claims) => {
    const identifier = identifierOf(configFor(provider), now);
    const answer = await identifier.identify(bearer(await tokenOf(provider, { key, claims })));
    expect(answer).toMatchObject({ ok: false, reason: 'groups_unavailable' });
  });

  test('has no e-mail address when the provider says that it is not verified', async () => {
    expect((await identified({ email: 'ceo@example.com', email_verified: false })).email).toBeUndefined();
    expect((await identified({ email: 'a@example.com\r\nx: y' })).email).toBeUndefined();
    expect((await identified({ upn: 'j@example.com' }, { emailClaim: 'upn' })).email).toBe('j@example.com');
  });

  test.each([
    ['RFC 9068: sub is the client', { sub: 'batch', client_id: 'batch' }, 'service'],
    ['Auth0', { gty: 'client-credentials' }, 'service'],
    ['Entra ID', { idtyp: 'app' }, 'service'],
    ['Keycloak', { client_id: 'batch', preferred_username: 'service-account-batch' }, 'service'],
    ['a person through a client', { client_id: 'webapp', azp: 'webapp' }, 'person'],
    ['a person who took a service name', { preferred_username: 'service-account-batch' }, 'person'],
  ])('tells a service from a person (%s)', async (_what, claims, kind) => {
    expect((await identified(claims)).kind).toBe(kind);
  });

  test('puts the caller into the first team that one of the groups makes', async () => {
    const teams = [
      { name: 'support', groups: ['support'] },
      { name: 'ml-platform', groups: ['ml-ops', 'ml-eng'] },
      { name: 'everybody', groups: ['ml-eng'] },
    ];
    expect((await identified({ groups: ['x', 'ml-eng'] }, {}, { teams })).team).toBe('ml-platform');
    expect((await identified({ groups: ['x'] }, {}, { teams })).team).toBeUndefined();
  });
});

describe('a token that was verified before', () => {
  let identifier: Identifier;
  beforeEach(() => {
    identifier = identifierOf(configFor(provider), now);
  });

  test('is answered synchronously, with the same caller', async () => {
    const token = await tokenOf(provider, { key });
    const first = await identifier.identify(bearer(token));
    expect(identifier.identify(bearer(token))).toBe(first);
  });

  test('is refused the moment it expires', async () => {
    const token = await tokenOf(provider, { key });
    const caller = callerOf(await identifier.identify(bearer(token)));
    nowMs = caller.expiresAtMs - 1;
    expect(await identifier.identify(bearer(token))).toMatchObject({ ok: true });
    nowMs = caller.expiresAtMs;
    expect(identifier.identify(bearer(token))).toMatchObject({ ok: false, reason: 'token_expired' });
  });

  test('is not asked for twice at once', async () => {
    const token = await tokenOf(provider, { key });
    const answers = await Promise.all([identifier.identify(bearer(token)), identifier.identify(bearer(token))]);
    expect(answers[0]).toBe(answers[1]);
    expect(provider.keyFetches).toBe(1);
  });

  test('is forgotten when the cache is full, and verified again', async () => {
    const small = identifierOf(configFor(provider, {}, { tokenCacheEntries: 1 }), now);
    const [one, two] = [await tokenOf(provider, { key }), await tokenOf(provider, { key, claims: { sub: 'sam' } })];
    await small.identify(bearer(one));
    await small.identify(bearer(two));
    expect(small.identify(bearer(two))).not.toBeInstanceOf(Promise);
    expect(small.identify(bearer(one))).toBeInstanceOf(Promise);
  });

  test('is refused once its key was withdrawn by the provider', async () => {
    const token = await tokenOf(provider, { key });
    await identifier.identify(bearer(token));
    provider.keys = [(await makeKey('second')).publicJwk];
    nowMs += 300_000;
    await fetchedInBackground(identifier, token, 1);
    nowMs += 310_000;
    await fetchedInBackground(identifier, token, 2);
    expect(await identifier.identify(bearer(token))).toMatchObject({ ok: false, reason: 'token_invalid' });
  });

  async function fetchedInBackground(of: Identifier, token: string, fetches: number): Promise<void> {
    await of.identify(bearer(token));
    await expect.poll(() => provider.keyFetches).toBe(fetches);
  }
});
