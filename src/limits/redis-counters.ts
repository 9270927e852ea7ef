/** Counters that replicas share, in Redis or Valkey. */
import { RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import type { RedisClient, RedisConnection } from '../state/redis-connection.ts';
import { StateUnavailable } from '../state/store.ts';
import { type Correction, type Count, type Counters, slackMs } from './counters.ts';
import { LimitsUnavailable } from './limiter.ts';
import { correctScript, runScript, type Script, takeScript } from './redis-scripts.ts';
import type { Charge } from './windows.ts';

export interface RedisCountersOptions {
  readonly connection: RedisConnection;
  /** What all keys begin with, in braces. */
  readonly prefix: string;
}

/**
 * rate-limiter-flexible asks for one counter at a time. What it asks for in one go is sent as one script (SharedCall), so
 * that a request takes all of its windows or none: no limit is ever taken from, not even for a moment, by a request that
 * another limit refuses, and a flood beyond one limit starves nobody of another.
 */
export function createRedisCounters({ connection, prefix }: RedisCountersOptions): Counters {
  const keyPrefix = `{${prefix}}limits`;
  const run = async (script: Script, keys: readonly string[], args: readonly string[]) => {
    const health = connection.health();
    if (!health.ready) throw new LimitsUnavailable(health.reason);
    try {
      return await connection.run(0, (client) => runScript(client, script, keys, args));
    } catch (error) {
      if (!(error instanceof StateUnavailable)) throw error;
      throw new LimitsUnavailable(error.message, { cause: error, unsure: true });
    }
  };
  const limiter = (storeClient: StoreClient, points: number) =>
    new RateLimiterRedis({ storeClient, points, duration: 1, keyPrefix, useRedisPackage: true });
  const openKey = (session: string) => `${keyPrefix}:open:${session}`;

  return {
    async take(session, charges, nowMs) {
      const secondsOf = (endsAtMs: number) => Math.ceil((endsAtMs - nowMs + slackMs) / 1000);
      const lastMs = Math.max(...charges.map(({ endsAtMs }) => endsAtMs));
      const call = new SharedCall();
      const answers = charges.map(({ counter, amount, limit, endsAtMs, group }) => {
        const client = call.client(
          ([points = '', seconds = '', most = '']) => [points, seconds, most, String(group)],
          (before) => before + amount,
        );
        return limiter(client, limit).consume(counter, amount, { customDuration: secondsOf(endsAtMs) });
      });
      await call.send((keys, args) =>
        run(takeScript, [...keys, openKey(session)], [String(secondsOf(lastMs)), ...args]),
      );
      return counted(charges, await Promise.allSettled(answers));
    },
    async correct(session, corrections) {
      const call = new SharedCall();
      const client = call.client(
        ([points = '']) => [points],
        (said) => said,
      );
      const shared = limiter(client, 0);
      const answers = corrections.map(({ counter, by }: Correction) => shared.penalty(counter, by));
      const said = await call.send((keys, args) => run(correctScript, [...keys, openKey(session)], args));
      await Promise.all(answers);
      return said.at(-1) === 1;
    },
    health() {
      const health = connection.health();
      return { ready: health.ready, detail: health.ready ? health.detail : health.reason };
    },
    close: () => connection.close(),
  };
}

/**
 * Does on a new connection all that counting does, on a counter of its own: a user without the rights is found at the start,
 * not by the first caller.
 */
export async function tryScripts(client: RedisClient, prefix: string): Promise<void> {
  const keys = ['probe', 'open:probe'].map((name) => `{${prefix}}limits:${name}`);
  await runScript(client, takeScript, keys, ['1', '1', '1', '1000', '0']);
  await runScript(client, correctScript, keys, ['-1']);
  await client.del(keys);
}

/** What the library asks of a `redis` client: its script (ours is another), one key, and `[points, seconds, limit, …]`. */
interface StoreClient {
  eval(
    script: string,
    call: { readonly keys: readonly string[]; readonly arguments: readonly string[] },
  ): Promise<readonly [consumed: number, msBeforeNext: number]>;
}

/** What several limiters ask for, sent as one call. The library asks before it returns its promise: tests hold it to that. */
class SharedCall {
  readonly #keys: string[] = [];
  readonly #args: string[] = [];
  readonly #said = Promise.withResolvers<readonly number[]>();

  /** `args`: what our script takes for one counter; `consumed`: what the library is told, from what the script said of it. */
  client(args: (given: readonly string[]) => readonly string[], consumed: (said: number) => number): StoreClient {
    return {
      eval: async (_script, { keys, arguments: given }) => {
        const place = this.#keys.push(...keys) - 1;
        this.#args.push(...args(given));
        const said = (await this.#said.promise)[place];
        if (said === undefined) throw new LimitsUnavailable('Redis: its answer is too short');
        return [consumed(said), 0];
      },
    };
  }

  async send(
    run: (keys: readonly string[], args: readonly string[]) => Promise<readonly number[]>,
  ): Promise<readonly number[]> {
    const said = await run(this.#keys, this.#args);
    this.#said.resolve(said);
    return said;
  }
}

/** The library resolves what fits and rejects what does not; `consumedPoints` is with the amount either way. */
function counted(
  charges: readonly Charge[],
  outcomes: readonly PromiseSettledResult<RateLimiterRes>[],
): readonly Count[] {
  const answers = outcomes.map((outcome) => {
    if (outcome.status === 'fulfilled') return { fits: true, consumed: outcome.value.consumedPoints };
    if (!(outcome.reason instanceof RateLimiterRes)) throw outcome.reason;
    return { fits: false, consumed: outcome.reason.consumedPoints };
  });
  const full = new Set(charges.filter((_, i) => answers[i]?.fits !== true).map(({ group }) => group));
  return charges.map(({ amount, group }, i) => {
    const { fits, consumed } = answers[i] ?? { fits: false, consumed: Number.POSITIVE_INFINITY };
    const taken = !full.has(0) && !full.has(group);
    return { fits, taken, used: taken ? consumed : consumed - amount };
  });
}
