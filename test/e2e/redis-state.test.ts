/** Control state in a real Redis: the contract, many clients at once, and the layout. Faults: redis-faults.test.ts. */
import fc from 'fast-check';
import { createClient } from 'redis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createMemoryState } from '../../src/state/memory.ts';
import { openRedisState, type RedisStateOptions } from '../../src/state/redis.ts';
import type { StateStore } from '../../src/state/store.ts';
import { type RedisServer, redisBinary, startRedis } from '../support/redis-server.ts';
import { stateContract } from '../unit/state/contract.ts';
import { expectSameAnswers, steps } from '../unit/state/same-answers.ts';

const suite = describe.skipIf(redisBinary === undefined);

suite('Redis (skipped where REDIS_SERVER_BIN names none: `npm test` brings it)', () => {
  let server: RedisServer;
  let prefixes = 0;
  const stores: StateStore[] = [];
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server?.stop());
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
  });
  const open = async (options: Partial<RedisStateOptions> = {}) => {
    const store = await openRedisState({
      url: server.url,
      username: undefined,
      database: 0,
      prefix: `test-${prefixes}:`,
      timeoutMs: 5000,
      secrets: async () => ({ password: undefined, ca: undefined }),
      now: () => 1_000,
      ...options,
    });
    stores.push(store);
    return store;
  };
  beforeEach(() => {
    prefixes += 1;
  });
  /** A plain client, to look at what is there. */
  const raw = async () => {
    const client = await createClient({ url: server.url, RESP: 2 }).connect();
    stores.push({ close: async () => client.destroy() } as StateStore);
    return client;
  };

  stateContract('the store in Redis', (now) => open({ now }));

  test('whatever is done to them, Redis and memory answer alike', async () => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        runs += 1;
        const clock = { nowMs: 1_000 };
        const now = () => clock.nowMs;
        const redis = await open({ now, prefix: `alike-${runs}:` });
        await expectSameAnswers([createMemoryState({ now }), redis], clock, all);
        await redis.close();
      }),
      { numRuns: 200 },
    );
    expect(runs).toBeGreaterThanOrEqual(200);
  });

  describe('two gateways at once', () => {
    test('of 100 puts of one key by two clients, exactly one puts', async () => {
      const [one, two] = [await open(), await open()];
      for (let round = 0; round < 10; round += 1) {
        const puts = Array.from({ length: 100 }, (_, i) => (i % 2 ? one : two).putIfAbsent(`replay/${round}`, `${i}`));
        const put = await Promise.all(puts);
        expect(put.filter(Boolean)).toHaveLength(1);
        expect(await one.get(`replay/${round}`)).toMatchObject({ value: `${put.indexOf(true)}` });
      }
    });

    test('each of 40 counts up by compare and set; no count is lost', async () => {
      const [one, two] = [await open(), await open()];
      await one.putIfAbsent('count', '0');
      const count = async (store: StateStore) => {
        for (;;) {
          const { value, version } = (await store.get('count'))!;
          if ((await store.replace('count', version, String(Number(value) + 1))).ok) return;
        }
      };
      await Promise.all(Array.from({ length: 40 }, (_, i) => count(i % 2 ? one : two)));
      expect(await two.get('count')).toMatchObject({ value: '40' });
    });

    test('of many removals and replacements of one version, one takes place', async () => {
      const [one, two] = [await open(), await open()];
      await one.putIfAbsent('a', '0');
      const { version } = (await two.get('a'))!;
      const all = await Promise.all(
        Array.from({ length: 40 }, async (_, i) => {
          const store = i % 2 ? one : two;
          return i % 4 < 2 ? store.remove('a', version) : (await store.replace('a', version, `${i}`)).ok;
        }),
      );
      expect(all.filter(Boolean)).toHaveLength(1);
    });

    test('one sees what the other lists, put and removed', async () => {
      const [one, two] = [await open(), await open()];
      await one.putIfAbsent('a', '1');
      expect(await two.list('', { limit: 10 })).toEqual([await one.get('a')]);
      await two.remove('a', (await two.get('a'))!.version);
      expect(await one.list('', { limit: 10 })).toEqual([]);
    });
  });

  describe('what is in Redis', () => {
    test('is under the prefix with a hash tag, and does not expire by itself', async () => {
      const store = await open();
      await store.putIfAbsent('a', '1', { expiresAtMs: 2_000 });
      const client = await raw();
      const keys = await client.keys(`*test-${prefixes}*`);
      const parts = ['documents', 'expiries', 'index', 'schema', 'version'];
      expect(keys.toSorted()).toEqual(parts.map((part) => `{test-${prefixes}:}${part}`));
      for (const key of keys) expect(await client.ttl(key)).toBe(-1);
      expect(await client.hGet(`{test-${prefixes}:}documents`, 'a')).toMatch(/^\d{16} 2000 1$/);
    });

    test('is not seen under another prefix, or in another database', async () => {
      const store = await open();
      await store.putIfAbsent('a', '1');
      const others = [await open({ prefix: `test-${prefixes}` }), await open({ database: 3 })];
      for (const other of others) {
        expect(await other.get('a')).toBeUndefined();
        expect(await other.list('', { limit: 10 })).toEqual([]);
        expect(await other.putIfAbsent('a', '2')).toBe(true);
      }
      expect(await store.get('a')).toMatchObject({ value: '1' });
    });

    test('is freed with its last document, but for the counter and the layout', async () => {
      const store = await open();
      await store.putIfAbsent('a', '1', { expiresAtMs: 500 });
      await store.putIfAbsent('b', '1', { expiresAtMs: 2_000 });
      expect(await store.deleteExpired(10)).toBe(1);
      await store.remove('b', (await store.get('b'))!.version);
      expect(await (await raw()).keys(`*test-${prefixes}*`)).toHaveLength(2);
    });

    test('loses its expiry, or gets one, with a replacement', async () => {
      let nowMs = 1_000;
      const store = await open({ now: () => nowMs });
      await store.putIfAbsent('stays', '1', { expiresAtMs: 2_000 });
      await store.putIfAbsent('goes', '1');
      await store.replace('stays', (await store.get('stays'))!.version, '2');
      await store.replace('goes', (await store.get('goes'))!.version, '2', { expiresAtMs: 2_000 });
      nowMs = 3_000;
      expect(await store.deleteExpired(10)).toBe(1);
      expect((await store.list('', { limit: 10 })).map(({ key }) => key)).toEqual(['stays']);
    });

    test('is freed only once it has expired by the server’s clock as well: one fast clock empties no replay list', async () => {
      const fast = await open({ now: () => Date.now() + 3_600_000 });
      const right = await open({ now: Date.now });
      await right.putIfAbsent('replay/x', '1', { expiresAtMs: Date.now() + 60_000 });
      expect(await fast.deleteExpired(10)).toBe(0);
      expect(await right.putIfAbsent('replay/x', '2')).toBe(false);
    });

    test('has versions above those that a failover or FLUSHALL took away', async () => {
      const store = await open();
      await store.putIfAbsent('a', '1');
      const { version } = (await store.get('a'))!;
      await (await raw()).del([
        `{test-${prefixes}:}documents`,
        `{test-${prefixes}:}index`,
        `{test-${prefixes}:}version`,
      ]);
      await store.putIfAbsent('a', '2');
      expect((await store.get('a'))!.version).toBeGreaterThan(version);
    });

    test('has versions that grow although the server’s clock was set back', async () => {
      const store = await open();
      const future = 9_000_000_000_000_000;
      await (await raw()).set(`{test-${prefixes}:}version`, String(future));
      await store.putIfAbsent('a', '1');
      const { version } = (await store.get('a'))!;
      expect(version).toBe(future + 1);
      expect(await store.replace('a', version, '2')).toEqual({ ok: true, version: future + 2 });
    });

    test('does not depend on the scripts that the server keeps', async () => {
      const store = await open();
      const client = await raw();
      await store.putIfAbsent('a', '1');
      await client.scriptFlush();
      expect(await store.putIfAbsent('a', '2')).toBe(false);
      await client.scriptFlush();
      const all = await Promise.all(Array.from({ length: 20 }, () => store.putIfAbsent('b', '1')));
      expect(all.filter(Boolean)).toHaveLength(1);
      await client.scriptFlush();
      expect(await store.list('', { limit: 10 })).toHaveLength(2);
      expect(await store.deleteExpired(1)).toBe(0);
    });

    test.each(['', 'x', '12 ', '12 3', 'x - 1', '99999999999999999999 - x'])(
      'is unavailable, not empty, where a document is %j',
      async (damaged) => {
        const store = await open();
        await store.putIfAbsent('a', '1');
        await (await raw()).hSet(`{test-${prefixes}:}documents`, 'a', damaged);
        await expect(store.get('a')).rejects.toMatchObject({ code: 'state_unavailable' });
        await expect(store.list('', { limit: 1 })).rejects.toMatchObject({ code: 'state_unavailable' });
        if (damaged !== '99999999999999999999 - x')
          await expect(store.putIfAbsent('a', '2')).rejects.toMatchObject({ code: 'state_unavailable' });
      },
    );
  });

  describe('a lot', () => {
    test('of documents is listed page by page, in the order of their bytes', async () => {
      const store = await open();
      const names = Array.from({ length: 5_000 }, (_, i) => `k/${((i * 7919) % 5_000).toString(36)}`);
      await Promise.all(names.map((name) => store.putIfAbsent(name, name)));
      const sorted = names.toSorted((a, b) => (a < b ? -1 : 1));
      expect((await store.list('k/', { limit: 10_000 })).map(({ key }) => key)).toEqual(sorted);
      const paged: string[] = [];
      for (let after = ''; ; after = paged.at(-1)!) {
        const page = await store.list('k/', { after, limit: 777 });
        if (page.length === 0) break;
        paged.push(...page.map(({ value }) => value));
      }
      expect(paged).toEqual(sorted);
    });

    test('of expired documents hides no live one, and is freed', async () => {
      let nowMs = 1_000;
      const store = await open({ now: () => nowMs });
      const expiring = Array.from({ length: 3_000 }, (_, i) => `k/${i}`);
      await Promise.all(expiring.map((key) => store.putIfAbsent(key, '', { expiresAtMs: 2_000 })));
      await store.putIfAbsent('k/live', '1');
      nowMs = 2_000;
      expect((await store.list('k/', { limit: 1 })).map(({ key }) => key)).toEqual(['k/live']);
      expect(await store.deleteExpired(2_500)).toBe(2_500);
      expect(await store.deleteExpired(10_000)).toBe(500);
      expect(await store.deleteExpired(10_000)).toBe(0);
      expect(await store.get('k/live')).toMatchObject({ value: '1' });
    });

    test('of text comes back as it was, in whatever pieces it travels', async () => {
      const store = await open();
      const value = `ä\u{1f600}€\u{10ffff}`.repeat(170_000);
      const keys = Array.from({ length: 6 }, (_, i) => `big/${i}`);
      for (const key of keys) await store.putIfAbsent(key, value);
      const client = await raw();
      await client.configResetStat();
      const listed = await store.list('big/', { limit: 100 });
      // 13 MB in answers of 4 MiB and a document at most: Redis is not held for long.
      const calls = /cmdstat_evalsha:calls=(\d+)/.exec(await client.info('commandstats'))?.[1];
      expect(Number(calls)).toBeGreaterThanOrEqual(3);
      expect(listed.map(({ key }) => key)).toEqual(keys);
      for (const document of listed) expect(document.value === value).toBe(true);
      expect((await store.get('big/3'))!.value === value).toBe(true);
      const replaced = await store.replace('big/3', 1, 'x');
      expect(!replaced.ok && replaced.current?.value === value).toBe(true);
    });

    test.each([-9_007_199_254_740_990, -1, 0, 9_007_199_254_740_991])(
      'expires at %d to the millisecond',
      async (at) => {
        const store = await open({ now: () => at - 1 });
        await store.putIfAbsent('a', '1', { expiresAtMs: at });
        expect(await store.get('a')).toMatchObject({ expiresAtMs: at });
        const later = await open({ now: () => at });
        expect(await later.get('a')).toBeUndefined();
        expect(await later.putIfAbsent('a', '2')).toBe(true);
      },
    );
  });
});
