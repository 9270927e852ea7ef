/** Cases with a real Redis that is started again for each: a store on it, ways to break it, and how a store fails. */
import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { createClient } from 'redis';
import { afterAll, afterEach, beforeAll, expect, vi } from 'vitest';
import { openRedisState, type RedisStateOptions } from '../../../src/state/redis.ts';
import { type StateStore, StateUnavailable } from '../../../src/state/store.ts';
import { faultyPath, type RedisServer, startRedis } from '../../support/redis-server.ts';

export const nobody = { password: undefined, ca: undefined };

/** Registers the hooks of a suite; what a case opens is closed after it. */
export function redisCases() {
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

  return {
    get server() {
      return server;
    },
    open,
    raw,
    path,
    listening,
    ready,
    notReady,
    failure,
  };
}
