/** Control state in a real Redis that fails: the gate is told at once, nothing queues, and it goes on when Redis does. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { inspect } from 'node:util';
import { createClient } from 'redis';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { openRedisState, type RedisStateOptions } from '../../src/state/redis.ts';
import { type StateStore, StateUnavailable } from '../../src/state/store.ts';
import { faultyPath, type RedisServer, redisBinary, startRedis } from '../support/redis-server.ts';
import { createAuthority } from './support/certificates.ts';

const suite = describe.skipIf(redisBinary === undefined);
const nobody = { password: undefined, ca: undefined };

suite('Redis that fails (skipped where REDIS_SERVER_BIN names none: `npm test` brings it)', () => {
  let server: RedisServer;
  const cleanups: (() => Promise<void> | void)[] = [];
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server?.stop());
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
    await server.restart();
  });

  const open = async (options: Partial<RedisStateOptions> = {}): Promise<StateStore> => {
    const store = await openRedisState({
      url: server.url,
      username: undefined,
      database: 0,
      prefix: 'test:',
      timeoutMs: 2_000,
      patienceMs: 0,
      secrets: async () => nobody,
      now: Date.now,
      ...options,
    });
    cleanups.push(() => store.close());
    return store;
  };
  const raw = async (url = server.url) => {
    const client = await createClient({ url, RESP: 2 }).connect();
    client.on('error', () => {});
    cleanups.push(() => client.destroy());
    return client;
  };
  const path = async () => {
    const faulty = await faultyPath(server.port);
    cleanups.push(() => faulty.close());
    return faulty;
  };
  const listening = async (it: Server) => {
    it.listen(0, '127.0.0.1');
    await once(it, 'listening');
    cleanups.push(() => void it.close());
    return (it.address() as AddressInfo).port;
  };
  const ready = (store: StateStore) =>
    vi.waitFor(() => expect(store.health()).toMatchObject({ ready: true }), { timeout: 15_000 });
  const notReady = (store: StateStore, reason: RegExp) =>
    vi.waitFor(() => expect(store.health()).toMatchObject({ ready: false, reason: expect.stringMatching(reason) }), {
      timeout: 15_000,
    });
  /** How it fails, and after how many milliseconds. */
  const failure = async (work: Promise<unknown>): Promise<{ message: string; ms: number }> => {
    const begun = performance.now();
    const error: unknown = await work.then(
      (value) => value,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(StateUnavailable);
    return { message: (error as Error).message, ms: performance.now() - begun };
  };

  describe('a server that goes away', () => {
    test('makes every operation unavailable at once, and serves again when it is back', async () => {
      const store = await open();
      await store.putIfAbsent('a', '1');
      await server.kill();
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
      await server.restart();
      await ready(store);
      expect(await store.putIfAbsent('a', '2')).toBe(true);
    });

    test('fails what waits for it without waiting for the timeout', async () => {
      const faulty = await path();
      const store = await open({ url: faulty.url, timeoutMs: 30_000 });
      faulty.stall(true);
      const waiting = failure(store.putIfAbsent('a', '1'));
      await server.kill();
      expect((await waiting).ms).toBeLessThan(10_000);
    });

    test('and is not back when the store is closed, does not keep it', async () => {
      const store = await open();
      await server.kill();
      await notReady(store, /./);
      await store.close();
      expect(store.health()).toEqual({ ready: false, reason: 'the state store is closed' });
    });

    test('with the scripts and the state gone after it, takes new state', async () => {
      const store = await open();
      await store.putIfAbsent('a', '1');
      await server.restart();
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
      await server.kill();
      const { message, ms } = await failure(open({ patienceMs: 600 }));
      expect(message).toBe('Redis: out of reach (ECONNREFUSED)');
      expect(ms).toBeGreaterThan(300);
    });

    test('but waits for a server that is still starting', async () => {
      await server.kill();
      const store = open({ patienceMs: 15_000 });
      await server.restart();
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

  describe('a user and a password', () => {
    /** What docs/operations.md tells the operator to give. */
    const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'operations.md'), 'utf8');
    const [, documented = ''] = /^ACL SETUSER sallyport (.*)$/m.exec(page) ?? [];
    const acl = documented.replace('PASSWORD', 'right').replace('{sallyport:}', '{test:}');
    const secret = (password: string | undefined) => async () => ({ password, ca: undefined });
    const user = async (rules = acl) => (await raw()).aclSetUser('gate', rules.split(' '));

    test('with the rights of the documentation can do everything', async () => {
      await user();
      const store = await open({ username: 'gate', secrets: secret('right') });
      expect(await store.putIfAbsent('a', '1', { expiresAtMs: Date.now() + 60_000 })).toBe(true);
      const { version } = (await store.get('a'))!;
      expect(await store.replace('a', version, '2')).toMatchObject({ ok: true });
      expect(await store.list('', { limit: 10 })).toHaveLength(1);
      expect(await store.remove('a', (await store.get('a'))!.version)).toBe(true);
      expect(await store.deleteExpired(10)).toBe(0);
      expect(store.health()).toMatchObject({ ready: true, detail: expect.stringMatching(/^(Redis|Valkey) \d/) });
    });

    test.each<[string, string, string | undefined, string, string]>([
      ['the password is wrong', 'gate', 'wrong', acl, 'it refuses the user or the password (WRONGPASS)'],
      ['the user is unknown', 'other', 'right', acl, 'it refuses the user or the password (WRONGPASS)'],
      ['it may not ask for the role', 'gate', 'right', `${acl} -info`, 'the user lacks a permission (NOPERM)'],
      ['it may not write', 'gate', 'right', `${acl} -set`, 'the user lacks a permission (NOPERM)'],
      ['it may not run scripts', 'gate', 'right', `${acl} -evalsha -eval`, 'the user lacks a permission (NOPERM)'],
    ])(
      'are refused at once where %s, and the password is told to nobody',
      async (_, username, password, rules, message) => {
        await user(rules);
        const result = await failure(open({ username, secrets: secret(password), patienceMs: 60_000 }));
        expect(result.message).toBe(`Redis: ${message}`);
        expect(result.ms).toBeLessThan(5_000);
        expect(result.message).not.toContain(password);
      },
    );

    test('are needed where the server asks for them', async () => {
      await (await raw()).configSet('requirepass', 'right');
      const { message } = await failure(open({ patienceMs: 60_000 }));
      expect(message).toBe('Redis: it asks for a password (NOAUTH)');
      await open({ secrets: secret('right') });
    });

    test('may change: the new one is taken for the next connection', async () => {
      const client = await raw();
      await client.configSet('requirepass', 'first');
      let password = 'first';
      const store = await open({ secrets: async () => ({ password, ca: undefined }) });
      await client.configSet('requirepass', 'second');
      await client.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']);
      await notReady(store, /WRONGPASS/);
      password = 'second';
      await ready(store);
      expect(await store.putIfAbsent('a', '1')).toBe(true);
    });

    test('whose file cannot be read makes a new connection fail, with the option’s name', async () => {
      let isThere = true;
      const secrets = async () => {
        if (!isThere) throw new StateUnavailable('state.passwordFile cannot be read (ENOENT)');
        return nobody;
      };
      const store = await open({ secrets });
      isThere = false;
      await server.restart();
      await notReady(store, /state\.passwordFile cannot be read \(ENOENT\)/);
    });
  });

  describe('TLS', () => {
    const authority = createAuthority('test CA');
    /** TLS in front of the server: not every build of Redis has its own. */
    const tls = async (names: readonly string[], by = authority) => {
      const { cert, key } = by.issue('redis', { dns: names });
      const front = createTlsServer({ cert, key }, (incoming) => {
        const outgoing = connect(server.port, '127.0.0.1');
        incoming.on('error', () => outgoing.destroy()).pipe(outgoing);
        outgoing.on('error', () => incoming.destroy()).pipe(incoming);
      });
      front.on('tlsClientError', () => {});
      return listening(front);
    };
    const trusting = (ca: string | undefined) => async () => ({ password: undefined, ca });

    test('is used with rediss://, and the certificate is checked against caFile', async () => {
      const port = await tls(['localhost']);
      const store = await open({ url: `rediss://localhost:${port}`, secrets: trusting(authority.cert) });
      expect(await store.putIfAbsent('a', '1')).toBe(true);
      await store.close();
    });

    test.each<[string, readonly string[], string | undefined, RegExp]>([
      ['of an authority that we do not know', ['localhost'], undefined, /UNABLE_TO|SELF_SIGNED/],
      ['of another authority', ['localhost'], createAuthority('test CA').cert, /UNABLE_TO|SELF_SIGNED|CERT_/],
      ['for another name', ['redis.example.com'], authority.cert, /ERR_TLS_CERT_ALTNAME_INVALID/],
    ])('with a certificate %s is refused', async (_, names, ca, reason) => {
      const port = await tls(names);
      const options = { url: `rediss://localhost:${port}`, secrets: trusting(ca), patienceMs: 60_000 };
      expect((await failure(open(options))).message).toMatch(reason);
    });

    test('is not left out where the server speaks none, and not added where it speaks nothing else', async () => {
      await failure(open({ url: `rediss://localhost:${server.port}`, secrets: trusting(authority.cert) }));
      const port = await tls(['localhost']);
      await failure(open({ url: `redis://localhost:${port}` }));
    });
  });
});
