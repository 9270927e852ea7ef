import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { refuse } from '../../../src/identity/caller.ts';
import { inspectToken, type TokenReport } from '../../../src/identity/inspect.ts';
import { span } from '../../../src/identity/inspect-text.ts';
import type { Revocations } from '../../../src/identity/issued/issued.ts';
import { configFor, encode, epoch, makeKey, partsOf, type SigningKey, TestProvider, tokenOf } from './provider.ts';

let key: SigningKey;
let provider: TestProvider;
beforeAll(async () => {
  key = await makeKey('first');
  provider = await TestProvider.start(key);
});
afterAll(() => provider.stop());

const now = () => epoch;
const second = Math.floor(epoch / 1000);

async function reportOn(
  change: { claims?: object; header?: object; key?: SigningKey } = {},
  overrides: object = {},
  more: Parameters<typeof partsOf>[1] & { asIdToken?: boolean } = {},
): Promise<TokenReport> {
  const { asIdToken, ...parts } = more;
  const claims = { ...change.claims };
  const token = await tokenOf(provider, { key: change.key ?? key, claims, header: { ...change.header } });
  return inspectToken(token, configFor(provider, { ...overrides }), partsOf(now, parts), { asIdToken });
}

const said = (report: TokenReport, name: string): string => {
  const check = report.checks.find((each) => each.name === name);
  return check === undefined ? 'not there' : `${check.outcome}: ${check.explanation}`;
};

test('a good token passes every check, each explained, and the report never has its signature', async () => {
  const token = await tokenOf(provider, { key });
  const report = await inspectToken(token, configFor(provider, { requiredClaims: { groups: 'ml-eng' } }), partsOf(now));
  expect(report.provider).toEqual({ name: 'corp', issuer: provider.issuer });
  expect(report.header).toEqual({ alg: 'ES256', kid: 'first', typ: 'at+jwt' });
  expect(report.claims).toMatchObject({ sub: 'jane' });
  expect(report.verdict).toMatchObject({ ok: true, caller: { subject: 'jane', groups: ['ml-eng'] } });
  expect(report.checks.map(({ name, outcome, explanation }) => `${name} ${outcome}: ${explanation}`)).toEqual([
    'form pass: A signed JWT: three parts, each well-formed, no name twice.',
    'algorithm pass: "ES256" is accepted.',
    'header pass: Nothing in the header asks for what the gate does not do.',
    'type pass: typ is "at+jwt": good for `tokenType: at+jwt`.',
    `issuer pass: iss is "${provider.issuer}", character by character as configured.`,
    'audience pass: aud is "https://gateway.test": it names this gateway.',
    'dates pass: iat 2026-01-15T11:59:50Z (10 seconds ago), exp 2026-01-15T12:10:00Z (in 10 minutes); clocks may differ by 30 seconds.',
    'authorized party pass: The token names no client. Any client may be (`authorizedParties` is not set).',
    'required claims pass: There, as required: groups.',
    'subject pass: sub is "jane": that is `caller.subject`.',
    'key pass: kid "first" is in the key set.',
    'signature pass: It verifies.',
    'groups pass: The token has 1 in groups. `caller.groups`: "ml-eng".',
    'revoked skipped: Revocations are not known here; the running gateway knows them.',
  ]);
  expect(JSON.stringify(report)).not.toContain(token.split('.')[2]);
});

