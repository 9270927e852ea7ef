import fc from 'fast-check';
import { expect } from 'vitest';
import type { StateStore } from '../../../src/state/store.ts';

const keys = ['a', 'a/', 'a/1', 'a/10', 'a/2', 'b', '~'];
const key = fc.constantFrom(...keys);
const value = fc.constantFrom('', '1', 'ä\u{1f600}');
/** Milliseconds from the clock's start. */
const expiry = fc.option(fc.integer({ min: -5, max: 40 }), { nil: undefined });
/** Which of the versions given so far. */
const version = fc.nat(12);
const limit = fc.integer({ min: 1, max: 5 });

const step = fc.oneof(
  fc.record({ op: fc.constant('get'), key }),
  fc.record({ op: fc.constant('putIfAbsent'), key, value, expiry }),
  fc.record({ op: fc.constant('replace'), key, version, value, expiry }),
  fc.record({ op: fc.constant('remove'), key, version }),
  fc.record({
    op: fc.constant('list'),
    prefix: fc.constantFrom('', 'a', 'a/', 'x'),
    after: fc.constantFrom('', ...keys),
    limit,
  }),
  fc.record({ op: fc.constant('deleteExpired'), limit }),
  fc.record({ op: fc.constant('wait'), ms: fc.integer({ min: 1, max: 15 }) }),
);

/** Any sequence of operations, on two stores with one clock. */
export const steps = fc.array(step, { minLength: 1, maxLength: 40 });
type Step = typeof steps extends fc.Arbitrary<(infer S)[]> ? S : never;

/**
 * Does the same to two empty stores and expects the same answers. Versions are their own affair: they are compared by the
 * order in which they were given.
 */
export async function expectSameAnswers(
  stores: readonly [StateStore, StateStore],
  clock: { nowMs: number },
  all: readonly Step[],
): Promise<void> {
  const given: readonly [number[], number[]] = [[], []];
  const startMs = clock.nowMs;
  for (const one of all) {
    if (one.op === 'wait') {
      clock.nowMs += one.ms;
      continue;
    }
    const expiresAtMs = 'expiry' in one && one.expiry !== undefined ? startMs + one.expiry : undefined;
    const [first, second] = await Promise.all(
      stores.map(async (store, i) => {
        const versions = given[i as 0 | 1];
        const ordinal = (n: number) => {
          if (!versions.includes(n)) versions.push(n);
          return versions.indexOf(n);
        };
        const answer = await perform(store, one, versions, expiresAtMs);
        return JSON.parse(JSON.stringify(answer ?? null), (name, inner) =>
          name === 'version' ? ordinal(inner) : inner,
        );
      }),
    );
    expect(second).toEqual(first);
  }
}

function perform(
  store: StateStore,
  one: Exclude<Step, { op: 'wait' }>,
  versions: readonly number[],
  expiresAtMs: number | undefined,
) {
  // No store gives 0.
  const versionOf = (n: number) => versions[n % Math.max(1, versions.length)] ?? 0;
  switch (one.op) {
    case 'get':
      return store.get(one.key);
    case 'putIfAbsent':
      return store.putIfAbsent(one.key, one.value, { expiresAtMs });
    case 'replace':
      return store.replace(one.key, versionOf(one.version), one.value, { expiresAtMs });
    case 'remove':
      return store.remove(one.key, versionOf(one.version));
    case 'list':
      return store.list(one.prefix, { after: one.after, limit: one.limit });
    case 'deleteExpired':
      return store.deleteExpired(one.limit);
  }
}
