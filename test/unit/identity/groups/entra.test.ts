import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GroupsReader } from '../../../../src/identity/groups/groups.ts';
import { hostsOfGroups } from '../../../../src/identity/groups/hosts.ts';
import type { Http } from '../../../../src/identity/http.ts';
import { FakeGraph, graphError } from '../../../support/identity-apis/graph.ts';
import { Clock, detailOf, groupsOf, http, Pauses, providerOf, readerOf } from './readers.ts';

const oid = '3c1ef8b6-52a4-4c52-bf1b-2f6b1a1d2e01';
const memberships = /transitiveMemberOf$/;
const tokens = /oauth2\/v2\.0\/token$/;

let graph: FakeGraph;
let clock: Clock;
let pauses: Pauses;
/** URLs that were asked for. */
let urls: string[];

beforeEach(async () => {
  graph = await FakeGraph.start();
  graph.members.set(`users/${oid}`, ids(3));
  clock = new Clock();
  pauses = new Pauses();
  urls = [];
});
afterEach(() => graph.stop());

/** So many object ids. */
function ids(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`);
}

const watched: Http = (url, ask) => {
  urls.push(url);
  return http(url, ask);
};

function reader(groups: Record<string, unknown> = {}, more: Record<string, unknown> = {}): GroupsReader {
  return readerOf(
    { graph: graph.section, ...groups },
    {
      http: watched,
      now: clock.now,
      sleep: pauses.sleep,
      readSecret: async ({ env }) => (env === 'GRAPH_SECRET' ? graph.clientSecret : ''),
    },
    { preset: 'entra', ...more },
  );
}

const read = (of = reader(), claims: Record<string, unknown> = graph.overage(oid)) => of.read(claims, oid, undefined);

describe('groups of an Entra ID token', () => {
  test('that holds them all are taken from it, and Graph is not asked', () => {
    expect(read(reader(), { oid, tid: graph.tenant, groups: ids(2), roles: ['Admin'] })).toEqual({
      ok: true,
      groups: [...ids(2), 'Admin'],
      goodUntilMs: Number.POSITIVE_INFINITY,
    });
    expect(graph.requests).toEqual([]);
  });

  test.each([
    ['_claim_names', {}],
    ['hasgroups', { _claim_names: undefined, _claim_sources: undefined, hasgroups: true }],
  ])('with too many of them (%s) are asked of Graph, with what the token has', async (_what, claims) => {
    const answer = await read(reader({ prefix: 'entra:' }), { ...graph.overage(oid), ...claims, roles: ['Admin'] });
    expect(answer).toEqual({
      ok: true,
      groups: ['entra:Admin', ...ids(3).map((id) => `entra:${id}`)],
      goodUntilMs: clock.ms + 300_000,
    });
    expect(graph.asked(memberships)[0]?.query.toString()).toBe('%24select=id&%24top=999');
  });

  test('are read page by page', async () => {
    graph.members.set(`users/${oid}`, ids(2500));
    expect(await groupsOf(read())).toEqual(ids(2500));
    expect(graph.asked(memberships)).toHaveLength(3);
    expect(graph.asked(tokens)).toHaveLength(1);
  });

  test('are none where Graph knows none', async () => {
    graph.members.set(`users/${oid}`, []);
    expect(await groupsOf(read())).toEqual([]);
  });

  test.each([
    ['idtyp says so', { idtyp: 'app' }],
    ['idtyp is not there, and sub is oid', { sub: oid }],
  ])('of an application are asked of its service principal: %s', async (_what, claims) => {
    graph.members.set(`servicePrincipals/${oid}`, ids(1));
    expect(await groupsOf(read(reader(), { ...graph.overage(oid), ...claims }))).toEqual(ids(1));
  });

  test('of a user are not those of a service principal, whatever sub is', async () => {
    graph.members.set(`servicePrincipals/${oid}`, ids(1));
    expect(await groupsOf(read(reader(), { ...graph.overage(oid), idtyp: 'user', sub: oid }))).toEqual(ids(3));
  });

  test('never make the gateway follow the endpoint that the token names', async () => {
    const claims = {
      ...graph.overage(oid),
      _claim_sources: { src1: { endpoint: 'http://169.254.169.254/latest', access_token: 'x' } },
    };
    expect(await groupsOf(read(reader(), claims))).toEqual(ids(3));
    expect(urls.every((url) => url.startsWith(graph.origin))).toBe(true);
  });

  test('are found where the tenant is configured by its domain, by the id in the issuer', async () => {
    const section = { graph: { ...graph.section, tenant: 'corp.example' } };
    const issuer = `https://login.microsoftonline.com/${graph.tenant}/v2.0`;
    expect(await groupsOf(read(reader(section, { issuer })))).toEqual(ids(3));
    expect(await detailOf(read(reader(section)))).toMatch(/configured by its id/);
  });

  test('make the hosts known that the gateway will ask', () => {
    const { tokenUrl: _, ...section } = graph.section;
    const provider = providerOf({ source: 'entra', graph: { ...section, url: 'https://graph.microsoft.us/v1.0' } });
    expect(hostsOfGroups(provider)).toEqual(['graph.microsoft.us', 'login.microsoftonline.com']);
  });
});