describe('what failed is said so that it can be mended', () => {
  test.each<[string, string, Parameters<typeof reportOn>, RegExp]>([
    [
      'expired',
      'dates',
      [{ claims: { iat: second - 7200, exp: second - 3600 } }],
      /^fail: It has expired: .*exp 2026-01-15T11:00:00Z \(60 minutes ago\).*Get a new one\.$/,
    ],
    ['not valid yet', 'dates', [{ claims: { nbf: second + 120 } }], /not valid yet.*nbf .*\(in 2 minutes\).*clocks/],
    ['a date that is a string', 'dates', [{ claims: { exp: '7' } }], /exp "7", which is no date in seconds/],
    ['no date', 'dates', [{ claims: { exp: undefined } }], /exp is missing/],
    [
      'another audience',
      'audience',
      [{ claims: { aud: ['a', 'b'] } }],
      /aud is \["a","b"\]; accepted is "https:\/\/gateway\.test"/,
    ],
    [
      'an audience with a slash',
      'audience',
      [{ claims: { aud: 'https://Gateway.test/' } }],
      /differ only in case or in a slash/,
    ],
    [
      'the audience of the client',
      'audience',
      [{ claims: { aud: 'cli' } }, { login: { clientId: 'cli' } }],
      /login\.clientId.*ID token.*exchanged/,
    ],
    [
      'an algorithm',
      'algorithm',
      [{}, { algorithms: ['RS256'] }],
      /alg is "ES256"; the provider's `algorithms` are "RS256"/,
    ],
    ['a header', 'header', [{ header: { cty: 'JWT' } }], /Nested or encrypted/],
    ['typ', 'type', [{ header: { typ: 'JWT' } }], /configure `tokenType: JWT`/],
    ['no typ', 'type', [{ header: { typ: undefined } }], /The header has no typ; `tokenType: at\+jwt` wants/],
    [
      'an ID token',
      'type',
      [{ header: { typ: 'JWT' }, claims: { nonce: 'n' } }, { tokenType: 'JWT' }],
      /nonce say that it is an ID token/,
    ],
    ['an access token for an ID token', 'type', [{}, { tokenType: 'id_token' }], /not an ID token/],
    [
      'a client',
      'authorized party',
      [{ claims: { azp: 'x' } }, { authorizedParties: ['web'] }],
      /for the client azp "x"\. The client is not an authorized party\. `authorizedParties`: "web"/,
    ],
    [
      'required claims',
      'required claims',
      [{ claims: { hd: 'a' } }, { requiredClaims: { hd: 'b', tid: true } }],
      /hd is "a", required is "b"\. tid is nothing, required is any value/,
    ],
    [
      'a required address that is not verified',
      'required claims',
      [{ claims: { email: 'a@b.test', email_verified: false } }, { requiredClaims: { email: 'a@b.test' } }],
      /email is "a@b\.test", required is "a@b\.test", verified \(`email_verified` is false\)/,
    ],
    ['the subject', 'subject', [{ claims: { sub: 7 } }], /sub is 7; it must be a plain string/],
    ['the groups', 'groups', [{ claims: { groups: 7 } }], /They cannot be had: .*groups/],
    [
      'too many groups',
      'groups',
      [{ claims: { groups: undefined, _claim_names: { groups: 'src1' } } }],
      /more groups than it holds \(overage\).*cannot be had/,
    ],
  ])('%s', async (_what, name, [change, overrides], expected) => {
    const report = await reportOn(change, overrides);
    expect(said(report, name)).toMatch(expected);
    expect(said(report, name)).toMatch(/^fail/);
    expect(report.verdict.ok).toBe(false);
  });

  test('a key that the provider does not have, with those that it has', async () => {
    const report = await reportOn({ header: { kid: 'old' } });
    expect(said(report, 'key')).toMatch(/^fail: kid is "old"; what the discovery of .* names has "first"/);
    expect(said(report, 'signature')).toMatch(/^skipped/);
    expect(report.verdict).toMatchObject({ reason: 'token_invalid' });
  });

  test('a signature of another key with that id', async () => {
    const report = await reportOn({ key: await makeKey('first') });
    expect(said(report, 'key')).toMatch(/^pass/);
    expect(said(report, 'signature')).toMatch(/^fail: It does not verify/);
    expect(said(report, 'groups')).toBe('skipped: The token has failed before.');
  });

  test('keys that cannot be had', async () => {
    const report = await reportOn({}, { jwksUri: `${provider.issuer}/none` });
    expect(said(report, 'key')).toMatch(/^fail: There are no keys of corp \(.*\/none\): the provider answered 404\.$/);
    expect(report.verdict).toMatchObject({ reason: 'keys_unavailable' });
  });

  test.each<[string, (issuer: string) => string, RegExp]>([
    ['a slash', (issuer) => `${issuer}/`, /differs only in case or in a slash/],
    ['another', () => 'https://other.test', /no provider has that `issuer`: "http:/],
    ['version 1 of Entra ID', () => 'https://sts.windows.net/t/', /requestedAccessTokenVersion/],
  ])('an issuer that is not configured: %s', async (_what, change, expected) => {
    const report = await reportOn({ claims: { iss: change(provider.issuer) } });
    expect(said(report, 'issuer')).toMatch(expected);
    expect(report.provider).toBeUndefined();
    expect(report.checks.filter(({ outcome }) => outcome === 'pass').map(({ name }) => name)).toEqual(['form']);
    expect(report.verdict).toMatchObject({ reason: 'issuer_unknown' });
  });

  test('all that is wrong is said at once, and the first of it is the verdict', async () => {
    const report = await reportOn({ claims: { aud: 'x', exp: second - 60, iat: second - 90, sub: '' } });
    const failed = report.checks.filter(({ outcome }) => outcome === 'fail').map(({ name }) => name);
    expect(failed).toEqual(['audience', 'dates', 'subject']);
    expect(report.verdict).toMatchObject({ reason: 'audience_wrong' });
  });
});

describe('what cannot be read', () => {
  test.each<[string, RegExp]>([
    ['', /not three parts/],
    ['opaque-token', /Opaque access tokens cannot be checked/],
    ['Bearer a.b.c', /Leave out the word Bearer/],
    [`${encode({ alg: 'none' })}.${encode({})}.`, /the signature is empty/],
    ['x'.repeat(20_000), /longer than 16384 bytes/],
  ])('is said to be so: "%.20s"', async (token, expected) => {
    const report = await inspectToken(token, configFor(provider), partsOf(now));
    expect(said(report, 'form')).toMatch(expected);
    expect(report).toMatchObject({ header: undefined, claims: undefined, verdict: { reason: 'token_malformed' } });
    expect(new Set(report.checks.slice(1).map(({ outcome }) => outcome))).toEqual(new Set(['skipped']));
  });
});

test('groups are counted as the token has them, as they are renamed, and as the rules see them', async () => {
  const groups = { rename: { a: 'admins' }, onlyRenamed: true };
  const report = await reportOn({ claims: { groups: ['a', 'b', 'c'] } }, { groups });
  expect(said(report, 'groups')).toBe('pass: The token has 3 in groups; 1 renamed. `caller.groups`: "admins".');
});

test('a value that would command a terminal is shown harmless, and a long one is cut', async () => {
  const report = await reportOn({ claims: { aud: '\u001b[2J\u009b2J\u202e', sub: 'x'.repeat(5000) } });
  for (const character of ['\u001b', '\u009b', '\u202e']) expect(said(report, 'audience')).not.toContain(character);
  expect(said(report, 'subject').length).toBeLessThan(400);
});

describe('revocation', () => {
  const revocations = (answer: 'revoked' | 'unknown' | undefined): Revocations => ({
    check: () => answer,
    revokeToken: () => Promise.reject(new Error('not here')),
    revokeSubject: () => Promise.reject(new Error('not here')),
  });
  test.each([
    ['revoked', 'token_revoked', /^fail: The token or its subject has been revoked/],
    ['unknown', 'state_unavailable', /^fail: The list of revocations is too old/],
    [undefined, undefined, /^pass: Neither the token nor its subject/],
  ] as const)('%s', async (answer, reason, expected) => {
    const report = await reportOn({}, {}, { revocations: revocations(answer) });
    expect(said(report, 'revoked')).toMatch(expected);
    expect(report.verdict.ok ? undefined : report.verdict.reason).toBe(reason);
  });
});

test('a token of our own is the issuer’s to verify', async () => {
  const issuer = {
    issuer: 'https://gw.test',
    issue: () => Promise.reject(new Error('not here')),
    assertion: () => Promise.reject(new Error('not here')),
    jwks: () => ({ keys: [] }),
    verify: async () => refuse('token_invalid', 'no key of ours has signed it'),
  };
  const report = await reportOn({ claims: { iss: 'https://gw.test' } }, {}, { issuer });
  expect(report.provider).toEqual({ name: 'gateway', issuer: 'https://gw.test' });
  expect(said(report, 'issuer')).toBe('pass: The gateway itself issued it.');
  expect(said(report, 'signature')).toBe('fail: The gateway does not take it: no key of ours has signed it.');
  expect(report.verdict).toMatchObject({ ok: false, reason: 'token_invalid' });
});

describe('a token to be exchanged', () => {
  const login = { clientId: 'cli', exchange: 'id_token' };
  const idToken = { header: { typ: 'JWT' }, claims: { aud: 'cli', nonce: 'n' } };

  test('is checked as an ID token where that is asked for', async () => {
    expect((await reportOn(idToken, { login }, { asIdToken: true })).verdict.ok).toBe(true);
    expect((await reportOn(idToken, { login })).verdict.ok).toBe(false);
  });

  test('is refused where the provider exchanges none', async () => {
    const report = await reportOn(idToken, {}, { asIdToken: true });
    expect(said(report, 'issuer')).toMatch(/takes no ID tokens in exchange/);
    expect(report.provider?.name).toBe('corp');
    expect(report.verdict).toMatchObject({ ok: false, reason: 'token_invalid' });
  });
});

test.each([
  [0, '0 seconds'],
  [1, '1 second'],
  [119, '119 seconds'],
  [120, '2 minutes'],
  [7199, '119 minutes'],
  [7200, '2 hours'],
  [172_799, '47 hours'],
  [172_800, '2 days'],
])('%i seconds are %s', (seconds, text) => {
  expect(span(seconds)).toBe(text);
});
