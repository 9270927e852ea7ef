import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisConfig, StateConfig } from '../state/config.ts';
import { readSecrets } from '../state/open.ts';
import { type RedisClient, RedisConnection } from '../state/redis-connection.ts';
import type { LimitsConfig } from './config.ts';
import type { Counters } from './counters.ts';
import { createLimiter } from './create.ts';
import { type Limiter, type LimitsObserver, LimitsUnavailable } from './limiter.ts';
import { createMemoryCounters } from './memory-counters.ts';
import { createRedisCounters, tryScripts } from './redis-counters.ts';

export interface OpenLimiterOptions {
  readonly config: LimitsConfig;
  /** Where Redis is, and how to come in. */
  readonly state: StateConfig;
  /** Holds `state.passwordEnv`. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly observer: LimitsObserver;
}

/** How long a Redis that cannot be reached is tried at the start, as for the control state. */
const patienceMs = 10_000;
const checkIntervalMs = 5000;
const reopenPauseMs = 2000;

/**
 * Opens the limiter that the config asks for. Rejects with StateUnavailable when its Redis cannot be used, unless the config
 * says `local`: then it starts without, and goes over to Redis once it can.
 */
export async function openLimiter(options: OpenLimiterOptions): Promise<Limiter> {
  const { config, state, now, observer } = options;
  const { maxCounters, assumedMaxTokens } = config;
  const rest = { assumedMaxTokens, now, observer };
  if ((config.store ?? (state.engine === 'redis' ? 'redis' : 'memory')) === 'memory')
    return createLimiter({ ...rest, counters: createMemoryCounters({ maxCounters }), local: undefined });
  if (state.engine !== 'redis') throw new LimitsUnavailable('limits.store: redis needs state.engine: redis');
  const connection = connectionOf(config, state, options.environment);
  const shared = createRedisCounters({ connection, prefix: state.prefix });
  if (config.onUnavailable === 'closed') {
    await connection.open(patienceMs);
    return createLimiter({ ...rest, counters: shared, local: undefined });
  }
  const counters = await openedLater(shared, connection);
  return createLimiter({ ...rest, counters, local: createMemoryCounters({ maxCounters }) });
}

function connectionOf(
  { timeoutMs }: LimitsConfig,
  state: RedisConfig,
  environment: OpenLimiterOptions['environment'],
): RedisConnection {
  const { url, username, database, prefix } = state;
  const secrets = () => readSecrets(state, environment);
  const prepare = (client: RedisClient) => tryScripts(client, prefix);
  return new RedisConnection({ url, username, database, timeoutMs, secrets, checkIntervalMs, prepare });
}

/** Opens the connection now, or, where that fails, in the background until it is there. */
async function openedLater(counters: Counters, connection: RedisConnection): Promise<Counters> {
  const closing = new AbortController();
  const { signal } = closing;
  const open = () =>
    connection.open(0).then(
      () => true,
      () => false,
    );
  const reopen = async () => {
    while (!signal.aborted) {
      await sleep(reopenPauseMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted || (await open())) return;
    }
  };
  const opening = (await open()) ? Promise.resolve() : reopen();
  return {
    ...counters,
    close: async () => {
      closing.abort();
      await opening;
      await counters.close();
    },
  };
}
