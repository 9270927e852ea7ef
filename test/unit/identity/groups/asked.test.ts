import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GroupsReader } from '../../../../src/identity/groups/groups.ts';
import { FakeGraph, graphError } from '../../../support/identity-apis/graph.ts';
import { Clock, detailOf, groupsOf, readerOf } from './readers.ts';

const memberships = /transitiveMemberOf$/;
const group = '00000000-0000-4000-8000-000000000001';
const other = '00000000-0000-4000-8000-000000000002';

let graph: FakeGraph;
let clock: Clock;

beforeEach(async () => {
  graph = await FakeGraph.start();
  clock = new Clock();
  for (let i = 0; i < 400; i += 1) graph.members.set(`users/${person(i)}`, [group]);
});
afterEach(() => graph.stop());

const person = (i: number) => `3c1ef8b6-52a4-4c52-bf1b-${String(i).padStart(12, '0')}`;

function reader(groups: Record<string, unknown> = {}): GroupsReader {
  const parts = { now: clock.now, readSecret: async () => graph.clientSecret };
  return readerOf({ graph: graph.section, ...groups }, parts, { preset: 'entra' });
}

const read = (of: GroupsReader, i = 0, claims: Record<string, unknown> = {}) =>
  of.read({ ...graph.overage(person(i)), ...claims }, person(i), undefined);

const asked = () => graph.asked(memberships).length;

describe('groups that were asked for', () => {
  test('are answered at once while they are fresh, and asked for again when they are not', async () => {
    const of = reader({ cacheSeconds: 60 });
    await groupsOf(read(of));
    graph.members.set(`users/${person(0)}`, [other]);
    clock.ms += 59_999;
    expect(read(of)).toEqual({ ok: true, groups: [group], goodUntilMs: clock.ms + 1 });
    clock.ms += 1;
    expect(await groupsOf(read(of))).toEqual([other]);
    expect(asked()).toBe(2);
  });

  test('are not used beyond their time, also while nobody answers', async () => {
    const of = reader({ cacheSeconds: 60 });
    await groupsOf(read(of));
    graph.instead(memberships, graphError(500, 'InternalServerError', 'Internal error.'));
    clock.ms += 60_000;
    expect(await detailOf(read(of))).toMatch(/answered 500/);
  });

  test('are asked for again when the clock was set back', async () => {
    const of = reader();
    await groupsOf(read(of));
    clock.ms -= 1;
    await groupsOf(read(of));
    expect(asked()).toBe(2);
  });

  test('of one person come with what each of their tokens says', async () => {
    const of = reader();
    expect(await groupsOf(read(of, 0, { roles: ['Admin'] }))).toEqual(['Admin', group]);
    expect(await groupsOf(read(of, 0))).toEqual([group]);
    expect(asked()).toBe(1);
  });

  test('are asked for once by a hundred requests of one person', async () => {
    const of = reader();
    const answers = await Promise.all(Array.from({ length: 100 }, () => groupsOf(read(of))));
    expect(answers.every((groups) => groups.join() === group)).toBe(true);
    expect(asked()).toBe(1);
  });

  test('are forgotten of the one who was not seen longest', async () => {
    const of = reader({ cacheEntries: 2 });
    for (const i of [0, 1, 0, 2]) await groupsOf(read(of, i));
    expect(asked()).toBe(3);
    await groupsOf(read(of, 0));
    expect(asked()).toBe(3);
    await groupsOf(read(of, 1));
    expect(asked()).toBe(4);
  });

  test('cannot be changed by who gets them', async () => {
    const groups = await groupsOf(read(reader()));
    expect(Object.isFrozen(groups)).toBe(true);
  });
});

describe('a failure', () => {
  test('is answered for three seconds without asking again', async () => {
    const of = reader();
    graph.instead(memberships, graphError(500, 'InternalServerError', 'Internal error.'));
    expect(await detailOf(read(of))).toMatch(/answered 500/);
    clock.ms += 2999;
    expect(await detailOf(read(of))).toMatch(/answered 500/);
    expect(asked()).toBe(1);
    clock.ms += 1;
    expect(await groupsOf(read(of))).toEqual([group]);
  });
});

describe('many callers at once', () => {
  /** Holds all answers; the function lets them go. */
  function hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    graph.held = promise;
    return resolve;
  }

  test('make sixteen requests at once and no more, and all get their groups', async () => {
    const of = reader();
    await groupsOf(read(of, 399));
    graph.mostOpen = 0;
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => groupsOf(read(of, i))));
    expect(answers).toHaveLength(100);
    expect(graph.mostOpen).toBeLessThanOrEqual(16);
    expect(asked()).toBe(101);
  });

  test('are refused when too many wait already, and can ask again at once', async () => {
    const of = reader();
    const release = hold();
    const first = Array.from({ length: 16 + 256 }, (_, i) => read(of, i));
    expect(await detailOf(read(of, 300))).toBe('too many callers wait for their groups');
    release();
    await Promise.all(first.map(groupsOf));
    expect(await groupsOf(read(of, 300))).toEqual([group]);
  });

  test('are refused in time when nobody answers, and for those who waited nobody is asked any more', async () => {
    const of = reader({ timeoutMs: 150 });
    await groupsOf(read(of, 399));
    const release = hold();
    const answers = Array.from({ length: 40 }, (_, i) => detailOf(read(of, i)));
    // Their turn comes when the access token is too old and their time is over: that must not count as a failure to get one.
    clock.ms += 3_600_000;
    const details = await Promise.all(answers);
    expect(details.every((detail) => /within \d+ ms/.test(detail))).toBe(true);
    release();
    expect(await groupsOf(read(of, 300))).toEqual([group]);
    expect(asked()).toBe(1 + 16 + 1);
  });
});
