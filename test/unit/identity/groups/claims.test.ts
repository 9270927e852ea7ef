import { describe, expect, test } from 'vitest';
import { mapGroups } from '../../../../src/identity/groups/mapping.ts';
import { groupsOf, readerOf } from './readers.ts';

const read = (claims: Record<string, unknown>, groups: Record<string, unknown> = {}) =>
  readerOf(groups).read(claims, 'jane', undefined);

describe('groups of the claims', () => {
  test('are known at once and for as long as the token', () => {
    expect(read({ groups: ['a', 'b'] })).toEqual({
      ok: true,
      groups: ['a', 'b'],
      goodUntilMs: Number.POSITIVE_INFINITY,
    });
  });

  test.each<[string, unknown[], Record<string, unknown>, string[]]>([
    ['one string', ['groups'], { groups: 'ML Engineers' }, ['ML Engineers']],
    ['a list with repeats', ['groups'], { groups: ['a', 'b', 'a'] }, ['a', 'b']],
    ['an empty list', ['groups'], { groups: [] }, []],
    ['no claim', ['groups'], {}, []],
    ['a nested list', ['realm_access.roles'], { realm_access: { roles: ['a'] } }, ['a']],
    ['a name with dots', ['https://corp.test/groups'], { 'https://corp.test/groups': ['a'] }, ['a']],
    ['a path whose names have dots', [['corp.test', 'groups']], { 'corp.test': { groups: 'a' } }, ['a']],
    [
      'several claims',
      ['groups', 'roles', 'x.y'],
      { groups: ['a'], roles: ['b', 'a'], x: { y: 'c' } },
      ['a', 'b', 'c'],
    ],
    ['several claims of which one is missing', ['groups', 'x.y'], { groups: ['a'], x: {} }, ['a']],
    ['an inherited name', ['constructor.name', 'toString'], {}, []],
    [
      'a claim of its own that is called __proto__',
      ['__proto__.roles'],
      JSON.parse('{"__proto__":{"roles":["a"]}}'),
      ['a'],
    ],
    ['distributed claims that are no groups', ['groups'], { groups: ['a'], _claim_names: { address: 's' } }, ['a']],
    ['hasgroups that is false', ['groups'], { groups: ['a'], hasgroups: false }, ['a']],
  ])('are read from %s', async (_what, claims, token, expected) => {
    expect(await groupsOf(read(token, { claims }))).toEqual(expected);
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    ['is a number', { groups: 7 }, /groups is not a string or a list/],
    ['is null', { groups: null }, /groups is not/],
    ['is an object', { groups: { a: true } }, /groups is not/],
    ['has a number in its list', { groups: ['a', 7] }, /not a short plain string/],
    ['has a list in its list', { groups: [['a']] }, /not a short plain string/],
    ['has an empty name in it', { groups: ['a', ''] }, /not a short plain string/],
    ['is an empty string', { groups: '' }, /not a short plain string/],
    ['has a line break in a name', { groups: ['a\r\nx-admin: 1'] }, /not a short plain string/],
    ['has an escape sequence in a name', { groups: ['\u001b[2J'] }, /not a short plain string/],
    ['has half a character in a name', { groups: ['\ud800'] }, /not a short plain string/],
    ['has a name of 1,025 characters', { groups: ['x'.repeat(1025)] }, /not a short plain string/],
    ['holds more than 1,000', { groups: Array.from({ length: 1001 }, (_, i) => `g${i}`) }, /more than 1000 groups/],
    ['cannot be reached through a string', { realm_access: 'roles' }, /realm_access.roles is not/],
    ['cannot be reached through a list', { realm_access: [{ roles: ['a'] }] }, /realm_access.roles is not/],
    ['cannot be reached through null', { realm_access: null }, /realm_access.roles is not/],
  ])('are refused when one claim %s, however good the others are', (_what, claims, detail) => {
    const answer = read({ other: ['good'], ...claims }, { claims: ['other', 'groups', 'realm_access.roles'] });
    expect(answer).toEqual({ ok: false, detail: expect.stringMatching(detail) });
  });

  test.each<[string, Record<string, unknown>]>([
    ['_claim_names names the claim', { _claim_names: { groups: 'src1' } }],
    ['_claim_names names it beside groups', { groups: ['a'], _claim_names: { groups: 'src1' } }],
    ['_claim_names names the first part of a path', { _claim_names: { realm_access: 'src1' } }],
    ['_claim_names is not an object', { _claim_names: 'groups' }],
    ['_claim_names is a list', { _claim_names: ['groups'] }],
    ['hasgroups is true', { hasgroups: true }],
    ['hasgroups is true beside groups', { groups: ['a'], hasgroups: true }],
    ['hasgroups is not a boolean', { hasgroups: 'true' }],
  ])('are refused as incomplete when %s', (_what, claims) => {
    const answer = read(claims, { claims: ['groups', 'realm_access.roles'] });
    expect(answer).toEqual({ ok: false, detail: expect.stringContaining('overage') });
  });

  test('are what could be read where they are not required, and it is told that this may not be all', () => {
    const claims = { groups: ['a'], roles: 7, _claim_names: { groups: 'src1' } };
    expect(read(claims, { claims: ['groups', 'roles'], required: false })).toEqual({
      ok: true,
      groups: ['a'],
      goodUntilMs: Number.POSITIVE_INFINITY,
      incomplete: 'the claim roles is not a string or a list of strings',
    });
    expect(read({ hasgroups: true }, { required: false })).toMatchObject({
      ok: true,
      groups: [],
      incomplete: expect.stringContaining('overage'),
    });
  });

  test('that are all there are not called incomplete', () => {
    expect(read({ groups: ['a'] }, { required: false })).not.toHaveProperty('incomplete');
  });
});

describe('the names that rules know', () => {
  const names = { prefix: '', rename: {}, onlyRenamed: false };

  test.each<[string, string[], Partial<typeof names>, string[]]>([
    ['are those of the provider', ['a', 'b'], {}, ['a', 'b']],
    ['have the prefix', ['a', 'b'], { prefix: 'okta:' }, ['okta:a', 'okta:b']],
    ['are what rename says, without the prefix', ['a', 'b'], { prefix: 'x:', rename: { a: 'ml' } }, ['ml', 'x:b']],
    ['are only the renamed ones', ['a', 'b'], { rename: { a: 'ml' }, onlyRenamed: true }, ['ml']],
    ['come once when two groups get one name', ['a', 'b', 'c'], { rename: { a: 'c', b: 'c' } }, ['c']],
    ['are not what every object inherits', ['constructor', 'toString', '__proto__'], { onlyRenamed: true }, []],
  ])('%s', (_what, groups, change, expected) => {
    expect(mapGroups(groups, { ...names, ...change })).toEqual(expected);
  });

  test('are used for the claims of a token', async () => {
    const groups = { prefix: 'corp:', rename: { '0f3a': 'ml-eng' } };
    expect(await groupsOf(read({ groups: ['0f3a', 'staff'] }, groups))).toEqual(['ml-eng', 'corp:staff']);
  });
});
