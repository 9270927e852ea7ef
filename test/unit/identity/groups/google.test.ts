import { decodeJwt } from 'jose';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { GroupsReader } from '../../../../src/identity/groups/groups.ts';
import { hostsOfGroups } from '../../../../src/identity/groups/hosts.ts';
import {
  type AccountKey,
  cloudIdentityScope,
  directoryError,
  directoryScope,
  FakeGoogle,
  makeAccountKey,
  rpcError,
} from '../../../support/identity-apis/google.ts';
import { Clock, detailOf, groupsOf, Pauses, providerOf, readerOf } from './readers.ts';

const email = 'jane@example.com';
const good = { sub: '110169484474386276334', email, email_verified: true, hd: 'example.com' };
const tokens = /^\/token$/;
const apis = { directory: /directory\/v1\/groups$/, cloudIdentity: /searchTransitiveGroups$/ } as const;
type Api = keyof typeof apis;
const both: Api[] = ['directory', 'cloudIdentity'];

let key: AccountKey;
let google: FakeGoogle;
let clock: Clock;
let pauses: Pauses;

beforeAll(async () => {
  key = await makeAccountKey();
});
beforeEach(async () => {
  clock = new Clock();
  pauses = new Pauses();
  google = await FakeGoogle.start(key);
  google.now = clock.now;
  google.members.set(email, addresses(3));
});
afterEach(() => google.stop());

function addresses(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `group-${i}@example.com`);
}

function reader(api: Api, section: Record<string, unknown> = {}, more: Record<string, unknown> = {}): GroupsReader {
  const { groups = {}, keyFile = google.keyFile, ...provider } = more;
  return readerOf(
    { google: { ...google.section, api, ...section }, ...(groups as object) },
    {
      now: clock.now,
      sleep: pauses.sleep,
      readSecret: async ({ file }) => (file === 'key.json' ? String(keyFile) : ''),
    },
    { preset: 'google', issuer: undefined, requiredClaims: { hd: 'example.com' }, ...provider },
  );
}

const read = (of: GroupsReader, claims: Record<string, unknown> = {}) =>
  of.read({ ...good, ...claims }, good.sub, undefined);

