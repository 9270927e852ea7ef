import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { folderOrigin } from '../../../src/policy/folder.ts';
import { compilePolicies } from '../../../src/policy/load.ts';
import {
  type OriginRead,
  openPolicySource,
  type PolicyChange,
  type PolicySource,
  type SourceParts,
} from '../../../src/policy/source.ts';
import { demo, input, policy, resolveDetectors } from './fixtures.ts';

const good = policy('- {name: all, then: allow}');
const other = good.replace('then: allow', 'then: deny');
const bad = good.replace('then: allow', 'then: alow');

const compile: SourceParts['compile'] = (files, commit) =>
  compilePolicies(files, { resolveDetectors, models: [demo], evaluationBudget: 20_000, commit });

interface World {
  readonly changes: PolicyChange[];
  readonly tries: string[];
  nowMs: number;
  /** What `changing` does beside taking note. */
  refuse: Error | undefined;
}
const world = (): World => ({ changes: [], tries: [], nowMs: 1_000, refuse: undefined });

const partsOf = (seen: World, origin: SourceParts['origin']): SourceParts => ({
  origin,
  compile,
  nowMs: () => seen.nowMs,
  changing: async (change) => {
    if (seen.refuse !== undefined) throw seen.refuse;
    seen.changes.push(change);
  },
  tried: (outcome) => seen.tries.push(outcome),
});

async function opened(parts: SourceParts): Promise<PolicySource> {
  const result = await openPolicySource(parts);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.source;
}

describe('policies from a folder', () => {
  let dir: string;
  let seen: World;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'policies-'));
    seen = world();
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));
  const write = (text: string) => writeFile(join(dir, 'a.yaml'), text);
  const open = () => opened(partsOf(seen, folderOrigin(dir)));

  test('that turn bad leave the old set in force, and say so until they are good again', async () => {
    await write(good);
    const source = await open();
    const before = source.current;
    await write(bad);
    seen.nowMs = 2_000;
    expect(await source.reload()).toMatchObject({ ok: false });
    seen.nowMs = 3_000;
    expect(await source.reload()).toMatchObject({ ok: false });
    expect(source.current).toBe(before);
    expect(source.status).toMatchObject({
      revision: before.revision,
      problem: { sinceMs: 2_000, text: expect.stringContaining('a.yaml:') },
    });
    await write(other);
    expect(await source.reload()).toMatchObject({ ok: true, isNew: true });
    expect(source.current.decide(input()).verdict).toBe('deny');
    expect(source.status).toMatchObject({ loadedAtMs: 3_000, problem: undefined });
    expect(seen.tries).toEqual(['loaded', 'refused', 'refused', 'loaded']);
    // The same complaint twice is one change.
    expect(seen.changes.map(({ action }) => action)).toEqual(['loaded', 'refused', 'loaded']);
  });

  test('that are the same again are no change', async () => {
    await write(good);
    const source = await open();
    const before = source.current;
    await write(good);
    expect(await source.reload()).toMatchObject({ ok: true, isNew: false });
    expect(source.current).toBe(before);
    expect(seen.changes).toHaveLength(1);
  });

  test('that cannot be loaded at first give no source', async () => {
    expect(await openPolicySource(partsOf(seen, folderOrigin(dir)))).toMatchObject({ ok: false });
    await write(bad);
    expect(await openPolicySource(partsOf(seen, folderOrigin(dir)))).toMatchObject({ ok: false });
    expect(seen.changes).toEqual([]);
  });

  test('that cannot be put on the record do not come into force', async () => {
    await write(good);
    const source = await open();
    const before = source.current;
    await write(other);
    seen.refuse = new Error('the journal is full');
    await expect(source.reload()).rejects.toThrow('the journal is full');
    expect(source.current).toBe(before);
    expect(source.status.problem?.text).toBe('the journal is full');
    seen.refuse = undefined;
    expect(await source.reload()).toMatchObject({ ok: true, isNew: true });
  });

  test('have something new after a change, and not after it was read, good or bad', async () => {
    await write(good);
    const source = await open();
    const reloaded = async () => {
      await source.reload();
      return source.changed();
    };
    await expect.poll(reloaded).toBe(false);
    await write(bad);
    expect(await source.changed()).toBe(true);
    await expect.poll(reloaded).toBe(false);
    await rm(dir, { recursive: true });
    expect(await source.changed()).toBe(true);
    expect(await source.reload()).toMatchObject({ ok: false });
    expect(await source.changed()).toBe(false);
  });
});

