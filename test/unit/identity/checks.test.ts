import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bearer, configFor, epoch, identifierOf, makeKey, type SigningKey, TestProvider, tokenOf } from './provider.ts';

let key: SigningKey;
let provider: TestProvider;
beforeAll(async () => {
  key = await makeKey('first');
  provider = await TestProvider.start(key);
});
afterAll(() => provider.stop());

async function answerFor(overrides: object, claims: object, header: object = {}) {
  const identifier = identifierOf(configFor(provider, { ...overrides }), () => epoch);
  const parts = { key, claims: { ...claims }, header: { ...header } };
  return identifier.identify(bearer(await tokenOf(provider, parts)));
}

async function outcome(overrides: object, claims: object, header: object = {}): Promise<string> {
  const answer = await answerFor(overrides, claims, header);
  return answer.ok ? 'ok' : answer.reason;
}

describe('required claims', () => {
  test.each<[string, object, object, 'ok' | 'token_invalid']>([
    ['any value, there', { tid: true }, { tid: 'a' }, 'ok'],
    ['any value, false', { tid: true }, { tid: false }, 'ok'],
    ['any value, missing', { tid: true }, {}, 'token_invalid'],
    ['any value, null', { tid: true }, { tid: null }, 'token_invalid'],
    ['a value, the same', { hd: 'example.com' }, { hd: 'example.com' }, 'ok'],
    ['a value, another case', { hd: 'example.com' }, { hd: 'Example.com' }, 'token_invalid'],
    ['a value, only its beginning', { hd: 'example.com' }, { hd: 'example.co' }, 'token_invalid'],
    ['a number, the same', { level: 2 }, { level: 2 }, 'ok'],
    ['a number, as a string', { level: 2 }, { level: '2' }, 'token_invalid'],
    ['false, missing', { blocked: [false] }, {}, 'token_invalid'],
    ['one of a list', { env: ['prod', 'test'] }, { env: 'test' }, 'ok'],
    ['none of a list', { env: ['prod', 'test'] }, { env: 'dev' }, 'token_invalid'],
    ['a list that holds it', { amr: 'mfa' }, { amr: ['pwd', 'mfa'] }, 'ok'],
    ['a list that holds one of a list', { amr: ['otp', 'mfa'] }, { amr: ['pwd', 'mfa'] }, 'ok'],
    ['a list that holds none', { amr: 'mfa' }, { amr: ['pwd'] }, 'token_invalid'],
    ['an empty list', { amr: 'mfa' }, { amr: [] }, 'token_invalid'],
    ['a value inside an object', { 'org.id': 'a' }, { org: { id: 'a' } }, 'ok'],
    ['a name with dots', { 'https://corp.test/env': 'a' }, { 'https://corp.test/env': 'a' }, 'ok'],
    [
      'a value inside a name with dots',
      { 'kubernetes.io.namespace': 'a' },
      { 'kubernetes.io': { namespace: 'a' } },
      'ok',
    ],
    ['an object in place of the value', { org: 'a' }, { org: { a: 'a' } }, 'token_invalid'],
    ['an inherited name', { 'constructor.name': true }, {}, 'token_invalid'],
    ['a position in a list', { 'amr.0': 'mfa' }, { amr: ['mfa'] }, 'token_invalid'],
    ['two, of which one is missing', { tid: true, hd: true }, { tid: 'a' }, 'token_invalid'],
  ])('%s', async (_what, requiredClaims, claims, expected) => {
    expect(await outcome({ requiredClaims }, claims)).toBe(expected);
  });

  test('are named to the operator, and not what the token has', async () => {
    const answer = await answerFor({ requiredClaims: { hd: 'example.com' } }, { hd: 'secret.example' });
    expect(answer).toMatchObject({ ok: false, detail: 'the required claim hd is missing or has another value' });
  });
});

describe('authorized parties', () => {
  const authorizedParties = ['webapp', 'batch'];
  test.each<[string, object, 'ok' | 'token_invalid']>([
    ['azp', { azp: 'webapp' }, 'ok'],
    ['client_id (RFC 9068)', { client_id: 'batch' }, 'ok'],
    ['appid (Entra ID, version 1)', { appid: 'batch' }, 'ok'],
    ['cid (Okta)', { cid: 'batch' }, 'ok'],
    ['two that are both listed', { azp: 'webapp', client_id: 'batch' }, 'ok'],
    ['two of which one is not', { azp: 'webapp', client_id: 'other' }, 'token_invalid'],
    ['one that is not', { azp: 'other' }, 'token_invalid'],
    ['none at all', {}, 'token_invalid'],
    ['null', { azp: null }, 'token_invalid'],
    ['a list', { azp: ['webapp'] }, 'token_invalid'],
    ['an empty one', { azp: '' }, 'token_invalid'],
  ])('of a token with %s', async (_what, claims, expected) => {
    expect(await outcome({ authorizedParties }, claims)).toBe(expected);
  });

  test('may be anybody where none are listed', async () => {
    expect(await outcome({}, { azp: 'other', client_id: 7 })).toBe('ok');
  });
});