describe.each(both)('groups by Google (%s)', (api) => {
  test('are named by their address, and kept for their time', async () => {
    const of = reader(api);
    expect(await read(of)).toEqual({ ok: true, groups: addresses(3), goodUntilMs: clock.ms + 300_000 });
    expect(read(of)).toEqual({ ok: true, groups: addresses(3), goodUntilMs: clock.ms + 300_000 });
    expect(google.asked(apis[api])).toHaveLength(1);
  });

  test('are read page by page', async () => {
    google.members.set(email, addresses(450));
    expect(await groupsOf(read(reader(api)))).toEqual(addresses(450));
    expect(google.asked(apis[api])).toHaveLength(3);
    expect(google.asked(tokens)).toHaveLength(1);
  });

  test('are none where Google leaves the list out', async () => {
    google.members.set(email, []);
    expect(await groupsOf(read(reader(api)))).toEqual([]);
  });

  test('are asked for in the name of the administrator, with the one scope that it takes', async () => {
    await read(reader(api));
    const form = new URLSearchParams(google.asked(tokens)[0]?.body);
    expect(decodeJwt(form.get('assertion') ?? '')).toMatchObject({
      iss: google.clientEmail,
      sub: google.adminSubject,
      scope: api === 'directory' ? directoryScope : cloudIdentityScope,
      aud: google.section.tokenUrl,
    });
  });

  test('are those of an address with a quote in it, and of nobody else', async () => {
    const quoted = "o'brien@example.com";
    google.members.set(quoted, ['irish@example.com']);
    expect(await groupsOf(read(reader(api), { email: quoted }))).toEqual(['irish@example.com']);
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    ['there is no address', { email: undefined }, /no e-mail address/],
    ['the address is a list', { email: [email] }, /no e-mail address/],
    ['the address is no address', { email: 'jane' }, /no e-mail address/],
    ['the address breaks out of a query', { email: "x' || member_key_id == 'ceo@example.com" }, /no e-mail address/],
    ['the address has a backslash in it', { email: "x\\'@example.com" }, /no e-mail address/],
    ['the address has a line break in it', { email: `${email}\n` }, /no e-mail address/],
    ['the address has a parameter in it', { email: 'jane@example.com&userKey=ceo' }, /no e-mail address/],
    ['the address is not verified', { email_verified: false }, /not verified/],
    ['nothing says that the address is verified', { email_verified: undefined }, /not verified/],
    ['a string says that the address is verified', { email_verified: 'true' }, /not verified/],
    ['the account is not one of an organisation', { hd: undefined }, /no hd/],
    ['the organisation is empty', { hd: '' }, /no hd/],
  ])('are not asked for when %s', async (_what, claims, detail) => {
    expect(await detailOf(read(reader(api), claims))).toMatch(detail);
    expect(google.requests).toEqual([]);
  });

  test.each([
    ['a Gmail address', 'jane@gmail.com'],
    ['a service account', 'ci@project.iam.gserviceaccount.com'],
  ])('are asked for without an organisation for %s, which Google itself gave out', async (_what, address) => {
    google.members.set(address, addresses(1));
    expect(await groupsOf(read(reader(api), { email: address, hd: undefined }))).toEqual(addresses(1));
  });

  test('are asked for without hd where the token is of another issuer, which has none', async () => {
    const more = {
      preset: 'generic',
      issuer: 'https://corp.okta.com',
      algorithms: ['RS256'],
      groups: { source: 'google' },
    };
    expect(await groupsOf(read(reader(api, {}, more), { hd: undefined }))).toEqual(addresses(3));
  });

  test('are refused when the service account is not delegated the scope, and that is said', async () => {
    google.delegated = [];
    expect(await detailOf(read(reader(api)))).toMatch(
      /token endpoint answered 401 \(unauthorized_client\): domain-wide delegation of the service account lacks the scope https:/,
    );
  });

  test('are refused when the administrator is nobody', async () => {
    const detail = await detailOf(read(reader(api, { adminSubject: 'nobody@example.com' })));
    expect(detail).toMatch(/400 \(invalid_grant\): .*adminSubject is not a user/);
  });

  test('are refused when the key is not the one that Google knows', async () => {
    const { pem } = await makeAccountKey();
    const keyFile = JSON.stringify({ ...JSON.parse(google.keyFile), private_key: pem });
    expect(await detailOf(read(reader(api, {}, { keyFile })))).toMatch(/400 \(invalid_grant\)/);
  });

  test('are refused when the clock is an hour wrong', async () => {
    google.now = () => clock.ms + 3_600_000;
    expect(await detailOf(read(reader(api)))).toMatch(/invalid_grant.*the clock is wrong/);
  });

  test.each<[string, string, RegExp]>([
    ['is not JSON', 'key', /is not the JSON key file/],
    ['is of a user', '{"type":"authorized_user","client_email":"x","private_key":"y"}', /is not the JSON key file/],
    [
      'holds no key',
      '{"type":"service_account","client_email":"x","private_key":"y","private_key_id":"z"}',
      /holds no RSA private key/,
    ],
  ])('are refused when the key file %s', async (_what, keyFile, detail) => {
    expect(await detailOf(read(reader(api, {}, { keyFile })))).toMatch(detail);
    expect(google.requests).toEqual([]);
  });

  test('are refused when the key file cannot be read', async () => {
    const section = { ...google.section, api };
    const of = readerOf(
      { google: section },
      { now: clock.now },
      { preset: 'google', issuer: undefined, requiredClaims: { hd: 'example.com' } },
    );
    expect(await detailOf(read(of))).toBe('the service account file cannot be read');
  });

  test.each<[string, { status: number; body?: unknown }]>([
    ['429', rpcError(429, 'RESOURCE_EXHAUSTED', 'Quota exceeded.', 'RATE_LIMIT_EXCEEDED')],
    ['403 with the quota for a user', directoryError(403, 'userRateLimitExceeded', 'User Rate Limit', 'usageLimits')],
    ['403 with the quota for an operation', directoryError(403, 'quotaExceeded', 'Quota', 'usageLimits')],
    ['403 with the rate limit in its details', rpcError(403, 'PERMISSION_DENIED', 'Quota', 'RATE_LIMIT_EXCEEDED')],
    ['500', rpcError(500, 'INTERNAL', 'Internal error encountered.')],
    ['503', directoryError(503, 'backendError', 'Backend Error')],
  ])('are asked for once more, a little later, after %s', async (_what, answer) => {
    google.instead(apis[api], answer);
    expect(await groupsOf(read(reader(api)))).toEqual(addresses(3));
    expect(pauses.ms).toHaveLength(1);
    google.instead(apis[api], answer, answer);
    expect(await detailOf(read(reader(api)))).toMatch(/^Google is throttling or unavailable/);
  });

  test.each<[string, { status: number; body?: unknown }, RegExp]>([
    [
      '403: not authorized',
      directoryError(403, 'forbidden', 'Not Authorized to access this resource/api'),
      /403 \(forbidden\): domain-wide delegation or the scope \S+ is missing/,
    ],
    ['403: the daily quota', directoryError(403, 'dailyLimitExceeded', 'Daily Limit'), /403 \(dailyLimitExceeded\)/],
    [
      '403: the API is off',
      rpcError(403, 'PERMISSION_DENIED', 'API has not been used in project', 'SERVICE_DISABLED'),
      /403 \(SERVICE_DISABLED\): the API is not enabled/,
    ],
    ['404', directoryError(404, 'notFound', 'Resource Not Found: userKey'), /404 \(notFound\): the caller is not in/],
    ['400', rpcError(400, 'INVALID_ARGUMENT', 'Request contains an invalid argument.'), /400 \(INVALID_ARGUMENT\)$/],
    ['a page for people', { status: 404, body: '<title>Error 404' }, /404 \(no error code\)/],
    ['a redirect', { status: 302 }, /302/],
    ['200 that is no JSON', { status: 200, body: '<html>' }, /did not answer with a list of groups/],
    ['a list of strings', { status: 200, body: listOf(['a']) }, /did not answer with a list of groups/],
    ['a list that is none', { status: 200, body: listOf({}) }, /did not answer with a list of groups/],
    ['a page token that is a number', { status: 200, body: { ...listOf([]), nextPageToken: 7 } }, /a list of groups/],
    ['a group without an address', { status: 200, body: listOf([{}]) }, /no short plain string/],
    ['a group with a control character', { status: 200, body: listOf([groupOf('a\r\nb')]) }, /no short plain string/],
    ['more than a megabyte', { status: 200, body: 'x'.repeat(1_100_000) }, /longer than 1048576 bytes/],
  ])('are refused after %s', async (_what, answer, detail) => {
    google.instead(apis[api], answer);
    expect(await detailOf(read(reader(api)))).toMatch(detail);
    expect(pauses.ms).toEqual([]);
  });

  test('are refused when the pages never end', async () => {
    const page = { status: 200, body: { ...listOf([]), nextPageToken: 'again' } };
    google.instead(apis[api], ...Array.from({ length: 60 }, () => page));
    expect(await detailOf(read(reader(api)))).toMatch(/more than 50 pages/);
  });

  test('are refused when no answer comes in time', async () => {
    google.instead(apis[api], 'never');
    expect(await detailOf(read(reader(api, {}, { groups: { timeoutMs: 100 } })))).toMatch(/within \d+ ms/);
  });

  test('are asked for with a new access token when the old one is not taken any more', async () => {
    const of = reader(api);
    await groupsOf(read(of));
    google.withdrawTokens();
    google.members.set('joe@example.com', addresses(1));
    expect(await groupsOf(read(of, { email: 'joe@example.com' }))).toEqual(addresses(1));
    expect(google.asked(tokens)).toHaveLength(2);
  });

  test('come with those of the token, and alone where they are not required and cannot be had', async () => {
    const of = reader(api, {}, { groups: { required: false, prefix: 'g:' } });
    expect(await groupsOf(read(of, { groups: ['told'] }))).toEqual(['g:told', ...addresses(3).map((a) => `g:${a}`)]);
    expect(await read(of, { groups: ['told'], email_verified: false })).toMatchObject({
      ok: true,
      groups: ['g:told'],
      incomplete: expect.stringContaining('not verified'),
    });
  });
});