test('Calls for a reload while one runs share the next one', async () => {
  const seen = world();
  const reads: PromiseWithResolvers<OriginRead>[] = [];
  const snapshot = { files: [{ path: 'a.yaml', text: good }], commit: undefined, by: '' };
  const source = await opened(
    partsOf(seen, {
      kind: 'folder',
      read: () => {
        const next = Promise.withResolvers<OriginRead>();
        if (reads.length === 0) next.resolve({ ok: true, snapshot });
        reads.push(next);
        return next.promise;
      },
      changed: async () => true,
      taken: async () => {},
    }),
  );
  const first = source.reload();
  await expect.poll(() => reads.length).toBe(2);
  const second = source.reload();
  const third = source.reload();
  expect(third).toBe(second);
  expect(reads).toHaveLength(2);
  reads[1]!.resolve({ ok: 'same' });
  expect(await first).toMatchObject({ ok: true, isNew: false });
  await expect.poll(() => reads.length).toBe(3);
  reads[2]!.resolve({ ok: true, snapshot: { ...snapshot, files: [{ path: 'a.yaml', text: other }] } });
  expect(await second).toMatchObject({ ok: true, isNew: true });
  expect(source.current.decide(input()).verdict).toBe('deny');
});

describe('policies that are offered', () => {
  const files = (text: string) => [{ path: 'a.yaml', text }];
  const open = async (seen: World, taken: unknown[] = []) =>
    opened(
      partsOf(seen, {
        kind: 'push',
        read: async () => ({ ok: true, snapshot: { files: files(good), commit: undefined, by: '' } }),
        changed: async () => false,
        taken: async (snapshot) => void taken.push(snapshot.files[0]?.text),
      }),
    );
  const offered = { files: files(other), by: 'jane', expect: undefined, dryRun: false };

  test('are kept, put on the record with who brought them, and in force at once', async () => {
    const seen = world();
    const taken: unknown[] = [];
    const source = await open(seen, taken);
    expect(await source.offer(offered)).toEqual({ ok: true, isNew: true, revision: source.current.revision });
    expect(source.current.decide(input()).verdict).toBe('deny');
    expect(seen.changes.at(-1)).toMatchObject({ action: 'loaded', source: 'push', snapshot: { by: 'jane' } });
    expect(taken).toEqual([good, other]);
  });

  test('are kept as before where they cannot be put on the record', async () => {
    const seen = world();
    const taken: unknown[] = [];
    const source = await open(seen, taken);
    seen.refuse = new Error('the journal is full');
    await expect(source.offer(offered)).rejects.toThrow('the journal is full');
    expect(source.current.decide(input()).verdict).toBe('allow');
    expect(taken).toEqual([good, other, good]);
  });

  test('on another revision than the one in force are refused', async () => {
    const source = await open(world());
    const { revision } = source.current;
    expect(await source.offer({ ...offered, expect: 'sha256:0' })).toEqual({ ok: false, code: 'conflict', revision });
    expect(await source.offer({ ...offered, expect: revision })).toMatchObject({ ok: true });
    expect(await source.offer({ ...offered, expect: revision })).toMatchObject({ ok: false, code: 'conflict' });
  });

  test('with problems are refused with all of them, on the record, each time', async () => {
    const seen = world();
    const source = await open(seen);
    const wrong = { ...offered, files: files(bad) };
    expect(await source.offer(wrong)).toMatchObject({ ok: false, code: 'invalid', problems: [{ file: 'a.yaml' }] });
    await source.offer(wrong);
    expect(seen.changes.slice(1)).toMatchObject([
      { action: 'refused', by: 'jane' },
      { action: 'refused', by: 'jane' },
    ]);
    // Somebody else's mistake is no trouble of what is in force.
    expect(source.status.problem).toBeUndefined();
  });

  test('for a try change nothing', async () => {
    const seen = world();
    const source = await open(seen);
    const before = source.current;
    expect(await source.offer({ ...offered, dryRun: true })).toMatchObject({ ok: true, isNew: true });
    expect(await source.offer({ ...offered, files: files(bad), dryRun: true })).toMatchObject({ code: 'invalid' });
    expect(source.current).toBe(before);
    expect(seen.changes).toHaveLength(1);
  });
});
