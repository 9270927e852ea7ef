/** A process that reserves many times at once under one limit, once it is told to, and says how many passed. */
import { createLimiter } from '../../../src/limits/create.ts';
import { createRedisCounters } from '../../../src/limits/redis-counters.ts';
import { RedisConnection } from '../../../src/state/redis-connection.ts';
import { limit, of, requests, tokens } from '../../unit/limits/charges.ts';

const [url = '', times = '0', nowMs = '0'] = process.argv.slice(2);
const connection = new RedisConnection({
  ...{ url, username: undefined, database: 0, timeoutMs: 10_000, checkIntervalMs: 5000 },
  secrets: async () => ({ password: undefined, ca: undefined }),
  prepare: async () => {},
});
await connection.open(5000);
const limiter = createLimiter({
  counters: createRedisCounters({ connection, prefix: 'race:' }),
  ...{ local: undefined, assumedMaxTokens: 1, now: () => Number(nowMs) },
  observer: { reserved() {}, refused() {}, settled() {}, stands() {}, unavailable() {} },
});
const charges = [limit([requests(100), tokens(1_000_000)]), limit([requests(400)], { rule: 'group' })];
process.once('message', async () => {
  const asked = Array.from({ length: Number(times) }, (_, i) =>
    limiter.reserve(`${process.pid}-${i}`, charges, of(10), Number(nowMs)),
  );
  const passed = (await Promise.all(asked)).filter(({ ok }) => ok).length;
  await limiter.close();
  process.send?.(passed, () => process.disconnect());
});
process.send?.('ready');