/** An answer with a list in the place where either API has it. */
function listOf(list: unknown): Record<string, unknown> {
  return { kind: 'admin#directory#groups', groups: list, memberships: list };
}

const groupOf = (name: string) => ({ email: name, groupKey: { id: name } });

describe('the Directory API', () => {
  test('that answers with no kind has not answered, even if an empty object is what others say for none', async () => {
    google.instead(apis.directory, { status: 200, body: {} });
    expect(await detailOf(read(reader('directory')))).toMatch(/did not answer with a list of groups/);
  });
});

describe('the Cloud Identity API', () => {
  test('is asked in the service account’s own name where no administrator is configured', async () => {
    expect(await groupsOf(read(reader('cloudIdentity', { adminSubject: undefined })))).toEqual(addresses(3));
    const form = new URLSearchParams(google.asked(tokens)[0]?.body);
    expect(decodeJwt(form.get('assertion') ?? '')).not.toHaveProperty('sub');
  });
});

test.each<[Api, string]>([
  ['directory', 'admin.googleapis.com'],
  ['cloudIdentity', 'cloudidentity.googleapis.com'],
])('the hosts of %s are known to the gateway', (api, host) => {
  const section = { api, serviceAccountFile: 'key.json', adminSubject: 'admin@example.com' };
  const provider = providerOf(
    { google: section },
    { preset: 'google', issuer: undefined, requiredClaims: { hd: 'example.com' } },
  );
  expect(hostsOfGroups(provider)).toEqual([host, 'oauth2.googleapis.com']);
});