describe('ID tokens, where a provider has no other tokens', () => {
  const tokenType = 'id_token';
  const jwt = { typ: 'JWT' };
  test.each<[string, object, object, string]>([
    ['typ JWT', {}, jwt, 'ok'],
    ['no typ', {}, { typ: undefined }, 'ok'],
    ['typ at+jwt', {}, {}, 'token_invalid'],
    ['typ of a logout token', {}, { typ: 'logout+jwt' }, 'token_invalid'],
    ['nonce and at_hash', { nonce: 'n', at_hash: 'h' }, jwt, 'ok'],
    ['a scope (an access token)', { scope: 'openid' }, jwt, 'token_invalid'],
    ['the kind ID (Keycloak)', { typ: 'ID' }, jwt, 'ok'],
    ['the kind Bearer (Keycloak)', { typ: 'Bearer' }, jwt, 'token_invalid'],
    ['the use access (Cognito)', { token_use: 'access' }, jwt, 'token_invalid'],
    ['the use id (Cognito)', { token_use: 'id' }, jwt, 'ok'],
    ['a logout event', { events: {} }, jwt, 'token_invalid'],
    ['azp that is the audience', { azp: 'https://gateway.test' }, jwt, 'ok'],
    ['azp that is the subject (a service account)', { azp: 'jane' }, jwt, 'ok'],
    ['azp of another client', { azp: 'other' }, jwt, 'token_invalid'],
    ['azp that is no string', { azp: 7, sub: 'x' }, jwt, 'token_invalid'],
    ['two audiences and no azp', { aud: ['https://gateway.test', 'b'] }, jwt, 'token_invalid'],
    ['two audiences and azp among them', { aud: ['https://gateway.test', 'b'], azp: 'b' }, jwt, 'ok'],
    ['two audiences and azp of a third', { aud: ['https://gateway.test', 'b'], azp: 'c' }, jwt, 'token_invalid'],
  ])('with %s', async (_what, claims, header, expected) => {
    expect(await outcome({ tokenType }, claims, header)).toBe(expected);
  });

  test('may be for another client where that is an authorized party', async () => {
    expect(await outcome({ tokenType, authorizedParties: ['phone'] }, { azp: 'phone' }, jwt)).toBe('ok');
    expect(await outcome({ tokenType, authorizedParties: ['phone'] }, { azp: 'jane' }, jwt)).toBe('token_invalid');
    expect(await outcome({ tokenType, authorizedParties: ['phone'] }, {}, jwt)).toBe('ok');
  });
});

describe('the subject', () => {
  test('is read from another claim where the config says so, nested, too', async () => {
    const answer = await answerFor({ subjectClaim: 'ids.oid' }, { ids: { oid: 'o-1' } });
    expect(answer).toMatchObject({ ok: true, caller: { subject: 'o-1' } });
  });

  test.each([undefined, '', 7, ['o-1'], 'o\n1', 'o'.repeat(1025)])('%j in that claim is refused', async (oid) => {
    expect(await outcome({ subjectClaim: 'oid' }, { oid })).toBe('token_invalid');
  });
});

describe('the kind of a caller', () => {
  test.each<[string, object, object, string]>([
    ['Okta: cid is the subject', {}, { sub: '0oa', cid: '0oa' }, 'service'],
    ['Entra ID without idtyp: oid is the subject, and no scp', {}, { sub: 'o', oid: 'o', roles: ['r'] }, 'service'],
    ['Entra ID, a person: oid is not the subject', {}, { sub: 'p', oid: 'o' }, 'person'],
    ['Entra ID, a person whose subject is the oid', {}, { sub: 'o', oid: 'o', scp: 'a' }, 'person'],
    ['Entra ID, said to be a person', {}, { sub: 'o', oid: 'o', idtyp: 'user' }, 'person'],
    ['Kubernetes', {}, { sub: 'system:serviceaccount:a:b' }, 'service'],
    ['a token without sub is nobody’s client', { subjectClaim: 'oid' }, { sub: undefined, oid: 'o' }, 'person'],
    ['a provider of services only', { kind: 'service' }, {}, 'service'],
    ['a provider of persons only', { kind: 'person' }, { gty: 'client-credentials' }, 'person'],
  ])('%s', async (_what, overrides, claims, kind) => {
    expect(await answerFor(overrides, claims)).toMatchObject({ ok: true, caller: { kind } });
  });
});

test.each<[string, object, object, string | undefined]>([
  ['an address', {}, { email: 'a@b.example' }, 'a@b.example'],
  ['verified', {}, { email: 'a@b.example', email_verified: true }, 'a@b.example'],
  ['not verified', {}, { email: 'a@b.example', email_verified: false }, undefined],
  ['not verified, said as a string', {}, { email: 'a@b.example', email_verified: 'false' }, undefined],
  ['no address', {}, { email: '0oa123' }, undefined],
  ['two addresses', {}, { email: 'a@b.example, c@d.example' }, undefined],
  ['a list', {}, { email: ['a@b.example'] }, undefined],
  ['longer than any address', {}, { email: `${'a'.repeat(320)}@b.example` }, undefined],
  ['in another claim', { emailClaim: 'upn' }, { upn: 'a@b.example', email: 'x@y.example' }, 'a@b.example'],
  ['only in a claim that is not asked for', { emailClaim: 'upn' }, { email: 'x@y.example' }, undefined],
])('an e-mail address that is %s', async (_what, overrides, claims, email) => {
  const answer = await answerFor(overrides, claims);
  expect(answer.ok && answer.caller.email).toBe(email);
});

test('a token id that is no short plain string is none', async () => {
  for (const [jti, tokenId] of [
    ['id-1', 'id-1'],
    [7, undefined],
    ['a\r\nb', undefined],
    ['', undefined],
  ] as const)
    expect(await answerFor({}, { jti })).toMatchObject({ ok: true, caller: { tokenId } });
});