describe('a caller whose groups Graph cannot say', () => {
  test.each<[string, Record<string, unknown>, RegExp]>([
    ['is of another tenant', { tid: '00000000-0000-4000-8000-000000000bad' }, /tid is not the configured tenant/],
    ['has no tenant', { tid: undefined }, /tid is not the configured tenant/],
    ['has no object id', { oid: undefined }, /oid is missing or not an object id/],
    ['has a path for an object id', { oid: '../groups' }, /oid is missing or not an object id/],
    ['has an object id with a query in it', { oid: `${oid}?$top=1` }, /oid is missing or not an object id/],
  ])('is refused and nobody asked: %s', async (_what, claims, detail) => {
    expect(await detailOf(read(reader(), { ...graph.overage(oid), ...claims }))).toMatch(detail);
    expect(graph.requests).toEqual([]);
  });

  test('is refused when the application lacks the permission, and that is said', async () => {
    graph.isGranted = false;
    expect(await detailOf(read())).toBe(
      'Microsoft Graph answered 403 (Authorization_RequestDenied): the application lacks a permission (GroupMember.Read.All; for applications also Application.Read.All), or consent to it',
    );
  });

  test('is refused when they are not in the directory any more', async () => {
    graph.members.clear();
    expect(await detailOf(read())).toBe(
      'Microsoft Graph answered 404 (Request_ResourceNotFound): the caller is not in the directory any more',
    );
  });

  test('is refused when the application secret is wrong, with the code of Entra ID and no more of its answer', async () => {
    const wrong = readerOf(
      { graph: graph.section },
      { now: clock.now, readSecret: async () => 'wrong' },
      { preset: 'entra' },
    );
    expect(await detailOf(read(wrong))).toBe('the token endpoint answered 401 (invalid_client): AADSTS7000215');
  });

  test('is refused when the application secret cannot be read', async () => {
    const none = readerOf({ graph: graph.section }, { now: clock.now }, { preset: 'entra' });
    expect(await detailOf(read(none))).toBe('the client secret for Microsoft Graph cannot be read');
  });

  test.each<[string, { status: number; body?: unknown }]>([
    ['is not JSON', { status: 200, body: '<html>' }],
    ['is empty', { status: 200 }],
    ['has a value that is no list', { status: 200, body: { value: { id: 'x' } } }],
    ['has strings in its list', { status: 200, body: { value: ['x'] } }],
    ['has entries without a type', { status: 200, body: { value: [{ id: 'x' }] } }],
  ])('is refused when the answer %s', async (_what, answer) => {
    graph.instead(memberships, answer);
    expect(await detailOf(read())).toMatch(/did not answer with a list/);
  });

  test.each([
    ['is missing', undefined],
    ['has a control character', 'a\u0007'],
    ['is a number', 7],
    ['is too long', 'x'.repeat(2000)],
  ])('is refused when the id of a group %s', async (_what, id) => {
    graph.instead(memberships, { status: 200, body: { value: [{ '@odata.type': '#microsoft.graph.group', id }] } });
    expect(await detailOf(read())).toMatch(/no short plain string/);
  });

  test('is refused, and nothing else sent, when the answer is a redirect', async () => {
    graph.instead(memberships, { status: 302, headers: { location: `${graph.origin}/elsewhere` } });
    expect(await detailOf(read())).toMatch(/answered 302/);
    expect(graph.asked(/elsewhere/)).toEqual([]);
  });

  test.each([
    ['another host', 'https://evil.example/v1.0/users'],
    ['another port', 'http://127.0.0.1:1/v1.0/users'],
    ['the same host in the name of somebody', 'ORIGIN-WITH-USER/v1.0/users'],
    ['another API of the same host', 'ORIGIN/beta/users'],
    ['a path that climbs out', 'ORIGIN/v1.0/../beta/users'],
    ['no URL', '/v1.0/users'],
    ['a number', 7],
  ])('is refused, and the access token kept, when the next page is on %s', async (_what, link) => {
    const next =
      typeof link === 'string'
        ? link.replace('ORIGIN-WITH-USER', graph.origin.replace('//', '//me:pw@')).replace('ORIGIN', graph.origin)
        : link;
    graph.instead(memberships, { status: 200, body: { value: [], '@odata.nextLink': next } });
    expect(await detailOf(read())).toMatch(/a next page that is not its own/);
    expect(urls).toHaveLength(2);
  });

  test('is refused when the pages never end', async () => {
    const next = `${graph.origin}/v1.0/users/${oid}/transitiveMemberOf?$skiptoken=again`;
    const page = { status: 200, body: { value: [], '@odata.nextLink': next } };
    graph.instead(memberships, ...Array.from({ length: 60 }, () => page));
    expect(await detailOf(read())).toMatch(/more than 50 pages/);
    expect(graph.asked(memberships)).toHaveLength(50);
  });

  test('is refused when there are more groups than anybody has, whatever is left out of them', async () => {
    graph.members.set(`users/${oid}`, ids(20_001));
    expect(await detailOf(read(reader({ onlyRenamed: true })))).toMatch(/more than 20000 groups/);
  });

  test('is refused when the answer is huge', async () => {
    graph.instead(memberships, { status: 200, body: JSON.stringify({ value: [], junk: 'x'.repeat(1_100_000) }) });
    expect(await detailOf(read())).toMatch(/longer than 1048576 bytes/);
  });

  test('is refused when no answer comes in time', async () => {
    graph.instead(memberships, 'never');
    expect(await detailOf(read(reader({ timeoutMs: 60 })))).toMatch(/within \d+ ms/);
  });

  test('is refused when nobody listens', async () => {
    const of = reader();
    await graph.stop();
    expect(await detailOf(read(of))).toMatch(/^Microsoft Graph: it cannot be reached/);
    graph = await FakeGraph.start();
  });

  test('is refused when there are more groups than a caller may have, unless most are left out', async () => {
    graph.members.set(`users/${oid}`, ids(5001));
    expect(await detailOf(read())).toMatch(/more than 5000 groups/);
    const [first = ''] = ids(1);
    expect(await groupsOf(read(reader({ rename: { [first]: 'ml' }, onlyRenamed: true })))).toEqual(['ml']);
  });

  test('goes on with what the token says where groups are not required, and that is told', async () => {
    graph.isGranted = false;
    const of = reader({ required: false });
    expect(await read(of, { ...graph.overage(oid), roles: ['Admin'] })).toEqual({
      ok: true,
      groups: ['Admin'],
      goodUntilMs: clock.ms + 3000,
      incomplete: expect.stringMatching(/^Microsoft Graph answered 403/),
    });
  });

  test('goes on where no Graph is configured and groups are not required', async () => {
    expect(await read(reader({ graph: undefined, required: false }))).toMatchObject({
      ok: true,
      groups: [],
      incomplete: expect.stringMatching(/no `graph` is configured/),
    });
  });
});

