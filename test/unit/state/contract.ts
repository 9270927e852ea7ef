import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type StateStore, StateUnavailable } from '../../../src/state/store.ts';

/** What every state store must do. `open` gives an empty store on the clock that is passed in. */
export function stateContract(name: string, open: (now: () => number) => Promise<StateStore> | StateStore): void {
  describe(`${name} keeps the contract of a state store:`, () => {
    let nowMs: number;
    let store: StateStore;
    beforeEach(async () => {
      nowMs = 1_000;
      store = await open(() => nowMs);
    });
    afterEach(() => store.close());

    const keys = async (prefix: string, page: { after?: string; limit: number } = { limit: 100 }) =>
      (await store.list(prefix, page)).map((document) => document.key);

    test('a document is there as it was put', async () => {
      expect(await store.get('a')).toBeUndefined();
      expect(await store.putIfAbsent('a', '{"x":"ä\u{1f600}"}', { expiresAtMs: 2_000 })).toBe(true);
      expect(await store.get('a')).toMatchObject({ key: 'a', value: '{"x":"ä\u{1f600}"}', expiresAtMs: 2_000 });
      expect(await store.putIfAbsent('empty', '')).toBe(true);
      expect(await store.get('empty')).toMatchObject({ value: '', expiresAtMs: undefined });
    });

    test('a key is put once, by one of many at once', async () => {
      const put = await Promise.all(Array.from({ length: 20 }, (_, i) => store.putIfAbsent('replay/x', String(i))));
      expect(put.filter(Boolean)).toHaveLength(1);
      expect(await store.get('replay/x')).toMatchObject({ value: String(put.indexOf(true)) });
    });

    test('a document is gone the moment it expires, and its key may be put again', async () => {
      await store.putIfAbsent('a', '1', { expiresAtMs: 2_000 });
      nowMs = 1_999;
      expect(await store.putIfAbsent('a', '2')).toBe(false);
      nowMs = 2_000;
      expect(await store.get('a')).toBeUndefined();
      expect(await keys('')).toEqual([]);
      expect(await store.putIfAbsent('a', '2', { expiresAtMs: 2_000 })).toBe(true);
      expect(await store.get('a')).toBeUndefined();
      expect(await store.putIfAbsent('a', '3')).toBe(true);
      expect(await store.get('a')).toMatchObject({ value: '3' });
    });

    test('a document is replaced only by who knows its version', async () => {
      await store.putIfAbsent('a', '1', { expiresAtMs: 5_000 });
      const first = (await store.get('a'))!;
      const replaced = await store.replace('a', first.version, '2');
      if (!replaced.ok) return expect(replaced).toMatchObject({ ok: true });
      expect(await store.get('a')).toEqual({ key: 'a', value: '2', version: replaced.version, expiresAtMs: undefined });
      expect(await store.replace('a', first.version, '3')).toEqual({ ok: false, current: await store.get('a') });
      expect(await store.replace('b', first.version, '3')).toEqual({ ok: false, current: undefined });
    });

    test('of many replacements of one version, one takes place', async () => {
      await store.putIfAbsent('a', '0');
      const { version } = (await store.get('a'))!;
      const all = await Promise.all(Array.from({ length: 20 }, (_, i) => store.replace('a', version, String(i + 1))));
      expect(all.filter((r) => r.ok)).toHaveLength(1);
    });

    test('a version is never given twice, even after a document was removed or expired', async () => {
      const versions: number[] = [];
      for (let round = 0; round < 3; round += 1) {
        await store.putIfAbsent('a', 'x', { expiresAtMs: nowMs + 10 });
        const { version } = (await store.get('a'))!;
        versions.push(version);
        if (round === 0) expect(await store.remove('a', version)).toBe(true);
        else nowMs += 10;
      }
      expect(new Set(versions).size).toBe(3);
      expect(await store.replace('a', versions[0]!, 'y')).toMatchObject({ ok: false });
    });

    test('a document is removed only by who knows its version, and an expired one by nobody', async () => {
      await store.putIfAbsent('a', '1', { expiresAtMs: 2_000 });
      const { version } = (await store.get('a'))!;
      expect(await store.remove('a', version + 1)).toBe(false);
      expect(await store.remove('b', version)).toBe(false);
      nowMs = 2_000;
      expect(await store.remove('a', version)).toBe(false);
      expect(await store.replace('a', version, '2')).toEqual({ ok: false, current: undefined });
      nowMs = 1_000;
      expect(await store.remove('a', version)).toBe(true);
      expect(await store.get('a')).toBeUndefined();
    });

    test('documents are listed by prefix, in order, page by page', async () => {
      for (const key of ['b/2', 'a/10', 'a/1', 'a/2', 'a', 'a0', 'A/1', 'a/~', 'a/é'.normalize().replace('é', 'e')])
        await store.putIfAbsent(key, key);
      expect(await keys('a/')).toEqual(['a/1', 'a/10', 'a/2', 'a/e', 'a/~']);
      expect(await keys('a/', { limit: 2 })).toEqual(['a/1', 'a/10']);
      expect(await keys('a/', { after: 'a/10', limit: 2 })).toEqual(['a/2', 'a/e']);
      expect(await keys('', { limit: 3 })).toEqual(['A/1', 'a', 'a/1']);
      expect(await keys('%')).toEqual([]);
      expect(await keys('c')).toEqual([]);
    });

    test('expired documents are deleted so many at a time, live ones never', async () => {
      for (let i = 0; i < 5; i += 1) await store.putIfAbsent(`e/${i}`, 'x', { expiresAtMs: 1_500 });
      await store.putIfAbsent('stays', 'x');
      await store.putIfAbsent('later', 'x', { expiresAtMs: 9_000 });
      expect(await store.deleteExpired(10)).toBe(0);
      nowMs = 1_500;
      expect(await store.deleteExpired(3)).toBe(3);
      expect(await store.deleteExpired(3)).toBe(2);
      expect(await store.deleteExpired(3)).toBe(0);
      expect(await keys('')).toEqual(['later', 'stays']);
    });

    test.each(['', 'a b', 'ä', 'a\n', 'a\0', 'x'.repeat(513)])('the key %j is a bug', async (key) => {
      await expect(store.get(key)).rejects.toThrow(RangeError);
      await expect(store.putIfAbsent(key, 'x')).rejects.toThrow(RangeError);
      await expect(store.replace(key, 1, 'x')).rejects.toThrow(RangeError);
      await expect(store.remove(key, 1)).rejects.toThrow(RangeError);
    });

    test('values, expiries and limits out of bounds are bugs', async () => {
      for (const value of ['x'.repeat(1_048_577), '\ud800', 'a\0b'])
        await expect(store.putIfAbsent('a', value)).rejects.toThrow(RangeError);
      for (const expiresAtMs of [1.5, Number.NaN, Number.POSITIVE_INFINITY])
        await expect(store.putIfAbsent('a', 'x', { expiresAtMs })).rejects.toThrow(RangeError);
      for (const limit of [0, -1, 1.5, 10_001]) {
        await expect(store.list('', { limit })).rejects.toThrow(RangeError);
        await expect(store.deleteExpired(limit)).rejects.toThrow(RangeError);
      }
      await expect(store.list('ä', { limit: 1 })).rejects.toThrow(RangeError);
      expect(await store.get('a')).toBeUndefined();
    });

    test('a closed store is unavailable, and may be closed again', async () => {
      expect(store.health()).toMatchObject({ ready: true });
      await store.close();
      expect(store.health()).toMatchObject({ ready: false });
      await expect(store.get('a')).rejects.toThrow(StateUnavailable);
      await expect(store.putIfAbsent('a', 'x')).rejects.toThrow(StateUnavailable);
      await expect(store.list('', { limit: 1 })).rejects.toThrow(StateUnavailable);
      await store.close();
    });
  });
}
