/** Counters of limits in a real Redis: the contract, processes at once, what is in there, and what happens when it fails. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { createClient } from 'redis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { limitsSection } from '../../src/limits/config.ts';
import { LimitsUnavailable } from '../../src/limits/limiter.ts';
import { openLimiter } from '../../src/limits/open.ts';
import { createRedisCounters } from '../../src/limits/redis-counters.ts';
import { stateSection } from '../../src/state/config.ts';
import { RedisConnection } from '../../src/state/redis-connection.ts';
import { faultyPath, type RedisServer, redisBinary, startRedis } from '../support/redis-server.ts';
import { countingObserver, limit, minute, noon, of, requests, tokens } from '../unit/limits/charges.ts';
import { limiterContract } from '../unit/limits/contract.ts';
import { expectAsModelled, rounds } from '../unit/limits/model.ts';

const suite = describe.skipIf(redisBinary === undefined);

suite('limits in Redis (skipped where REDIS_SERVER_BIN names none: `npm test` brings it)', () => {
  let server: RedisServer;
  let prefixes = 0;
  const cleanups: (() => Promise<void> | void)[] = [];
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server?.stop());
  beforeEach(() => {
    prefixes += 1;
  });
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  });

  const counters = async (prefix = `test-${prefixes}:`) => {
    const connection = new RedisConnection({
      ...{ url: server.url, username: undefined, database: 0, timeoutMs: 5000, checkIntervalMs: 5000 },
      secrets: async () => ({ password: undefined, ca: undefined }),
      prepare: async () => {},
    });
    await connection.open(0);
    return createRedisCounters({ connection, prefix });
  };
  const raw = async () => {
    const client = await createClient({ url: server.url, RESP: 2 }).connect();
    client.on('error', () => {});
    cleanups.push(() => client.destroy());
    return client;
  };
  /** As a gateway opens it. */
  const open = async (config: object = {}, url = server.url) => {
    const { seen, observer } = countingObserver();
    const limiter = await openLimiter({
      config: limitsSection.parse(config),
      state: stateSection.parse({ engine: 'redis', url, prefix: `test-${prefixes}:` }),
      ...{ environment: {}, now: () => noon, observer },
    });
    cleanups.push(() => limiter.close());
    return { limiter, seen };
  };

  limiterContract('counters in Redis', () => counters());

  test('whatever is reserved, settled and released at once, Redis ends where a brute force does', async () => {
    let runs = 0;
    const warm = await counters('warm:');
    await warm.take('warm', [], noon).catch(() => undefined);
    await warm.correct('warm', []);
    await warm.close();
    await fc.assert(
      fc.asyncProperty(rounds, async (all) => {
        runs += 1;
        const own = await counters(`model-${runs}:`);
        await expectAsModelled(own, all);
        await own.close();
      }),
      { numRuns: 100 },
    );
    expect(runs).toBeGreaterThanOrEqual(100);
  });

  test('of 1,000 requests at once from two processes against a limit of 100, exactly 100 pass', async () => {
    const program = fileURLToPath(new URL('support/limits-taker.ts', import.meta.url));
    const takers = [1, 2].map(() => fork(program, [server.url, '500', String(noon)], { execArgv: [] }));
    await Promise.all(takers.map((taker) => once(taker, 'message')));
    const passed = takers.map(async (taker) => Number((await once(taker, 'message'))[0]));
    for (const taker of takers) taker.send('go');
    const [one = 0, two = 0] = await Promise.all(passed);
    expect(one + two).toBe(100);
    const client = await raw();
    const keys = (await client.keys('{race:}limits:*')).filter((key) => !key.includes(':open:'));
    const counts = await Promise.all(keys.map((key) => client.get(key)));
    expect(counts.map(Number).toSorted((a, b) => a - b)).toEqual([100, 100, 1000]);
    expect(await client.keys('{race:}limits:open:*')).toHaveLength(100);
  });

  describe('two gateways', () => {
    test('settle once between them, whichever takes the stream', async () => {
      const [one, two] = [(await open()).limiter, (await open()).limiter];
      const charge = limit([tokens(100)]);
      const admission = await one.reserve('s', [charge], of(50), noon);
      const held = admission.ok ? admission.reservations : [];
      await Promise.all([
        two.settle('s', held, { tokens: 20 }),
        one.settle('s', held, { tokens: 20 }),
        one.release('s', held),
      ]);
      const [left] = (await two.reserve('t', [charge], of(0), noon)).states;
      expect([80, 100]).toContain(left?.remaining);
      expect(await (await raw()).keys(`{test-${prefixes}:}limits:open:s`)).toEqual([]);
    });
  });

  describe('what is in Redis', () => {
    test('names nobody, is under the prefix, and goes a minute after its window', async () => {
      const { limiter } = await open();
      const key = 'string:alice@example.com';
      const now = Date.now();
      await limiter.reserve('s', [limit([requests(5), tokens(9)], { key })], of(3), now);
      const client = await raw();
      const keys = (await client.keys(`*test-${prefixes}*`)).toSorted();
      const window = `${minute}:${now - (now % minute) + minute}`;
      const prefix = `\\{test-${prefixes}:\\}limits:`;
      const hash = '[\\w-]{24}';
      for (const [i, end] of [`${hash}:r${window}`, `${hash}:t${window}`, 'open:s'].entries())
        expect(
          keys.filter((name) => new RegExp(`^${prefix}${end}$`).test(name)),
          `${i}`,
        ).toHaveLength(1);
      expect(keys.join()).not.toMatch(/alice|budgets|per-person/);
      for (const name of keys) {
        const seconds = await client.ttl(name);
        expect(seconds).toBeGreaterThan(58);
        expect(seconds).toBeLessThanOrEqual(121);
      }
    });

    test('is no session once that is settled', async () => {
      const { limiter } = await open();
      for (let i = 0; i < 20; i++) {
        const admission = await limiter.reserve(`s${i}`, [limit([requests(100)])], of(0), noon);
        await limiter.settle(`s${i}`, admission.ok ? admission.reservations : [], { tokens: 1 });
      }
      expect(await (await raw()).keys(`{test-${prefixes}:}limits:*`)).toHaveLength(1);
    });

    test('does not depend on the scripts that the server keeps', async () => {
      const { limiter } = await open();
      const client = await raw();
      const charge = limit([requests(10)]);
      for (let i = 0; i < 2; i++) {
        await client.scriptFlush();
        const asked = await Promise.all([1, 2].map((n) => limiter.reserve(`${i}${n}`, [charge], of(0), noon)));
        expect(asked.map(({ ok }) => ok)).toEqual([true, true]);
        await client.scriptFlush();
        await limiter.release(`${i}1`, asked[0]?.ok ? asked[0].reservations : []);
      }
      const { states } = await limiter.reserve('last', [charge], of(0), noon);
      expect(states).toMatchObject([{ remaining: 7 }]);
    });
  });

  describe('a user', () => {
    const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'operations.md'), 'utf8');
    const [, documented = ''] = /^ACL SETUSER sallyport (.*)$/m.exec(page) ?? [];
    const asUser = async (rules: string) => {
      const prefix = `test-${prefixes}:`;
      const acl = `${documented.replace('PASSWORD', 'right').replace('{sallyport:}', `{${prefix}}`)}${rules}`;
      await (await raw()).aclSetUser(`user-${prefixes}`, acl.split(' '));
      const state = { engine: 'redis', url: server.url, prefix, username: `user-${prefixes}`, passwordEnv: 'PASSWORD' };
      return openLimiter({
        config: limitsSection.parse({}),
        state: stateSection.parse(state),
        ...{ environment: { PASSWORD: 'right' }, now: () => noon, observer: countingObserver().observer },
      });
    };

    test('with the rights of the documentation can do everything', async () => {
      const limiter = await asUser('');
      cleanups.push(() => limiter.close());
      const charge = limit([requests(5), tokens(50)]);
      const admission = await limiter.reserve('s', [charge], of(20), noon);
      await limiter.settle('s', admission.ok ? admission.reservations : [], { tokens: 5 });
      expect((await limiter.reserve('t', [charge], of(0), noon)).states).toMatchObject([
        { remaining: 3 },
        { remaining: 45 },
      ]);
    });

    test.each(['incrby', 'del', 'eval', 'get', 'set'])(
      'without the right to %s is refused at the start',
      async (command) => {
        // +evalsha alone does not help: the script is not there yet.
        const also = command === 'eval' ? ' -evalsha' : '';
        await expect(asUser(` -${command}${also}`)).rejects.toThrow('the user lacks a permission (NOPERM)');
      },
    );
  });

  describe('Redis that is gone', () => {
    const charge = limit([requests(2), tokens(100)]);
    const back = (limiter: { health(): { detail: string } }) =>
      vi.waitFor(() => expect(limiter.health().detail).toMatch(/^(Redis|Valkey) \d/), { timeout: 15_000 });
    afterEach(() => server.restart());

    test('closes the gate at once, and opens it again by itself', async () => {
      const { limiter, seen } = await open();
      await server.kill();
      await vi.waitFor(() => expect(limiter.health().ready).toBe(false));
      for (let i = 0; i < 3; i++)
        await expect(limiter.reserve(`s${i}`, [charge], of(1), noon)).rejects.toThrow(LimitsUnavailable);
      expect(seen).toMatchObject({ 'unavailable: closed': 3 });
      await server.restart();
      await back(limiter);
      expect(await limiter.reserve('s', [charge], of(1), noon)).toMatchObject({ ok: true });
    });

    test('lets unlimited requests and those on trial pass', async () => {
      const { limiter, seen } = await open();
      await server.kill();
      await vi.waitFor(() => expect(limiter.health().ready).toBe(false));
      const nothing = { ok: true, reservations: [], states: [] };
      expect(await limiter.reserve('s', [], of(1), noon)).toEqual(nothing);
      expect(await limiter.reserve('t', [{ ...charge, mode: 'dryRun' }], of(1), noon)).toEqual(nothing);
      expect(seen).toEqual({ 'unavailable: open': 1, reserved: 1 });
    });

    test('is replaced by limits of this process where the config says so, and both are settled apart', async () => {
      const { limiter, seen } = await open({ onUnavailable: 'local' });
      const held = async (session: string, demand = of(10)) => {
        const admission = await limiter.reserve(session, [charge], demand, noon);
        return admission.ok ? admission.reservations : undefined;
      };
      const shared = await held('shared');
      await server.kill();
      await vi.waitFor(() => expect(limiter.health().detail).toMatch(/^each process by itself for now: /));
      expect(limiter.health().ready).toBe(true);
      const local = await held('local');
      expect(await held('local-2')).toBeDefined();
      expect(await held('local-3')).toBeUndefined();
      await server.restart();
      await back(limiter);
      // The server came back empty: what was reserved there is gone, and nothing of ours is settled into it.
      await limiter.settle('local', local ?? [], { tokens: 0 });
      await limiter.settle('shared', shared ?? [], { tokens: 0 });
      const { states } = await limiter.reserve('s', [charge], of(0), noon);
      expect(states).toMatchObject([{ remaining: 1 }, { remaining: 100 }]);
      expect(seen).toMatchObject({ 'unavailable: local': 3, settled: 1 });
    });

    test('at the start does not keep a gateway with local limits from starting; it goes over to Redis by itself', async () => {
      await server.kill();
      const { limiter } = await open({ onUnavailable: 'local' });
      expect(limiter.health()).toMatchObject({ ready: true, detail: expect.stringContaining('for now') });
      await server.restart();
      await back(limiter);
      await limiter.reserve('s', [charge], of(0), noon);
      expect(await (await raw()).keys(`{test-${prefixes}:}limits:open:*`)).toHaveLength(1);
    });

    test('for a while does not lose what was to be settled', async () => {
      const faulty = await faultyPath(server.port);
      cleanups.push(() => faulty.close());
      const { limiter, seen } = await open({ timeoutMs: 100 }, faulty.url);
      const admission = await limiter.reserve('s', [charge], of(60), noon);
      faulty.stall(true);
      await limiter.settle('s', admission.ok ? admission.reservations : [], { tokens: 5 });
      expect(seen['settled']).toBeUndefined();
      faulty.stall(false);
      await vi.waitFor(() => expect(seen['settled']).toBe(1), { timeout: 15_000 });
      const { states } = await limiter.reserve('t', [charge], of(0), noon);
      expect(states).toMatchObject([{ remaining: 0 }, { remaining: 95 }]);
    });

    test('that does not answer counts as gone in time, and what it took all the same is given back', async () => {
      const faulty = await faultyPath(server.port);
      cleanups.push(() => faulty.close());
      const { limiter, seen } = await open({ timeoutMs: 100 }, faulty.url);
      const client = await raw();
      await limiter.reserve('s', [charge], of(60), noon);
      faulty.stall('answers');
      await expect(limiter.reserve('t', [charge], of(10), noon)).rejects.toThrow('no answer within 100 ms');
      const sessions = () => client.keys(`{test-${prefixes}:}limits:open:*`);
      expect(await sessions()).toHaveLength(2);
      faulty.stall(false);
      await vi.waitFor(() => expect(seen['released']).toBe(1), { timeout: 15_000 });
      expect(await sessions()).toHaveLength(1);
      expect((await limiter.reserve('u', [charge], of(0), noon)).states).toMatchObject([{}, { remaining: 40 }]);
    });

    test('at the end leaves reservations as they are, and says so', async () => {
      const { limiter, seen } = await open();
      const admission = await limiter.reserve('s', [charge], of(60), noon);
      await server.kill();
      await vi.waitFor(() => expect(limiter.health().ready).toBe(false));
      await limiter.settle('s', admission.ok ? admission.reservations : [], { tokens: 5 });
      await limiter.close();
      expect(seen).toMatchObject({ stands: 1 });
    });
  });
});