describe('when Graph throttles', () => {
  const throttled = (headers: Record<string, string> = {}) =>
    graphError(429, 'TooManyRequests', 'Too many requests.', headers);

  test.each([
    ['seconds', '2', 2000],
    ['a date', new Date(new Clock().ms + 3000).toUTCString(), 3000],
  ])('the request is repeated once, after the %s that it asks for', async (_what, value, waitMs) => {
    graph.instead(memberships, throttled({ 'retry-after': value }));
    expect(await groupsOf(read())).toEqual(ids(3));
    expect(pauses.ms).toEqual([waitMs]);
  });

  test('without saying for how long, the request is repeated within a second', async () => {
    graph.instead(memberships, graphError(503, 'ServiceUnavailable', 'Try later.'));
    expect(await groupsOf(read())).toEqual(ids(3));
    expect(pauses.ms).toHaveLength(1);
    expect(pauses.ms[0]).toBeGreaterThanOrEqual(500);
    expect(pauses.ms[0]).toBeLessThan(1000);
  });

  test('a second time, on whatever page, the caller is refused', async () => {
    const later = throttled({ 'retry-after': '1' });
    const firstPage = { value: [], '@odata.nextLink': `${graph.section.url}/users/2` };
    graph.instead(memberships, later, { status: 200, body: firstPage });
    graph.instead(/users\/2$/, later);
    expect(await detailOf(read())).toBe('Microsoft Graph is throttling or unavailable (429, retry after 1000 ms)');
    expect(pauses.ms).toEqual([1000]);
  });

  test('for longer than may be waited, nobody is asked about until then', async () => {
    const other = '3c1ef8b6-52a4-4c52-bf1b-2f6b1a1d2e02';
    graph.members.set(`users/${other}`, ids(1));
    graph.instead(memberships, throttled({ 'retry-after': '30' }));
    const of = reader();
    expect(await detailOf(read(of))).toMatch(/throttling.*30000 ms/);
    expect(pauses.ms).toEqual([]);
    clock.ms += 10_000;
    expect(await detailOf(read(of, graph.overage(other)))).toMatch(/left alone for another 20000 ms/);
    expect(graph.asked(memberships)).toHaveLength(1);
    clock.ms += 20_000;
    expect(await groupsOf(read(of, graph.overage(other)))).toEqual(ids(1));
  });
});

