/** Control state in a real Redis that fails: the gate is told at once, nothing queues, and it goes on when Redis does. */
import { createServer } from 'node:net';
import { inspect } from 'node:util';
import { describe, expect, test, vi } from 'vitest';
import { redisBinary } from '../support/redis-server.ts';
import { redisCases } from './support/redis-cases.ts';

const suite = describe.skipIf(redisBinary === undefined);

suite('Redis that fails (skipped where REDIS_SERVER_BIN names none: `npm test` brings it)', () => {
  const cases = redisCases();
  const { open, raw, path, listening, ready, notReady, failure } = cases;

  describe('a server that goes away', () => {
    test('makes every operation unavailable at once, and serves again when it is back', async () => {
      const store = await open();
      await store.putIfAbsent('a', '1');
      await cases.server.kill();
      await notReady(store, /lost|ECONN/);
      const operations = [
        store.get('a'),
        store.putIfAbsent('a', '1'),
        store.replace('a', 1, '2'),
        store.remove('a', 1),
        store.list('', { limit: 10 }),
        store.deleteExpired(10),
      ];
      for (const { ms } of await Promise.all(operations.map(failure))) expect(ms).toBeLessThan(500);
      await cases.server.restart();
      await ready(store);
      expect(await store.putIfAbsent('a', '2')).toBe(true);
    });

    test('fails what waits for it without waiting for the timeout', async () => {
      const faulty = await path();
      const store = await open({ url: faulty.url, timeoutMs: 30_000 });
      faulty.stall(true);
      const waiting = failure(store.putIfAbsent('a', '1'));
      await cases.server.kill();
      expect((await waiting).ms).toBeLessThan(10_000);
    });

    test('and is not back when the store is closed, does not keep it', async () => {
      const store = await open();
      await cases.server.kill();
      await notReady(store, /./);
      await store.close();
      expect(store.health()).toEqual({ ready: false, reason: 'the state store is closed' });
    });

    test('with the scripts and the state gone after it, takes new state', async () => {
      const store = await open();
      await store.putIfAbsent('a', '1');
      await cases.server.restart();
      await ready(store);
      const puts = await Promise.all(Array.from({ length: 10 }, () => store.putIfAbsent('a', '2')));
      expect(puts.filter(Boolean)).toHaveLength(1);
    });
  });

  describe('a network that swallows everything', () => {
    test('is noticed after the timeout; then nothing queues, and it goes on when the network does', async () => {
      const faulty = await path();
      const store = await open({ url: faulty.url, timeoutMs: 300, checkIntervalMs: 60_000 });
      faulty.stall(true);
      const all = await Promise.all(Array.from({ length: 200 }, (_, i) => failure(store.putIfAbsent(`k/${i}`, 'x'))));
      for (const { ms } of all) expect(ms).toBeLessThan(5_000);
      expect(Math.max(...all.map(({ ms }) => ms))).toBeGreaterThan(250);
      expect((await failure(store.get('a'))).ms).toBeLessThan(200);
      faulty.stall(false);
      await ready(store);
      expect(await store.putIfAbsent('a', '1')).toBe(true);
      expect(faulty.connections).toBe(1);
    });

    test('is noticed when nobody asks anything', async () => {
      const faulty = await path();
      const store = await open({ url: faulty.url, timeoutMs: 200, checkIntervalMs: 20 });
      faulty.stall(true);
      await notReady(store, /no answer/);
      faulty.stall(false);
      await ready(store);
    });

    test('fills no memory: past 64 MiB that wait, more is refused at once', async () => {
      const faulty = await path();
      const store = await open({ url: faulty.url });
      faulty.stall(true);
      const value = 'x'.repeat(1_048_576);
      const all = await Promise.all(Array.from({ length: 80 }, (_, i) => failure(store.putIfAbsent(`k/${i}`, value))));
      const refused = all.filter(({ message }) => message === 'too much waits for Redis');
      expect(refused).toHaveLength(80 - 63);
      for (const { ms } of refused) expect(ms).toBeLessThan(1_000);
      faulty.stall(false);
      await ready(store);
      expect(await store.putIfAbsent('a', value)).toBe(true);
    });

    test('holds up no close for longer than the timeout', async () => {
      const faulty = await path();
      const store = await open({ url: faulty.url, timeoutMs: 300 });
      faulty.stall(true);
      const waiting = failure(store.get('a'));
      await store.close();
      expect((await waiting).ms).toBeLessThan(5_000);
      await vi.waitFor(() => expect(faulty.connections).toBe(0));
    });
  });

  test('an event loop that was busy longer than the timeout is not taken for a dead server', async () => {
    const store = await open({ timeoutMs: 200 });
    const answer = store.putIfAbsent('a', '1');
    await new Promise((resolve) => setImmediate(resolve));
    for (const until = performance.now() + 1_000; performance.now() < until; );
    expect(await answer).toBe(true);
  });

  test('a close lets what was sent be answered', async () => {
    const store = await open();
    const puts = Array.from({ length: 20 }, (_, i) => store.putIfAbsent(`k/${i}`, 'x'));
    await store.close();
    expect(await Promise.all(puts)).not.toContain(false);
    expect(await (await open()).list('', { limit: 100 })).toHaveLength(20);
  });

  describe('does not start', () => {
    test('with a server that accepts and never answers', async () => {
      const port = await listening(createServer((socket) => socket.on('error', () => {})));
      const { message, ms } = await failure(open({ url: `redis://127.0.0.1:${port}`, timeoutMs: 100 }));
      expect(message).toMatch(/no answer within/);
      expect(ms).toBeLessThan(5_000);
    });

    test.each(['HTTP/1.1 400 Bad Request\r\n\r\n', '$5\r\nhello\r\n', '\0\0\0', '*1000000\r\n', '-ERR no\r\n'])(
      'with a server that answers %j to everything',
      async (answer) => {
        const port = await listening(
          createServer((socket) => socket.on('error', () => {}).on('data', () => socket.write(answer))),
        );
        const { ms } = await failure(open({ url: `redis://127.0.0.1:${port}`, timeoutMs: 200 }));
        expect(ms).toBeLessThan(5_000);
      },
    );

    test('with a server that repeats the password in its error, which goes no further', async () => {
      const answer = '-ERR unknown command `AUTH`, with args beginning with: `gate` `hunter2`\r\n';
      const port = await listening(
        createServer((socket) => socket.on('error', () => {}).on('data', () => socket.write(answer))),
      );
      const error = await open({
        url: `redis://127.0.0.1:${port}`,
        username: 'gate',
        secrets: async () => ({ password: 'hunter2', ca: undefined }),
      }).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ message: 'Redis: it lacks a command that is needed' });
      expect(inspect(error, { depth: 10 })).not.toContain('hunter2');
    });

    test('with nobody there, after trying for as long as it was told', async () => {
      await cases.server.kill();
      const { message, ms } = await failure(open({ patienceMs: 600 }));
      expect(message).toBe('Redis: out of reach (ECONNREFUSED)');
      expect(ms).toBeGreaterThan(300);
    });

    test('but waits for a server that is still starting', async () => {
      await cases.server.kill();
      const store = open({ patienceMs: 15_000 });
      await cases.server.restart();
      expect(await (await store).putIfAbsent('a', '1')).toBe(true);
    });

    test.each(['allkeys-lru', 'volatile-lru', 'allkeys-random', 'volatile-ttl'])(
      'with a server that evicts (%s)',
      async (policy) => {
        await (await raw()).configSet('maxmemory-policy', policy);
        const { message } = await failure(open({ patienceMs: 60_000 }));
        expect(message).toBe(`Redis: its maxmemory-policy is ${policy}; it must be noeviction`);
      },
    );

    test('with a replica', async () => {
      await (await raw()).sendCommand(['REPLICAOF', '127.0.0.1', '1']);
      const { message } = await failure(open({ patienceMs: 60_000 }));
      expect(message).toBe('Redis: it is not a primary (its role is slave)');
    });

    test('with state of a layout that it does not know', async () => {
      await (await raw()).set('{test:}schema', '2');
      const { message } = await failure(open({ patienceMs: 60_000 }));
      expect(message).toBe('Redis: the state there has layout 2; this program knows 1');
    });

    test('with a database that is not there', async () => {
      const { message } = await failure(open({ database: 999, patienceMs: 60_000 }));
      expect(message).toBe('Redis: it does not have this database');
    });

    test('with a password for a server that asks for none', async () => {
      const secrets = async () => ({ password: 'hunter2', ca: undefined });
      const { message } = await failure(open({ secrets, patienceMs: 60_000 }));
      expect(message).toBe('Redis: it asks for no password, but one is configured');
    });
  });

  describe('a server that changes under way', () => {
    test('and begins to evict is not used any more, until it stops', async () => {
      const store = await open({ checkIntervalMs: 20 });
      const client = await raw();
      await client.configSet('maxmemory-policy', 'allkeys-lru');
      await notReady(store, /maxmemory-policy is allkeys-lru/);
      await failure(store.putIfAbsent('a', '1'));
      await client.configSet('maxmemory-policy', 'noeviction');
      await ready(store);
    });

    test('and becomes a replica is left at the first write', async () => {
      const store = await open({ checkIntervalMs: 60_000 });
      const client = await raw();
      await client.sendCommand(['REPLICAOF', '127.0.0.1', '1']);
      expect((await failure(store.putIfAbsent('a', '1'))).message).toContain('READONLY');
      await notReady(store, /not a primary/);
      await client.sendCommand(['REPLICAOF', 'NO', 'ONE']);
      await ready(store);
      expect(await store.putIfAbsent('a', '1')).toBe(true);
    });

    test('and has no replica where it must have one takes nothing', async () => {
      const store = await open();
      await (await raw()).configSet('min-replicas-to-write', '1');
      expect((await failure(store.putIfAbsent('a', '1'))).message).toBe('Redis: it answers with an error (NOREPLICAS)');
    });

    test('and is full takes nothing new, but gives, removes and frees what it has, also to who comes anew', async () => {
      const store = await open();
      await store.putIfAbsent('a', '1');
      await store.putIfAbsent('old', '1', { expiresAtMs: 1 });
      await (await raw()).configSet('maxmemory', '1');
      expect((await failure(store.putIfAbsent('b', '1'))).message).toContain('OOM');
      const { version } = (await store.get('a'))!;
      expect((await failure(store.replace('a', version, '2'))).message).toContain('OOM');
      const other = await open();
      expect(await other.get('a')).toMatchObject({ value: '1', version });
      expect(await other.deleteExpired(10)).toBe(1);
      expect(await other.remove('a', version)).toBe(true);
      expect(await other.list('', { limit: 10 })).toEqual([]);
      await (await raw()).configSet('maxmemory', '0');
    });
  });
});
