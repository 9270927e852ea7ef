import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GroupsParts } from '../../../../src/identity/groups/source.ts';
import { createHttp } from '../../../../src/identity/http.ts';
import type { ApiAnswer } from '../../../support/identity-apis/api-server.ts';
import { FakeUserinfo } from '../../../support/identity-apis/userinfo.ts';
import { Clock, detailOf, groupsOf, Pauses, readerOf } from './readers.ts';

const path = /^\/userinfo$/;

let userinfo: FakeUserinfo;
let clock: Clock;
let pauses: Pauses;

beforeEach(async () => {
  clock = new Clock();
  pauses = new Pauses();
  userinfo = await FakeUserinfo.start();
  userinfo.claims.set('token-1', { sub: 'jane', groups: ['ml-eng'] });
});
afterEach(() => userinfo.stop());

function reader(groups: Record<string, unknown> = {}, parts: Partial<GroupsParts> = {}) {
  return readerOf(
    { source: 'userinfo', ...groups },
    { now: clock.now, sleep: pauses.sleep, userinfoEndpoint: async () => userinfo.endpoint, ...parts },
  );
}

const read = (of = reader(), token: string | undefined = 'token-1', claims: Record<string, unknown> = {}) =>
  of.read({ sub: 'jane', ...claims }, 'jane', token);

describe('groups by userinfo', () => {
  test('are asked for with the caller’s own token', async () => {
    expect(await read()).toEqual({ ok: true, groups: ['ml-eng'], goodUntilMs: clock.ms + 300_000 });
    expect(userinfo.requests[0]).toMatchObject({ method: 'GET', headers: { authorization: 'Bearer token-1' } });
  });

  test('are read by the same claim paths, and come with those of the token', async () => {
    userinfo.claims.set('token-1', { sub: 'jane', realm_access: { roles: ['b'] }, 'https://x/groups': 'c' });
    const of = reader({ claims: ['realm_access.roles', 'https://x/groups'], prefix: 'kc:' });
    expect(await groupsOf(read(of, 'token-1', { realm_access: { roles: ['a'] } }))).toEqual(['kc:a', 'kc:b', 'kc:c']);
  });

  test('of one token are not those of the next: its scopes may be others', async () => {
    userinfo.claims.set('token-2', { sub: 'jane', groups: [] });
    const of = reader();
    expect(await groupsOf(read(of))).toEqual(['ml-eng']);
    expect(await groupsOf(read(of, 'token-2'))).toEqual([]);
    expect(await groupsOf(read(of))).toEqual(['ml-eng']);
    expect(userinfo.requests).toHaveLength(2);
  });

  test.each([
    ['another person', 'joe'],
    ['a longer name', 'jane2'],
    ['another case', 'Jane'],
    ['nobody', undefined],
    ['a list', ['jane']],
  ])('are refused when the answer speaks of %s', async (_what, sub) => {
    userinfo.claims.set('token-1', { sub, groups: ['admins'] });
    expect(await detailOf(read())).toBe('the userinfo endpoint speaks of another sub than the token');
  });

  test.each<[string, ApiAnswer, RegExp]>([
    [
      'a signed JWT',
      { status: 200, headers: { 'content-type': 'application/jwt' }, body: 'eyJhbGciOiJSUzI1NiJ9.e30.c2ln' },
      /answered with a JWT; the client must be registered for plain JSON/,
    ],
    [
      'JSON that says it is HTML',
      { status: 200, headers: { 'content-type': 'text/html' }, body: '{"sub":"jane"}' },
      /not answer with a JSON object/,
    ],
    ['a list', { status: 200, body: [] }, /did not answer with a JSON object/],
    ['no JSON', { status: 200, body: '{' }, /did not answer with a JSON object/],
    ['403', { status: 403 }, /does not take the caller's token \(403\)/],
    ['500', { status: 500 }, /answered 500/],
    ['a redirect', { status: 307, headers: { location: 'http://169.254.169.254/' } }, /answered 307/],
    ['groups of another shape', { status: 200, body: { sub: 'jane', groups: { a: 1 } } }, /groups is not a string or/],
    ['groups elsewhere', { status: 200, body: { sub: 'jane', _claim_names: { groups: 's' } } }, /overage/],
    ['a control character', { status: 200, body: { sub: 'jane', groups: ['\u0000'] } }, /not a short plain string/],
    ['more than a megabyte', { status: 200, body: 'x'.repeat(1_100_000) }, /longer than 1048576 bytes/],
  ])('are refused when the answer is %s', async (_what, answer, detail) => {
    userinfo.instead(path, answer);
    expect(await detailOf(read())).toMatch(detail);
  });

  test('are refused when the endpoint does not know the token', async () => {
    expect(await detailOf(read(reader(), 'unknown'))).toBe(
      "the userinfo endpoint does not take the caller's token (401)",
    );
  });

  test('are refused without a token', async () => {
    expect(await detailOf(reader().read({ sub: 'jane' }, 'jane', undefined))).toMatch(/Envoy verified the token/);
  });

  test('are refused when the token has no sub', async () => {
    expect(await detailOf(read(reader(), 'token-1', { sub: undefined }))).toMatch(/no sub to compare/);
  });

  test('are asked for once more after the endpoint was throttling', async () => {
    userinfo.instead(path, { status: 429, headers: { 'retry-after': '1' } });
    expect(await groupsOf(read())).toEqual(['ml-eng']);
    expect(pauses.ms).toEqual([1000]);
  });

  test('are refused when no answer comes in time', async () => {
    userinfo.instead(path, 'never');
    expect(await detailOf(read(reader({ timeoutMs: 60 })))).toMatch(/within \d+ ms/);
  });

  test.each<[string, Partial<GroupsParts>, RegExp]>([
    ['discovery names none', { userinfoEndpoint: () => Promise.reject(new Error('none')) }, /found by discovery/],
    ['nobody can tell', { userinfoEndpoint: undefined }, /is not known/],
    ['it is in the clear', { userinfoEndpoint: async () => 'http://provider.test/userinfo' }, /not an https URL/],
    ['it is a file', { userinfoEndpoint: async () => 'file:///etc/passwd' }, /not an https URL/],
    ['it has a password', { userinfoEndpoint: async () => 'https://a:b@provider.test/' }, /not an https URL/],
    [
      'it is on an address inside',
      { http: createHttp({ trustedHosts: [] }), userinfoEndpoint: async () => 'https://169.254.169.254/userinfo' },
      /private network/,
    ],
  ])('are refused, and the token not sent, when the endpoint cannot be used: %s', async (_what, parts, detail) => {
    expect(await detailOf(read(reader({}, parts)))).toMatch(detail);
    expect(userinfo.requests).toEqual([]);
  });

  test('are those of the token where they are not required, and that is told', async () => {
    const of = reader({ required: false });
    expect(await of.read({ sub: 'jane', groups: ['told'] }, 'jane', undefined)).toMatchObject({
      ok: true,
      groups: ['told'],
      incomplete: expect.stringMatching(/cannot be asked/),
    });
  });
});
