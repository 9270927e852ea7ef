/** A gateway whose control state is in Redis: it says so, says when Redis is away, and does not start with one that evicts. */
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type RedisServer, redisBinary, startRedis } from '../support/redis-server.ts';
import { type Stack, startStack } from './support/stack.ts';

describe.skipIf(redisBinary === undefined)(
  'a gateway with Redis (skipped where REDIS_SERVER_BIN names none: `npm test` brings it)',
  () => {
    let server: RedisServer;
    let stack: Stack;
    beforeAll(async () => {
      server = await startRedis();
      stack = await startStack({
        config: { state: { engine: 'redis', url: server.url } },
        identity: { tokens: { revocationMaxAgeSeconds: 2 } },
      });
    });
    afterAll(async () => {
      await stack?.close();
      await server?.stop();
    });
    const readyz = async () => {
      const response = await fetch(`${stack.gateway.addresses['internal']}/readyz`);
      const { parts } = (await response.json()) as { parts: Record<string, unknown> };
      return { status: response.status, state: parts['state'] };
    };
    const ready = { status: 200, state: { ready: true, detail: expect.stringMatching(/^(Redis|Valkey) \d/) } };

    test('is ready, and says what it found', async () => {
      expect(await readyz()).toEqual(ready);
    });

    test('is not ready once Redis has been away for too long, says why, and is ready again by itself', async () => {
      await server.kill();
      const away = { status: 503, state: { ready: false, reason: expect.stringMatching(/\(Redis: .*\)$/) } };
      await vi.waitFor(async () => expect(await readyz()).toEqual(away), { timeout: 15_000 });
      await server.restart();
      await vi.waitFor(async () => expect(await readyz()).toEqual(ready), { timeout: 15_000 });
    });

    test('does not start with a Redis that evicts', async () => {
      const client = await createClient({ url: server.url }).connect();
      await client.configSet('maxmemory-policy', 'allkeys-lru');
      client.destroy();
      const started = startStack({ config: { state: { engine: 'redis', url: server.url } } });
      await expect(started).rejects.toThrow('Redis: its maxmemory-policy is allkeys-lru; it must be noeviction');
    });
  },
);