describe('the access token for Graph', () => {
  const others = ['11', '12', '13'].map((end) => `3c1ef8b6-52a4-4c52-bf1b-2f6b1a1d2e${end}`);

  beforeEach(() => {
    for (const other of others) graph.members.set(`users/${other}`, ids(1));
  });

  test('is fetched once for many callers', async () => {
    const of = reader();
    await Promise.all(others.map((other) => groupsOf(read(of, graph.overage(other)))));
    expect(graph.asked(tokens)).toHaveLength(1);
  });

  test('is fetched anew a minute before it expires', async () => {
    const of = reader();
    await groupsOf(read(of, graph.overage(others[0] ?? '')));
    clock.ms += (3599 - 61) * 1000;
    await groupsOf(read(of, graph.overage(others[1] ?? '')));
    expect(graph.asked(tokens)).toHaveLength(1);
    clock.ms += 2000;
    await groupsOf(read(of, graph.overage(others[2] ?? '')));
    expect(graph.asked(tokens)).toHaveLength(2);
  });

  test('is fetched anew, once, when Graph does not take it', async () => {
    const of = reader();
    await groupsOf(read(of));
    graph.withdrawTokens();
    expect(await groupsOf(read(of, graph.overage(others[0] ?? '')))).toEqual(ids(1));
    expect(graph.asked(tokens)).toHaveLength(2);
  });

  test('that Graph never takes refuses the caller after the second', async () => {
    const refusal = graphError(401, 'InvalidAuthenticationToken', 'Access token validation failure.');
    graph.instead(memberships, refusal, refusal, refusal);
    expect(await detailOf(read())).toMatch(/answered 401 \(InvalidAuthenticationToken\)/);
    expect(graph.asked(tokens)).toHaveLength(2);
  });

  test('that cannot be had is not asked for again at once for the next caller', async () => {
    graph.instead(tokens, { status: 400, body: { error: 'unauthorized_client' } });
    const of = reader();
    expect(await detailOf(read(of))).toMatch(/token endpoint answered 400 \(unauthorized_client\)/);
    expect(await detailOf(read(of, graph.overage(others[0] ?? '')))).toMatch(/token endpoint answered 400/);
    expect(graph.asked(tokens)).toHaveLength(1);
    clock.ms += 3000;
    expect(await groupsOf(read(of))).toEqual(ids(3));
  });

  test.each<[string, unknown]>([
    ['is missing', { token_type: 'Bearer', expires_in: 3599 }],
    ['is not a bearer token', { token_type: 'DPoP', access_token: 'x' }],
    ['has a line break in it', { token_type: 'Bearer', access_token: 'x\r\ny' }],
    ['is not in JSON', 'access_token=x'],
  ])('refuses the caller when it %s', async (_what, body) => {
    graph.instead(tokens, { status: 200, body });
    expect(await detailOf(read())).toMatch(/without a bearer token/);
  });

  test.each<[string, RegExp, string]>([
    ['the error code is no code', /400 \(no error code\)$/, '<script>'],
    ['the error code is one', /400 \(invalid_request\)$/, 'invalid_request'],
  ])('does not bring text of others into the detail: %s', async (_what, detail, error) => {
    graph.instead(tokens, { status: 400, body: { error, error_description: 'secret words' } });
    expect(await detailOf(read())).toMatch(detail);
  });
});
